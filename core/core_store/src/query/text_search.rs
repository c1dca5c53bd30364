use super::MessageView;
use super::search_index::{Query, SearchIndex, highlight};
use crate::model::ChannelOp;
use crate::store::space_logs::ChannelLog;
use crate::{Error, LocalStore};
use std::collections::BTreeSet;
use std::ops::Range;
use terachat_event::{ChannelId, EventRef, LogId, SpaceId};

/// One search result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextHit {
    /// The channel's log.
    pub log: LogId,
    /// The message.
    pub message: MessageView,
    /// Relevance and recency in one number, larger is better.
    pub score: u64,
    /// Byte ranges of the body that matched.
    pub highlights: Vec<Range<usize>>,
}

impl LocalStore {
    /// The best `limit` messages of a channel for `query`; `accept` answers for the query's filters and whatever else
    /// the caller asks of a message.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Store`].
    pub fn search(
        &mut self,
        log: &LogId,
        query: &Query,
        limit: usize,
        accept: impl Fn(&MessageView) -> bool,
    ) -> Result<Vec<TextHit>, Error> {
        let id = log.channel.ok_or(Error::Unknown("a channel without an id"))?;
        self.index_text(log.space, id)?;
        let channel = self.channel(log)?;
        let Some(search) = &channel.search else { return Ok(Vec::new()) };
        let current = |doc| current_message(self, channel, doc);
        let wanted = |doc: u32| {
            let message = current(doc)?;
            let is_post = channel.state.is_post(message);
            if query.filters().is_empty() && !is_post {
                return Some(());
            }
            // A post has its words in several events, of which one may have been overtaken since.
            let view = self.view(channel, message).ok();
            let view = view.filter(|view| !is_post || query.accepts(&titled(view)));
            view.filter(&accept).map(drop)
        };
        let found =
            search.search(query, limit, |doc| wanted(doc).is_some(), |doc| self.found_by(channel, doc));
        let found = match found {
            Ok(found) => found,
            Err(_) => {
                // Damaged: dropped, and built anew by the next search.
                self.drop_text_index(log.space, id);
                return self.search(log, query, limit, accept);
            }
        };
        let mut seen = BTreeSet::new();
        found
            .into_iter()
            .filter_map(|hit| Some((hit.score, current(hit.doc)?)))
            .filter(|(_, at)| seen.insert(*at))
            .map(|(score, at)| {
                let message = self.view(channel, at)?;
                let highlights = highlight(&message.body, query);
                Ok(TextHit { log: *log, message, score, highlights })
            })
            .collect()
    }

    /// Brings all text indexes up to date.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn index_texts(&mut self) -> Result<(), Error> {
        for log in self.logs() {
            if let Some(channel) = log.channel {
                self.index_text(log.space, channel)?;
            }
        }
        Ok(())
    }

    fn index_text(&mut self, space: SpaceId, id: ChannelId) -> Result<(), Error> {
        self.index_some_texts(space, id, u32::MAX).map(drop)
    }

    /// Brings a channel's text index up to date by at most so many texts, and gives whether it is now.
    pub(crate) fn index_some_texts(
        &mut self,
        space: SpaceId,
        id: ChannelId,
        most: u32,
    ) -> Result<bool, Error> {
        let seed = self.seed();
        let stored = self.stored_texts(space, id)?;
        let Some(channel) = self.spaces.get_mut(&space).and_then(|logs| logs.channels.get_mut(&id)) else {
            return Ok(true);
        };
        let known = channel.search.take().or(stored);
        let mut search = known.unwrap_or_else(|| SearchIndex::new(seed));
        let channel = self.channel(&LogId::channel(space, id))?;
        let result = self.add_texts(channel, &mut search, most);
        let channels = self.spaces.get_mut(&space).map(|logs| &mut logs.channels);
        if let Some(channel) = channels.and_then(|channels| channels.get_mut(&id)) {
            channel.search = Some(search);
        }
        result
    }

    /// Adds at most so many texts to an index, and gives whether there are no more.
    fn add_texts(&self, channel: &ChannelLog, search: &mut SearchIndex, most: u32) -> Result<bool, Error> {
        let mut left = most;
        for at in search.next_doc()..channel.index.len() {
            // What nobody is to find is not among what can be found, even before it is gone from disk.
            if channel.is_condemned(at) {
                continue;
            }
            let event = channel.index.event(at);
            let chunk = self.chunk(channel.index.chunk_of(at))?;
            let payload =
                chunk.get(event.offset as usize..(event.offset + event.len) as usize).unwrap_or(&[]);
            let payload = self.restored(&channel.index, at, payload).unwrap_or(payload);
            let titled: String;
            let text = match ChannelOp::decode(payload) {
                Ok(ChannelOp::Edit { target, body }) => match self.post_at(channel, &target) {
                    Some(view) if view.heading.is_some() => {
                        titled = self::titled(&MessageView { body: body.to_owned(), ..view });
                        titled.as_str()
                    }
                    _ => body,
                },
                Ok(ChannelOp::SetHeading { target, heading, .. }) => match self.post_at(channel, &target) {
                    Some(view) => {
                        titled = [heading.title, &view.body].join("\n");
                        titled.as_str()
                    }
                    None => continue,
                },
                Ok(op) => match (op.heading(), op.post()) {
                    (None, Some(post)) => post.body,
                    (Some(heading), Some(post)) => {
                        titled = [heading.title, post.body].join("\n");
                        titled.as_str()
                    }
                    _ => continue,
                },
                Err(_) => continue,
            };
            if left == 0 {
                return Ok(false);
            }
            left -= 1;
            // Full after millions of texts: what is in memory becomes a segment, and there is room again.
            if search.add(at, text).is_err() {
                let _ = search.freeze();
                let _ = search.add(at, text);
            }
        }
        Ok(true)
    }

    /// The text by which the message is found whose current text or title this event brought.
    fn found_by(&self, channel: &ChannelLog, doc: u32) -> Option<String> {
        match current_message(self, channel, doc).filter(|at| channel.state.is_post(*at)) {
            Some(post) => Some(titled(&self.view(channel, post).ok()?)),
            None => self.text(channel, doc).ok(),
        }
    }

    /// A forum's post as it stands.
    fn post_at(&self, channel: &ChannelLog, event: &EventRef) -> Option<MessageView> {
        let at = channel.index.find(event).filter(|at| channel.state.is_post(*at))?;
        self.view(channel, at).ok()
    }

    fn drop_text_index(&mut self, space: SpaceId, id: ChannelId) {
        let channels = self.spaces.get_mut(&space).map(|logs| &mut logs.channels);
        if let Some(channel) = channels.and_then(|channels| channels.get_mut(&id)) {
            channel.search = None;
        }
    }

    /// A number nobody can guess, to key a hash table.
    pub(crate) fn seed(&mut self) -> u64 {
        let mut seed = [0; 8];
        self.entropy.fill(&mut seed);
        u64::from_le_bytes(seed)
    }
}

/// The message whose current text the event at this position brought, if it is one.
fn current_message(store: &LocalStore, channel: &ChannelLog, at: u32) -> Option<u32> {
    if channel.void(at).is_some() {
        return None;
    }
    let payload = store.payload(&channel.index, at).ok()?;
    match ChannelOp::decode(&payload).ok()? {
        ChannelOp::Post(_) | ChannelOp::PostWith(..) | ChannelOp::PostStored(..) => {
            let state = channel.state.message(at);
            (state.edited_by.is_none() && !state.deleted).then_some(at)
        }
        ChannelOp::Edit { target, .. } => channel
            .index
            .find(&target)
            .filter(|message| channel.state.message(*message).edited_by == Some(at))
            // Whatever else somebody edits has no text.
            .filter(|message| channel.state.timeline.contains(*message, |a, b| channel.index.order(a, b))),
        ChannelOp::SetHeading { target, .. } => channel
            .index
            .find(&target)
            .filter(|message| channel.state.message(*message).headed_by == Some(at)),
        _ => None,
    }
}

/// What a message is found by: its title, if it has one, and its text.
pub(super) fn titled(view: &MessageView) -> String {
    match &view.heading {
        Some((title, _)) => [title, view.body.as_str()].join("\n"),
        None => view.body.clone(),
    }
}
