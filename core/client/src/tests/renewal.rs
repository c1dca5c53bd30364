use super::{World, club};
use crate::Error;
use crate::api::{Answer, RenewalStatus, Request};
use crate::membership::commit_of;
use std::collections::BTreeSet;

const DAY_MS: u64 = 86_400_000;

/// Whose commits count, in the order of the epochs.
fn committers(world: &mut World, name: &str) -> Vec<[u8; 32]> {
    let client = world.of(name);
    let space = client.store.spaces().next().unwrap();
    let chain = client.epochs(&space).unwrap();
    let control = client.store.control(&space).unwrap().unwrap();
    chain
        .iter()
        .filter_map(|hash| control.event(hash))
        .filter(|event| commit_of(event).is_some())
        .map(|event| event.stamp.author.0)
        .collect()
}

#[test]
fn whoever_speaks_renews_keys_that_have_served_their_time() {
    let mut world = club(&["ada", "bob", "eve"]);
    let [ada, bob] = ["ada", "bob"].map(|name| world.id(name));
    let before = committers(&mut world, "eve");
    world.say("bob", "his time begins");
    world.now += 7 * DAY_MS - 60_000;
    world.say("bob", "not yet");
    assert_eq!(committers(&mut world, "eve"), before);
    world.now += 60_000;
    world.say("bob", "now");
    world.say("bob", "and not again");
    assert_eq!(committers(&mut world, "eve"), [&before[..], &[bob]].concat());
    // Ada made commits when she invited the others; her time is over too.
    world.say("ada", "so do I");
    assert_eq!(committers(&mut world, "eve"), [&before[..], &[bob, ada]].concat());
    world.same(&["ada", "bob", "eve"]);
    assert_eq!(world.bodies("eve"), ["his time begins", "not yet", "now", "and not again", "so do I"]);
    // On request, whenever it was.
    assert_eq!(world.ask("bob", Request::Renew { space: None }), Answer::Done);
    assert_eq!(committers(&mut world, "eve"), [&before[..], &[bob, ada, bob]].concat());
    // A clock that was set back does not keep a device from renewing for ever.
    world.now -= 5 * DAY_MS;
    world.say("bob", "what day is it");
    assert_eq!(committers(&mut world, "eve").len(), before.len() + 4);
}

#[test]
fn a_renewal_that_lost_its_race_is_made_up_for() {
    let mut world = club(&["ada", "bob", "eve"]);
    let ids = ["ada", "bob"].map(|name| world.id(name));
    let before = committers(&mut world, "eve").len();
    for name in ["ada", "bob"] {
        world.say(name, "here I am");
    }
    for name in ["bob", "eve"] {
        world.cut("ada", name);
    }
    world.now += 8 * DAY_MS;
    world.say("ada", "nobody hears me");
    world.say("bob", "nor me");
    for name in ["bob", "eve"] {
        world.connect("ada", name);
    }
    let mut renewed = committers(&mut world, "eve").split_off(before);
    renewed.sort_unstable();
    renewed.dedup();
    assert_eq!(renewed, BTreeSet::from(ids).into_iter().collect::<Vec<_>>());
    world.same(&["ada", "bob", "eve"]);
    assert_eq!(world.bodies("eve").len(), 4);
    world.sound("eve");
}

/// Of the thousand epochs on the way no state is left behind, and what was said in them can be read.
#[test]
fn whoever_was_away_for_a_thousand_epochs_catches_up() {
    let mut world = club(&["ada", "bob", "eve"]);
    world.cut("ada", "eve");
    for turn in 0..1_000 {
        let name = if turn % 3 == 0 { "bob" } else { "ada" };
        world.ask(name, Request::Renew { space: None });
        if turn % 250 == 0 {
            world.say(name, &format!("epoch {turn}"));
        }
    }
    world.connect("ada", "eve");
    world.same(&["ada", "bob", "eve"]);
    assert_eq!(world.bodies("eve"), ["epoch 0", "epoch 250", "epoch 500", "epoch 750"]);
    let states = world.of("eve").store.records(b"group/").count();
    assert!(states <= 17, "{states} states of the group are kept");
    world.say("eve", "here again");
    assert_eq!(world.bodies("bob").last().map(String::as_str), Some("here again"));
    world.sound("eve");
}

fn renewal(days: Option<u16>, messages: Option<u32>) -> Request {
    Request::Renewal { space: None, days, messages }
}

#[test]
fn a_space_says_how_old_keys_get() {
    let mut world = club(&["ada", "bob", "eve"]);
    let usual = RenewalStatus { days: 7, messages: 10_000, days_here: 7 };
    assert_eq!(world.ask("bob", renewal(None, None)), Answer::Renewal(usual));
    let refused = world.try_ask("bob", renewal(Some(1), None)).unwrap_err();
    assert!(matches!(refused, Error::LacksPermission { .. }), "{refused}");
    for (days, messages) in [(Some(0), None), (Some(366), None), (None, Some(99)), (None, Some(1_000_001))] {
        let refused = world.try_ask("ada", renewal(days, messages));
        assert!(matches!(refused, Err(Error::Input(_))), "{refused:?}");
    }
    let often = RenewalStatus { days: 1, messages: 10_000, days_here: 1 };
    assert_eq!(world.ask("ada", renewal(Some(1), None)), Answer::Renewal(often));
    for name in ["ada", "bob", "eve"] {
        assert_eq!(world.status(name).spaces[0].renewal, often, "{name}");
    }
    // Once more is nothing new.
    let events = world.status("ada").spaces[0].state_hash.clone();
    world.ask("ada", renewal(Some(1), Some(10_000)));
    assert_eq!(world.status("ada").spaces[0].state_hash, events);
    let bob = world.id("bob");
    let before = committers(&mut world, "eve");
    world.say("bob", "his time begins");
    world.now += DAY_MS - 60_000;
    world.say("bob", "not yet");
    assert_eq!(committers(&mut world, "eve"), before);
    world.now += 60_000;
    world.say("bob", "now");
    world.say("bob", "and not again");
    assert_eq!(committers(&mut world, "eve"), [&before[..], &[bob]].concat());
    // All members agree on it in the group's context, and a newcomer is told.
    world.enter("zoe", 9);
    world.connect("ada", "zoe");
    world.invite("ada", "zoe", 10);
    assert_eq!(world.status("zoe").spaces[0].renewal, often);
    world.same(&["ada", "bob", "eve", "zoe"]);
    ["ada", "bob", "eve", "zoe"].into_iter().for_each(|name| world.sound(name));
}

#[test]
fn a_space_says_how_many_messages_an_epoch_gets() {
    let mut world = club(&["ada", "bob"]);
    world.ask("ada", renewal(None, Some(100)));
    let before = committers(&mut world, "bob").len();
    let bob = world.id("bob");
    for n in 0..100 {
        world.say(if n % 2 == 0 { "ada" } else { "bob" }, &format!("word {n}"));
    }
    assert_eq!(committers(&mut world, "bob").len(), before, "a hundred are what it gets");
    world.say("bob", "the next one is of another epoch");
    assert_eq!(committers(&mut world, "ada").len(), before + 1);
    assert_eq!(committers(&mut world, "ada").last(), Some(&bob));
    for _ in 0..99 {
        world.say("ada", "on and on");
    }
    assert_eq!(committers(&mut world, "ada").len(), before + 1);
    world.say("ada", "and again");
    assert_eq!(committers(&mut world, "ada").len(), before + 2);
    world.same(&["ada", "bob"]);
    assert_eq!(world.bodies("bob").len(), 201);
}

/// Two who may say so say something else at once: all come to hold the same.
#[test]
fn of_two_who_say_so_at_once_all_hear_the_same() {
    let mut world = club(&["ada", "bob", "eve"]);
    world.ask("ada", Request::RoleSet { space: None, member: "bob".into(), rank: 100 });
    world.cut("ada", "bob");
    world.ask("ada", renewal(Some(3), None));
    world.ask("bob", renewal(Some(5), Some(500)));
    world.connect("ada", "bob");
    world.same(&["ada", "bob", "eve"]);
    let [ada, bob, eve] = ["ada", "bob", "eve"].map(|name| world.status(name).spaces[0].renewal);
    assert!(ada == bob && bob == eve && [3, 5].contains(&ada.days), "{ada:?} {bob:?} {eve:?}");
}
