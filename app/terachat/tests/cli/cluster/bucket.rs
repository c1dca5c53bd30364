//! A cluster whose shards are in a bucket of a real S3 server.
use super::*;
use server::{KEY, Server};

#[allow(dead_code, reason = "the crate's own tests use more of it")]
#[path = "../../../../../io/cluster/src/bucket/server.rs"]
mod server;

/// The options that name the server's bucket.
fn options(server: &Server) -> Vec<String> {
    let credentials = server.credentials().to_str().unwrap().to_owned();
    ["--shards", "s3://shards/kept", "--s3-endpoint", &server.endpoint, "--s3-credentials", &credentials]
        .map(str::to_owned)
        .into()
}

#[cfg(unix)]
#[test]
fn a_cluster_keeps_its_shards_in_a_bucket() {
    let Some(server) = Server::start() else { return };
    let place = Place::new();
    let options = options(&server);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let mut up =
        Running::start(place.cluster("c", &[&["up", "--nodes", "4", "--json"], &options[..]].concat()));
    let line: Value = serde_json::from_str(&up.line_with("up")).unwrap();
    let cluster = place.json("c", &["status"])["cluster"].as_str().unwrap().to_owned();
    let objects = |node: u64| server.objects(&format!("kept/{cluster}/node-{node}")).len();

    let first = place.file("first", (3 << 20) + 5);
    let reference = place.put("c", &first);
    place.gives("c", &reference, &first);
    assert!((1..=4).filter(|node| objects(*node) > 0).count() >= 3, "each node has its own objects");
    for node in 1..=4 {
        let folder = place.path("c").join(format!("node-{node}"));
        assert!(!folder.join("shards").exists(), "nothing is in the folder");
        let named = std::fs::read(folder.join("bucket")).unwrap();
        assert!(!String::from_utf8_lossy(&named).contains(KEY));
    }

    // One is killed; what is written meanwhile is made whole when it is back.
    kill(&line["nodes"].as_array().unwrap().iter().find(|node| node["node"] == 3).unwrap()["process"]);
    place.gives("c", &reference, &first);
    let second = place.file("second", 200_000);
    let later = place.put("c", &second);
    place.gives("c", &later, &second);
    let back = place.run_node("c", 3);
    place.wait("c", whole);
    place.gives("c", &reference, &first);
    assert_eq!(back.interrupt(), 0);
    assert_eq!(up.interrupt(), 0);

    // Where the shards are is known to the nodes.
    let up = place.up("c", 4);
    place.wait("c", whole);
    place.gives("c", &reference, &first);
    place.gives("c", &later, &second);
    assert_eq!(up.interrupt(), 0);
}

#[cfg(unix)]
#[test]
fn what_is_wrong_with_a_bucket_is_said_before_a_node_is_made() {
    let Some(server) = Server::start() else { return };
    let place = Place::new();
    let options = options(&server);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let up = |options: &[&str]| place.run("c", &[&["up", "--nodes", "1"], options].concat());
    let mut nowhere = options.clone();
    nowhere[1] = "s3://nobody/kept";
    let ended = up(&nowhere);
    let (what, next) = ended.pair();
    assert!(what.contains("there is no such bucket") && next.contains("make it"), "{what}");
    let ended = up(&options[..4]);
    let (what, next) = ended.pair();
    assert!(what.contains("there are no credentials") && next.contains("--s3-credentials"), "{what}");
    assert_eq!(up(&options[2..]).code, 2, "a service without a bucket");
    assert_eq!(up(&["--shards", "file:///tmp"]).code, 2, "no bucket");
    assert!(!place.path("c").join("node-1").exists());
}
