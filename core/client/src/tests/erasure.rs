use super::{club, place};
use crate::api::{Answer, Request};

/// Bob deletes by his rank what Ada, who has not heard of it, makes void by demoting him; Cid has erased the text meanwhile.
#[test]
fn a_text_comes_back_from_a_peer_when_its_deletion_came_to_nothing() {
    let mut world = club(&["ada", "bob", "cid"]);
    let hello = world.say("ada", "hello");
    world.cut("ada", "bob");
    world.cut("ada", "cid");
    world.connect("bob", "cid");
    world.ask("bob", Request::Delete { place: place(), message: hello });
    assert_eq!(world.bodies("cid"), [""]);
    let erased = world.ask("cid", Request::Compact);
    assert!(matches!(erased, Answer::Compacted { erased: 1, pending: 0, .. }), "{erased:?}");
    world.ask("ada", Request::RoleSet { space: None, member: "bob".into(), rank: 10 });
    world.cut("bob", "cid");
    world.connect("ada", "cid");
    assert_eq!([world.bodies("ada"), world.bodies("cid")], [["hello"], ["hello"]]);
    world.connect("ada", "bob");
    world.same(&["ada", "bob", "cid"]);
    assert_eq!(world.bodies("bob"), ["hello"]);
    ["ada", "bob", "cid"].into_iter().for_each(|name| world.sound(name));
}

/// A newcomer gets a deleted message's place without its text, and nobody is asked for that.
#[test]
fn a_newcomer_gets_no_text_that_was_deleted() {
    let mut world = club(&["ada", "bob"]);
    let oops = world.say("ada", "oops");
    world.say("bob", "what?");
    world.ask("ada", Request::Delete { place: place(), message: oops });
    world.enter("cid", 9);
    world.connect("bob", "cid");
    world.connect("ada", "cid");
    world.invite("ada", "cid", 10);
    assert_eq!(world.bodies("cid"), ["", "what?"]);
    world.same(&["ada", "bob", "cid"]);
    let erased = world.ask("cid", Request::Compact);
    assert!(matches!(erased, Answer::Compacted { erased: 0, pending: 0, .. }), "{erased:?}");
    let erased = world.ask("bob", Request::Compact);
    assert!(matches!(erased, Answer::Compacted { erased: 1, pending: 0, .. }), "{erased:?}");
    world.same(&["ada", "bob", "cid"]);
    ["ada", "bob", "cid"].into_iter().for_each(|name| world.sound(name));
}
