use super::{World, club};
use crate::api::{Answer, Request};
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
