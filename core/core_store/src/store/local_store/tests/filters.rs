//! Pages of what a filter lets through, against a plain list.
use super::posts::{answer, mentioning, post, titled};
use super::{club, same};
use crate::model::{Attachment, ChannelOp, ControlOp, Extras, Mention, Rank, SpaceState};
use crate::query::{Filter, MessageKind, MessageView, PageStart};
use crate::store::storage::{CrashStorage, Fault};
use crate::testing::{Device, gossip, text};
use proptest::prelude::*;
use std::collections::BTreeSet;
use terachat_event::EventRef;

fn with_file(body: &str) -> ChannelOp<'_> {
    let file = Attachment { name: "plan.pdf", media_type: "", len: 7, hash: [3; 32] };
    ChannelOp::PostWith(post(body, None), Extras { attachments: vec![file], ..Extras::default() })
}

/// Whether a message as it is shown meets the filter.
fn meets(seen: &MessageView, filter: &Filter, state: &SpaceState) -> bool {
    let rank = state.rank_of(&seen.event.author);
    let alone = filter.min_rank.is_none()
        && !filter.has_attachment
        && filter.mentions.is_none()
        && filter.kind.is_none();
    (!seen.deleted || alone)
        && filter.authors.as_ref().is_none_or(|authors| authors.contains(&seen.event.author))
        && filter.min_rank.is_none_or(|least| rank >= Some(least))
        && filter.since_ms.is_none_or(|since| since <= seen.wall_ms)
        && filter.until_ms.is_none_or(|until| seen.wall_ms < until)
        && (!filter.has_attachment || !seen.attachments.is_empty())
        && filter.mentions.as_ref().is_none_or(|any| seen.mentions.iter().any(|one| any.contains(one)))
        && match filter.kind {
            None => true,
            Some(MessageKind::Post) => seen.heading.is_some(),
            Some(MessageKind::Answer) => seen.reply_to.is_some(),
        }
}

/// The slice of the plain list that a page is.
fn naive(
    all: &[MessageView],
    start: PageStart,
    limit: usize,
    fits: impl Fn(&MessageView) -> bool,
) -> Vec<MessageView> {
    let place = |event| all.iter().position(|seen| seen.event == event).unwrap();
    let list = |part: &[MessageView]| part.iter().filter(|seen| fits(seen)).cloned().collect::<Vec<_>>();
    let last = |list: Vec<MessageView>| list[list.len().saturating_sub(limit)..].to_vec();
    match start {
        PageStart::Newest => last(list(all)),
        PageStart::Before(event) => last(list(&all[..place(event)])),
        PageStart::After(event) => list(&all[place(event) + 1..]).into_iter().take(limit).collect(),
        PageStart::Around(event) => {
            let (before, whole) = (list(&all[..place(event)]).len(), list(all));
            let from = before.saturating_sub(limit / 2).min(whole.len().saturating_sub(limit));
            whole.into_iter().skip(from).take(limit).collect()
        }
    }
}

type Asked = ((u8, u8, u8, u8), (Option<u64>, Option<u64>), bool, (u8, prop::sample::Index, usize));

/// Each condition is left out about half of the time.
fn asked() -> impl Strategy<Value = Asked> {
    let time = || prop::option::of((0..60u64).prop_map(|second| second * 1_000));
    let conditions = (0..12u8, 0..8u8, 0..12u8, 0..6u8);
    let page = (0..4u8, any::<prop::sample::Index>(), 0..12usize);
    (conditions, (time(), time()), prop::bool::weighted(0.2), page)
}

fn filter(asked: &Asked, devices: &[Device; 3]) -> Filter {
    let ((authors, rank, mentions, kind), (since_ms, until_ms), has_attachment, _) = *asked;
    let of = |bits: u8| (0..3usize).filter(move |n| bits >> n & 1 == 1);
    let ranks = [Rank::GUEST, Rank::MEMBER, Rank::MODERATOR, Rank::OWNER];
    let mut named: BTreeSet<Mention> = of(mentions).map(|n| Mention::User(devices[n].user_id())).collect();
    named.extend((mentions % 3 == 0).then_some(Mention::Everyone));
    Filter {
        authors: (authors < 8).then(|| of(authors).map(|n| devices[n].id()).collect()),
        min_rank: ranks.get(usize::from(rank)).copied(),
        since_ms,
        until_ms,
        has_attachment,
        mentions: (mentions < 8).then_some(named),
        kind: [MessageKind::Post, MessageKind::Answer].get(usize::from(kind)).copied(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_filtered_page_is_a_slice_of_the_filtered_list(
        steps in prop::collection::vec((0..3usize, 0..9u8, any::<prop::sample::Index>()), 1..60),
        removed: bool,
        questions in prop::collection::vec(asked(), 40),
    ) {
        let (a, b, c, log) = club();
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
                (3, _) => with_file("see here"),
                (4, Some(target)) => answer("an answer", target),
                (5, Some(target)) => ChannelOp::React { target, emoji: "👍" },
                (6, Some(target)) => ChannelOp::Delete { target, moderates: true },
                (7, _) => {
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
        if removed {
            // What A has not seen of C's chain stands in it all the same, and counts for nothing.
            let pins = a.pins(log.space, c.id());
            a.control(log.space, vec![ControlOp::Remove { user: c.user_id(), pins }]).unwrap();
        }
        gossip(&mut [a, b, c], log.space);
        same(&[a, b], log);
        let store = &devices[1].store;
        let all = store.page(&log, PageStart::Newest, 999).unwrap();
        let state = store.space(&log.space).unwrap();
        for asked in &questions {
            let (start, which, limit) = asked.3;
            let start = match (start, (!all.is_empty()).then(|| all[which.index(all.len())].event)) {
                (1, Some(event)) => PageStart::Before(event),
                (2, Some(event)) => PageStart::After(event),
                (3, Some(event)) => PageStart::Around(event),
                _ => PageStart::Newest,
            };
            let filter = filter(asked, &devices);
            let page = store.page_where(&log, start, limit, &filter).unwrap();
            let expected = naive(&all, start, limit, |seen| meets(seen, &filter, state));
            prop_assert_eq!(page, expected, "{:?} {:?} {}", filter, start, limit);
            let page = store.page_where(&log, start, limit, &Filter::default()).unwrap();
            prop_assert_eq!(page, store.page(&log, start, limit).unwrap());
        }
    }
}

/// A disk that is gone tells whoever reads it.
#[test]
fn what_does_not_fit_is_not_read() {
    let storage = CrashStorage::new(5);
    let mut a = Device::over(1, Box::new(storage.clone())).unwrap();
    let space = a.found();
    let log = a.create_channel(space, "general");
    let said: Vec<EventRef> = (0..9).map(|n| a.say(log, &format!("{n}"))).collect();
    a.post(log, &[ChannelOp::Delete { target: said[4], moderates: false }]).unwrap();
    drop(a);
    let storage = storage.crash();
    let mut a = Device::over(1, Box::new(storage.clone())).unwrap();
    storage.fail_at(storage.operations(), Fault::PowerCut);
    assert!(a.post(log, &[text("too late")]).is_err());
    let page = |filter| a.store.page_where(&log, PageStart::Newest, 9, &filter);
    assert!(page(Filter::default()).is_err(), "texts are on the disk");
    let nobody = Filter { authors: Some(BTreeSet::new()), ..Filter::default() };
    let files = Filter { has_attachment: true, ..Filter::default() };
    let named = Filter { mentions: Some([Mention::Everyone].into()), ..Filter::default() };
    let future = Filter { since_ms: Some(u64::MAX), ..Filter::default() };
    for filter in [nobody, files, named, future] {
        assert_eq!(page(filter.clone()), Ok(Vec::new()), "{filter:?}");
    }
    // Nothing of a deleted message is read, so it can be given even now.
    let seen = a.store.message(&log, &said[4]).unwrap();
    let then = Filter {
        since_ms: Some(seen.wall_ms),
        until_ms: Some(seen.wall_ms + 1),
        authors: Some([a.id()].into()),
        ..Filter::default()
    };
    assert_eq!(page(then.clone()), Ok(vec![seen]));
    assert_eq!(page(Filter { min_rank: Some(Rank::GUEST), ..then }), Ok(Vec::new()));
}

/// A rank is asked for as it is now, and who left has none.
#[test]
fn a_rank_is_that_of_today() {
    let (mut a, mut b, mut c, log) = club();
    let said: Vec<EventRef> = [&mut a, &mut b, &mut c].map(|device| device.say(log, "hello")).into();
    gossip(&mut [&mut a, &mut b, &mut c], log.space);
    let by = |device: &Device, rank| {
        let filter = Filter { min_rank: Rank::new(rank), ..Filter::default() };
        let page = device.store.page_where(&log, PageStart::Newest, 9, &filter).unwrap();
        page.into_iter().map(|seen| seen.event).collect::<BTreeSet<_>>()
    };
    let set = |which: &[usize]| which.iter().map(|n| said[*n]).collect::<BTreeSet<_>>();
    assert_eq!([by(&b, 0), by(&b, 11), by(&b, 51)], [set(&[0, 1, 2]), set(&[0, 1]), set(&[0])]);
    let pins = a.pins(log.space, c.id());
    let change = |user, rank, pins| ControlOp::SetRank { user, rank, pins };
    a.control(log.space, vec![change(c.user_id(), Rank::ADMIN, pins)]).unwrap();
    let pins = a.pins(log.space, b.id());
    a.control(log.space, vec![ControlOp::Remove { user: b.user_id(), pins }]).unwrap();
    assert_eq!([by(&a, 0), by(&a, 11)], [set(&[0, 2]), set(&[0, 2])]);
    assert_eq!(a.bodies(log).len(), 3, "what the removed member had written stays");
}
