//! Forum posts, mentions, attachments, and how far people have read.
use super::{club, same};
use crate::model::{Attachment, ChannelOp, Extras, Heading, Mention, Post, Style};
use crate::query::search_index::Query;
use crate::query::{MessageView, PageStart, PostView};
use crate::store::storage::CrashStorage;
use crate::testing::{Device, gossip, text};
use proptest::prelude::*;
use terachat_event::{EventRef, LogId, UserId};

pub(super) fn post(body: &str, reply_to: Option<EventRef>) -> Post<'_> {
    Post { style: Style::Message, body, reply_to, imported: None }
}

fn heading<'a>(title: &'a str, tags: &[&'a str]) -> Heading<'a> {
    Heading { title, tags: tags.to_vec() }
}

pub(super) fn titled<'a>(title: &'a str, tags: &[&'a str], body: &'a str) -> ChannelOp<'a> {
    let extras = Extras { heading: Some(heading(title, tags)), ..Extras::default() };
    ChannelOp::PostWith(post(body, None), extras)
}

pub(super) fn mentioning(body: &str, mentions: Vec<Mention>) -> ChannelOp<'_> {
    ChannelOp::PostWith(post(body, None), Extras { mentions, ..Extras::default() })
}

pub(super) fn answer(body: &str, to: EventRef) -> ChannelOp<'_> {
    ChannelOp::Post(post(body, Some(to)))
}

fn titles(device: &Device, log: LogId, tags: &[&str]) -> Vec<(String, u32)> {
    let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
    let posts = device.store.posts(&log, &tags, None, 99).unwrap();
    let title =
        |post: PostView| (post.message.heading.map_or_else(String::new, |(title, _)| title), post.replies);
    posts.into_iter().map(title).collect()
}

#[test]
fn a_forum_lists_its_posts_by_the_latest_answer() {
    let (mut a, mut b, mut c, log) = club();
    let first = a.post(log, &[titled("Which way?", &["help", "maps"], "to the sea")]).unwrap()[0];
    let second = a.post(log, &[titled("Lunch", &["food"], "at noon")]).unwrap()[0];
    gossip(&mut [&mut a, &mut b, &mut c], log.space);
    assert_eq!(titles(&b, log, &[]), [("Lunch".into(), 0), ("Which way?".into(), 0)]);
    let left = b.post(log, &[answer("left", first)]).unwrap()[0];
    c.pull(&mut b).unwrap();
    // An answer to an answer belongs to the post as well.
    c.post(log, &[answer("no, right", left)]).unwrap();
    gossip(&mut [&mut a, &mut b, &mut c], log.space);
    same(&[&a, &b, &c], log);
    assert_eq!(titles(&a, log, &[]), [("Which way?".into(), 2), ("Lunch".into(), 0)]);
    assert_eq!(titles(&a, log, &["help", "maps"]), [("Which way?".into(), 2)]);
    assert_eq!(titles(&a, log, &["help", "food"]), []);
    let page = a.store.posts(&log, &[], Some(&first), 1).unwrap();
    assert_eq!(page.iter().map(|post| post.message.event).collect::<Vec<_>>(), [second]);
    // Its author or a moderator gives it another heading; a member does not give one to what others wrote.
    c.post(log, &[ChannelOp::SetHeading { target: second, heading: heading("Mine", &[]), moderates: false }])
        .unwrap();
    c.post(log, &[ChannelOp::SetHeading { target: second, heading: heading("Mine", &[]), moderates: true }])
        .unwrap();
    b.post(
        log,
        &[ChannelOp::SetHeading {
            target: second,
            heading: heading("Dinner", &["evening"]),
            moderates: true,
        }],
    )
    .unwrap();
    b.post(log, &[ChannelOp::Delete { target: left, moderates: false }]).unwrap();
    // What never had a heading gets none.
    b.post(log, &[ChannelOp::SetHeading { target: left, heading: heading("Left", &[]), moderates: false }])
        .unwrap();
    gossip(&mut [&mut a, &mut b, &mut c], log.space);
    same(&[&a, &b, &c], log);
    assert_eq!(titles(&c, log, &[]), [("Which way?".into(), 1), ("Dinner".into(), 0)]);
    assert_eq!(titles(&c, log, &["evening"]), [("Dinner".into(), 0)]);
    let hits = c.store.search(&log, &Query::parse("which sea"), 9, |_| true).unwrap();
    assert_eq!(hits.iter().map(|hit| hit.message.event).collect::<Vec<_>>(), [first]);
    // Whatever of it was changed since, it is found by what it says now, once.
    let found = |device: &mut Device, words: &str| -> Vec<EventRef> {
        let hits = device.store.search(&log, &Query::parse(words), 9, |_| true).unwrap();
        hits.into_iter().map(|hit| hit.message.event).collect()
    };
    for device in [&mut a, &mut b, &mut c] {
        assert_eq!(found(device, "dinner"), [second]);
        assert_eq!(found(device, "\"dinner at\" noon"), [second]);
        assert_eq!((found(device, "lunch"), found(device, "mine")), (vec![], vec![]));
    }
    let later = a.post(log, &[ChannelOp::Edit { target: second, body: "at six" }]).unwrap();
    assert_eq!(later.len(), 1);
    for device in [&mut b, &mut c] {
        device.pull(&mut a).unwrap();
    }
    for device in [&mut a, &mut b, &mut c] {
        assert_eq!(found(device, "dinner six"), [second]);
        assert_eq!((found(device, "noon"), found(device, "dinner -six")), (vec![], vec![]));
        assert_eq!(found(device, "way"), [first]);
    }
    // A deleted post is listed as long as there are answers below it.
    a.post(
        log,
        &[
            ChannelOp::Delete { target: first, moderates: false },
            ChannelOp::Delete { target: second, moderates: false },
        ],
    )
    .unwrap();
    assert_eq!(titles(&a, log, &[]), [(String::new(), 1)]);
}

#[test]
fn a_message_carries_files_and_names_people() {
    let (mut a, mut b, _, log) = club();
    let file = Attachment { name: "plan.pdf", media_type: "application/pdf", len: 7, hash: [3; 32] };
    let mentions = vec![Mention::Everyone, Mention::User(b.user_id())];
    let extras = Extras { heading: None, mentions: mentions.clone(), attachments: vec![file] };
    let event = a.post(log, &[ChannelOp::PostWith(post("see here", None), extras)]).unwrap()[0];
    b.pull(&mut a).unwrap();
    let seen = b.store.message(&log, &event).unwrap();
    assert_eq!((seen.mentions.as_slice(), seen.heading), (mentions.as_slice(), None));
    let file = &seen.attachments[0];
    assert_eq!(
        (file.name.as_str(), file.media_type.as_str(), file.len, file.hash),
        ("plan.pdf", "application/pdf", 7, [3; 32])
    );
    let unread = b.store.unread(&log, &b.user_id(), None).unwrap();
    assert_eq!(
        (unread.messages, unread.mentions, unread.first),
        (1, 1, Some(event)),
        "one message, however often it names B"
    );
    a.post(log, &[ChannelOp::Delete { target: event, moderates: false }]).unwrap();
    b.pull(&mut a).unwrap();
    assert!(b.store.message(&log, &event).unwrap().attachments.is_empty());
    assert_eq!(b.store.unread(&log, &b.user_id(), None), Ok(crate::query::Unread::default()));
}

#[test]
fn a_mark_moves_forward_only() {
    let (mut a, mut b, _, log) = club();
    let said: Vec<EventRef> = (0..3).map(|n| a.say(log, &format!("{n}"))).collect();
    b.pull(&mut a).unwrap();
    b.post(log, &[ChannelOp::Read { target: said[1] }, ChannelOp::Read { target: said[0] }]).unwrap();
    a.pull(&mut b).unwrap();
    same(&[&a, &b], log);
    let read_by = |device: &Device| {
        device
            .store
            .page(&log, PageStart::Newest, 9)
            .unwrap()
            .into_iter()
            .map(|seen| seen.read_by)
            .collect::<Vec<_>>()
    };
    assert_eq!(read_by(&a), [vec![], vec![b.id()], vec![]]);
    b.post(log, &[ChannelOp::Read { target: said[2] }]).unwrap();
    a.pull(&mut b).unwrap();
    same(&[&a, &b], log);
    assert_eq!(read_by(&a), [vec![], vec![], vec![b.id()]]);
}

/// Unread messages and mentions of a user, and posts with their answers, from the plain list of messages.
fn naive(page: &[MessageView], user: UserId, device: &Device) -> ((usize, usize), Vec<(EventRef, usize)>) {
    let mark = page.iter().rposition(|seen| seen.read_by.contains(&device.id())).map_or(0, |at| at + 1);
    let others = || page[mark..].iter().filter(|seen| seen.event.author != device.id() && !seen.deleted);
    let named = |seen: &&MessageView| {
        seen.mentions.iter().any(|one| matches!(one, Mention::Everyone) || *one == Mention::User(user))
    };
    let above = |seen: &MessageView| page.iter().find(|other| Some(other.event) == seen.reply_to);
    let root = |seen: &MessageView| {
        std::iter::successors(above(seen), |seen| above(seen)).last().map(|root| root.event)
    };
    let posts = page.iter().filter(|seen| seen.heading.is_some()).map(|seen| {
        let below = page.iter().filter(|other| root(other) == Some(seen.event) && !other.deleted);
        (seen.event, below.count())
    });
    ((others().count(), others().filter(named).count()), posts.collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn counts_are_those_of_a_plain_list(steps in prop::collection::vec((0..3usize, 0..9u8, any::<prop::sample::Index>()), 1..50)) {
        let storage = CrashStorage::new(5);
        let mut a = Device::over(1, Box::new(storage.clone())).unwrap();
        let space = a.found();
        let (mut b, mut c) = (Device::new(2), Device::new(3));
        a.admit(space, &b, crate::model::Rank::MODERATOR);
        a.admit(space, &c, crate::model::Rank::MODERATOR);
        let log = a.create_channel(space, "forum");
        for other in [&mut b, &mut c] {
            other.learn_epoch(space);
            other.pull(&mut a).unwrap();
        }
        let users = [a.user_id(), b.user_id(), c.user_id()];
        let mut devices = [a, b, c];
        for (who, kind, which) in steps {
            let page = devices[who].store.page(&log, PageStart::Newest, 999).unwrap();
            let target = (!page.is_empty()).then(|| page[which.index(page.len())].event);
            let other = which.index(3);
            let op = match (kind, target) {
                (0, _) => titled("a title", &["tag"], "a body"),
                (1, _) => mentioning("hello", vec![Mention::User(users[other])]),
                (2, _) => mentioning("all", vec![Mention::Everyone, Mention::User(users[other])]),
                (3 | 4, Some(target)) => answer("an answer", target),
                (5, Some(target)) => ChannelOp::Read { target },
                (6, Some(target)) => ChannelOp::Delete { target, moderates: true },
                (7, Some(target)) => ChannelOp::SetHeading { target, heading: heading("another", &["tug"]), moderates: true },
                (8, _) => {
                    if let Ok([from, to]) = devices.get_disjoint_mut([other, who]) {
                        to.pull(from).unwrap();
                    }
                    continue;
                }
                _ => text("small talk"),
            };
            devices[who].post(log, &[op]).unwrap();
        }
        let [a, b, c] = &mut devices;
        gossip(&mut [a, b, c], space);
        same(&[a, b, c], log);
        devices[0].store.snapshot().unwrap();
        let hash = devices[0].store.space_hash(&space).unwrap();
        let [a, b, c] = devices;
        drop(a);
        let a = Device::over(1, Box::new(storage.crash())).unwrap();
        prop_assert_eq!(a.store.space_hash(&space).unwrap(), hash);
        for mut device in [a, b, c] {
            let page = device.store.page(&log, PageStart::Newest, 999).unwrap();
            let user = device.user_id();
            let ((messages, mentions), posts) = naive(&page, user, &device);
            let unread = device.store.unread(&log, &user, None).unwrap();
            prop_assert_eq!((unread.messages, unread.mentions), (messages, mentions));
            let mut listed: Vec<_> = device.store.posts(&log, &[], None, 999).unwrap().into_iter().filter(|post| !post.message.deleted).map(|post| (post.message.event, post.replies as usize)).collect();
            listed.sort_by_key(|(event, _)| page.iter().position(|seen| seen.event == *event));
            prop_assert_eq!(listed, posts);
            prop_assert_eq!(device.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
        }
    }
}
