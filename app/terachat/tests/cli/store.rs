//! The store as a whole: checked, compared, made smaller, taken along.
use crate::support::{Place, Running, holds};
use std::path::{Path, PathBuf};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A log to import: one message a line.
pub(crate) fn log(ids: std::ops::RangeInclusive<u64>) -> String {
    ids.map(|id| {
        let ts = "2004-12-25T09:14:00Z";
        format!(r#"{{"id":{id},"ts":"{ts}","type":"message","author":"a","body":"imported {id}"}}"#) + "\n"
    })
    .collect()
}

/// Flips a bit in the middle of a profile's first segment; which that is, and what was in it.
fn damage(place: &Place, name: &str) -> (PathBuf, Vec<u8>) {
    let segment = place.home(name).join("log-0000000001.seg");
    let whole = std::fs::read(&segment).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    std::fs::write(&segment, damaged).unwrap();
    (segment, whole)
}

#[test]
fn a_check_says_what_is_damaged_and_what_to_do() {
    let place = Place::crew();
    place.ok("ada", &["send", "hello"]);
    place.ok("ada", &["store", "compact"]);
    let report = place.json("ada", &["store", "check"]);
    assert_eq!((&report["findings"], &report["events"]), (&serde_json::json!([]), &serde_json::json!(3)));
    assert!(place.ok("ada", &["store", "check"]).ends_with("All of it holds."));
    let (segment, whole) = damage(&place, "ada");
    let ended = place.run("ada", &["store", "check"]);
    assert_eq!(ended.code, 1, "{}", ended.stdout);
    assert!(
        ended.stdout.contains("DAMAGED: segment 1") && ended.stdout.contains(" next: "),
        "{}",
        ended.stdout
    );
    std::fs::write(&segment, whole).unwrap();
    place.ok("ada", &["store", "check"]);
    // A passphrase that is none of its is no damage.
    let words = place.file("words", "wrong\n");
    place.run("ada", &["store", "check", "--passphrase-file", text(&words)]).pair();
}

/// The lock of a profile that `listen` had open kept its check away.
#[test]
fn a_running_listen_is_checked_while_it_works() {
    let place = Place::crew();
    let file = place.file("log.jsonl", log(1..=1100));
    place.ok("ada", &["import", text(&file), "--batch", "1"]);
    place.ok("ada", &["store", "compact"]);
    let closed = place.json("ada", &["store", "check"]);
    let (mut listener, _) = Running::listen(&place, "ada", &[]);
    let report = place.json("ada", &["store", "check"]);
    assert_eq!(report, closed, "the same is told");
    assert!(place.ok("ada", &["store", "check"]).ends_with("All of it holds."));
    // Others are served between two slices.
    std::thread::scope(|scope| {
        let checks =
            scope.spawn(|| (0..5).map(|_| place.json("ada", &["store", "check"])).collect::<Vec<_>>());
        for n in 0..20 {
            place.ok("ada", &["send", &format!("meanwhile {n}")]);
        }
        for report in checks.join().unwrap() {
            assert_eq!(report["findings"], serde_json::json!([]), "{report}");
            assert!(report["events"].as_u64() >= closed["events"].as_u64(), "{report}");
        }
    });
    // What is damaged below it is told as of a closed one, and it writes nothing any more.
    let (segment, whole) = damage(&place, "ada");
    let ended = place.run("ada", &["store", "check"]);
    assert_eq!(ended.code, 1, "{}", ended.stdout);
    let says = ended.stdout.contains("DAMAGED: segment 1") && ended.stdout.contains(" next: check the disk");
    assert!(says, "{}", ended.stdout);
    assert_eq!(listener.child.wait().unwrap().code(), Some(1), "the alarm ends it");
    assert_eq!(
        place.run("ada", &["store", "check"]).stdout,
        ended.stdout,
        "and a closed one is told the same"
    );
    std::fs::write(&segment, whole).unwrap();
    place.ok("ada", &["store", "check"]);
}

#[test]
fn small_commits_are_put_together_on_demand() {
    let place = Place::crew();
    let file = place.file("log.jsonl", log(1..=1100));
    place.ok("ada", &["import", text(&file), "--batch", "1"]);
    let sizes = place.json("ada", &["store", "compact"]);
    assert!(sizes["after"].as_u64().unwrap() * 2 < sizes["before"].as_u64().unwrap(), "{sizes}");
    place.ok("ada", &["audit"]);
    let page = place.json("ada", &["read", "--limit", "2000"]);
    assert_eq!(page["messages"].as_array().unwrap().len(), 1100);
}

#[test]
fn a_backup_becomes_another_device_of_the_same_user() {
    let place = Place::crew();
    place.ok("ada", &["send", "hello"]);
    let (backup, words) = (place.home("backup"), place.file("words", "battery staple\n"));
    let (backup, words) = (text(&backup), text(&words));
    let written = place.json("ada", &["store", "export", backup, "--new-passphrase-file", words]);
    assert_eq!((&written["spaces"], &written["events"]), (&serde_json::json!(1), &serde_json::json!(3)));
    let from = ["store", "import", backup, "--backup-passphrase-file", words];
    place.run("ada", &from).pair();
    let profile_words = place.home("passphrase");
    let wrong = ["store", "import", backup, "--backup-passphrase-file", text(&profile_words)];
    place.run("ada2", &wrong).pair();
    let mut cut = std::fs::read(backup).unwrap();
    cut.pop();
    let cut = place.file("cut", cut);
    let (what, next) = {
        let ended = place.run("ada2", &["store", "import", text(&cut), "--backup-passphrase-file", words]);
        let (what, next) = ended.pair();
        (what.to_owned(), next.to_owned())
    };
    assert!(what.contains("changed or is cut short") && next.contains("copy it again"), "{what} / {next}");
    assert!(!holds(&place.home("ada2"), "keyring"), "nothing was changed");

    place.ok("ada2", &from);
    let hash = |name: &str| place.json(name, &["status"])["spaces"][0]["state_hash"].clone();
    assert_eq!(hash("ada"), hash("ada2"));
    assert!(place.ok("ada2", &["read"]).contains("hello"));
    place.ok("ada2", &["audit"]);
    place.run("ada2", &["send", "not yet"]).pair();
    // The old device admits the new one; then both write.
    let invitation = place.ok("ada", &["invite", &place.ok("ada2", &["whoami"]), "--rank", "0"]);
    place.ok("ada2", &["join", &invitation]);
    let (listener, addr) = Running::listen(&place, "ada", &[]);
    place.ok("ada2", &["sync", "--peer", &addr]);
    place.ok("ada2", &["send", "from the new device"]);
    place.ok("ada", &["send", "from the old device"]);
    place.ok("ada2", &["sync", "--peer", &addr]);
    drop(listener);
    for name in ["ada", "ada2"] {
        let page = place.ok(name, &["read"]);
        assert!(
            page.contains("from the old device") && page.contains("from the new device"),
            "{name}: {page}"
        );
        assert_eq!(place.json(name, &["audit"])["equivocations"], serde_json::json!([]));
    }
    assert_eq!(hash("ada"), hash("ada2"));
}

#[test]
fn two_devices_find_out_where_they_differ() {
    let place = Place::crew();
    place.ok("ada", &["send", "hello"]);
    let (backup, key) = (place.home("backup"), place.home("key"));
    place.ok("ada", &["store", "export", text(&backup), "--new-key-file", text(&key)]);
    place.ok("ada2", &["store", "import", text(&backup), "--backup-key-file", text(&key)]);
    let map = place.home("map");
    place.ok("ada2", &["audit", "--map", text(&map)]);
    assert_eq!(place.ok("ada", &["audit", "--compare", text(&map)]), "The states are the same in Crew.");
    let id = place.ok("ada", &["send", "only here"]);
    let ended = place.run("ada", &["audit", "--compare", text(&map)]);
    assert_eq!(ended.code, 1);
    assert!(ended.stdout.contains(&id) && ended.stdout.contains("only here"), "{}", ended.stdout);
    let none = place.file("none", "dear diary");
    place.run("ada", &["audit", "--compare", text(&none)]).pair();
}

#[test]
fn a_watch_ends_with_the_first_alarm() {
    let place = Place::crew();
    place.ok("ada", &["send", "hello"]);
    let mut watch = Running::start(place.command("ada", &["audit", "--watch", "--every", "1", "--json"]));
    assert!(watch.line().contains("\"alarm\":[]"));
    let segment = place.home("ada").join("log-0000000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    while !watch.line().is_empty() {}
    assert_eq!(watch.child.wait().unwrap().code(), Some(1));
}

/// While `listen` runs, an audit that finds the disk changed ends it: nothing is written on top of what is wrong.
#[test]
fn an_alarm_ends_a_running_listen() {
    let place = Place::crew();
    place.ok("ada", &["send", "hello"]);
    let (mut listener, _) = Running::listen(&place, "ada", &[]);
    place.ok("ada", &["audit"]);
    let segment = place.home("ada").join("log-0000000001.seg");
    let whole = std::fs::read(&segment).unwrap();
    let mut bytes = whole.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    assert_eq!(place.run("ada", &["audit"]).code, 1);
    while !listener.line().is_empty() {}
    assert_eq!(listener.child.wait().unwrap().code(), Some(1));
    std::fs::write(&segment, whole).unwrap();
    place.ok("ada", &["send", "opened anew after the repair"]);
    place.ok("ada", &["audit"]);
}
