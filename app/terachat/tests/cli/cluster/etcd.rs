//! A cluster whose ledger is in a real etcd.
use super::*;
use server::Server;

#[path = "../../../../../io/ledger/src/etcd/server.rs"]
mod server;

fn up(place: &Place, name: &str, nodes: u8, options: &[&str]) -> (Running, Value) {
    let nodes = nodes.to_string();
    let args = [&["up", "--nodes", &nodes, "--json"], options].concat();
    let mut command = place.cluster(name, &args);
    command.env("TERACHAT_NODE_ETCD_LEASE", "2s");
    let mut up = Running::start(command);
    let line = serde_json::from_str(&up.line_with("up")).unwrap();
    (up, line)
}

/// What a node that must not start says.
fn refused(place: &Place, name: &str, args: &[&str]) -> (String, String) {
    let ended = Ended::from(place.node(name, 1, &[&["run"], args].concat()).output().unwrap());
    let (what, next) = ended.pair();
    (what.to_owned(), next.to_owned())
}

#[cfg(unix)]
#[test]
fn a_cluster_keeps_its_ledger_in_etcd() {
    let Some(mut etcd) = Server::start() else { return };
    let place = Place::new();
    let endpoint = etcd.endpoint().to_owned();
    let (first_up, line) = up(&place, "c", 4, &["--etcd", &endpoint, "--etcd-prefix", "org/storage"]);
    let process = |node: u64| {
        let nodes = line["nodes"].as_array().unwrap();
        nodes.iter().find(|one| one["node"] == node).unwrap()["process"].clone()
    };
    let status = place.wait("c", whole);
    assert_eq!(status["ledger"], "etcd");
    assert!(status["nodes"].as_array().unwrap().iter().all(|node| node["votes"] == false), "{status}");
    assert!(place.ok("c", &["status"]).contains("the ledger is in etcd"));
    for node in 1..=4 {
        let folder = place.path("c").join(format!("node-{node}"));
        assert!(folder.join("etcd").exists() && !folder.join("ledger").exists(), "node {node}");
    }
    let first = place.file("first", (2 << 20) + 5);
    let reference = place.put("c", &first);
    place.gives("c", &reference, &first);

    // The leading node dies: others write on, and lead.
    let leader = status["leader"].as_u64().unwrap();
    kill(&process(leader));
    let second = place.file("second", 100_000);
    let later = place.put("c", &second);
    place.gives("c", &later, &second);
    place.gives("c", &reference, &first);
    let status = place.wait("c", |now| now["leader"].as_u64().is_some_and(|node| node != leader));
    assert!(status["term"].as_u64().is_some_and(|term| term > 0));
    let back = place.run_node("c", leader);
    place.wait("c", whole);

    // etcd goes: what is known is read, what is new is refused. It comes back: nobody has to do anything.
    etcd.stop();
    let third = place.file("third", 1000);
    let ended = place.run("c", &["put", third.to_str().unwrap()]);
    let (what, next) = ended.pair();
    assert!(what.contains("no etcd") && next.contains("try again"), "{ended:?}");
    place.gives("c", &reference, &first);
    place.gives("c", &later, &second);
    let status = place.wait("c", |now| now["leader"].is_null());
    assert!(status["stopped"].as_str().is_some_and(|why| why.contains("etcd does not answer")), "{status}");
    etcd.again();
    let third_is = place.put("c", &third);
    place.gives("c", &third_is, &third);
    place.wait("c", |now| whole(now) && !now["leader"].is_null() && now["stopped"].is_null());

    // A node is restarted, and all say the same.
    assert_eq!(back.interrupt(), 0);
    let back = place.run_node("c", leader);
    place.wait("c", whole);
    let audit = place.json("c", &["audit"]);
    assert_eq!((audit["sound"].as_bool(), audit["nodes"].as_array().unwrap().len()), (Some(true), 4));
    assert_eq!(back.interrupt(), 0);
    assert_eq!(first_up.interrupt(), 0);

    // Where the ledger is is known to the nodes.
    let (up_again, _) = up(&place, "c", 4, &[]);
    place.gives("c", &third_is, &third);
    assert_eq!(up_again.interrupt(), 0);

    // Nothing begins anew in an etcd that has lost it.
    etcd.stop();
    etcd.empty();
    etcd.again();
    let (what, next) = refused(&place, "c", &[]);
    assert!(what.contains("has no ledger of cluster") && what.contains("org/storage"), "{what}");
    assert!(next.contains("newest data"), "{next}");
}

/// A ledger that was set back is told from the one that was left, and an operator is told what to do.
#[cfg(unix)]
#[test]
fn a_node_does_not_start_over_an_etcd_that_was_set_back() {
    let Some(mut etcd) = Server::start() else { return };
    let place = Place::new();
    let endpoint = etcd.endpoint().to_owned();
    let (running, _) = up(&place, "c", 1, &["--etcd", &endpoint]);
    etcd.stop();
    etcd.back_up("old");
    etcd.again();
    place.put("c", &place.file("file", 1000));
    assert_eq!(running.interrupt(), 0);
    etcd.stop();
    etcd.back_up("new");
    etcd.put_back("old");
    etcd.again();
    let (what, next) = refused(&place, "c", &[]);
    assert!(what.contains("does not reach entry") && what.contains("set back"), "{what}");
    assert!(next.contains("newest data"), "{next}");
    etcd.stop();
    etcd.put_back("new");
    // It waits for etcd, and then works.
    let mut waits = Running::start(place.node("c", 1, &["run", "--json"]));
    etcd.again();
    waits.line_with("ready");
    assert_eq!(waits.interrupt(), 0);
    // One that waits can be told to end.
    etcd.stop();
    let (waits, mut said) = Running::start_heard(place.node("c", 1, &["run"]));
    said.find(|line| line.as_ref().unwrap().contains("waits for the etcd")).expect("it says so").unwrap();
    assert_eq!(waits.interrupt(), 0);
}

/// Clusters share an etcd and a prefix, and nothing else; and a cluster's ledger stays where it is.
#[cfg(unix)]
#[test]
fn clusters_in_one_etcd_do_not_mix() {
    let Some(etcd) = Server::start() else { return };
    let place = Place::new();
    let options = ["--etcd", etcd.endpoint()];
    let (one, _) = up(&place, "one", 1, &options);
    let (two, _) = up(&place, "two", 1, &options);
    let file = place.file("file", 1000);
    let reference = place.put("one", &file);
    place.gives("one", &reference, &file);
    let (of_one, of_two) = (place.json("one", &["status"]), place.json("two", &["status"]));
    assert_ne!(of_one["cluster"], of_two["cluster"]);
    assert_eq!((of_one["items"].as_u64().unwrap() > 0, of_two["items"].as_u64()), (true, Some(0)));
    assert_eq!(place.json("two", &["audit"])["sound"], true);

    // Whoever joins says where the ledger is; the ticket stays good until then.
    let invited = Ended::from(place.node("one", 1, &["invite"]).output().unwrap());
    let ticket = invited.stdout.trim().to_owned();
    let join = |options: &[&str]| {
        let mut command = program();
        command
            .arg("node")
            .arg("--folder")
            .arg(place.path("joins"))
            .arg("--key-file")
            .arg(place.path("joins.key"));
        command.args([&["join", &ticket], options].concat()).stdin(Stdio::null());
        Ended::from(command.output().unwrap())
    };
    let without = join(&[]);
    assert!(without.pair().0.contains("is in etcd") && without.pair().1.contains("--etcd"), "{without:?}");
    let nowhere = join(&["--etcd", "http://127.0.0.1:1"]);
    assert!(nowhere.pair().0.contains("cannot be used"), "{nowhere:?}");
    assert_eq!(join(&["--etcd", "127.0.0.1:1"]).code, 2, "no scheme");
    let joined = join(&options);
    assert!(joined.stdout.starts_with("node 2 of cluster"), "{joined:?}");
    assert_eq!((one.interrupt(), two.interrupt()), (0, 0));

    // A ledger that is on the nodes does not move there.
    assert_eq!(place.up("three", 1).interrupt(), 0);
    let (what, next) = refused(&place, "three", &options);
    assert!(what.contains("is on its nodes") && next.contains("TERACHAT_NODE_ETCD"), "{what}");
    let again = place.run("three", &[&["up", "--nodes", "1"], &options[..]].concat());
    assert!(again.pair().0.contains("is on its nodes"), "{again:?}");
}
