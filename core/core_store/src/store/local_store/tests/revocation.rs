//! Devices that their users take back: what they write later, earlier by their own account, or beside the revocation.
use super::*;
use crate::model::{Pin, Revocation};
use crate::store::space_logs::CUT;
use terachat_event::{DeviceKey, SpaceId};
use terachat_vault::Secret;

/// A second device of the user of `Device::new(of)`.
fn further(n: u8, of: &Device) -> Device {
    let mut device = Device::new(n);
    let of = of.name.trim_start_matches("user").parse::<u8>().unwrap();
    device.user = DeviceKey::from_seed(&Secret::take(&mut [of ^ 0x80; 32]));
    device.name = format!("user{of}");
    device
}

fn admit_own(by: &mut Device, second: &mut Device, space: SpaceId) {
    by.admit(space, second, Rank::MEMBER);
    second.learn_epoch(space);
    second.pull(by).unwrap();
}

fn revoke(by: &mut Device, whose: &Device, space: SpaceId, pins: Vec<Pin>) {
    let revocation = Revocation::issue(&whose.user, whose.id(), None);
    by.control(space, vec![ControlOp::RevokeDevice { revocation, pins }]).unwrap();
}

/// Everything of these devices, as bundles of one event each, told to a newcomer in every order of the devices and back and
/// forth.
fn told(devices: &mut [&mut Device], log: LogId) -> Vec<Device> {
    let mut orders: Vec<Vec<usize>> = Vec::new();
    for first in 0..devices.len() {
        let turned: Vec<usize> = (0..devices.len()).map(|at| (first + at) % devices.len()).collect();
        orders.push(turned.iter().rev().copied().collect());
        orders.push(turned);
    }
    let newcomer = |order: &Vec<usize>| {
        let mut newcomer = Device::new(77);
        newcomer.learn_epoch(log.space);
        for _ in 0..3 {
            for at in order {
                for log in devices[*at].store.logs() {
                    for bundle in devices[*at].bundles_for(&newcomer, log) {
                        let _ = newcomer.take(&bundle);
                    }
                }
            }
        }
        newcomer
    };
    orders.iter().map(newcomer).collect()
}

#[test]
fn what_a_revoked_device_writes_is_void_however_it_is_dated_and_whenever_it_comes() {
    let (mut a, mut b, mut c, log) = club();
    let mut phone = further(9, &c);
    admit_own(&mut c, &mut phone, log.space);
    phone.say(log, "still mine");
    for device in [&mut a, &mut b, &mut c] {
        device.pull(&mut phone).unwrap();
    }
    let target = c.say(log, "by the laptop");
    phone.pull(&mut c).unwrap();
    let pins = c.pins(log.space, phone.id());
    revoke(&mut c, &phone, log.space, pins);
    // It has not heard of the revocation, or says so; it also edits what its user wrote.
    phone.clock = 1;
    let stolen = phone.say(log, "by the thief");
    phone.post(log, &[ChannelOp::Edit { target, body: "changed by the thief" }]).unwrap();
    // B hears of the thief's words first, A of the revocation.
    b.pull(&mut phone).unwrap();
    assert_eq!(b.bodies(log).len(), 3, "so far it counts");
    a.pull(&mut c).unwrap();
    a.pull(&mut phone).unwrap();
    b.pull(&mut c).unwrap();
    c.pull(&mut phone).unwrap();
    for device in [&a, &b, &c] {
        assert_eq!(device.bodies(log), ["still mine", "by the laptop"]);
        let channel = device.store.channel(&log).unwrap();
        assert_eq!(channel.void(channel.index.find(&stolen).unwrap()), Some(CUT));
    }
    same(&[&a, &b, &c], log);
    // Its user goes on, and the same device is let in by nobody.
    c.say(log, "and on");
    c.admit(log.space, &phone, Rank::MEMBER);
    assert!(c.store.space(&log.space).unwrap().member_of(&phone.id()).is_none());
    phone.pull(&mut c).unwrap();
    phone.say(log, "once more");
    let mut all = told(&mut [&mut a, &mut b, &mut c, &mut phone], log);
    for newcomer in &mut all {
        assert_eq!(newcomer.bodies(log), ["still mine", "by the laptop", "and on"]);
        assert_eq!(newcomer.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
        let hash = newcomer.store.space_hash(&log.space).unwrap();
        assert_eq!(hash, c.store.space_hash(&log.space).unwrap());
    }
}

/// A moderator carries an owner's word into the space, with pins as of long ago; the owner's other device puts them right.
#[test]
fn the_users_own_device_says_where_the_chains_are_cut() {
    let (mut a, mut b, mut c, log) = club();
    let mut phone = further(9, &a);
    admit_own(&mut a, &mut phone, log.space);
    b.pull(&mut a).unwrap();
    phone.say(log, "one");
    b.pull(&mut phone).unwrap();
    let early = b.pins(log.space, phone.id());
    phone.say(log, "two");
    phone.say(log, "of the thief");
    a.pull(&mut phone).unwrap();
    c.pull(&mut a).unwrap();
    revoke(&mut b, &phone, log.space, early.clone());
    a.pull(&mut b).unwrap();
    assert_eq!(a.bodies(log), ["one"]);
    let later: Vec<Pin> =
        early.iter().map(|pin| Pin { seq: pin.seq + u64::from(pin.channel.is_some()), ..*pin }).collect();
    revoke(&mut a, &phone, log.space, later);
    assert_eq!(a.bodies(log), ["one", "two"]);
    // Once; and what a moderator says after that, or beside it, is of no weight.
    revoke(&mut c, &phone, log.space, Vec::new());
    revoke(&mut b, &phone, log.space, Vec::new());
    revoke(&mut a, &phone, log.space, Vec::new());
    let mut all = told(&mut [&mut a, &mut b, &mut c, &mut phone], log);
    a.pull(&mut b).unwrap();
    a.pull(&mut c).unwrap();
    for newcomer in &mut all {
        assert_eq!(newcomer.bodies(log), ["one", "two"]);
        assert_eq!(newcomer.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
        assert_eq!(newcomer.store.space_hash(&log.space), a.store.space_hash(&log.space));
    }
    // A store that was closed reads the same from its snapshot and from its log.
    a.store.snapshot().unwrap();
    let hash = a.store.space_hash(&log.space).unwrap();
    let again = Device::over(1, a.store.into_storage()).unwrap();
    assert!(again.store.snapshot.is_some());
    assert_eq!(again.store.space_hash(&log.space).unwrap(), hash);
    assert_eq!(again.bodies(log), ["one", "two"]);
}
