//! What else is asked of a channel's newest messages ahead of its past: threads, pins, conditions, unread counts, and search. As of
//! the whole channel, over what is here: 2,048 events at most, so all of them are looked at.
use super::filter::MessageKind;
use super::search_index::{Query, SearchIndex, highlight};
use super::text_search::{TextHit, titled};
use super::unread::UNREAD_MAX;
use super::{Filter, MessageView, PageStart, Unread};
use crate::crdt::Stamp;
use crate::model::{Mention, SpaceState};
use crate::store::Preview;
use crate::{Error, LocalStore};
use std::collections::BTreeSet;
use terachat_event::{EventRef, LogId, UserId};

impl LocalStore {
    pub(super) fn preview(&self, log: &LogId) -> Result<&Preview, Error> {
        self.previews.get(log).ok_or(Error::Unknown("the newest of that channel"))
    }

    /// As [`LocalStore::thread`], of what is here of a channel ahead of its past.
    ///
    /// # Errors
    /// As [`LocalStore::preview_page`].
    pub fn preview_thread(
        &self,
        log: &LogId,
        root: &EventRef,
        limit: usize,
    ) -> Result<Vec<(usize, MessageView)>, Error> {
        let preview = self.preview(log)?;
        let mut stack = vec![(0, preview.find(root).ok_or(Error::Unknown("that message"))?)];
        let mut thread = Vec::new();
        while let Some((depth, at)) = stack.pop().filter(|_| thread.len() < limit) {
            thread.push((depth, preview.view(at)?));
            let mut replies: Vec<u32> = preview.state.replies(at).collect();
            replies.sort_by(|a, b| preview.order(*b, *a));
            stack.extend(replies.into_iter().map(|reply| (depth + 1, reply)));
        }
        Ok(thread)
    }

    /// As [`LocalStore::pinned`], of what is here of a channel ahead of its past.
    ///
    /// # Errors
    /// As [`LocalStore::preview_page`].
    pub fn preview_pinned(&self, log: &LogId, limit: usize) -> Result<Vec<MessageView>, Error> {
        let preview = self.preview(log)?;
        let pinned: BTreeSet<u32> = preview.state.pinned().collect();
        let found: Vec<u32> = preview.messages().filter(|at| pinned.contains(at)).collect();
        found[found.len().saturating_sub(limit)..].iter().map(|at| preview.view(*at)).collect()
    }

    /// As [`LocalStore::page_where`], of what is here of a channel ahead of its past.
    ///
    /// # Errors
    /// As [`LocalStore::preview_page`].
    pub fn preview_where(
        &self,
        log: &LogId,
        start: PageStart,
        limit: usize,
        filter: &Filter,
    ) -> Result<Vec<MessageView>, Error> {
        let preview = self.preview(log)?;
        let space = self.space(&log.space);
        let fitting: Vec<u32> = preview.messages().filter(|at| preview.fits(*at, space, filter)).collect();
        let rank = |event: &EventRef| {
            let start = preview.find(event).ok_or(Error::Unknown("that message"))?;
            let before = fitting.partition_point(|at| preview.order(*at, start).is_lt());
            Ok((before, fitting.get(before) == Some(&start)))
        };
        let (from, len) = start.range(fitting.len(), limit, rank)?;
        fitting.iter().skip(from).take(len).map(|at| preview.view(*at)).collect()
    }

    /// What `user` has not read of what is here of a channel ahead of its past: behind the furthest mark of the user's devices, and
    /// behind `read`, which this device may know of itself. There may be more before what is here.
    ///
    /// # Errors
    /// As [`LocalStore::preview_page`].
    pub fn preview_unread(&self, log: &LogId, user: &UserId, read: Option<&Stamp>) -> Result<Unread, Error> {
        let preview = self.preview(log)?;
        let devices = self.devices_of(log, user);
        let stamp = |at: u32| preview.events[at as usize].stamp;
        let marks = devices.iter().filter_map(|device| preview.state.read_mark(device)).map(stamp);
        let mark = marks.chain(read.copied()).max();
        let is_unread = |at: &u32| {
            let stamp = stamp(*at);
            let behind = mark.is_none_or(|mark| stamp > mark);
            behind && !devices.contains(&stamp.author) && !preview.state.is_deleted(*at)
        };
        let unread: Vec<u32> = preview.messages().filter(is_unread).take(UNREAD_MAX).collect();
        let meant: BTreeSet<u32> = [Mention::Everyone, Mention::User(*user)]
            .iter()
            .flat_map(|mention| preview.state.mentions(mention))
            .copied()
            .filter(is_unread)
            .collect();
        let first = unread.first().map(|at| stamp(*at).event());
        Ok(Unread { messages: unread.len(), mentions: meant.len().min(UNREAD_MAX), first })
    }

    /// As [`LocalStore::search`], of what is here of a channel ahead of its past.
    ///
    /// # Errors
    /// As [`LocalStore::preview_page`].
    pub fn search_preview(
        &mut self,
        log: &LogId,
        query: &Query,
        limit: usize,
        accept: impl Fn(&MessageView) -> bool,
    ) -> Result<Vec<TextHit>, Error> {
        let seed = self.seed();
        let preview = self.preview(log)?;
        let found = preview.messages().filter(|at| !preview.state.is_deleted(*at));
        let messages: Vec<MessageView> = found.map(|at| preview.view(at)).collect::<Result<_, _>>()?;
        // Numbered by the total order, of which the index knows that later is newer.
        let mut index = SearchIndex::new(seed);
        for (doc, message) in (0..).zip(&messages) {
            index.add(doc, &titled(message)).map_err(|_| Error::Unknown("an index of that many messages"))?;
        }
        let accepts = |doc: u32| query.filters().is_empty() || accept(&messages[doc as usize]);
        let hits = index
            .search(query, limit, accepts, |doc| messages.get(doc as usize).map(titled))
            .map_err(|_| Error::Unknown("an index of those messages"))?;
        let hit = |hit: super::search_index::Hit| {
            let message = messages[hit.doc as usize].clone();
            let highlights = highlight(&message.body, query);
            TextHit { log: *log, message, score: hit.score, highlights }
        };
        Ok(hits.into_iter().map(hit).collect())
    }

    /// Whether an event is here ahead of its channel's past.
    pub fn is_ahead(&self, log: &LogId, event: &EventRef) -> bool {
        self.previews.get(log).is_some_and(|preview| preview.find(event).is_some())
    }

    /// The oldest message that is here of a channel ahead of its past.
    pub fn preview_oldest(&self, log: &LogId) -> Option<EventRef> {
        let preview = self.previews.get(log)?;
        preview.messages().next().map(|at| preview.events[at as usize].stamp.event())
    }

    /// Name and place in the total order of the last message that is here of a channel ahead of its past, or of this one.
    ///
    /// # Errors
    /// As [`LocalStore::preview_page`].
    pub fn preview_stamp(&self, log: &LogId, event: Option<&EventRef>) -> Result<Option<Stamp>, Error> {
        let preview = self.preview(log)?;
        let at = match event {
            Some(event) => Some(preview.find(event).ok_or(Error::Unknown("that message"))?),
            None => preview.messages().last(),
        };
        Ok(at.map(|at| preview.events[at as usize].stamp))
    }
}

impl Preview {
    /// Positions of the messages in the total order.
    pub(super) fn messages(&self) -> impl Iterator<Item = u32> + '_ {
        self.state.timeline.iter_from(0)
    }

    fn fits(&self, at: u32, space: Option<&SpaceState>, filter: &Filter) -> bool {
        let Filter { authors, min_rank, since_ms, until_ms, has_attachment, mentions, kind } = filter;
        let (event, state) = (&self.events[at as usize], &self.state);
        let author = &event.stamp.author;
        let rank = || space.and_then(|space| space.rank_of(author));
        let is_there = !state.is_deleted(at);
        let names = |one: &Mention| state.mentions(one).contains(&at);
        since_ms.is_none_or(|since| event.wall_ms >= since)
            && until_ms.is_none_or(|until| event.wall_ms < until)
            && authors.as_ref().is_none_or(|authors| authors.contains(author))
            && min_rank.is_none_or(|least| is_there && rank().is_some_and(|rank| rank >= least))
            && (!has_attachment || state.has_attachment(at))
            && mentions.as_ref().is_none_or(|mentions| is_there && mentions.iter().any(names))
            && kind.is_none_or(|kind| {
                is_there
                    && match kind {
                        MessageKind::Post => state.is_post(at),
                        // It answers, whether what it answers is here or older.
                        MessageKind::Answer => self.answers(at),
                    }
            })
    }
}
