use super::*;
use crate::model::{ChannelOp, Rank};
use crate::testing::{Counter, Device, gossip};
use terachat_event::LogId;

fn pair() -> (Device, Device, terachat_event::LogId) {
    let (mut a, mut b) = (Device::new(1), Device::new(2));
    let space = a.found();
    a.admit(space, &b, Rank::MODERATOR);
    let log = a.create_channel(space, "general");
    b.learn_epoch(space);
    b.pull(&mut a).unwrap();
    (a, b, log)
}

#[test]
fn it_names_what_differs_and_nothing_else() {
    let (mut a, mut b, log) = pair();
    let space = log.space;
    let events: Vec<EventRef> = (0..300).map(|n| a.say(log, &format!("message {n}"))).collect();
    gossip(&mut [&mut a, &mut b], space);
    let maps = |a: &Device, b: &Device| {
        let (a_map, b_map) =
            (a.store.state_map(&space, |_| true).unwrap(), b.store.state_map(&space, |_| true).unwrap());
        assert_eq!(a_map.hash(), a.store.space_hash(&space).unwrap(), "the map's root is the state's");
        assert_eq!(b_map.hash(), b.store.space_hash(&space).unwrap());
        (a_map, b_map)
    };
    let (x, y) = maps(&a, &b);
    assert_eq!(x.differences(&y).unwrap(), []);
    a.post(log, &[ChannelOp::Edit { target: events[40], body: "edited" }]).unwrap();
    a.post(log, &[ChannelOp::Pin { target: events[200] }]).unwrap();
    let only_here = b.say(log, "only at b");
    b.create_channel(space, "second");
    let (x, y) = maps(&b, &a);
    let found = x.differences(&y).unwrap();
    let messages: Vec<_> = found
        .iter()
        .filter_map(|difference| match difference {
            Difference::Message { event, only, .. } => Some((*event, *only)),
            _ => None,
        })
        .collect();
    assert_eq!(messages, [(events[40], None), (events[200], None), (only_here, Some(true))]);
    let control: Vec<_> =
        found.iter().filter(|difference| !matches!(difference, Difference::Message { .. })).collect();
    assert!(matches!(control[..], [Difference::Control(Entity::Channel(_), Some(true))]), "{control:?}");
    // Seen from the other side it is the same the other way round.
    let mirrored = y.differences(&x).unwrap();
    assert_eq!(mirrored.len(), found.len());
    gossip(&mut [&mut a, &mut b], space);
    let (x, y) = maps(&a, &b);
    assert_eq!(x.differences(&y).unwrap(), []);
}

#[test]
fn a_file_is_of_its_space_whole_and_unchanged() {
    let (mut a, _, log) = pair();
    a.say(log, "hello");
    let map = a.store.state_map(&log.space, |_| true).unwrap();
    let file = map.seal(&mut Counter::default());
    assert_eq!(StateMap::open(&file, [SpaceId([9; 32]), log.space]).unwrap(), map);
    StateMap::open(&file, [SpaceId([9; 32])]).unwrap_err();
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 1;
        StateMap::open(&changed, [log.space]).unwrap_err();
        StateMap::open(&file[..at], [log.space]).unwrap_err();
    }
}

#[test]
fn of_channels_only_those_are_compared_that_both_maps_are_over() {
    let (mut a, mut b, log) = pair();
    let space = log.space;
    let other = a.create_channel(space, "other");
    gossip(&mut [&mut a, &mut b], space);
    let (here, there) = (a.say(log, "only at a"), a.say(other, "elsewhere"));
    let maps = |keeps: fn(&LogId, &ChannelId) -> bool| {
        let map = |device: &Device| device.store.state_map(&space, |id| keeps(&other, id)).unwrap();
        (map(&a), map(&b))
    };
    let whole = maps(|_, _| true);
    let without = maps(|other, id| other.channel != Some(*id));
    let events = |(here, there): (&StateMap, &StateMap)| -> Vec<EventRef> {
        let found = here.differences(there).unwrap().into_iter();
        let event = |difference| match difference {
            Difference::Message { event, .. } => event,
            other => panic!("{other:?}"),
        };
        found.map(event).collect()
    };
    let mut both = vec![here, there];
    both.sort_by_key(|event| whole.0.channels[&other.channel.unwrap()].keys().any(|at| at.event() == *event));
    let mut found = events((&whole.0, &whole.1));
    found.sort_by_key(|event| both.iter().position(|known| known == event));
    assert_eq!(found, both);
    assert_eq!(events((&whole.0, &without.1)), [here]);
    assert_eq!(events((&without.0, &whole.1)), [here]);
    assert_eq!(events((&without.1, &without.0)), [here]);
    assert_eq!(without.0.common(&whole.1).copied().collect::<Vec<_>>(), [log.channel.unwrap()]);
    let over = a.store.space_hash_over(&space, |id| other.channel != Some(*id)).unwrap();
    assert_eq!(without.0.hash(), over);
    assert_ne!(over, a.store.space_hash(&space).unwrap());
}
