//! What is asked of a channel of which the newest is here ahead of its past: as of the whole channel, over what is here.
use crate::api::{Answer, Message, MessageFilter};
use crate::{Client, Error};
use terachat_core_store::crdt::Stamp;
use terachat_core_store::query::search_index::Query;
use terachat_core_store::query::{MessageView, PageStart, TextHit, Unread};
use terachat_event::{DeviceId, EventRef, LogId};
use terachat_vault::SecretBytes;

/// Records of channels, each with the place of the last message that was read here without being able to say so in the channel:
/// Lamport time (8, little-endian), author (32), number (8).
const READ: &[u8] = b"read-ahead/";

impl Client {
    /// The message of this id or unique id prefix, of those that are shown.
    pub(crate) fn shown_event(&self, log: &LogId, name: &str) -> Result<EventRef, Error> {
        match self.store.find_ahead(log, name).as_slice() {
            [event] => Ok(*event),
            [] => self.event(log, name),
            _ => Err(Error::Ambiguous { what: "message", name: name.to_owned() }),
        }
    }

    /// Whether a question is answered by what is here of a channel ahead of its past: unless it names a message of the log.
    pub(crate) fn is_asked_ahead<'a>(&self, log: &LogId, mut named: impl Iterator<Item = &'a str>) -> bool {
        let is_ahead = |name: &str| !self.store.find_ahead(log, name).is_empty();
        self.store.has_preview(log) && (self.store.len(log) == 0 || named.all(is_ahead))
    }

    /// [`Client::search`] in one channel, its newest ahead of its past included.
    pub(crate) fn search_in(
        &mut self,
        log: &LogId,
        query: &Query,
        limit: usize,
    ) -> Result<Vec<TextHit>, Error> {
        let known = self.known(log);
        let accept = |view: &MessageView| known.meets(query, view);
        if !self.store.has_preview(log) {
            return Ok(self.store.search(log, query, limit, accept)?);
        }
        let mut hits = self.store.search_preview(log, query, limit, accept)?;
        if self.store.len(log) > 0 {
            // What is in both is newer there.
            let past = self.store.search(log, query, limit, accept)?;
            hits.extend(past.into_iter().filter(|hit| !self.store.is_ahead(log, &hit.message.event)));
        }
        Ok(hits)
    }

    /// [`Client::read`] of what is here of a channel ahead of its past.
    pub(crate) fn read_ahead(
        &self,
        log: &LogId,
        limit: usize,
        start: PageStart,
        thread: Option<&str>,
        pinned: bool,
        filter: &MessageFilter,
    ) -> Result<Answer, Error> {
        let flat = |views: Vec<MessageView>| views.into_iter().map(|view| (0, view)).collect();
        let views: Vec<(usize, MessageView)> = if let Some(root) = thread {
            self.store.preview_thread(log, &self.shown_event(log, root)?, limit)?
        } else if pinned {
            flat(self.store.preview_pinned(log, limit)?)
        } else if *filter == MessageFilter::default() {
            flat(self.store.preview_page(log, start, limit)?)
        } else {
            flat(self.store.preview_where(log, start, limit, &self.filter(log, filter)?)?)
        };
        let begins = |view: &MessageView| self.store.begins_preview(log, &view.event);
        let shown = |(depth, view)| Message { begins: begins(&view), depth, ..self.shown(log, view) };
        Ok(Answer::Messages { messages: views.into_iter().map(shown).collect() })
    }

    /// What this device's user has not read of a channel. Of one that is here by its newest only: of what is here.
    pub(crate) fn unread(&self, log: &LogId) -> Result<Unread, Error> {
        let (user, read) = (self.identity.user_id(), self.read_here(log));
        Ok(if self.store.has_preview(log) {
            self.store.preview_unread(log, &user, read.as_ref())?
        } else {
            self.store.unread(log, &user, read.map(|read| read.event()).as_ref())?
        })
    }

    /// Says that all up to a message was read of a channel that is not written in: this device remembers it, and nobody else hears of
    /// it. It never goes back.
    pub(crate) fn mark_here(&mut self, log: &LogId, message: Option<&str>) -> Result<Answer, Error> {
        let event = message.map(|message| self.shown_event(log, message)).transpose()?;
        let Some(read) = self.store.preview_stamp(log, event.as_ref())? else {
            return Err(Error::Input("there is nothing to be read here yet"));
        };
        if self.read_here(log).is_none_or(|before| before < read) {
            let value = [&read.lamport.to_le_bytes()[..], &read.author.0, &read.seq.to_le_bytes()].concat();
            self.store.write_records(vec![(read_name(log), Some(SecretBytes::take(value)))])?;
        }
        Ok(Answer::Done)
    }

    fn read_here(&self, log: &LogId) -> Option<Stamp> {
        let value = self.store.record(&read_name(log))?;
        let (lamport, rest) = value.split_first_chunk()?;
        let (author, seq) = rest.split_first_chunk()?;
        let (lamport, seq) = (u64::from_le_bytes(*lamport), u64::from_le_bytes(seq.try_into().ok()?));
        Some(Stamp { lamport, author: DeviceId(*author), seq })
    }
}

fn read_name(log: &LogId) -> Vec<u8> {
    [READ, &log.space.0, &log.channel.map_or([0; 32], |channel| channel.0)].concat()
}
