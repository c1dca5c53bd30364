//! Questions that stay, for those who follow: what has come, changed or gone since they last asked.
use crate::api::{Answer, LiveChange, Message, Place};
use crate::{Client, Error};
use std::collections::{BTreeMap, BTreeSet};
use terachat_core_store::query::search_index::Query;
use terachat_core_store::query::{Change, Live, LiveQuery, MessageView};
use terachat_event::{DeviceId, LogId};

/// Questions that stay at once; the one that was begun first gives way to a new one.
const LIVES_MAX: usize = 64;

/// The questions that stay, by number.
#[derive(Default)]
pub(crate) struct Lives {
    all: BTreeMap<u64, (Live, Wanted)>,
    last: u64,
}

/// What of a message the query itself does not answer.
#[derive(Clone)]
struct Wanted {
    pinned: bool,
    search: Query,
}

/// What is asked for, as [`crate::api::Request::LiveOpen`] says it.
pub(crate) struct Asked<'a> {
    pub(crate) thread: Option<&'a str>,
    pub(crate) unread_after: Option<&'a str>,
    pub(crate) search: Option<&'a str>,
    pub(crate) pinned: bool,
    pub(crate) limit: usize,
}

impl Client {
    pub(crate) fn live_open(&mut self, place: &Place, asked: &Asked<'_>) -> Result<Answer, Error> {
        let log = self.readable(self.place(place)?)?;
        let search = Query::parse(asked.search.unwrap_or_default());
        let query = match (asked.thread, asked.unread_after, asked.search) {
            // What somebody scrolls back to, and the past when it has come, are not news.
            (None, None, None) => LiveQuery::Channel { from: self.store.preview_oldest(&log) },
            (Some(root), None, None) => LiveQuery::Thread(self.shown_event(&log, root)?),
            (None, Some(read), None) => {
                let read = if read.is_empty() { None } else { Some(self.shown_event(&log, read)?) };
                LiveQuery::Unread { read, own: self.own_devices(&log) }
            }
            (None, None, Some(_)) => LiveQuery::Search(search.clone()),
            _ => return Err(Error::Input("choose one of thread, unread and search")),
        };
        let mut live = Live::new(log, query);
        let wanted = Wanted { pinned: asked.pinned, search };
        let changes = self.changes_of(&mut live, &wanted)?;
        let messages = changes.into_iter().filter_map(|change| match change {
            LiveChange::Insert { message, .. } => Some(message),
            _ => None,
        });
        let messages: Vec<Message> = messages.collect();
        let skip = messages.len().saturating_sub(asked.limit);
        self.lives.last += 1;
        let id = self.lives.last;
        self.lives.all.insert(id, (live, wanted));
        if self.lives.all.len() > LIVES_MAX {
            self.lives.all.pop_first();
        }
        Ok(Answer::Live { id, messages: messages.into_iter().skip(skip).collect() })
    }

    pub(crate) fn live_changes(&mut self, id: u64) -> Result<Answer, Error> {
        let (mut live, wanted) = self
            .lives
            .all
            .remove(&id)
            .ok_or(Error::Input("that question is no longer followed; ask it again"))?;
        let changes = self.changes_of(&mut live, &wanted);
        self.lives.all.insert(id, (live, wanted));
        Ok(Answer::LiveChanges { changes: changes? })
    }

    pub(crate) fn live_close(&mut self, id: u64) -> Answer {
        self.lives.all.remove(&id);
        Answer::Done
    }

    fn changes_of(&self, live: &mut Live, wanted: &Wanted) -> Result<Vec<LiveChange>, Error> {
        let log = *live.log();
        let known = self.known(&log);
        let accept = |message: &MessageView| {
            (!wanted.pinned || message.pinned) && known.meets(&wanted.search, message)
        };
        let changes = self.store.changes(live, accept)?;
        let shown = changes.into_iter().map(|change| match change {
            Change::Insert { after, message } => LiveChange::Insert {
                after: after.map(|event| event.to_string()),
                message: self.shown(&log, message),
            },
            Change::Update(message) => LiveChange::Update { message: self.shown(&log, message) },
            Change::Remove(event) => LiveChange::Remove { id: event.to_string() },
        });
        Ok(shown.collect())
    }

    fn own_devices(&self, log: &LogId) -> BTreeSet<DeviceId> {
        self.devices_of(&log.space, &self.identity.user_id()).into_iter().collect()
    }
}
