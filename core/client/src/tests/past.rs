//! Earlier moments, as the verbs show them.
use super::*;

fn at(moment: &str, request: Request) -> Request {
    Request::At { moment: moment.to_owned(), request: Box::new(request) }
}

fn read() -> Request {
    Request::Read {
        place: place(),
        limit: 99,
        before: None,
        after: None,
        around: None,
        thread: None,
        pinned: false,
        filter: Box::default(),
    }
}

#[track_caller]
fn bodies(answer: Answer) -> Vec<String> {
    match answer {
        Answer::Messages { messages } => messages.into_iter().map(|message| message.body).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_channel_is_read_as_it_was() {
    let mut world = club(&["ada", "bob"]);
    // Each request takes a second of the tests' clock, which began long ago.
    world.now = 1_764_150_000_000;
    let first = world.say("ada", "a first message");
    let reply = world.say("bob", "seen");
    world.now = 1_764_153_600_000;
    world.ask("ada", Request::Edit { place: place(), message: first.clone(), body: "rewritten".into() });
    world.ask("bob", Request::Delete { place: place(), message: reply.clone() });
    let rename = crate::api::Arrangement::RenameChannel { channel: "general".into(), name: "lounge".into() };
    world.ask("ada", Request::Arrange { space: None, change: rename });
    let lounge = Place { space: None, channel: Some("lounge".into()) };
    let read_lounge = match read() {
        Request::Read { limit, before, after, around, thread, pinned, filter, .. } => {
            Request::Read { place: lounge.clone(), limit, before, after, around, thread, pinned, filter }
        }
        _ => unreachable!(),
    };
    let before = world.status("bob");
    // 2025-11-26 10:00 UTC lies between, whatever the channel was called then.
    for name in ["ada", "bob"] {
        let then = world.ask(name, at("2025-11-26T10:00", read_lounge.clone()));
        assert_eq!(bodies(then), ["a first message", "seen"]);
        let of_event = world.ask(name, at(&reply, read_lounge.clone()));
        assert_eq!(bodies(of_event), ["a first message", "seen"]);
        let now = world.ask(name, read_lounge.clone());
        assert_eq!(bodies(now), ["rewritten", ""]);
    }
    let search = |query: &str| Request::Search { place: Place::default(), query: query.into(), limit: 9 };
    for (query, then, now) in [("first", 1, 0), ("seen", 1, 0), ("rewritten", 0, 1)] {
        let hits = |answer| match answer {
            Answer::Hits { hits } => hits.len(),
            other => panic!("{other:?}"),
        };
        assert_eq!(hits(world.ask("bob", at("2025-11-26T10:00", search(query)))), then, "{query}");
        assert_eq!(hits(world.ask("bob", search(query))), now, "{query}");
    }
    let log = Request::Log { place: Place::default(), limit: 99 };
    let events = |answer| match answer {
        Answer::Events { events } => events.len(),
        other => panic!("{other:?}"),
    };
    let all = events(world.ask("bob", log.clone()));
    assert_eq!(
        events(world.ask("bob", at("2025-11-26T10:00", log.clone()))),
        all - 1,
        "without the new name"
    );
    // Nothing of it stays behind.
    assert_eq!(world.status("bob"), before);
    world.sound("bob");
    world.ask("bob", Request::Send { place: lounge, body: "and on".into(), reply_to: None });
    world.same(&["ada", "bob"]);
    for (moment, request, words) in [
        ("2025-11-26", Request::Status, "only messages"),
        ("yesterday", log, "moment or event"),
        ("1970-01-01", read_lounge, "no space"),
    ] {
        let refused = world.try_ask("bob", at(moment, request)).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
}
