use super::*;
use crate::model::{ChannelOp, ControlOp, Rank, Revocation};
use crate::query::PageStart;
use crate::query::search_index::Query;
use crate::testing::{Device, Dice, text};

/// The moment at which somebody stopped, with the hash of the space and the texts of its channels then.
type Stopped = (u64, [u8; 32], Vec<Vec<String>>);

/// Five people talk and decide by one clock; at times somebody hears all there is and stops.
fn play(seed: u64) -> (SpaceId, Vec<Device>, Vec<Stopped>) {
    let mut dice = Dice(seed << 32);
    let mut devices: Vec<Device> = (1..=5).map(Device::new).collect();
    let (owner, others) = devices.split_first_mut().unwrap();
    let space = owner.found();
    for (other, rank) in others.iter().zip([Rank::ADMIN, Rank::MODERATOR, Rank::MEMBER, Rank::MEMBER]) {
        owner.admit(space, other, rank);
    }
    owner.create_channel(space, "general");
    for other in others {
        other.learn_epoch(space);
        other.pull(owner).unwrap();
    }
    let (mut now, mut stopped) = (1_000_000, Vec::new());
    for step in 0..60 {
        now += 10_000;
        let at = dice.below(5) as usize;
        devices[at].clock = now;
        let logs = devices[at].store.logs();
        let channels: Vec<LogId> = logs.into_iter().filter(|log| log.channel.is_some()).collect();
        let log = *dice.pick(&channels).unwrap();
        let page = devices[at].store.page(&log, PageStart::Newest, 9).unwrap();
        let target = dice.pick(&page).map(|message| message.event);
        match (dice.below(10), target) {
            (0, _) => {
                let whom = dice.below(4) as usize + 1;
                let (user, pins) = (devices[whom].user_id(), devices[at].pins(space, devices[whom].id()));
                let rank = Rank::new([0, 10, 50][dice.below(3) as usize]).unwrap();
                let op = match dice.below(4) {
                    0 => ControlOp::Remove { user, pins },
                    1 => {
                        let revocation = Revocation::issue(&devices[whom].user, devices[whom].id(), None);
                        ControlOp::RevokeDevice { revocation, pins }
                    }
                    2 => ControlOp::CreateChannel { name: format!("room {step}") },
                    _ => ControlOp::SetRank { user, rank, pins },
                };
                devices[at].control(space, vec![op]).unwrap();
            }
            (1, Some(target)) => {
                drop(devices[at].post(log, &[ChannelOp::Delete { target, moderates: false }]))
            }
            (2, Some(target)) => drop(devices[at].post(log, &[ChannelOp::Edit { target, body: "edited" }])),
            (3, Some(target)) => drop(devices[at].post(log, &[ChannelOp::React { target, emoji: "+1" }])),
            (4..7, _) => {
                let from = dice.below(5) as usize;
                if let Ok([from, to]) = devices.get_disjoint_mut([from, at]) {
                    to.pull(from).unwrap();
                }
            }
            _ => drop(devices[at].post(log, &[text(&format!("at {step}"))])),
        }
        if step % 9 == 0 {
            let mut witness = Device::new(88);
            witness.learn_epoch(space);
            for device in &mut devices {
                witness.pull(device).unwrap();
            }
            stopped.push((
                now + 5_000,
                witness.store.space_hash(&space).unwrap(),
                everything(&witness.store),
            ));
        }
    }
    (space, devices, stopped)
}

/// Whether both are the same, but for texts that are not in the first one, since they were deleted later.
fn is_past_of(past: &[Vec<String>], then: &[Vec<String>]) -> bool {
    let pairs = past.iter().zip(then);
    past.len() == then.len()
        && pairs.into_iter().all(|(past, then)| {
            past.len() == then.len()
                && past.iter().zip(then).all(|(past, then)| past.is_empty() || past == then)
        })
}

/// The texts of all channels.
fn everything(store: &LocalStore) -> Vec<Vec<String>> {
    let channels = store.logs().into_iter().filter(|log| log.channel.is_some());
    let page = |log| store.page(&log, PageStart::Newest, usize::MAX).unwrap();
    channels.map(|log| page(log).into_iter().map(|message| message.body).collect()).collect()
}

#[test]
fn a_replay_to_a_moment_is_what_a_replica_was_that_stopped_then() {
    let mut whole = 0;
    for seed in 0..12 {
        let (space, mut devices, stopped) = play(seed);
        let mut last = Device::new(77);
        last.learn_epoch(space);
        for device in &mut devices {
            last.pull(device).unwrap();
        }
        let hash = last.store.space_hash(&space).unwrap();
        let disk_len = last.store.disk_len();
        for (until, then, texts) in &stopped {
            let past = last.store.state_at(&Moment::Time(*until)).unwrap();
            let is_whole = past.logs().iter().all(|log| past.missing_bodies(log).is_empty());
            assert!(is_past_of(&everything(&past), texts), "seed {seed}, at {until}");
            // What is missing may be of events that do not count.
            let is_same = past.space_hash(&space).unwrap() == *then;
            assert!(is_same || !is_whole, "seed {seed}, at {until}");
            whole += u32::from(is_whole);
        }
        assert_eq!(last.store.state_at(&Moment::Time(u64::MAX)).unwrap().space_hash(&space).unwrap(), hash);
        assert!(last.store.state_at(&Moment::Time(0)).unwrap().is_empty());
        // A store that was opened from a snapshot, with nothing read of its history yet, tells the same.
        last.store.snapshot().unwrap();
        assert_eq!(last.store.space_hash(&space).unwrap(), hash, "and it is as it was");
        assert!(last.store.disk_len() <= disk_len);
        let mut again = Device::over(77, last.store.into_storage()).unwrap();
        let (until, then, _) = &stopped[3];
        let past = again.store.state_at(&Moment::Time(*until)).unwrap();
        let is_whole = past.logs().iter().all(|log| past.missing_bodies(log).is_empty());
        assert!(past.space_hash(&space).unwrap() == *then || !is_whole);
    }
    assert!(whole > 12, "or this compares little: {whole}");
}

#[test]
fn the_past_of_an_event_is_what_its_author_had_seen() {
    let (mut a, mut b) = (Device::new(1), Device::new(2));
    let space = a.found();
    a.admit(space, &b, Rank::MODERATOR);
    let log = a.create_channel(space, "general");
    let hello = a.say(log, "hello");
    b.learn_epoch(space);
    b.pull(&mut a).unwrap();
    a.post(log, &[ChannelOp::Edit { target: hello, body: "changed meanwhile" }]).unwrap();
    a.control(space, vec![ControlOp::CreateChannel { name: "later".into() }]).unwrap();
    let answer = b.say(log, "an answer");
    let then = b.store.space_hash(&space).unwrap();
    a.pull(&mut b).unwrap();
    a.say(log, "after");
    let mut past = a.store.state_at(&Moment::Events(log, vec![answer])).unwrap();
    assert_eq!(past.space_hash(&space).unwrap(), then);
    assert_eq!(everything(&past), [["hello", "an answer"]]);
    assert_eq!(past.search(&log, &Query::parse("answer"), 9, |_| true).unwrap().len(), 1);
    assert_eq!(past.search(&log, &Query::parse("changed"), 9, |_| true).unwrap().len(), 0);
    let unknown = EventRef { author: b.id(), seq: 99 };
    assert!(matches!(a.store.state_at(&Moment::Events(log, vec![unknown])), Err(Error::Unknown(_))));
    let control = LogId::control(space);
    let first = a.store.events(&control, 9).unwrap()[0].event;
    let past = a.store.state_at(&Moment::Events(control, vec![first])).unwrap();
    assert_eq!((past.logs().len(), past.space(&space).unwrap().members.len()), (1, 1));
}

/// The price of times that are claims: what builds on an event from the future is from the future.
#[test]
fn a_clock_that_is_ahead_takes_along_what_builds_on_it() {
    let mut a = Device::new(1);
    let space = a.found();
    let log = a.create_channel(space, "general");
    a.clock = 10_000;
    a.say(log, "in time");
    a.clock = 90_000;
    a.say(log, "from the future");
    a.clock = 20_000;
    a.say(log, "in time again");
    let mut at = |time| everything(&a.store.state_at(&Moment::Time(time)).unwrap()).concat();
    assert_eq!(at(30_000), ["in time"]);
    assert_eq!(at(91_000), ["in time", "from the future", "in time again"]);
}
