//! Cards, many at once, and cards for spaces of either suite.
use super::{World, place};
use crate::api::{Answer, Request};
use crate::membership::commit_of;

const GUESTS: [&str; 30] = [
    "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9", "b0", "b1", "b2", "b3", "b4", "b5", "b6",
    "b7", "b8", "b9", "c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9",
];

fn founded(post_quantum: bool, guests: &[&'static str]) -> World {
    let names: Vec<_> = ["ada"].iter().chain(guests).copied().collect();
    let mut world = World::new(&names);
    world.ask("ada", Request::SpaceCreate { name: "club".into(), post_quantum });
    let channel =
        Request::ChannelCreate { space: None, name: "general".into(), forum: false, since_join: false };
    world.ask("ada", channel);
    world
}

fn card(world: &mut World, name: &str, post_quantum: bool) -> String {
    let Answer::Card { card, .. } = world.ask(name, Request::WhoAmI { post_quantum }) else { panic!() };
    card
}

fn invitations(answer: Answer) -> Vec<String> {
    let Answer::Invitations { invitations } = answer else { panic!("{answer:?}") };
    invitations
}

/// How many events carry commits.
fn commits(world: &mut World) -> usize {
    let store = &world.of("ada").store;
    let space = store.spaces().next().unwrap();
    let control = store.control(&space).unwrap().unwrap();
    control.events().filter(|(event, _)| commit_of(event).is_some()).count()
}

#[test]
fn many_are_admitted_by_few_commits() {
    let mut world = founded(false, &GUESTS);
    let mut cards: Vec<_> = GUESTS.iter().map(|name| card(&mut world, name, false)).collect();
    cards.push(cards[3].clone());
    let all = Request::InviteAll { space: None, cards: cards.clone(), rank: Some(10) };
    let handed = invitations(world.ask("ada", all.clone()));
    assert_eq!(handed.len(), cards.len());
    assert_eq!(handed[3], handed[30], "one device, one invitation");
    // A tests' event holds 8 KiB of admissions.
    assert_eq!(commits(&mut world), 5);
    assert_eq!(world.status("ada").spaces[0].members.len(), 31);

    // Asked again, nobody is admitted twice and the invitations are the same.
    assert_eq!(invitations(world.ask("ada", all)), handed);
    assert_eq!(commits(&mut world), 5);

    for (name, invitation) in GUESTS.iter().zip(handed) {
        world.connect("ada", name);
        world.ask(name, Request::Join { invitation });
    }
    world.say("a0", "from the first of them");
    world.say("c9", "from the last");
    for name in ["ada", "a0", "b4", "c9"] {
        assert_eq!(world.bodies(name), ["from the first of them", "from the last"], "{name}");
    }
    let names: Vec<_> = ["ada"].iter().chain(&GUESTS).copied().collect();
    world.same(&names);
}

#[test]
fn of_many_cards_one_that_is_bad_admits_nobody() {
    let mut world = founded(false, &GUESTS[..3]);
    let mut cards: Vec<_> = GUESTS[..3].iter().map(|name| card(&mut world, name, false)).collect();
    let before = world.status("ada").spaces[0].state_hash.clone();
    let cut = cards[1][..cards[1].len() - 1].to_owned();
    for bad in ["terachat-card:nonsense".to_owned(), String::new(), cut] {
        cards[2] = bad;
        let all = Request::InviteAll { space: None, cards: cards.clone(), rank: None };
        assert!(world.try_ask("ada", all).is_err());
    }
    let nobody = Request::InviteAll { space: None, cards: Vec::new(), rank: None };
    assert_eq!(invitations(world.ask("ada", nobody)), Vec::<String>::new());
    assert_eq!(world.status("ada").spaces[0].state_hash, before);
}

#[test]
fn a_post_quantum_space_takes_cards_for_such() {
    let mut world = founded(true, &["bob", "cyd"]);
    assert_eq!(world.status("ada").spaces[0].post_quantum, Some(true));
    let ordinary = card(&mut world, "bob", false);
    let refused = world.try_ask("ada", Request::Invite { space: None, card: ordinary, rank: None });
    assert!(refused.unwrap_err().to_string().contains("whoami --post-quantum"));

    let cards = ["bob", "cyd"].map(|name| card(&mut world, name, true)).to_vec();
    let handed = invitations(world.ask("ada", Request::InviteAll { space: None, cards, rank: Some(50) }));
    for (name, invitation) in ["bob", "cyd"].into_iter().zip(handed) {
        world.connect("ada", name);
        world.ask(name, Request::Join { invitation });
        assert_eq!(world.status(name).spaces[0].post_quantum, Some(true));
    }
    world.say("bob", "closed for longer");
    world.ask("cyd", Request::Renew { space: None });
    world.say("cyd", "and after a renewal");
    world.ask("ada", Request::MemberRemove { space: None, member: "bob".into() });
    world.say("ada", "without bob");
    assert_eq!(world.bodies("cyd"), ["closed for longer", "and after a renewal", "without bob"]);
    assert_eq!(world.bodies("bob"), ["closed for longer", "and after a renewal"]);

    // What is read since joining is sealed by keys that are agreed on in the same way.
    let closed =
        Request::ChannelCreate { space: None, name: "closed".into(), forum: false, since_join: true };
    world.ask("ada", closed);
    let place = crate::api::Place { channel: Some("closed".into()), ..place() };
    world.say_in(place.clone(), "ada", "one by one");
    assert_eq!(world.messages_in(place, "cyd")[0].body, "one by one");
    world.sound("cyd");
}

/// A card for both kinds of spaces admits a device to either; one of the other kind alone to none.
#[test]
fn a_card_for_both_admits_to_an_ordinary_space() {
    let mut world = founded(false, &["bob"]);
    assert_eq!(world.status("ada").spaces[0].post_quantum, Some(false));
    let both = card(&mut world, "bob", true);
    let Answer::Invitation { invitation } =
        world.ask("ada", Request::Invite { space: None, card: both, rank: None })
    else {
        panic!()
    };
    world.connect("ada", "bob");
    world.ask("bob", Request::Join { invitation });
    world.say("bob", "here");
    assert_eq!(world.bodies("ada"), ["here"]);
    assert_eq!(world.status("bob").spaces[0].post_quantum, Some(false));
}

/// A post-quantum commit has more than a thousand bytes for each member who never renewed, and an event holds only so many.
#[test]
fn a_group_that_is_too_wide_for_an_event_takes_newcomers_again_once_members_renewed() {
    let mut world = founded(true, &GUESTS);
    let cards: Vec<_> = GUESTS.iter().map(|name| card(&mut world, name, true)).collect();
    let all = Request::InviteAll { space: None, cards, rank: Some(10) };
    let refused = world.try_ask("ada", all.clone()).unwrap_err();
    assert!(refused.to_string().contains("space renew"), "{refused}");
    world.settle();
    let inside = world.status("ada").spaces[0].members.len();
    assert!((8..28).contains(&inside), "{inside} are in");

    // Those who are in come, and renew.
    for name in &GUESTS[..inside - 1] {
        let own = card(&mut world, name, true);
        let again = Request::Invite { space: None, card: own, rank: Some(10) };
        let Answer::Invitation { invitation } = world.ask("ada", again) else { panic!() };
        world.connect("ada", name);
        world.ask(name, Request::Join { invitation });
        world.ask(name, Request::Renew { space: None });
    }
    let one_more = card(&mut world, GUESTS[inside - 1], true);
    let Answer::Invitation { invitation } =
        world.ask("ada", Request::Invite { space: None, card: one_more, rank: Some(10) })
    else {
        panic!()
    };
    world.connect("ada", GUESTS[inside - 1]);
    world.ask(GUESTS[inside - 1], Request::Join { invitation });
    world.say(GUESTS[inside - 1], "there was room after all");
    assert_eq!(world.bodies("ada"), ["there was room after all"]);
}

/// The trees of the first welcomes were thrown away once eight more had been invited, and who came then was never let in.
#[test]
fn whoever_was_invited_first_may_come_last() {
    let mut world = founded(false, &GUESTS[..12]);
    let mut handed = Vec::new();
    for name in &GUESTS[..12] {
        let card = card(&mut world, name, false);
        let invite = Request::Invite { space: None, card, rank: Some(10) };
        let Answer::Invitation { invitation } = world.ask("ada", invite) else { panic!() };
        handed.push((*name, invitation));
    }
    for (name, invitation) in handed.into_iter().rev() {
        world.connect("ada", name);
        world.ask(name, Request::Join { invitation });
    }
    world.say("a0", "last, and in");
    assert_eq!(world.bodies("b1"), ["last, and in"]);
}
