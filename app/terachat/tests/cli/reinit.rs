#![cfg(unix)]
//! A space moves to another ciphersuite, by processes.
use crate::support::{Place, Running};

fn space(place: &Place, name: &str) -> serde_json::Value {
    place.json(name, &["status"])["spaces"][0].clone()
}

/// Ada asks for it, Bo offers keys when he next meets her, Cy was away: all are in it in the end, and read everything.
#[test]
fn a_space_moves_to_the_post_quantum_suite() {
    let place = Place::crew();
    for (name, called) in [("bo", "Bo"), ("cy", "Cy")] {
        place.ok(name, &["init", "--name", called]);
        let card = place.ok(name, &["whoami"]);
        let invitation = place.ok("ada", &["invite", &card]);
        place.ok(name, &["join", &invitation]);
    }
    let wrong = place.run("ada", &["space", "reinit", "--suite", "rot13"]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
    {
        let (_ada, addr) = Running::listen(&place, "ada", &[]);
        place.ok("ada", &["send", "before"]);
        for name in ["bo", "cy"] {
            place.json(name, &["sync", "--peer", &addr]);
        }
        let refused = place.run("bo", &["space", "reinit", "--suite", "post-quantum"]);
        assert!(refused.stderr.contains("manage-suite"), "{}", refused.stderr);
        place.ok("ada", &["space", "reinit", "--suite", "post-quantum"]);
        let moving = space(&place, "ada")["moving"].clone();
        assert_eq!((moving["suite"].as_str(), moving["by"].as_str()), (Some("x-wing"), Some("Ada")));
        assert_eq!(moving["waits_for"].as_array().unwrap().len(), 2);
        assert!(place.ok("ada", &["status"]).contains("moves to suite x-wing, as Ada asked, waits for"));
        place.json("bo", &["sync", "--peer", &addr]);
        assert_eq!(space(&place, "ada")["post_quantum"], false, "Cy has offered nothing yet");
        place.ok("ada", &["space", "reinit", "--suite", "post-quantum", "--now"]);
        place.ok("ada", &["send", "there"]);
        for name in ["bo", "cy", "bo", "cy"] {
            place.json(name, &["sync", "--peer", &addr]);
        }
        for name in ["bo", "cy"] {
            place.ok(name, &["send", "here too"]);
            place.json(name, &["sync", "--peer", &addr]);
        }
        place.json("bo", &["sync", "--peer", &addr]);
    }
    for name in ["ada", "bo", "cy"] {
        let status = space(&place, name);
        assert_eq!(
            (&status["post_quantum"], &status["moving"]),
            (&true.into(), &serde_json::Value::Null),
            "{name}"
        );
        let read = place.json(name, &["read"]);
        assert_eq!(read["messages"].as_array().unwrap().len(), 4, "{name}");
        place.ok(name, &["audit"]);
    }
}
