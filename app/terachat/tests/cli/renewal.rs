#![cfg(unix)]
//! When a space's keys are renewed, by processes.
use crate::support::{Place, Running};

#[test]
fn a_space_says_when_its_keys_are_renewed() {
    let place = Place::crew();
    assert_eq!(place.ok("ada", &["space", "renewal"]), "after 7 days or 10000 messages");
    for (option, value) in
        [("--days", "0"), ("--days", "366"), ("--messages", "99"), ("--messages", "1000001")]
    {
        let wrong = place.run("ada", &["space", "renewal", option, value]);
        assert_eq!(wrong.code, 2, "{option} {value}: {}", wrong.stderr);
    }
    let said = place.json("ada", &["space", "renewal", "--messages", "100"]);
    assert_eq!((&said["days"], &said["messages"]), (&7.into(), &100.into()));
    place.ok("bo", &["init", "--name", "Bo"]);
    let card = place.ok("bo", &["whoami"]);
    let invitation = place.ok("ada", &["invite", &card]);
    place.ok("bo", &["join", &invitation]);
    {
        let (_ada, addr) = Running::listen(&place, "ada", &[]);
        place.json("bo", &["sync", "--peer", &addr]);
        let refused = place.run("bo", &["space", "renewal", "--days", "1"]);
        assert!(refused.code == 1 && refused.stderr.contains("manage-suite"), "{}", refused.stderr);
        assert_eq!(place.ok("bo", &["space", "renewal"]), "after 7 days or 100 messages");
        assert_eq!(place.json("bo", &["status"])["spaces"][0]["renewal"]["messages"], 100);
    }
    let epoch = || place.json("ada", &["status"])["spaces"][0]["epoch"].as_u64().unwrap();
    let before = epoch();
    for n in 0..100 {
        place.ok("ada", &["send", &format!("word {n}")]);
    }
    assert_eq!(epoch(), before);
    place.ok("ada", &["send", "of another epoch"]);
    assert_eq!(epoch(), before + 1);
}
