//! What is asked of pages, against the same questions to a replica that has everything.
use super::*;
use crate::query::search_index::Query;
use crate::query::{Change, Filter, Live, LiveQuery, MessageKind, Unread};
use std::collections::BTreeSet;

const QUERIES: [&str; 6] = ["of", "of 1", "\"of 2\"", "1*", "of -0", "nowhere"];

impl Club {
    /// Pages answer as the whole does, of what is in them.
    #[track_caller]
    pub(super) fn answer_alike(&mut self) {
        let (log, ahead, reader) = (self.log, self.ahead(), self.dan.user_id());
        let inside: BTreeSet<EventRef> = ahead.iter().map(|message| message.event).collect();
        let names = |views: Vec<MessageView>| -> Vec<EventRef> {
            views.into_iter().map(|view| view.event).filter(|event| inside.contains(event)).collect()
        };
        let bob = BTreeSet::from([self.writers[1].id()]);
        let (whole, pages) = (&mut self.writers[0].store, &mut self.dan.store);
        let all = usize::MAX;
        assert_eq!(names(pages.preview_pinned(&log, all).unwrap()), names(whole.pinned(&log, all).unwrap()));
        let middle = ahead.get(ahead.len() / 2).map_or(0, |message| message.wall_ms);
        let filters = [
            Filter { authors: Some(bob), ..Filter::default() },
            Filter { min_rank: Some(Rank::MODERATOR), ..Filter::default() },
            Filter { since_ms: Some(middle), ..Filter::default() },
            Filter { until_ms: Some(middle), kind: Some(MessageKind::Answer), ..Filter::default() },
        ];
        for filter in &filters {
            let theirs = names(whole.page_where(&log, PageStart::Newest, all, filter).unwrap());
            let mine = pages.preview_where(&log, PageStart::Newest, all, filter).unwrap();
            assert_eq!(names(mine), theirs, "{filter:?}");
            for (at, event) in theirs.iter().enumerate() {
                let before = pages.preview_where(&log, PageStart::Before(*event), 3, filter).unwrap();
                assert_eq!(names(before), theirs[at.saturating_sub(3)..at], "{filter:?}");
            }
        }
        for message in ahead.iter().step_by(3) {
            let level = |thread: Vec<(usize, MessageView)>| -> Vec<(usize, EventRef)> {
                thread.into_iter().map(|(depth, view)| (depth, view.event)).collect()
            };
            let root = &message.event;
            let mine = pages.preview_thread(&log, root, 20).unwrap();
            assert_eq!(level(mine), level(whole.thread(&log, root, 20).unwrap()));
            let read = pages.preview_stamp(&log, Some(root)).unwrap();
            let mine = pages.preview_unread(&log, &reader, read.as_ref()).unwrap();
            assert_eq!(mine, whole.unread(&log, &reader, Some(root)).unwrap());
        }
        for text in QUERIES {
            let query = Query::parse(text);
            let mine = pages.search_preview(&log, &query, all, |_| true).unwrap();
            let theirs = whole.search(&log, &query, all, |_| true).unwrap();
            let set = |hits: Vec<crate::query::TextHit>| -> BTreeSet<(EventRef, String)> {
                let inside = hits.into_iter().filter(|hit| inside.contains(&hit.message.event));
                inside.map(|hit| (hit.message.event, format!("{:?}", hit.highlights))).collect()
            };
            assert_eq!(set(mine), set(theirs), "{text}");
        }
    }
}

/// What a follower has on the screen.
struct Screen {
    live: Live,
    shown: Vec<MessageView>,
}

impl Screen {
    fn look(&mut self, store: &crate::LocalStore) {
        for change in store.changes(&mut self.live, |_| true).unwrap() {
            let at = |event: &EventRef| self.shown.iter().position(|message| message.event == *event);
            match change {
                Change::Insert { after, message } => {
                    let place =
                        after.map_or(0, |after| at(&after).expect("it stands behind what is shown") + 1);
                    self.shown.insert(place, message);
                }
                Change::Update(message) => {
                    let place = at(&message.event).expect("it is shown");
                    self.shown[place] = message;
                }
                Change::Remove(event) => drop(self.shown.remove(at(&event).expect("it is shown"))),
            }
        }
    }
}

#[test]
fn whoever_follows_sees_pages_come_change_and_become_the_whole() {
    for seed in 0..30 {
        let (mut club, mut dice) = (club(), Dice(seed << 32));
        let log = club.log;
        club.act(&mut dice, 80);
        let live = Live::new(log, LiveQuery::Channel { from: None });
        let mut screen = Screen { live, shown: Vec::new() };
        screen.look(&club.dan.store);
        assert_eq!(screen.shown, [], "nothing is here");
        club.first(10);
        for _ in 0..4 {
            screen.look(&club.dan.store);
            assert_eq!(screen.shown, club.ahead());
            club.act(&mut dice, 8);
            let newer = club.dan.store.want_newest(&log, 10);
            assert!(matches!(club.ask(0, &newer).unwrap(), Taken::Read(_)));
            screen.look(&club.dan.store);
            assert_eq!(screen.shown, club.ahead());
            if let Some(older) = club.dan.store.want_older(&log, 5) {
                assert!(matches!(club.ask(1, &older).unwrap(), Taken::Read(_)));
            }
        }
        let Club { writers, dan, .. } = &mut club;
        dan.pull(&mut writers[0]).unwrap();
        dan.store.settle_preview(&log).unwrap();
        screen.look(&dan.store);
        assert_eq!(screen.shown, dan.store.page(&log, PageStart::Newest, usize::MAX).unwrap());
    }
}

/// Half of the log is here and followed when pages come ahead of the other half: nothing that is shown goes away meanwhile.
#[test]
fn pages_ahead_of_half_a_log_take_nothing_away() {
    let (mut club, mut dice) = (club(), Dice(7));
    let log = club.log;
    club.act(&mut dice, 60);
    let Club { writers, dan, .. } = &mut club;
    dan.pull(&mut writers[0]).unwrap();
    let live = Live::new(log, LiveQuery::Channel { from: None });
    let mut screen = Screen { live, shown: Vec::new() };
    screen.look(&club.dan.store);
    let half = screen.shown.len();
    for n in 0..200 {
        club.ann().say(log, &format!("{n} of 0"));
    }
    club.first(10);
    screen.look(&club.dan.store);
    assert_eq!(screen.shown.len(), half + 10);
    assert_eq!(screen.shown[half..], club.ahead());
    let Club { writers, dan, .. } = &mut club;
    dan.pull(&mut writers[0]).unwrap();
    dan.store.settle_preview(&log).unwrap();
    screen.look(&dan.store);
    assert_eq!(screen.shown, dan.store.page(&log, PageStart::Newest, usize::MAX).unwrap());
    assert_eq!(
        dan.store.preview_unread(&log, &dan.user_id(), None).map(|unread: Unread| unread.messages).ok(),
        None
    );
}
