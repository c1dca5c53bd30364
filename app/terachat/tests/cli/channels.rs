#![cfg(unix)]
//! A device that keeps some channels only.
use crate::support::{Place, Running};
use serde_json::Value;

/// Ada's crew with a second channel, and Bo, who has all of it.
fn pair() -> Place {
    let place = Place::crew();
    place.ok("ada", &["channel", "create", "hold"]);
    place.ok("bo", &["init", "--name", "Bo"]);
    let card = place.ok("bo", &["whoami"]);
    let invitation = place.ok("ada", &["invite", &card, "--rank", "50"]);
    place.ok("bo", &["join", &invitation]);
    place
}

fn kept(place: &Place, name: &str) -> Vec<String> {
    let listed = place.json(name, &["channel", "list", "--kept"]);
    let name = |channel: &Value| channel["name"].as_str().unwrap().to_owned();
    listed["channels"].as_array().unwrap().iter().map(name).collect()
}

fn bodies(place: &Place, name: &str, channel: &str) -> Vec<String> {
    let read = place.json(name, &["read", "--channel", channel]);
    let body = |message: &Value| message["body"].as_str().unwrap().to_owned();
    read["messages"].as_array().unwrap().iter().map(body).collect()
}

/// Bo's device takes the newest of a long channel, reads back, hears what is said meanwhile, and then takes all of it.
#[test]
fn the_newest_of_a_channel_comes_first_and_the_past_on_demand() {
    let place = pair();
    let (_ada, addr) = Running::listen(&place, "ada", &[]);
    for n in 0..60 {
        place.ok("ada", &["send", &format!("word {n}"), "--channel", "hold"]);
    }
    place.json("bo", &["sync", "--peer", &addr]);
    place.ok("bo", &["channel", "newest", "hold"]);
    place.ok("bo", &["channel", "drop", "hold", "--last-copy"]);
    assert_eq!(kept(&place, "bo"), ["deck"]);
    assert!(place.ok("bo", &["channel", "list"]).contains("newest only"));
    place.json("bo", &["sync", "--peer", &addr]);
    let newest = bodies(&place, "bo", "hold");
    assert_eq!(
        (newest.len(), newest.last().unwrap().as_str()),
        (50, "word 59"),
        "without a daemon, from the disk"
    );
    assert!(place.ok("bo", &["read", "--channel", "hold"]).contains("from here on"));
    assert!(place.run("bo", &["send", "too early", "--channel", "hold"]).pair().0.contains("does not keep"));
    let (mut bo, _) = Running::listen(&place, "bo", &["--peer", &addr]);
    bo.line_with("in_sync");
    place.ok("bo", &["read", "--channel", "hold"]);
    bo.line_with("ahead of its past");
    let all = ["read", "--channel", "hold", "--limit", "100"];
    let count = || place.json("bo", &all)["messages"].as_array().unwrap().len();
    assert_eq!(count(), 60);
    assert!(
        !place.ok("bo", &["read", "--channel", "hold"]).contains("from here on"),
        "it begins where it began"
    );
    place.ok("ada", &["send", "one more", "--channel", "hold"]);
    bo.line_with("ahead of its past");
    assert_eq!(bodies(&place, "bo", "hold").last().unwrap(), "one more");
    place.ok("bo", &["channel", "keep", "hold"]);
    bo.line_with("one more");
    place.ok("bo", &["send", "now I may", "--channel", "hold"]);
    assert_eq!(count(), 62);
    assert_eq!(bo.interrupt(), 0);
    place.ok("bo", &["audit"]);
}

#[test]
fn a_channel_is_left_out_dropped_and_taken_back() {
    let place = pair();
    let (_ada, addr) = Running::listen(&place, "ada", &[]);
    place.ok("ada", &["send", "on deck", "--channel", "deck"]);
    place.ok("ada", &["send", "below", "--channel", "hold"]);
    let (mut bo, _) = Running::listen(&place, "bo", &["--peer", &addr]);
    bo.line_with("in_sync");
    place.ok("bo", &["send", "bo was here", "--channel", "hold"]);
    assert_eq!(kept(&place, "bo"), ["deck", "hold"]);
    let too_early = place.run("bo", &["channel", "drop", "hold"]);
    assert!(too_early.pair().1.contains("leave-out"), "{too_early:?}");
    place.ok("bo", &["channel", "leave-out", "hold"]);
    bo.line_with("can be dropped");
    assert_eq!(kept(&place, "bo"), ["deck"]);
    assert!(place.ok("bo", &["channel", "list"]).contains("left out"));
    assert_eq!(bodies(&place, "bo", "hold"), ["below", "bo was here"], "what was kept stays");
    assert!(place.run("bo", &["send", "to nobody", "--channel", "hold"]).pair().0.contains("does not keep"));
    place.ok("ada", &["send", "deeper", "--channel", "hold"]);
    place.ok("ada", &["send", "still on deck", "--channel", "deck"]);
    bo.line_with("still on deck");
    assert_eq!(place.json("bo", &["channel", "drop", "hold"])["events"], 2);
    assert!(place.run("bo", &["read", "--channel", "hold"]).pair().1.contains("channel keep"));
    place.ok("bo", &["audit"]);
    let map = place.home("map");
    place.ok("ada", &["audit", "--map", map.to_str().unwrap()]);
    let compared = place.ok("bo", &["audit", "--compare", map.to_str().unwrap()]);
    assert_eq!(compared, "The states are the same in Crew (not compared: hold).");
    assert_eq!(bo.interrupt(), 0);
    place.ok("bo", &["store", "check"]);
    // Taken back without a connection there is nothing yet, and nothing is signed.
    place.ok("bo", &["channel", "keep", "hold"]);
    assert_eq!(bodies(&place, "bo", "hold"), Vec::<String>::new());
    place.run("bo", &["send", "a number used twice", "--channel", "hold"]).pair();
    place.json("bo", &["sync", "--peer", &addr]);
    assert_eq!(bodies(&place, "bo", "hold"), ["below", "bo was here", "deeper"]);
    place.ok("bo", &["send", "and on", "--channel", "hold"]);
    place.json("bo", &["sync", "--peer", &addr]);
    assert_eq!(bodies(&place, "ada", "hold").last().unwrap(), "and on");
    let compared = place.run("bo", &["audit", "--compare", map.to_str().unwrap()]);
    assert_eq!(compared.code, 1);
    assert!(
        compared.stdout.starts_with("1 differences in Crew:"),
        "and hold is compared again: {compared:?}"
    );
    place.ok("bo", &["channel", "keep", "--only", "deck"]);
    assert_eq!(kept(&place, "bo"), ["deck"]);
    place.ok("bo", &["channel", "keep", "--all"]);
    assert_eq!(kept(&place, "bo"), ["deck", "hold"]);
    for wrong in
        [vec!["channel", "keep"], vec!["channel", "keep", "deck", "--all"], vec!["channel", "leave-out"]]
    {
        assert_eq!(place.run("bo", &wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn what_only_this_device_has_takes_an_own_word_to_drop() {
    let place = Place::crew();
    place.ok("ada", &["send", "nobody else has it"]);
    place.ok("ada", &["channel", "leave-out", "deck"]);
    assert!(place.run("ada", &["channel", "drop", "deck"]).pair().1.contains("--last-copy"));
    assert!(place.ok("ada", &["channel", "drop", "deck", "--last-copy"]).starts_with("1 events dropped"));
    place.ok("ada", &["channel", "keep", "deck"]);
    assert!(place.run("ada", &["send", "a number used twice"]).pair().0.contains("dropped"));
}
