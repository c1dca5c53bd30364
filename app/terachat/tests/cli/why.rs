//! `log --why`: what decides about an event, in words and for programs, from the folder and through a running `listen`.
use crate::support::{Place, Running};
use serde_json::Value;

/// The newest event of a chain whose line says this.
#[track_caller]
fn event(place: &Place, name: &str, log: &[&str], what: &str) -> Value {
    let events = place.json(name, &[&["log"], log].concat())["events"].take();
    let events = events.as_array().unwrap();
    let found = events.iter().rev().find(|event| event["what"].as_str().unwrap().contains(what));
    found.unwrap_or_else(|| panic!("no {what:?} in {events:?}")).clone()
}

/// Ada removes Bo, who does not hear of it, opens a channel and writes there and on the deck; all of it reaches Ada.
fn removed_while_away() -> Place {
    let place = Place::crew();
    place.ok("bo", &["init", "--name", "Bo"]);
    let card = place.ok("bo", &["whoami"]);
    place.ok("bo", &["join", &place.ok("ada", &["invite", &card, "--rank", "60"])]);
    let (ada, addr) = Running::listen(&place, "ada", &[]);
    place.json("bo", &["sync", "--peer", &addr]);
    assert_eq!(ada.interrupt(), 0);
    place.ok("bo", &["channel", "create", "hold"]);
    place.ok("bo", &["send", "--channel", "deck", "from far away"]);
    place.ok("ada", &["member", "remove", "Bo"]);
    let file = place.home("bo.bundle");
    place.ok("bo", &["bundle", "export", "--out", file.to_str().unwrap()]);
    place.ok("ada", &["bundle", "import", file.to_str().unwrap()]);
    place
}

#[test]
fn a_removal_is_named_as_what_decides() {
    let place = removed_while_away();
    let removal = event(&place, "ada", &[], "removed Bo");
    let created = event(&place, "ada", &[], "created channel hold");
    let said = event(&place, "ada", &["--channel", "deck"], "from far away");
    assert!(created["void"].is_string() && said["void"].is_string(), "{created} {said}");
    let asks = |log: &[&str], event: &Value| {
        let id = event["id"].as_str().unwrap();
        let told = place.json("ada", &[&["log", "--why", id], log].concat());
        assert_eq!((told["event"]["id"].as_str(), &told["event"]["hash"]), (Some(id), &event["hash"]));
        told
    };
    let check = || {
        let told = asks(&[], &created);
        assert_eq!((told["counts"].as_bool(), told["reason"].as_str()), (Some(false), Some("cut_off")));
        assert_eq!(told["deciding"][0]["role"], "cuts_off");
        assert_eq!(told["deciding"][0]["event"]["hash"], removal["hash"]);
        assert_eq!(told["deciding"][0]["event"]["author"], "Ada");
        let told = asks(&["--channel", "deck"], &said);
        assert_eq!((told["reason"].as_str(), told["last"].as_u64()), (Some("beyond_pin"), Some(0)));
        assert_eq!(told["deciding"][0]["role"], "pins");
        assert_eq!(told["deciding"][0]["event"]["id"], removal["id"]);
        let told = asks(&[], &removal);
        assert_eq!((told["counts"].as_bool(), told["rank"].as_u64()), (Some(true), Some(100)));
        assert_eq!(told["deciding"][0]["role"], "admits");
        assert!(told["deciding"][0]["event"]["what"].as_str().unwrap().contains("founded Crew"));
        assert!(told["cited"][0]["id"].is_string(), "{told}");
    };
    check();
    // The same through the process that has the profile open.
    let (ada, _) = Running::listen(&place, "ada", &[]);
    check();
    assert_eq!(ada.interrupt(), 0);
}

#[test]
fn people_read_the_reason_and_the_event_behind_it() {
    let place = removed_while_away();
    let created = event(&place, "ada", &[], "created channel hold");
    let removal = event(&place, "ada", &[], "removed Bo");
    let text = place.ok("ada", &["log", "--why", created["id"].as_str().unwrap()]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].ends_with("by Bo: created channel hold"), "{text}");
    assert_eq!(lines[1], "  counts for nothing: its author was removed or demoted without knowing of it");
    let by = format!("  {} by Ada: removed Bo", removal["id"].as_str().unwrap());
    assert!(lines[2].starts_with(&by), "{text}");
    assert_eq!(lines[3], "    cuts it off");
    assert!(lines[4].starts_with("  made under ") && lines.len() == 5, "{text}");
    let text = place.ok("ada", &["log", "--why", removal["id"].as_str().unwrap()]);
    assert!(text.contains("  counts: its author had rank 100"), "{text}");
}

#[test]
fn an_event_that_is_not_here_is_a_failure() {
    let place = Place::crew();
    for log in [&[][..], &["--channel", "deck"]] {
        let ended = place.run("ada", &[&["log", "--why", "ffffffffff-7"], log].concat());
        assert!(ended.pair().0.contains("no event is called \"ffffffffff-7\""), "{ended:?}");
    }
}
