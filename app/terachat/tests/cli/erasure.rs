#![cfg(unix)]
//! What was deleted is gone from the disks of those who heard of it, and does not reach those who come later.
use crate::support::{Place, Running};

#[test]
fn a_deleted_message_is_erased_and_reaches_nobody_who_comes_later() {
    let place = Place::crew();
    let invite = |name: &str| {
        place.ok(name, &["init", "--name", name]);
        let card = place.ok(name, &["whoami"]);
        let invitation = place.ok("ada", &["invite", &card]);
        place.ok(name, &["join", &invitation]);
    };
    invite("bo");
    invite("cy");
    let (_ada, addr) = Running::listen(&place, "ada", &[]);
    let sent = place.json("ada", &["send", "the code is sesame"]);
    place.ok("ada", &["send", "and something else"]);
    place.json("bo", &["sync", "--peer", &addr]);
    assert!(place.ok("bo", &["search", "sesame"]).contains("sesame"));
    let id = sent["id"].as_str().unwrap();
    place.ok("ada", &["delete", id]);
    place.json("bo", &["sync", "--peer", &addr]);
    let compacted = place.json("bo", &["store", "compact"]);
    assert_eq!(
        (compacted["erased"].as_u64(), compacted["pending"].as_u64()),
        (Some(1), Some(0)),
        "{compacted}"
    );
    assert!(!place.ok("bo", &["search", "sesame"]).contains("sesame"));
    place.ok("bo", &["store", "check"]);
    place.ok("bo", &["audit"]);
    // Cy comes later, and never has it.
    place.json("cy", &["sync", "--peer", &addr]);
    let read = place.json("cy", &["read"]);
    let messages = read["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 2);
    assert_eq!((messages[0]["deleted"].as_bool(), messages[0]["body"].as_str()), (Some(true), Some("")));
    assert_eq!(place.json("cy", &["store", "compact"])["pending"], 0);
    // All have the same, whoever had the text.
    let map = place.home("map");
    place.ok("bo", &["audit", "--map", map.to_str().unwrap()]);
    assert_eq!(
        place.ok("cy", &["audit", "--compare", map.to_str().unwrap()]),
        "The states are the same in Crew."
    );
}
