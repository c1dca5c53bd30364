//! Attacks by depth and by likeness.
use super::*;
use crate::model::{Extras, Heading, Post, Style};
use terachat_event::DeviceKey;
use terachat_vault::Secret;

/// A post and so many answers, each to the one before.
const DEPTH: usize = 20_000;
/// A call for each answer would take more than this: 25 bytes are less than a frame.
const STACK: usize = 512 << 10;

/// A debug build's frames and 20,000 calls within each other do not fit the stack this runs on.
#[test]
fn a_thread_of_twenty_thousand_answers_is_read_without_recursion() {
    let (mut a, mut b, _, log) = club();
    let reply = |reply_to| Post { style: Style::Message, body: "deeper", reply_to, imported: None };
    let heading = Heading { title: "the surface", tags: Vec::new() };
    let extras = Extras { heading: Some(heading), ..Extras::default() };
    let root = EventRef { author: b.id(), seq: 1 };
    let answers = (1..=DEPTH as u64).map(|seq| Some(EventRef { author: b.id(), seq }));
    let mut ops = vec![ChannelOp::PostWith(reply(None), extras)];
    ops.extend(answers.map(|above| ChannelOp::Post(reply(above))));
    b.post_blindly(log, &ops).unwrap();
    let bundles = b.bundles_for(&a, log);
    let owner = a.user_id();
    let work = move || {
        bundles.iter().for_each(|bundle| assert!(matches!(a.take(bundle), Ok(Outcome::Applied { .. }))));
        let thread = a.store.thread(&log, &root, usize::MAX).unwrap();
        let depths = thread.iter().map(|(depth, message)| (*depth, message.event.seq));
        assert!(depths.eq((0..=DEPTH).map(|depth| (depth, depth as u64 + 1))));
        assert_eq!(a.store.thread(&log, &root, 3).unwrap().len(), 3, "no more than was asked for");
        let posts = a.store.posts(&log, &[], None, 9).unwrap();
        assert_eq!(
            (posts.len(), posts[0].replies as usize, posts[0].last.seq as usize),
            (1, DEPTH, DEPTH + 1)
        );
        let unread = a.store.unread(&log, &owner, None).unwrap();
        assert_eq!((unread.messages, unread.first), (crate::query::UNREAD_MAX, Some(root)));
        assert_eq!(a.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
    };
    std::thread::Builder::new().stack_size(STACK).spawn(work).unwrap().join().unwrap();
}

/// Ids are shown by their first digits, and keys are made until these are somebody else's.
#[test]
fn devices_with_like_ids_are_told_apart() {
    let (mut a, b, _, log) = club();
    let wanted = b.id().to_string()[..3].to_owned();
    let keys = (0..=u32::MAX).map(|n| {
        let mut seed = [0xee; 32];
        seed[..4].copy_from_slice(&n.to_le_bytes());
        DeviceKey::from_seed(&Secret::take(&mut seed))
    });
    let key = keys.into_iter().find(|key| key.id().to_string().starts_with(&wanted)).unwrap();
    let mut like = Device { key, ..Device::new(9) };
    let mut b = b;
    a.admit(log.space, &like, crate::model::Rank::MEMBER);
    like.learn_epoch(log.space);
    like.pull(&mut a).unwrap();
    let (one, other) = (b.say(log, "the real one"), like.say(log, "one of that name"));
    a.pull(&mut b).unwrap();
    a.pull(&mut like).unwrap();
    let mut both = vec![one, other];
    both.sort_by_key(|event| event.author);
    let mut found = a.store.find_events(&log, &format!("{wanted}-1"));
    found.sort_by_key(|event| event.author);
    assert_eq!(found, both, "whoever asks is told that there are two");
    for event in both {
        assert_eq!(a.store.find_events(&log, &format!("{}-1", event.author)), [event]);
        assert_eq!(a.store.message(&log, &event).unwrap().event, event);
    }
    // Neither has a say in what the other wrote.
    let state = a.store.space_hash(&log.space).unwrap();
    like.pull(&mut a).unwrap();
    like.post(log, &[ChannelOp::Edit { target: one, body: "not what B said" }]).unwrap();
    like.post(log, &[ChannelOp::Delete { target: one, moderates: false }]).unwrap();
    a.pull(&mut like).unwrap();
    assert_eq!(a.store.space_hash(&log.space).unwrap(), state);
    // Nothing is found by no digits at all, by a number that is none, by one that nobody has.
    for text in ["-1", "", "-", &format!("{wanted}-0"), &format!("{wanted}-x"), &format!("{wanted}-99")] {
        assert_eq!(a.store.find_events(&log, text), []);
    }
}
