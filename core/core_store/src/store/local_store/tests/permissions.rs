//! What the holders of a role wrote while somebody took a permission from it.
use super::*;
use crate::model::{ControlOp, Permission, Permissions, Pin};
use crate::store::space_logs::CUT;
use crate::testing::gossip;
use terachat_event::{DeviceId, EventRef};

fn pins(by: &Device, log: LogId, devices: &[DeviceId]) -> Vec<Pin> {
    devices.iter().flat_map(|device| by.pins(log.space, *device)).collect()
}

fn take(rank: Rank, permission: Permission, pins: Vec<Pin>) -> ControlOp {
    ControlOp::ChangeRole { rank, give: Permissions::NONE, take: permission.into(), pins }
}

fn give(rank: Rank, permission: Permission) -> ControlOp {
    ControlOp::ChangeRole { rank, give: permission.into(), take: Permissions::NONE, pins: Vec::new() }
}

fn void(device: &Device, log: LogId, name: EventRef) -> Option<&'static str> {
    let channel = device.store.channel(&log).unwrap();
    channel.void(channel.index.find(&name).expect("it is here"))
}

/// What can be read: a deleted message keeps its place without its text.
fn texts(device: &Device, log: LogId) -> Vec<String> {
    device.bodies(log).into_iter().filter(|body| !body.is_empty()).collect()
}

fn delete(by: &mut Device, log: LogId, target: EventRef) -> EventRef {
    by.post(log, &[ChannelOp::Delete { target, moderates: true }]).unwrap()[0]
}

/// The owner takes what B moderates by from role 50, knowing of one deletion and not of another; B goes on under the control log
/// from before. B and C hear of it in whatever order, and it is the same after the store was opened again.
#[test]
fn what_a_role_lost_counts_up_to_the_pins() {
    let (mut a, mut b, mut c, log) = club();
    let words: Vec<EventRef> = (0..3).map(|n| c.say(log, &format!("word {n}"))).collect();
    b.pull(&mut c).unwrap();
    let known = delete(&mut b, log, words[0]);
    a.pull(&mut b).unwrap();
    let unknown = delete(&mut b, log, words[1]);
    let pinned = b.post(log, &[ChannelOp::Pin { target: words[2] }]).unwrap()[0];
    let of_b = pins(&a, log, &[b.id()]);
    a.control(log.space, vec![take(Rank::MODERATOR, Permission::Moderate, of_b)]).unwrap();
    let back_dated = delete(&mut b, log, words[2]);
    let said = b.say(log, "said beside it");
    let mut d = Device::new(4);
    d.learn_epoch(log.space);
    // C hears first what B did, D first what was decided.
    c.pull(&mut b).unwrap();
    d.pull(&mut a).unwrap();
    gossip(&mut [&mut a, &mut b, &mut c, &mut d], log.space);
    same(&[&a, &b, &c, &d], log);
    d.store.snapshot().unwrap();
    let mut d = Device::over(4, d.store.into_storage()).unwrap();
    assert!(d.store.snapshot.is_some());
    same(&[&a, &d], log);
    for device in [&mut a, &mut b, &mut c, &mut d] {
        assert_eq!(texts(device, log), ["word 1", "word 2", "said beside it"]);
        let found = [known, unknown, pinned, back_dated, said].map(|name| void(device, log, name));
        assert_eq!(found, [None, Some(CUT), None, Some(CUT), None]);
        assert_eq!(device.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
    }
    // It knows of that now.
    let after = b.post_blindly(log, &[ChannelOp::Delete { target: words[1], moderates: true }]).unwrap()[0];
    a.pull(&mut b).unwrap();
    assert_eq!(void(&a, log, after), Some("its author had no right to it when it was made"));
    // Given back, what B did while it had it counts again.
    a.control(log.space, vec![give(Rank::MODERATOR, Permission::Moderate)]).unwrap();
    assert_eq!(texts(&a, log), ["said beside it"]);
}

/// Without the permission to post a role does nothing in channels, be it permitted all else; its holders keep what they said.
#[test]
fn a_role_that_may_not_post_is_silent() {
    let (mut a, mut b, mut c, log) = club();
    let said = c.say(log, "in time");
    let hello = a.say(log, "hello");
    gossip(&mut [&mut a, &mut b, &mut c], log.space);
    a.control(log.space, vec![give(Rank::MEMBER, Permission::Pin)]).unwrap();
    let of_c = pins(&a, log, &[c.id()]);
    a.control(log.space, vec![take(Rank::MEMBER, Permission::Post, of_c)]).unwrap();
    let beside = c.say(log, "beside it");
    c.pull_control(&mut a, log.space);
    let pinned = c.post_blindly(log, &[ChannelOp::Pin { target: hello }]).unwrap()[0];
    gossip(&mut [&mut a, &mut b, &mut c], log.space);
    for device in [&a, &b, &c] {
        let found = [said, beside, pinned].map(|name| void(device, log, name).is_some());
        assert_eq!(found, [false, true, true]);
    }
    // Given back, the permission counts for what was made by it, and not for what was made without.
    a.control(log.space, vec![give(Rank::MEMBER, Permission::Post)]).unwrap();
    gossip(&mut [&mut a, &mut b, &mut c], log.space);
    for device in [&a, &b, &c] {
        let found = [said, beside, pinned].map(|name| void(device, log, name).is_some());
        assert_eq!(found, [false, false, true]);
    }
    same(&[&a, &b, &c], log);
}

/// B, an administrator who deleted much, becomes a moderator by the owner, while D takes deleting from moderators and does not
/// know that B is one now: what B deleted before stays deleted, what it deletes by old knowledge does not.
#[test]
fn whoever_entered_a_role_meanwhile_keeps_what_it_did_before() {
    for first in [true, false] {
        let (mut a, mut b, mut c, log) = club();
        let mut d = Device::new(4);
        a.control(log.space, vec![ControlOp::SetRank { user: b.user_id(), rank: Rank::ADMIN, pins: vec![] }])
            .unwrap();
        a.admit(log.space, &d, Rank::ADMIN);
        d.learn_epoch(log.space);
        gossip(&mut [&mut a, &mut b, &mut c, &mut d], log.space);
        let words: Vec<EventRef> = (0..2).map(|n| c.say(log, &format!("word {n}"))).collect();
        b.pull(&mut c).unwrap();
        let before = delete(&mut b, log, words[0]);
        gossip(&mut [&mut a, &mut b, &mut c, &mut d], log.space);
        // In either order of the two.
        if first {
            d.control(log.space, vec![ControlOp::CreateCategory { name: "later".into() }]).unwrap();
        } else {
            a.control(log.space, vec![ControlOp::CreateCategory { name: "later".into() }]).unwrap();
        }
        let of_b = pins(&a, log, &[b.id()]);
        let demote = ControlOp::SetRank { user: b.user_id(), rank: Rank::MODERATOR, pins: of_b };
        a.control(log.space, vec![demote]).unwrap();
        d.control(log.space, vec![take(Rank::MODERATOR, Permission::Moderate, Vec::new())]).unwrap();
        let beside = delete(&mut b, log, words[1]);
        gossip(&mut [&mut a, &mut b, &mut c, &mut d], log.space);
        same(&[&a, &b, &c, &d], log);
        for device in [&a, &b, &c, &d] {
            assert_eq!((void(device, log, before), void(device, log, beside)), (None, Some(CUT)), "{first}");
            assert_eq!(texts(device, log), ["word 1"]);
        }
    }
}
