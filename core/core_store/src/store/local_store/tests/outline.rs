//! How a space is laid out, by several at once.
use super::{club, same};
use crate::model::{CategoryId, ChannelKind, ControlOp, Named};
use crate::testing::Device;
use proptest::prelude::*;
use terachat_event::{ChannelId, SpaceId};

fn order(device: &Device, space: SpaceId) -> Vec<String> {
    let state = device.store.space(&space).unwrap();
    state.outline.order().map(|id| state.channels[id].name.clone()).collect()
}

fn channel(device: &Device, space: SpaceId, name: &str) -> ChannelId {
    let state = device.store.space(&space).unwrap();
    *state.channels.iter().find(|(_, channel)| channel.name == name).unwrap().0
}

#[test]
fn channels_have_kinds_topics_categories_and_an_order() {
    let (mut a, mut b, mut c, log) = club();
    let space = log.space;
    a.control(
        space,
        vec![
            ControlOp::CreateForum { name: "questions".into() },
            ControlOp::CreateCategory { name: "work".into() },
        ],
    )
    .unwrap();
    let (general, questions) = (channel(&a, space, "general"), channel(&a, space, "questions"));
    let category = *a.store.space(&space).unwrap().outline.categories()[0].0;
    a.control(
        space,
        vec![
            ControlOp::SetTopic { channel: questions, topic: "ask\nanything".into() },
            ControlOp::Place { channel: questions, category: Some(category), after: None },
            ControlOp::SetName { of: Named::Channel(general), name: "lobby".into() },
            ControlOp::SetName { of: Named::Category(category), name: "labour".into() },
            ControlOp::SetName { of: Named::Space, name: "guild".into() },
        ],
    )
    .unwrap();
    for device in [&mut b, &mut c] {
        device.pull(&mut a).unwrap();
    }
    same(&[&a, &b, &c], log);
    let state = c.store.space(&space).unwrap();
    assert_eq!((state.name.as_str(), order(&c, space)), ("guild", vec!["questions".into(), "lobby".into()]));
    let found = &state.channels[&questions];
    assert_eq!(
        (found.kind, found.topic.as_str(), found.category),
        (ChannelKind::Forum, "ask\nanything", Some(category))
    );
    assert_eq!(state.channels[&general].kind, ChannelKind::Chat);
    assert_eq!(state.outline.categories()[0].1.name, "labour");
    // Rank 50 arranges, but does not rename the space; rank 10 does neither.
    let rename = || ControlOp::SetName { of: Named::Space, name: "mine".into() };
    let topic = || ControlOp::SetTopic { channel: general, topic: "t".into() };
    let nowhere = || ControlOp::Place { channel: ChannelId([9; 32]), category: None, after: None };
    let under = ControlOp::Place { channel: general, category: Some(CategoryId([9; 32])), after: None };
    assert_eq!(state.forbidden(&b.id(), &rename()), Some("it takes the permission rename-space"));
    assert_eq!(state.forbidden(&b.id(), &topic()), None);
    assert_eq!(state.forbidden(&c.id(), &topic()), Some("it takes the permission manage-channels"));
    assert_eq!(state.forbidden(&a.id(), &nowhere()), Some("no such channel"));
    assert_eq!(state.forbidden(&a.id(), &under), Some("no such category"));
    // What they do all the same counts for nothing, and is no reason to refuse what comes with it.
    b.control(space, vec![rename()]).unwrap();
    c.control(space, vec![topic()]).unwrap();
    a.control(space, vec![nowhere()]).unwrap();
    for _ in 0..2 {
        a.pull(&mut b).unwrap();
        a.pull(&mut c).unwrap();
        b.pull(&mut a).unwrap();
        c.pull(&mut a).unwrap();
    }
    same(&[&a, &b, &c], log);
    assert_eq!(b.store.space(&space).unwrap().name, "guild");
    assert_eq!(b.store.space(&space).unwrap().channels[&general].topic, "");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn moderators_who_arrange_at_once_come_to_one_layout(steps in prop::collection::vec((0..2usize, 0..6u8, 0..4usize, prop::option::of(0..4usize)), 1..25)) {
        let (mut a, mut b, _, log) = club();
        let space = log.space;
        for name in ["one", "two", "three"] {
            a.create_channel(space, name);
        }
        a.control(space, vec![ControlOp::CreateCategory { name: "work".into() }]).unwrap();
        b.pull(&mut a).unwrap();
        let category = *a.store.space(&space).unwrap().outline.categories()[0].0;
        let ids: Vec<ChannelId> = a.store.space(&space).unwrap().outline.order().copied().collect();
        let mut devices = [a, b];
        for (who, kind, which, other) in steps {
            let channel = ids[which];
            let op = match kind {
                0 => ControlOp::SetName { of: Named::Channel(channel), name: format!("name {which} by {who}") },
                1 => ControlOp::SetTopic { channel, topic: format!("topic {other:?} by {who}") },
                2 | 3 => ControlOp::Place { channel, category: other.map(|_| category), after: other.map(|at| ids[at]) },
                4 => ControlOp::CreateForum { name: format!("forum {which}") },
                _ => {
                    let [a, b] = &mut devices;
                    if who == 0 { a.pull(b).unwrap() } else { b.pull(a).unwrap() }
                    continue;
                }
            };
            devices[who].control(space, vec![op]).unwrap();
        }
        let [mut a, mut b] = devices;
        a.pull(&mut b).unwrap();
        b.pull(&mut a).unwrap();
        same(&[&a, &b], log);
        prop_assert_eq!(order(&a, space), order(&b, space));
        let state = a.store.space(&space).unwrap();
        prop_assert_eq!(state.outline.order().count(), state.channels.len());
        let mut all: Vec<_> = state.outline.order().collect();
        all.sort_unstable();
        all.dedup();
        prop_assert_eq!(all.len(), state.channels.len());
        for mut device in [a, b] {
            prop_assert_eq!(device.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
        }
    }
}
