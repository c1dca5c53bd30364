//! Channel events: for each reason the control events that an explanation names, and that it fits what the channel shows.
use crate::model::{ChannelOp, ControlOp, Explanation, Permission, Rank, Reason, Role};
use crate::testing::{Device, gossip};
use terachat_event::{EventRef, LogId, SpaceId};

/// A founds a space with a channel, B and C are members; all know it.
fn club() -> (Device, Device, Device, LogId) {
    let (mut a, mut b, mut c) = (Device::new(1), Device::new(2), Device::new(3));
    let space = a.found();
    a.admit(space, &b, Rank::MEMBER);
    a.admit(space, &c, Rank::MEMBER);
    let log = a.create_channel(space, "general");
    for other in [&mut b, &mut c] {
        other.learn_epoch(space);
        other.pull(&mut a).unwrap();
    }
    (a, b, c, log)
}

/// Explains an event and checks that this fits the log; gives back the roles and events that decide.
#[track_caller]
fn case(device: &mut Device, log: LogId, event: EventRef, reason: Reason) -> Vec<(Role, EventRef)> {
    let told: Explanation = device.store.explain(&log, &event).unwrap();
    let shown = device.store.event(&log, &event).unwrap();
    assert_eq!((told.event, told.hash, told.reason), (event, shown.hash, reason));
    assert_eq!(told.counts(), shown.void.is_none());
    for deciding in &told.deciding {
        assert_eq!(device.store.control_event_ref(&log, &deciding.hash).unwrap(), Some(deciding.event));
    }
    told.deciding.iter().map(|deciding| (deciding.role, deciding.event)).collect()
}

fn nth(device: &Device, seq: u64) -> EventRef {
    EventRef { author: device.id(), seq }
}

fn set_rank(a: &mut Device, space: SpaceId, of: &Device, rank: Rank) -> EventRef {
    let pins = a.pins(space, of.id());
    a.control(space, vec![ControlOp::SetRank { user: of.user_id(), rank, pins }]).unwrap()
}

#[test]
fn what_counts_names_admission_and_rank() {
    let (mut a, mut b, _, log) = club();
    let admitted = nth(&a, 2);
    let plain = b.say(log, "plain");
    let raised = set_rank(&mut a, log.space, &b, Rank::MODERATOR);
    b.pull(&mut a).unwrap();
    let pinned = b.post(log, &[ChannelOp::Pin { target: plain }]).unwrap()[0];
    let counts = |rank| Reason::Counts { rank: Some(rank) };
    assert_eq!(case(&mut b, log, plain, counts(Rank::MEMBER)), [(Role::Admits, admitted)]);
    let rests = [(Role::Ranks, raised), (Role::Admits, admitted)];
    assert_eq!(case(&mut b, log, pinned, counts(Rank::MODERATOR)), rests);
    let heads = b.store.explain(&log, &pinned).unwrap().cited;
    let named: Vec<_> = heads.iter().map(|hash| b.store.control_event_ref(&log, hash).unwrap()).collect();
    assert_eq!(named, [Some(raised)], "the control head it cites");
}

#[test]
fn what_lies_beyond_a_pin_names_the_removal() {
    let (mut a, mut b, mut c, log) = club();
    let seen = b.say(log, "seen");
    a.pull(&mut b).unwrap();
    let pins = a.pins(log.space, b.id());
    let removed = a.control(log.space, vec![ControlOp::Remove { user: b.user_id(), pins }]).unwrap();
    let beyond = b.say(log, "beyond");
    c.pull(&mut b).unwrap();
    gossip(&mut [&mut a, &mut c], log.space);
    for device in [&mut a, &mut c] {
        let beyond_pin = Reason::BeyondPin { permission: Permission::Post, last: 1 };
        assert_eq!(case(device, log, beyond, beyond_pin), [(Role::Pins, removed)]);
        case(device, log, seen, Reason::Counts { rank: Some(Rank::MEMBER) });
    }
}

/// B, who may pin, is demoted, promoted and demoted again; what it pinned beside each demotion names that demotion.
#[test]
fn of_several_demotions_the_one_that_cuts_is_named() {
    let (mut a, mut b, mut c, log) = club();
    set_rank(&mut a, log.space, &b, Rank::MODERATOR);
    b.pull(&mut a).unwrap();
    let hello = b.say(log, "hello");
    a.pull(&mut b).unwrap();
    let first = set_rank(&mut a, log.space, &b, Rank::MEMBER);
    let pin = b.post(log, &[ChannelOp::Pin { target: hello }]).unwrap()[0];
    let word = b.say(log, "a word");
    c.pull(&mut b).unwrap();
    c.pull(&mut a).unwrap();
    let cut = |last| Reason::BeyondPin { permission: Permission::Pin, last };
    assert_eq!(case(&mut c, log, pin, cut(1)), [(Role::Pins, first)]);
    case(&mut c, log, word, Reason::Counts { rank: Some(Rank::MODERATOR) });
    // Given back, the right counts for what was made by it before as well.
    a.pull(&mut c).unwrap();
    set_rank(&mut a, log.space, &b, Rank::MODERATOR);
    c.pull(&mut a).unwrap();
    case(&mut c, log, pin, Reason::Counts { rank: Some(Rank::MODERATOR) });
    let second = set_rank(&mut a, log.space, &b, Rank::MEMBER);
    let again = b.post(log, &[ChannelOp::Unpin { target: hello, seen: vec![pin] }]).unwrap()[0];
    c.pull(&mut b).unwrap();
    c.pull(&mut a).unwrap();
    assert_eq!(case(&mut c, log, again, cut(3)), [(Role::Pins, second)]);
}

#[test]
fn a_lack_of_right_names_what_gave_the_rank_and_what_took_it() {
    let (mut a, mut b, _, log) = club();
    let admitted = nth(&a, 2);
    let word = b.say(log, "word");
    let pin = b.post(log, &[ChannelOp::Pin { target: word }]).unwrap()[0];
    let silenced = set_rank(&mut a, log.space, &b, Rank::GUEST);
    b.pull_control(&mut a, log.space);
    let as_guest = b.say(log, "as a guest");
    let pins = a.pins(log.space, b.id());
    let removed = a.control(log.space, vec![ControlOp::Remove { user: b.user_id(), pins }]).unwrap();
    b.pull_control(&mut a, log.space);
    let as_nobody = b.say(log, "as nobody");
    let forbidden = |rank, lacks| Reason::Forbidden { rank, operation: 0, lacks };
    let rests = [(Role::Ranks, silenced), (Role::Admits, admitted)];
    assert_eq!(
        case(&mut b, log, pin, forbidden(Some(Rank::MEMBER), Some(Permission::Pin))),
        [(Role::Admits, admitted)]
    );
    assert_eq!(case(&mut b, log, as_guest, forbidden(Some(Rank::GUEST), Some(Permission::Post))), rests);
    assert_eq!(case(&mut b, log, as_nobody, forbidden(None, None)), [(Role::Removes, removed)]);
}

/// B opens a channel while A removes it; C, who knows both, writes there all the same.
#[test]
fn an_unknown_channel_names_its_creation_and_why_that_is_void() {
    let (mut a, mut b, mut c, log) = club();
    set_rank(&mut a, log.space, &b, Rank::MODERATOR);
    b.pull(&mut a).unwrap();
    let room = b.create_channel(log.space, "room");
    let created = nth(&b, 1);
    let removed = a.control(log.space, vec![ControlOp::Remove { user: b.user_id(), pins: vec![] }]).unwrap();
    c.pull(&mut b).unwrap();
    let before = c.say(room, "it is there");
    c.pull(&mut a).unwrap();
    let after = c.say(room, "it is not");
    case(&mut c, room, before, Reason::Counts { rank: Some(Rank::MEMBER) });
    assert_eq!(case(&mut c, room, after, Reason::NoChannel), [(Role::Creates, created)]);
    let told = c.store.explain(&room, &after).unwrap();
    let why = told.deciding[0].why.as_deref().unwrap();
    assert_eq!((why.event, why.reason), (created, Reason::CutOff { lost: None, held_by: None }));
    assert_eq!(why.deciding[0].event, removed);
}

#[test]
fn an_equivocation_in_a_channel_names_both_events() {
    let (mut a, mut b, mut c, log) = club();
    let mut twin = Device::new(3);
    twin.learn_epoch(log.space);
    twin.pull(&mut a).unwrap();
    let ann = c.say(log, "pay Ann");
    let bob = twin.say(log, "pay Bob");
    assert_eq!(ann, bob, "one number");
    let signed = [&mut c, &mut twin].map(|device| device.store.event(&log, &ann).unwrap().hash);
    a.pull(&mut c).unwrap();
    b.pull(&mut twin).unwrap();
    gossip(&mut [&mut a, &mut b], log.space);
    for device in [&mut a, &mut b] {
        let Reason::Equivocated { from: 1, signed: Some(named) } =
            device.store.explain(&log, &ann).unwrap().reason
        else {
            panic!("not explained by the fork")
        };
        assert!(named == signed || named == [signed[1], signed[0]]);
        case(device, log, ann, Reason::Equivocated { from: 1, signed: Some(named) });
    }
}

/// B admits D while A removes B: what D says counts for nothing, and the explanation goes back to the removal.
#[test]
fn a_void_admission_is_followed_to_the_removal() {
    let (mut a, mut b, mut c, log) = club();
    set_rank(&mut a, log.space, &b, Rank::ADMIN);
    b.pull(&mut a).unwrap();
    let mut d = Device::new(4);
    let admits = {
        b.admit(log.space, &d, Rank::MEMBER);
        nth(&b, 1)
    };
    d.learn_epoch(log.space);
    d.pull(&mut b).unwrap();
    let word = d.say(log, "I am new");
    let removed = a.control(log.space, vec![ControlOp::Remove { user: b.user_id(), pins: vec![] }]).unwrap();
    c.pull(&mut d).unwrap();
    c.pull(&mut a).unwrap();
    assert_eq!(case(&mut c, log, word, Reason::AdmissionVoid), [(Role::AdmitsInVain, admits)]);
    let told = c.store.explain(&log, &word).unwrap();
    let why = told.deciding[0].why.as_deref().unwrap();
    assert_eq!((why.event, why.reason), (admits, Reason::CutOff { lost: None, held_by: None }));
    assert_eq!((why.deciding[0].role, why.deciding[0].event), (Role::CutsOff, removed));
}

#[test]
fn what_is_not_here_is_refused() {
    let (mut a, b, _, log) = club();
    let nobody = EventRef { author: b.id(), seq: 9 };
    assert_eq!(a.store.explain(&log, &nobody), Err(crate::Error::Unknown("the event")));
}
