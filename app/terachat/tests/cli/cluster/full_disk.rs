//! Disks that are really full: small file systems in memory, under the shards and under the ledger of a node. Needs Linux and root.
use super::own_disk::OwnDisk;
use super::*;

/// Puts files until one is refused; the ones that were acknowledged, and what was said: the problem and the next step.
fn put_until_refused(place: &Place, len: usize) -> (Vec<(String, PathBuf)>, String, String) {
    let mut kept = Vec::new();
    loop {
        let file = place.file(&format!("file-{}", kept.len()), len);
        let ended = place.run("c", &["put", file.to_str().unwrap(), "--json"]);
        if ended.code != 0 {
            let said: Value = serde_json::from_str(&ended.stderr).unwrap();
            let text = |key: &str| said[key].as_str().unwrap().to_owned();
            return (kept, text("error"), text("next"));
        }
        let put: Value = serde_json::from_str(&ended.stdout).unwrap();
        kept.push((put["reference"].as_str().unwrap().to_owned(), file));
        assert!(kept.len() < 200, "the disk is never full");
    }
}

/// Where shards find no room, what is put is refused and says so; what was acknowledged is given meanwhile and afterwards, and with
/// room again it goes on, without a restart.
#[cfg(unix)]
#[test]
fn shards_on_a_full_disk_are_refused_until_there_is_room() {
    let place = Place::new();
    assert_eq!(place.up("c", 1).interrupt(), 0);
    let Some(disk) = OwnDisk::in_memory(&place.path("c/node-1/shards"), "8m") else { return };
    let up = place.up("c", 1);
    let (kept, what, next) = put_until_refused(&place, 1 << 20);
    assert!((2..8).contains(&kept.len()), "{} files of 1 MiB on 8 MiB", kept.len());
    assert!(what.contains("0 nodes made their part durable"), "{what}");
    assert!(
        next.contains("Of node 1: the disk there is full or fails") && next.contains("make room"),
        "{next}"
    );
    for (reference, file) in &kept {
        place.gives("c", reference, file);
    }
    disk.grow("64m");
    let more = place.file("more", 1 << 20);
    let reference = place.put("c", &more);
    for (reference, file) in kept.iter().chain([&(reference, more)]) {
        place.gives("c", reference, file);
    }
    assert_eq!(place.json("c", &["scrub"])["sound"], true);
    assert_eq!(up.interrupt(), 0);
    let up = place.up("c", 1);
    for (reference, file) in &kept {
        place.gives("c", reference, file);
    }
    assert_eq!(place.json("c", &["audit"])["sound"], true);
    assert_eq!(up.interrupt(), 0);
}

/// A node that answers and keeps nothing says so to whoever looks at it, as long as that is so.
#[cfg(unix)]
#[test]
fn a_node_says_that_its_disk_keeps_nothing() {
    let place = Place::new();
    assert_eq!(place.up("c", 1).interrupt(), 0);
    let Some(disk) = OwnDisk::in_memory(&place.path("c/node-1/shards"), "8m") else { return };
    std::fs::write(place.path("c/node-1/node.toml"), "monitor = \"127.0.0.1:0\"\n").unwrap();
    let mut node = Running::start(place.node("c", 1, &["run", "--json"]));
    let line: Value = serde_json::from_str(&node.line_with("listening")).unwrap();
    let url = line["monitor"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
    node.line_with("ready");
    let first = place.file("first", 1000);
    let reference = place.put("c", &first);
    let fine = |number: u32| {
        place.put("c", &place.file(&format!("fine-{number}"), 1000));
        assert_eq!(place.json("c", &["status"])["nodes"][0]["disk_trouble"], Value::Null);
        assert!(http(&url, "/readyz").starts_with("HTTP/1.1 200"), "{}", http(&url, "/readyz"));
        assert!(http(&url, "/metrics").contains("\nterachat_node_disk_trouble 0\n"));
    };
    let in_trouble = || {
        let refused = place.run("c", &["put", place.file("large", 1 << 20).to_str().unwrap()]);
        assert!(refused.pair().0.contains("0 nodes made their part durable"), "{refused:?}");
        place.gives("c", &reference, &first);
        let own = Ended::from(place.node("c", 1, &["status", "--json"]).output().unwrap());
        for status in [place.json("c", &["status"]), serde_json::from_str(&own.stdout).unwrap()] {
            let why = status["nodes"][0]["disk_trouble"].as_str().unwrap();
            assert!(why.contains("shards are not kept") && why.contains("full"), "{why}");
        }
        assert!(place.ok("c", &["status"]).contains("Of node 1, shards are not kept"));
        let ready = http(&url, "/readyz");
        assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("shards are not kept"), "{ready}");
        assert!(http(&url, "/metrics").contains("\nterachat_node_disk_trouble 1\n"));
    };
    fine(0);
    disk.fill(0);
    in_trouble();
    disk.free();
    fine(1);
    assert_eq!(node.interrupt(), 0);
}

/// Where the ledger finds no room, its node acknowledges nothing any more, ends and says why. With room, and started again, it has all
/// that it acknowledged.
#[cfg(unix)]
#[test]
fn a_ledger_on_a_full_disk_ends_its_node_and_loses_nothing() {
    let place = Place::new();
    assert_eq!(place.up("c", 1).interrupt(), 0);
    let Some(disk) = OwnDisk::in_memory(&place.path("c/node-1/ledger"), "2m") else { return };
    let log = place.path("log");
    let mut node = Running::start_logging(place.node("c", 1, &["run", "--json"]), &log);
    node.line_with("ready");
    let before = place.file("before", 1000);
    let first = (place.put("c", &before), before);
    disk.fill(16 << 10);
    let (mut kept, what, next) = put_until_refused(&place, 1000);
    kept.push(first);
    assert!(what.contains("answered within") && next.contains("terachat node run"), "{what}; {next}");
    assert_ne!(node.code(), 0, "it ends by itself");
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("full"), "{said}");
    disk.free();
    let node = place.run_node("c", 1);
    for (reference, file) in &kept {
        place.gives("c", reference, file);
    }
    let after = place.file("after", 1000);
    let reference = place.put("c", &after);
    place.gives("c", &reference, &after);
    assert_eq!(place.json("c", &["audit"])["sound"], true);
    assert_eq!(node.interrupt(), 0);
}
