//! Questions that stay: what has come, changed or gone in an answer since it was last looked at.
use super::MessageView;
use super::journal::Mark;
use super::search_index::Query;
use super::state_hash::hash_message;
use crate::crdt::Stamp;
use crate::store::Preview;
use crate::store::space_logs::ChannelLog;
use crate::{Error, LocalStore};
use std::collections::{BTreeMap, BTreeSet};
use terachat_event::{DeviceId, EventRef, LogId};

/// Which messages of a channel are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveQuery {
    /// All, or this one and what stands behind it in the order.
    Channel {
        /// The first one.
        from: Option<EventRef>,
    },
    /// This message and what answers it, directly or not.
    Thread(EventRef),
    /// What stands behind the last message that was read and is by others.
    Unread {
        /// The last one read.
        read: Option<EventRef>,
        /// The reader's devices.
        own: BTreeSet<DeviceId>,
    },
    /// Those whose current text a query finds; its filters are the caller's to check.
    Search(Query),
}

/// A question that stays, and what was answered so far: some 130 bytes for each message of the answer.
#[derive(Debug, Clone)]
pub struct Live {
    log: LogId,
    query: LiveQuery,
    mark: Option<Mark>,
    shown: BTreeMap<Stamp, [u8; 32]>,
}

/// What happened to an answer, which is in the total order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A message that was not there before.
    Insert {
        /// The one before it; `None` at the beginning.
        after: Option<EventRef>,
        /// The message.
        message: MessageView,
    },
    /// A message that reads otherwise now.
    Update(MessageView),
    /// A message that is not there any more.
    Remove(EventRef),
}

impl Live {
    /// A question to which nothing was answered yet: the first [`LocalStore::changes`] inserts everything.
    pub fn new(log: LogId, query: LiveQuery) -> Self {
        Self { log, query, mark: None, shown: BTreeMap::new() }
    }

    /// The channel's log.
    pub fn log(&self) -> &LogId {
        &self.log
    }

    /// Messages in the answer as it was last given.
    pub fn len(&self) -> usize {
        self.shown.len()
    }

    /// Whether the answer was empty when it was last given.
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }
}

impl LocalStore {
    /// What has come, changed and gone since the last call, to be applied in this order. `accept` answers for a search's
    /// filters and whatever else the caller asks of a message; it must answer the same as long as the message is the same.
    ///
    /// Looks at what was touched meanwhile; at everything the first time, when a removal or a fork changed what counts, and
    /// after more than 4,096 changes. What is here of a channel ahead of its past is the answer while there is such, and looked at
    /// whole.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Store`]; the next call gives the same changes again.
    pub fn changes(
        &self,
        live: &mut Live,
        accept: impl Fn(&MessageView) -> bool,
    ) -> Result<Vec<Change>, Error> {
        if let Ok(preview) = self.preview(&live.log) {
            let in_log = |event: &EventRef| {
                let channel = self.channel(&live.log).ok();
                channel.is_some_and(|channel| {
                    channel.index.find(event).is_some_and(|at| is_message(channel, at))
                })
            };
            let in_log: BTreeSet<Stamp> =
                live.shown.keys().filter(|stamp| in_log(&stamp.event())).copied().collect();
            return preview.changes(live, &in_log, &accept);
        }
        let channel = self.channel(&live.log)?;
        let touched = live.mark.and_then(|mark| channel.journal.since(mark));
        let mut changes = Vec::new();
        let mut shown = live.shown.clone();
        let positions: BTreeSet<u32> = match touched {
            Some(touched) => touched.collect(),
            None => {
                // What is shown and stands nowhere any more is not met below.
                let there =
                    |event: &EventRef| channel.index.find(event).is_some_and(|at| is_message(channel, at));
                let gone: Vec<Stamp> = shown.keys().filter(|stamp| !there(&stamp.event())).copied().collect();
                for stamp in gone {
                    shown.remove(&stamp);
                    changes.push(Change::Remove(stamp.event()));
                }
                channel.state.timeline.iter_from(0).collect()
            }
        };
        for at in positions {
            changes.extend(self.change(channel, &live.query, at, &mut shown, &accept)?);
        }
        (live.shown, live.mark) = (shown, Some(channel.journal.mark()));
        Ok(changes)
    }

    fn change(
        &self,
        channel: &ChannelLog,
        query: &LiveQuery,
        at: u32,
        shown: &mut BTreeMap<Stamp, [u8; 32]>,
        accept: &impl Fn(&MessageView) -> bool,
    ) -> Result<Option<Change>, Error> {
        let stamp = channel.index.stamp(at);
        let message = match is_message(channel, at) && is_asked_for(channel, query, at) {
            true => Some(self.view(channel, at)?)
                .filter(|message| matches_text(query, &message.body) && accept(message)),
            false => None,
        };
        Ok(match message {
            Some(message) => show(stamp, message, shown),
            None => shown.remove(&stamp).map(|_| Change::Remove(stamp.event())),
        })
    }
}

impl Preview {
    /// [`LocalStore::changes`] of what is here of a channel ahead of its past. What was shown of the log stays as it is until the log
    /// takes the place of this.
    fn changes(
        &self,
        live: &mut Live,
        in_log: &BTreeSet<Stamp>,
        accept: &impl Fn(&MessageView) -> bool,
    ) -> Result<Vec<Change>, Error> {
        let mut answer = Vec::new();
        for at in self.messages().filter(|at| self.is_asked_for(&live.query, *at)) {
            let message = self.view(at)?;
            if matches_text(&live.query, &message.body) && accept(&message) {
                answer.push((self.events[at as usize].stamp, message));
            }
        }
        let there: BTreeSet<Stamp> = answer.iter().map(|(stamp, _)| *stamp).collect();
        let stays = |stamp: &Stamp| there.contains(stamp) || in_log.contains(stamp);
        let gone = live.shown.keys().filter(|stamp| !stays(stamp));
        let mut changes: Vec<Change> = gone.map(|stamp| Change::Remove(stamp.event())).collect();
        live.shown.retain(|stamp, _| stays(stamp));
        let news = answer.into_iter().filter_map(|(stamp, message)| show(stamp, message, &mut live.shown));
        changes.extend(news);
        // The whole channel is looked at anew once it takes the place of this.
        live.mark = None;
        Ok(changes)
    }

    fn is_asked_for(&self, query: &LiveQuery, at: u32) -> bool {
        let stamp_of = |event: &EventRef| self.find(event).map(|at| self.events[at as usize].stamp);
        let stamp = self.events[at as usize].stamp;
        match query {
            LiveQuery::Channel { from } => from.as_ref().and_then(stamp_of).is_none_or(|from| stamp >= from),
            LiveQuery::Thread(root) => {
                let root = self.find(root);
                let up = std::iter::successors(Some(at), |at| self.state.message(*at).reply_to);
                root.is_some_and(|root| up.into_iter().any(|at| at == root))
            }
            LiveQuery::Unread { read, own } => {
                let behind = read.as_ref().and_then(stamp_of).is_none_or(|read| stamp > read);
                behind && !own.contains(&stamp.author)
            }
            LiveQuery::Search(_) => true,
        }
    }
}

/// A message of the answer as it reads now.
fn show(stamp: Stamp, message: MessageView, shown: &mut BTreeMap<Stamp, [u8; 32]>) -> Option<Change> {
    let hash = hash_message(&message);
    match shown.insert(stamp, hash) {
        None => {
            let after = shown.range(..stamp).next_back().map(|(before, _)| before.event());
            Some(Change::Insert { after, message })
        }
        Some(before) if before == hash => None,
        Some(_) => Some(Change::Update(message)),
    }
}

/// Whether a message that counts stands at this position.
fn is_message(channel: &ChannelLog, at: u32) -> bool {
    let timeline = &channel.state.timeline;
    let rank = timeline.rank(at, |a, b| channel.index.order(a, b));
    timeline.iter_from(rank).next() == Some(at)
}

fn is_asked_for(channel: &ChannelLog, query: &LiveQuery, at: u32) -> bool {
    let stamp_of = |event: &EventRef| channel.index.find(event).map(|at| channel.index.stamp(at));
    let stamp = channel.index.stamp(at);
    match query {
        LiveQuery::Channel { from } => from.as_ref().and_then(stamp_of).is_none_or(|from| stamp >= from),
        LiveQuery::Thread(root) => {
            let root = channel.index.find(root);
            let up = std::iter::successors(Some(at), |at| channel.state.message(*at).reply_to);
            root.is_some_and(|root| up.into_iter().any(|at| at == root))
        }
        LiveQuery::Unread { read, own } => {
            let behind = read.as_ref().and_then(stamp_of).is_none_or(|read| stamp > read);
            behind && !own.contains(&stamp.author)
        }
        LiveQuery::Search(_) => true,
    }
}

fn matches_text(query: &LiveQuery, body: &str) -> bool {
    match query {
        LiveQuery::Search(query) => query.accepts(body),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
