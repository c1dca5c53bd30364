//! A member may speak of events that it left out of its events' past: concurrent ones, or such as never come.
use super::{club, same};
use crate::model::{Card, ChannelOp, ControlOp, Heading, Post, Rank, Style};
use crate::sync::Outcome;
use crate::testing::{Device, text};
use crate::{Error, Wait};
use proptest::prelude::*;
use terachat_event::{EventRef, LogId};

fn answer(target: EventRef) -> ChannelOp<'static> {
    ChannelOp::Post(Post { style: Style::Message, body: "answer", reply_to: Some(target), imported: None })
}

/// Every operation that names an event, on this one.
fn operations(target: EventRef) -> [ChannelOp<'static>; 9] {
    [
        answer(target),
        ChannelOp::Edit { target, body: "edited" },
        ChannelOp::React { target, emoji: "+1" },
        ChannelOp::Unreact { target, emoji: "+1", seen: vec![target] },
        ChannelOp::Pin { target },
        ChannelOp::Unpin { target, seen: vec![target] },
        ChannelOp::Delete { target, moderates: true },
        ChannelOp::SetHeading {
            target,
            heading: Heading { title: "title", tags: Vec::new() },
            moderates: true,
        },
        ChannelOp::Read { target },
    ]
}

#[test]
fn whoever_speaks_of_a_concurrent_event_is_heard_after_it_everywhere() {
    let count = operations(EventRef { author: Device::new(1).id(), seq: 1 }).len();
    for nth in 0..count {
        let (mut a, mut b, mut liar, log) = club();
        a.control(
            log.space,
            vec![ControlOp::SetRank { user: liar.user_id(), rank: Rank::MODERATOR, pins: Vec::new() }],
        )
        .unwrap();
        liar.pull(&mut a).unwrap();
        b.pull(&mut a).unwrap();
        let target = b.say(log, "hello");
        liar.post_blindly(log, &operations(target)[nth..=nth]).unwrap();
        // A hears of the operation first, B last.
        let blind = liar.bundles_for(&a, log).remove(0);
        let before = a.store.space_hash(&log.space).unwrap();
        assert_eq!(a.take(&blind), Ok(Outcome::Waits(Wait::Event(target))), "operation {nth}");
        assert_eq!(a.store.space_hash(&log.space), Ok(before));
        b.pull(&mut liar).unwrap();
        a.pull(&mut b).unwrap();
        same(&[&a, &b], log);
        assert_eq!(a.store.len(&log), 2);
    }
}

#[test]
fn nobody_speaks_of_an_event_that_is_not_here() {
    let (mut a, _, mut c, log) = club();
    let next = EventRef { author: c.id(), seq: 1 };
    for op in operations(next) {
        let error = Err(Error::Unknown("an event that the operation names"));
        assert_eq!(a.post(log, &[op]), error);
    }
    assert_eq!(a.store.len(&log), 0);
    // Of what stands before it in the same flush it may speak, of itself not.
    assert_eq!(c.post(log, &[text("hello"), answer(next)]).unwrap().len(), 2);
    let itself = EventRef { author: c.id(), seq: 3 };
    assert!(c.post(log, &[ChannelOp::React { target: itself, emoji: "+1" }]).is_err());
}

/// What becomes of a conversation with a liar, when the devices hear of each other in this order.
fn play(says: &[(u8, u8, u8)], log: LogId, devices: &mut [Device; 3]) {
    for (who, kind, of) in says {
        let author = devices[usize::from(*of % 3)].id();
        let target = EventRef { author, seq: u64::from(*of / 3) + 1 };
        match who % 4 {
            0 | 1 => {
                let device = &mut devices[usize::from(who % 4)];
                // An honest device speaks of what it sees only; the rest is small talk.
                let op = operations(target)[usize::from(kind % 9)].clone();
                if device.post(log, &[op]).is_err() {
                    device.say(log, "small talk");
                }
            }
            2 => {
                drop(devices[2].post_blindly(log, &operations(target)[usize::from(kind % 9)..][..1]).unwrap())
            }
            _ => {
                let (from, to) = (usize::from(kind % 3), usize::from(kind / 3 % 3));
                hear(devices, from, to);
            }
        }
    }
}

/// `to` takes in what `from` has, as far as it can.
fn hear(devices: &mut [Device; 3], from: usize, to: usize) {
    if let Ok([from, to]) = devices.get_disjoint_mut([from, to]) {
        for log in from.store.logs() {
            for bundle in from.bundles_for(to, log) {
                to.take(&bundle).unwrap();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn honest_devices_agree_whatever_a_liar_speaks_of(says in prop::collection::vec((0..4u8, any::<u8>(), 0..18u8), 1..60)) {
        let (mut a, b, mut c, log) = club();
        a.control(log.space, vec![ControlOp::SetRank { user: c.user_id(), rank: Rank::MODERATOR, pins: Vec::new() }]).unwrap();
        c.pull(&mut a).unwrap();
        let mut devices = [a, b, c];
        play(&says, log, &mut devices);
        for (from, to) in [(0, 1), (1, 0), (2, 0), (0, 1), (2, 1), (1, 0), (0, 1)] {
            hear(&mut devices, from, to);
        }
        let [a, b, _] = &mut devices;
        prop_assert_eq!(a.store.frontier(&log), b.store.frontier(&log));
        same(&[a, b], log);
        for device in [a, b] {
            prop_assert_eq!(device.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
        }
    }
}

/// Two administrators admit one device at once, each as another user's. Which admission holds may turn out when the device
/// has already changed what the one user wrote.
#[test]
fn whose_a_device_is_may_change_and_what_it_changed_with_it() {
    for earlier in [false, true] {
        let (mut a, mut b, mut c, log) = club();
        let space = log.space;
        let mut second = Device::new(4);
        let as_of = |user: &Device| Card::issue(&user.user, &user.name, &second.key);
        let (of_c, of_second) = (as_of(&c), as_of(&second));
        let admit = |card| vec![ControlOp::Admit { card, rank: Rank::MEMBER, key_package: Vec::new() }];
        let hello = c.say(log, "hello");
        b.pull(&mut c).unwrap();
        let (first, other) = if earlier { (of_c, of_second) } else { (of_second, of_c) };
        // Neither a nor b hears of the other's admission before the device has spoken.
        a.control(space, admit(first)).unwrap();
        b.control(space, admit(other)).unwrap();
        second.learn_epoch(space);
        let (knows_c, knows_second) = if earlier { (&mut a, &mut b) } else { (&mut b, &mut a) };
        knows_c.pull(&mut c).unwrap();
        second.pull(knows_c).unwrap();
        second.post(log, &[ChannelOp::Edit { target: hello, body: "changed" }]).unwrap();
        knows_c.pull(&mut second).unwrap();
        assert_eq!(knows_c.bodies(log), ["changed"]);
        knows_c.pull(knows_second).unwrap();
        knows_second.pull(knows_c).unwrap();
        same(&[&a, &b], log);
        for mut device in [a, b] {
            assert_eq!(device.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
        }
    }
}
