//! From the store's values to what people are shown.
use crate::api::{Answer, Hit, Message, MessageFilter, Place};
use crate::{Client, Error};
use std::collections::{BTreeMap, BTreeSet};
use terachat_core_store::query::search_index::Query;
use terachat_core_store::query::{MessageView, PageStart};
use terachat_event::{DeviceId, EventRef, LogId};

/// Most messages in one answer.
const PAGE_LEN_MAX: usize = 10_000;

impl Client {
    /// `start` names the message that the page lies before, after or around.
    pub(crate) fn read(
        &self,
        place: &Place,
        limit: usize,
        start: [Option<&str>; 3],
        thread: Option<&str>,
        pinned: bool,
        filter: &MessageFilter,
    ) -> Result<Answer, Error> {
        let log = self.readable(self.place(place)?)?;
        let limit = limit.min(PAGE_LEN_MAX);
        if *filter != MessageFilter::default() && (thread.is_some() || pinned) {
            return Err(Error::Input("a thread and pinned messages are shown whole; ask without conditions"));
        }
        if self.is_asked_ahead(&log, start.into_iter().flatten().chain(thread)) {
            let start = self.page_start(&log, start)?;
            return self.read_ahead(&log, limit, start, thread, pinned, filter);
        }
        let views = if let Some(root) = thread {
            self.store.thread(&log, &self.event(&log, root)?, limit)?
        } else if pinned {
            self.store.pinned(&log, limit)?.into_iter().map(|view| (0, view)).collect()
        } else {
            let start = self.page_start(&log, start)?;
            let filter = self.filter(&log, filter)?;
            self.store.page_where(&log, start, limit, &filter)?.into_iter().map(|view| (0, view)).collect()
        };
        let messages =
            views.into_iter().map(|(depth, view)| Message { depth, ..self.shown(&log, view) }).collect();
        Ok(Answer::Messages { messages })
    }

    fn page_start(&self, log: &LogId, start: [Option<&str>; 3]) -> Result<PageStart, Error> {
        Ok(match start {
            [None, None, None] => PageStart::Newest,
            [Some(message), None, None] => PageStart::Before(self.shown_event(log, message)?),
            [None, Some(message), None] => PageStart::After(self.shown_event(log, message)?),
            [None, None, Some(message)] => PageStart::Around(self.shown_event(log, message)?),
            _ => return Err(Error::Input("choose one of before, after and around")),
        })
    }

    pub(crate) fn search(&mut self, place: &Place, query: &str, limit: usize) -> Result<Answer, Error> {
        let logs = match (&place.channel, &place.space) {
            (Some(_), _) => vec![self.readable(self.place(place)?)?],
            (None, Some(_)) => {
                let space = self.space(place.space.as_deref())?;
                self.store
                    .logs()
                    .into_iter()
                    .filter(|log| log.space == space && log.channel.is_some())
                    .collect()
            }
            (None, None) => self.store.logs().into_iter().filter(|log| log.channel.is_some()).collect(),
        };
        let query = Query::parse(query);
        let mut hits = Vec::new();
        for log in logs {
            hits.extend(self.search_in(&log, &query, limit.min(PAGE_LEN_MAX))?);
        }
        hits.sort_by_key(|hit| std::cmp::Reverse(hit.score));
        hits.truncate(limit);
        let hits = hits
            .into_iter()
            .map(|hit| Hit {
                message: self.shown(&hit.log, hit.message),
                score: hit.score,
                highlights: hit.highlights.into_iter().map(|range| (range.start, range.end)).collect(),
            })
            .collect();
        Ok(Answer::Hits { hits })
    }

    pub(crate) fn message(&self, log: &LogId, event: &EventRef) -> Result<Message, Error> {
        Ok(self.shown(log, self.store.message(log, event)?))
    }

    pub(crate) fn shown(&self, log: &LogId, view: MessageView) -> Message {
        let state = self.store.space(&log.space);
        let user = state.and_then(|state| state.devices.get(&view.event.author));
        let mut reactions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (emoji, device) in view.reactions {
            let by = state
                .and_then(|state| state.devices.get(&device))
                .map_or_else(|| device.to_string(), ToString::to_string);
            reactions.entry(emoji).or_default().insert(by);
        }
        let imported = view.imported.is_some();
        let (author, ts_ms) = view.imported.unwrap_or_else(|| {
            (self.name_of(log, &view.event.author), i64::try_from(view.wall_ms).unwrap_or(i64::MAX))
        });
        let (title, tags) = view.heading.unzip();
        let readers: BTreeSet<String> = view.read_by.iter().map(|device| self.name_of(log, device)).collect();
        Message {
            id: view.event.to_string(),
            space: log.space.to_string(),
            channel: self.channel_name(log),
            author,
            user: user.map(ToString::to_string).unwrap_or_default(),
            ts_ms,
            style: view.style,
            body: view.body,
            edited: view.edited,
            reply_to: view.reply_to.map(|event| event.to_string()),
            reactions: reactions.into_iter().map(|(emoji, users)| (emoji, users.len())).collect(),
            pinned: view.pinned,
            deleted: view.deleted,
            missing: view.missing,
            sealed: view.sealed,
            imported,
            depth: 0,
            begins: false,
            title,
            tags: tags.unwrap_or_default(),
            mentions: view.mentions.iter().map(|mention| self.mentioned(log, mention)).collect(),
            attachments: view.attachments.into_iter().map(crate::compose::attached).collect(),
            read_by: readers.into_iter().collect(),
        }
    }

    /// The name of the device's user, present or former.
    pub(crate) fn name_of(&self, log: &LogId, device: &DeviceId) -> String {
        let state = self.store.space(&log.space);
        let member = state.and_then(|state| state.members.get(state.devices.get(device)?));
        member.map_or_else(|| device.short(), |member| member.name.clone())
    }

    pub(crate) fn channel_name(&self, log: &LogId) -> String {
        let state = self.store.space(&log.space);
        let channel = log.channel.and_then(|id| state.and_then(|state| state.channels.get(&id)));
        channel.map(|channel| channel.name.clone()).unwrap_or_default()
    }

    pub(crate) fn names(&self, log: &LogId) -> BTreeMap<DeviceId, String> {
        let state = self.store.space(&log.space);
        let devices = state.into_iter().flat_map(|state| state.devices.keys());
        devices.map(|device| (*device, self.name_of(log, device))).collect()
    }
}
