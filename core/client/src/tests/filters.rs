//! Conditions on a page's and a search's messages, as people name them.
use super::*;
use crate::api::{AttachedFile, MessageFilter, NewPost};

/// Ada (100), Bob (50) and Eve (10) have written; Eve is removed.
fn talk() -> World {
    let mut world = club(&["ada", "bob"]);
    world.enter("eve", 9);
    world.connect("ada", "eve");
    world.invite("ada", "eve", 10);
    world.say("ada", "hello one");
    world.say("bob", "hello two, @ada");
    world.say("eve", "hello three, @everyone");
    let (name, media_type, hash) = ("plan.pdf".to_owned(), "application/pdf".to_owned(), "ab".repeat(32));
    let attachments = vec![AttachedFile { name, media_type, len: 3, hash, address: None }];
    let post = NewPost { body: "hello four, @bob".into(), attachments, ..NewPost::default() };
    world.ask("bob", Request::Post { place: place(), post: post.into() });
    world.ask("ada", Request::MemberRemove { space: None, member: "eve".into() });
    world.same(&["ada", "bob"]);
    world
}

fn read(filter: MessageFilter, before: Option<String>, limit: usize) -> Request {
    let (after, around, thread, pinned) = (None, None, None, false);
    let filter = Box::new(filter);
    Request::Read { place: place(), limit, before, after, around, thread, pinned, filter }
}

/// The first number in each text.
fn said(bodies: impl IntoIterator<Item = String>) -> Vec<String> {
    let number =
        |body: String| body.trim_start_matches("hello ").split(',').next().unwrap_or_default().to_owned();
    bodies.into_iter().map(number).collect()
}

#[track_caller]
fn page(world: &mut World, filter: MessageFilter, before: Option<String>, limit: usize) -> Vec<String> {
    let Answer::Messages { messages } = world.ask("ada", read(filter, before, limit)) else {
        panic!("a page")
    };
    said(messages.into_iter().map(|message| message.body))
}

#[test]
fn a_page_has_what_meets_its_conditions() {
    let mut world = talk();
    let none = MessageFilter::default;
    let eve = world.of("eve").identity.user_id().to_string();
    let mut case = |filter: MessageFilter, expected: &[&str]| {
        assert_eq!(page(&mut world, filter.clone(), None, 9), expected, "{filter:?}");
    };
    let from = |name: &str| MessageFilter { from: Some(name.into()), ..none() };
    case(none(), &["one", "two", "three", "four"]);
    case(from("bob"), &["two", "four"]);
    // Who was removed is still named, by name and by id.
    case(from("eve"), &["three"]);
    case(from(&eve[..8]), &["three"]);
    let rank = |min_rank| MessageFilter { min_rank: Some(min_rank), ..none() };
    case(rank(0), &["one", "two", "four"]);
    case(rank(51), &["one"]);
    case(MessageFilter { has_attachment: true, ..none() }, &["four"]);
    let mentions = |name: &str| MessageFilter { mentions: Some(name.into()), ..none() };
    case(mentions("me"), &["two", "three"]);
    case(mentions("ada"), &["two", "three"]);
    case(mentions("bob"), &["three", "four"]);
    case(mentions("everyone"), &["three"]);
    case(MessageFilter { min_rank: Some(50), ..mentions("bob") }, &["four"]);
    let span = |since: Option<&str>, until: Option<&str>| MessageFilter {
        since: since.map(str::to_owned),
        until: until.map(str::to_owned),
        ..none()
    };
    case(span(Some("1970-01-01T00:16:40"), None), &["one", "two", "three", "four"]);
    case(span(Some("1970-01-02"), None), &[]);
    case(span(None, Some("1970-01-02")), &["one", "two", "three", "four"]);
    case(span(None, Some("1969-12-31")), &[]);
}

#[test]
fn conditions_go_with_places_and_bounds_and_are_refused_in_words() {
    let mut world = talk();
    let Answer::Messages { messages } = world.ask("ada", read(MessageFilter::default(), None, 9)) else {
        panic!("a page")
    };
    // The times are those that the answer shows, to the second.
    let third = messages[2].ts_ms / 1_000;
    let time = format!("1970-01-01T00:{:02}:{:02}", third / 60, third % 60);
    let since = MessageFilter { since: Some(time.clone()), ..MessageFilter::default() };
    assert_eq!(page(&mut world, since, None, 9), ["three", "four"]);
    let until = MessageFilter { until: Some(time), ..MessageFilter::default() };
    assert_eq!(page(&mut world, until, None, 9), ["one", "two"]);
    let bob = MessageFilter { from: Some("bob".into()), ..MessageFilter::default() };
    assert_eq!(page(&mut world, bob.clone(), None, 1), ["four"]);
    assert_eq!(page(&mut world, bob.clone(), Some(messages[2].id.clone()), 9), ["two"]);
    let none = MessageFilter::default;
    for (filter, told) in [
        (MessageFilter { from: Some("zoe".into()), ..none() }, "no member is called \"zoe\""),
        (MessageFilter { mentions: Some("zoe".into()), ..none() }, "no member is called \"zoe\""),
        (MessageFilter { since: Some("yesterday".into()), ..none() }, "a time is a day"),
        (MessageFilter { until: Some("2001-02-29".into()), ..none() }, "a time is a day"),
        (MessageFilter { min_rank: Some(101), ..none() }, "from 0 to 100"),
    ] {
        let error = world.try_ask("ada", read(filter, None, 9)).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
    }
    for (thread, pinned) in [(Some(messages[0].id.clone()), false), (None, true)] {
        let (before, after, around, filter) = (None, None, None, Box::new(bob.clone()));
        let read = Request::Read { place: place(), limit: 9, before, after, around, thread, pinned, filter };
        assert!(matches!(world.try_ask("ada", read), Err(Error::Input(_))));
    }
}

#[test]
fn a_search_asks_for_files_mentions_and_ranks() {
    let mut world = talk();
    let mut case = |query: &str, expected: &[&str]| {
        let search = Request::Search { place: place(), query: query.into(), limit: 9 };
        let Answer::Hits { hits } = world.ask("ada", search) else { panic!("hits") };
        let found: BTreeSet<String> =
            said(hits.into_iter().map(|hit| hit.message.body)).into_iter().collect();
        assert_eq!(found, expected.iter().map(|text| (*text).to_owned()).collect(), "{query}");
    };
    case("hello has:attachment", &["four"]);
    case("hello -has:\"Attachment\"", &["one", "two", "three"]);
    case("hello mentions:me", &["two", "three"]);
    case("mentions:Bob", &["three", "four"]);
    case("mentions:everyone", &["three"]);
    case("hello -mentions:me", &["one", "four"]);
    case("hello rank:50", &["one", "two", "four"]);
    case("hello -rank:50", &["three"]);
    case("rank:0 author:bob -has:attachment", &["two"]);
    // What nobody is called, and what this version does not know, is not met.
    case("hello mentions:zoe", &[]);
    case("hello has:wings", &[]);
    case("hello rank:high", &[]);
    case("hello rank:101", &[]);
    case("hello -rank:101", &["one", "two", "three", "four"]);
}
