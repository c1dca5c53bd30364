#![cfg(unix)]
//! A device that takes its place in the group again.
use crate::support::{Place, Running};

/// Bo's device says that its keys are lost; with the next member it meets it is in again, and reads and writes as before.
#[test]
fn a_device_takes_its_place_in_the_group_again() {
    let place = Place::crew();
    place.ok("bo", &["init", "--name", "Bo"]);
    let card = place.ok("bo", &["whoami"]);
    let invitation = place.ok("ada", &["invite", &card]);
    place.ok("bo", &["join", &invitation]);
    let decisions = |name: &str| {
        let log = place.json(name, &["log"]);
        log["events"].as_array().unwrap().len()
    };
    {
        let (_ada, addr) = Running::listen(&place, "ada", &[]);
        place.ok("ada", &["send", "before"]);
        place.json("bo", &["sync", "--peer", &addr]);
        let before = decisions("bo");
        place.ok("bo", &["space", "rejoin"]);
        assert_eq!(decisions("bo"), before, "it takes somebody to rejoin with");
        place.json("bo", &["sync", "--peer", &addr]);
        assert_eq!(decisions("bo"), before + 1, "one commit, by Bo's device");
        assert_eq!(decisions("ada"), before + 1);
        place.ok("bo", &["send", "after"]);
        place.json("bo", &["sync", "--peer", &addr]);
    }
    for name in ["ada", "bo"] {
        let read = place.json(name, &["read"]);
        let bodies: Vec<&str> = read["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| message["body"].as_str().unwrap())
            .collect();
        assert_eq!(bodies, ["before", "after"], "{name}");
        place.ok(name, &["audit"]);
    }
    let stranger = {
        place.ok("cy", &["init", "--name", "Cy"]);
        place.run("cy", &["space", "rejoin"])
    };
    assert_ne!(stranger.code, 0, "only a member's device rejoins");
}
