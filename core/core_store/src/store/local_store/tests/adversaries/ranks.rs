//! Attacks on what somebody may do. Such events are signed, so they are kept as records of who tried; they are void.
use super::*;
use crate::model::{
    Card, ControlOp, Extras, Heading, Named, Permission, Permissions, Pin, Post, Rank, Style, Verdict,
};
use crate::query::PageStart;
use terachat_event::SpaceId;

const NO_RIGHT: &str = "its author had no right to it when it was made";
const STRONGER: &str = "its author was removed or demoted without knowing of it";
/// What an attempt may take on disk and in memory at most, beside its own payload.
const ROOM: u64 = 4096;

fn verdict(device: &Device, space: SpaceId, name: EventRef) -> Verdict {
    let log = device.store.control(&space).unwrap().unwrap();
    log.events().find(|(event, _)| event.stamp.event() == name).unwrap().1
}

/// What `by` tries in the control log reaches `at`, changes nothing, and is kept with the reason.
#[track_caller]
fn is_void(by: &mut Device, at: &mut Device, space: SpaceId, op: ControlOp, why: &'static str) {
    let said = format!("{op:?}");
    let (state, disk_len) = (at.store.space_hash(&space).unwrap(), at.store.disk_len());
    let name = by.control(space, vec![op]).unwrap();
    at.pull_control(by, space);
    assert_eq!(verdict(at, space, name), Verdict::Void(why), "{said}");
    assert_eq!(at.store.space_hash(&space).unwrap(), state, "{said}");
    assert!(at.store.disk_len() < disk_len + ROOM, "{said}");
}

fn set(user: &Device, rank: Rank) -> ControlOp {
    ControlOp::SetRank { user: user.user_id(), rank, pins: Vec::new() }
}

fn admit(card: Card, rank: Rank) -> ControlOp {
    ControlOp::Admit { card, rank, key_package: Vec::new() }
}

#[test]
fn a_member_rises_by_no_operation_of_the_control_log() {
    let (mut a, mut b, mut c, log) = club();
    let space = log.space;
    let eve = Device::new(9);
    let channel = log.channel.unwrap();
    let admitting = "it takes the permission invite";
    let ranking = "it takes the permission manage-roles";
    let removing = "it takes the permission remove";
    let arranging = "it takes the permission manage-channels";
    let renaming = "it takes the permission rename-space";
    let change = |rank, permission: Permission| ControlOp::ChangeRole {
        rank,
        give: permission.into(),
        take: Permissions::NONE,
        pins: Vec::new(),
    };
    // A card that C issued in the owner's name, by a key of its own.
    let mut forged = Card::issue(&c.user, &a.name, &eve.key);
    forged.user = a.user_id();
    assert!(!forged.is_genuine());
    let again = ControlOp::Genesis { name: "mine".into(), owner: c.card(), salt: [2; 16] };
    for (op, why) in [
        (admit(eve.card(), Rank::OWNER), admitting),
        (admit(eve.card(), Rank::GUEST), admitting),
        (admit(forged, Rank::MEMBER), "it holds a card or a revocation that nobody signed"),
        (admit(b.card(), Rank::OWNER), "the device is already known in this space"),
        (set(&c, Rank::MODERATOR), ranking),
        (set(&c, Rank::OWNER), ranking),
        (set(&b, Rank::GUEST), ranking),
        (set(&a, Rank::MEMBER), ranking),
        (ControlOp::Remove { user: a.user_id(), pins: Vec::new() }, removing),
        (ControlOp::Remove { user: b.user_id(), pins: Vec::new() }, removing),
        (change(Rank::MEMBER, Permission::Moderate), ranking),
        (change(Rank::GUEST, Permission::Post), ranking),
        (again, "a space is founded once, by its owner's own device"),
        (ControlOp::SetName { of: Named::Space, name: "mine".into() }, renaming),
        (ControlOp::SetName { of: Named::Channel(channel), name: "mine".into() }, arranging),
        (ControlOp::SetTopic { channel, topic: "mine".into() }, arranging),
        (ControlOp::CreateChannel { name: "mine".into() }, arranging),
        (ControlOp::CreateForum { name: "mine".into() }, arranging),
        (ControlOp::CreateCategory { name: "mine".into() }, arranging),
        (ControlOp::Place { channel, category: None, after: None }, arranging),
    ] {
        is_void(&mut c, &mut a, space, op, why);
    }
    // Together with something that C may do, it takes that down with it.
    let both = c.control(space, vec![set(&c, Rank::GUEST), set(&c, Rank::OWNER)]).unwrap();
    a.pull_control(&mut c, space);
    assert_eq!(verdict(&a, space, both), Verdict::Void(ranking));
    b.pull(&mut a).unwrap();
    for device in [&a, &b] {
        assert_eq!(device.store.space(&space).unwrap().rank_of(&c.id()), Some(Rank::MEMBER));
    }
    assert_eq!(a.store.space_hash(&space), b.store.space_hash(&space));
    assert_eq!(a.store.logs().len(), 2);
}

/// A further device is admitted with any rank one likes, and has its user's.
#[test]
fn a_further_device_brings_no_rank() {
    let (mut a, _, mut c, log) = club();
    let mut second = Device::new(9);
    c.control(log.space, vec![admit(Card::issue(&c.user, &c.name, &second.key), Rank::OWNER)]).unwrap();
    a.pull_control(&mut c, log.space);
    assert_eq!(a.store.space(&log.space).unwrap().rank_of(&second.id()), Some(Rank::MEMBER));
    second.pull_control(&mut a, log.space);
    let mine = ControlOp::CreateChannel { name: "mine".into() };
    is_void(&mut second, &mut a, log.space, mine, "it takes the permission manage-channels");
}

#[test]
fn a_member_moderates_by_no_operation_of_a_channel() {
    let (mut a, mut b, mut c, log) = club();
    let titled = |title| Heading { title, tags: Vec::new() };
    let extras = Extras { heading: Some(titled("a post")), ..Extras::default() };
    let post = Post { style: Style::Message, body: "by the owner", reply_to: None, imported: None };
    let target = a.post(log, &[ChannelOp::PostWith(post, extras)]).unwrap()[0];
    b.pull(&mut a).unwrap();
    let pin = b.post(log, &[ChannelOp::Pin { target }]).unwrap()[0];
    a.pull(&mut b).unwrap();
    c.pull(&mut a).unwrap();
    let page = a.store.page(&log, PageStart::Newest, 9).unwrap();
    let heading = || titled("mine");
    for (op, why) in [
        (ChannelOp::Delete { target, moderates: true }, Some(NO_RIGHT)),
        (ChannelOp::SetHeading { target, heading: heading(), moderates: true }, Some(NO_RIGHT)),
        (ChannelOp::Pin { target }, Some(NO_RIGHT)),
        (ChannelOp::Unpin { target, seen: vec![pin] }, Some(NO_RIGHT)),
        // These everybody may say, of what is their own: of what is not, they change nothing.
        (ChannelOp::Delete { target, moderates: false }, None),
        (ChannelOp::SetHeading { target, heading: heading(), moderates: false }, None),
        (ChannelOp::Edit { target, body: "not what A said" }, None),
    ] {
        let (state, disk_len) = (a.store.space_hash(&log.space).unwrap(), a.store.disk_len());
        let name = c.post_blindly(log, std::slice::from_ref(&op)).unwrap()[0];
        a.pull(&mut c).unwrap();
        assert_eq!(void(&a, log, &name), why, "{op:?}");
        assert_eq!(a.store.space_hash(&log.space).unwrap(), state, "{op:?}");
        assert!(a.store.disk_len() < disk_len + ROOM, "{op:?}");
    }
    assert_eq!(a.store.page(&log, PageStart::Newest, 9).unwrap(), page);
}

/// Demoted, C goes on under the control log in which it was a moderator, in channels as in the control log.
#[test]
fn nobody_keeps_a_rank_by_an_older_past() {
    let (mut a, _, mut c, log) = club();
    let space = log.space;
    let target = a.say(log, "by the owner");
    a.control(space, vec![set(&c, Rank::MODERATOR)]).unwrap();
    c.pull(&mut a).unwrap();
    let pins = a.pins(space, c.id());
    a.control(space, vec![ControlOp::SetRank { user: c.user_id(), rank: Rank::MEMBER, pins }]).unwrap();
    for op in [admit(Device::new(9).card(), Rank::MEMBER), ControlOp::CreateChannel { name: "mine".into() }] {
        is_void(&mut c, &mut a, space, op, STRONGER);
    }
    let state = a.store.space_hash(&space).unwrap();
    let ops = [ChannelOp::Delete { target, moderates: true }, ChannelOp::Pin { target }];
    let names = c.post_blindly(log, &ops).unwrap();
    a.pull(&mut c).unwrap();
    for name in names {
        assert_eq!(void(&a, log, &name), Some(CUT));
    }
    assert_eq!(a.store.space_hash(&space).unwrap(), state);
    assert_eq!(a.bodies(log), ["by the owner"]);
}

/// Removed, C writes as if it were before: by the control log, by the parents, by Lamport time and by the wall clock.
#[test]
fn a_removed_member_writes_nothing_into_the_past() {
    let (mut a, mut b, mut c, log) = club();
    let space = log.space;
    let quiet = a.create_channel(space, "quiet");
    c.pull(&mut a).unwrap();
    c.say(log, "in time");
    a.pull(&mut c).unwrap();
    for _ in 0..5 {
        a.say(log, "later");
    }
    let pins = a.pins(space, c.id());
    a.control(space, vec![ControlOp::Remove { user: c.user_id(), pins: pins.clone() }]).unwrap();
    let state = a.store.space_hash(&space).unwrap();
    let disk_len = a.store.disk_len();
    for log in [log, quiet] {
        let forged = Forgery { wall_ms: 1, ..Forgery::next(&c, log, &text("always here")) };
        assert_eq!(forged.lamport, forged.seq, "as early as it can be");
        let name = EventRef { author: c.id(), seq: forged.seq };
        assert!(matches!(a.take(&forged.bundle()), Ok(Outcome::Applied { known: 0, .. })));
        assert_eq!(void(&a, log, &name), Some(CUT));
    }
    assert_eq!(a.store.space_hash(&space).unwrap(), state);
    assert!(a.store.disk_len() < disk_len + 2 * ROOM);
    let mine = ControlOp::CreateChannel { name: "mine".into() };
    is_void(&mut c, &mut a, space, mine, "it takes the permission manage-channels");
    // C cannot move its pin: it names what was signed, and a removal by C itself is void.
    let moved = pins.iter().map(|pin| Pin { seq: pin.seq + 9, ..*pin }).collect();
    let op = ControlOp::Remove { user: c.user_id(), pins: moved };
    is_void(&mut c, &mut a, space, op, STRONGER);
    b.pull(&mut a).unwrap();
    assert_eq!(b.store.space_hash(&space).unwrap(), state);
    assert_eq!(b.bodies(log).len(), 6);
}
