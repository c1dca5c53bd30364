//! Disks that stop answering and disks that go bad, under nodes that live on.
use super::own_disk::OwnDisk;
use super::*;

/// The node's own settings: whoever says nothing of what it has counts as away soon.
const SOON: &str = "away-after = \"3s\"\n";

fn trouble(status: &Value, node: u64) -> String {
    let nodes = status["nodes"].as_array().unwrap();
    let node = nodes.iter().find(|report| report["node"] == node).unwrap();
    node["disk_trouble"].as_str().unwrap_or_default().to_owned()
}

/// The leader's disk, with its ledger and its shards, neither does what it is asked to nor fails. It goes on, and so do all others, who make
/// its shards anew; when it answers again, nothing is missing.
#[cfg(unix)]
#[test]
fn a_disk_that_does_not_answer_stops_nobody() {
    let place = Place::new();
    assert_eq!(place.up("c", 4).interrupt(), 0);
    let mut disks = Vec::new();
    for node in 1..=4 {
        let folder = place.path(&format!("c/node-{node}"));
        std::fs::write(folder.join("node.toml"), SOON).unwrap();
        let Some(disk) = OwnDisk::in_a_file(&folder) else { return };
        disks.push(disk);
    }
    let up = place.up("c", 4);
    let before = place.file("before", 300_000);
    let mut files = vec![(place.put("c", &before), before)];
    let leader = place.wait("c", whole)["leader"].as_u64().unwrap();
    let disk = &disks[usize::try_from(leader).unwrap() - 1];
    disk.freeze();
    for number in 0..8 {
        let file = place.file(&format!("file-{number}"), 20_000);
        files.push((place.put("c", &file), file));
        for (reference, file) in &files {
            place.gives("c", reference, file);
        }
    }
    let status = place.wait("c", |status| {
        !trouble(status, leader).is_empty() && status["health"]["away"].as_u64().is_some_and(|away| away > 0)
    });
    assert!(trouble(&status, leader).contains("does not answer"), "{status:#}");
    assert_eq!(status["health"]["missing"], 0, "{status:#}");
    disk.thaw();
    let status = place.wait("c", whole);
    assert_eq!(trouble(&status, leader), "");
    for (reference, file) in &files {
        place.gives("c", reference, file);
    }
    assert_eq!(place.json("c", &["scrub"])["sound"], true);
    assert_eq!(place.json("c", &["audit"])["sound"], true);
    assert_eq!(up.interrupt(), 0);
}

/// The kernel makes a node's file system read-only. What was on it is read, what is put is kept by the others; once it is mended, it has its
/// shards of that, too.
#[cfg(unix)]
#[test]
fn a_disk_that_went_bad_is_read_and_made_good() {
    let place = Place::new();
    assert_eq!(place.up("c", 4).interrupt(), 0);
    let Some(disk) = OwnDisk::in_a_file(&place.path("c/node-3/shards")) else { return };
    let up = place.up("c", 4);
    let before = place.file("before", 300_000);
    let mut files = vec![(place.put("c", &before), before)];
    place.wait("c", whole);
    disk.fail();
    let after = place.file("after", 300_000);
    files.push((place.put("c", &after), after));
    let status = place.wait("c", |status| !trouble(status, 3).is_empty());
    let why = trouble(&status, 3);
    assert!(why.contains("shards are not kept") && why.contains("Read-only file system"), "{why}");
    let gone = status["nodes"].as_array().unwrap().iter().find(|report| report["node"] == 3).unwrap();
    for (reference, file) in &files {
        place.gives("c", reference, file);
    }
    kill(&gone["process"]);
    place.wait("c", |status| answering(status) == 3);
    disk.mend();
    let back = place.run_node("c", 3);
    let status = place.wait("c", whole);
    assert_eq!(trouble(&status, 3), "");
    for (reference, file) in &files {
        place.gives("c", reference, file);
    }
    assert_eq!(place.json("c", &["scrub"])["sound"], true);
    assert_eq!(place.json("c", &["audit"])["sound"], true);
    assert_eq!(back.interrupt(), 0);
    assert_eq!(up.interrupt(), 0);
}
