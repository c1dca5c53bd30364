//! The newest of channels whose past this device leaves with others, read ahead of it: ADR 0020, `docs/format/newest.md`.
use crate::api::{Answer, Notice, Place};
use crate::protocol::Frame;
use crate::{Client, Error};
use std::collections::BTreeSet;
use terachat_core_store::store::Taken;
use terachat_core_store::sync::{NewestPage, Want};
use terachat_event::{ChannelId, DeviceId, LogId, SpaceId};
use terachat_vault::SecretBytes;

/// The record with the channels of a space of which the newest is read: ids, ascending. Those that are kept do not count.
const LIST: &[u8] = b"newest-list/";
/// Messages that are asked for at once.
pub(crate) const PAGE_LEN: u16 = 50;

impl Client {
    /// Whether this device reads the newest of a channel, and leaves its past with others.
    pub(crate) fn reads_newest(&self, log: &LogId) -> bool {
        log.channel.is_some_and(|id| !self.keeps(log) && self.newest_list(&log.space).contains(&id))
    }

    pub(crate) fn newest_list(&self, space: &SpaceId) -> BTreeSet<ChannelId> {
        let list = self.store.record(&[LIST, &space.0].concat()).unwrap_or_default();
        list.as_chunks::<32>().0.iter().map(|id| ChannelId(*id)).collect()
    }

    /// Changes of which channels the newest is read; of those that are no longer on the list and not kept either it is forgotten.
    pub(crate) fn select_newest(
        &mut self,
        space: SpaceId,
        list: &BTreeSet<ChannelId>,
        kept: Option<&BTreeSet<ChannelId>>,
    ) -> Result<(), Error> {
        let before = self.newest_list(&space);
        if before == *list {
            return Ok(());
        }
        let value: Vec<u8> = list.iter().flat_map(|id| id.0).collect();
        let value = (!list.is_empty()).then(|| SecretBytes::take(value));
        self.store.write_records(vec![([LIST, &space.0].concat(), value)])?;
        for id in before.difference(list).filter(|id| kept.is_some_and(|kept| !kept.contains(id))) {
            self.store.drop_preview(&LogId::channel(space, *id))?;
        }
        Ok(())
    }

    /// Asks a peer for the newest of a channel, or for what came since, if it was not asked in this conversation.
    pub(crate) fn begin_newest(&mut self, peer: DeviceId, log: LogId) {
        let is_here = self.store.has_preview(&log);
        let began = self.peers.get(&peer).is_some_and(|state| state.newest.began.contains(&log));
        if self.reads_newest(&log) && !(is_here && began) {
            let want = self.store.want_newest(&log, PAGE_LEN);
            self.want_page(peer, log, want);
        }
    }

    /// Asks a peer for a page, one at a time, unless it had none. Gives back whether it was asked.
    pub(crate) fn want_page(&mut self, peer: DeviceId, log: LogId, want: Want) -> bool {
        let knows = self.knows(&log);
        let Some(state) = self.peers.get_mut(&peer).filter(|_| knows) else { return false };
        let free = !state.newest.asked.contains_key(&log) && !state.newest.none.contains(&log);
        if free {
            state.newest.began.insert(log);
            state.newest.asked.insert(log, want.clone());
            self.tell(peer, &Frame::WantNewest { log, want });
        }
        free
    }

    /// Somebody read to where begins what is here of a channel ahead of its past: what is before that is asked for.
    pub(crate) fn read_back(&mut self, place: &Place, answer: &Answer, limit: usize) -> Result<(), Error> {
        let log = self.place(place)?;
        if let Answer::Messages { messages } = answer
            && (messages.len() < limit || messages.first().is_some_and(|message| message.begins))
        {
            self.scroll_back(log);
        }
        Ok(())
    }

    /// Somebody scrolls to where what is here begins: what is before it is asked for.
    pub(crate) fn scroll_back(&mut self, log: LogId) {
        let Some(want) = self.store.want_older(&log, PAGE_LEN) else { return };
        for peer in self.peers_in(&log.space) {
            if self.want_page(peer, log, want.clone()) {
                return;
            }
        }
    }

    /// A peer wants a page.
    pub(crate) fn send_newest(&mut self, peer: DeviceId, log: LogId, want: &Want) -> Result<(), Error> {
        if !self.is_common(peer, &log.space) || !self.knows(&log) || log.channel.is_none() {
            // Whoever asks waits for an answer.
            self.tell(peer, &Frame::Newest { log, bytes: Vec::new() });
            return Ok(());
        }
        let page = self.store.newest(&log, want)?;
        if let Some(state) = self.peers.get_mut(&peer) {
            state.newest.told.insert(log);
        }
        let bytes = page.map(|page| page.encode()).unwrap_or_default();
        self.tell(peer, &Frame::Newest { log, bytes });
        Ok(())
    }

    /// Tells those who read the newest of a channel that there is more, once until they ask.
    pub(crate) fn tell_newest(&mut self, log: LogId) {
        for peer in self.peers_in(&log.space) {
            let state = self.peers.get_mut(&peer);
            if state.is_some_and(|state| state.newest.told.remove(&log)) {
                self.tell(peer, &Frame::MoreNewest { log });
            }
        }
    }

    /// A peer has more of a channel than it told.
    pub(crate) fn take_more_newest(&mut self, peer: DeviceId, log: LogId) {
        if self.is_common(peer, &log.space) && (self.reads_newest(&log) || self.store.has_preview(&log)) {
            let want = self.store.want_newest(&log, PAGE_LEN);
            self.want_page(peer, log, want);
        }
    }

    /// A page came.
    ///
    /// # Errors
    /// [`Error::Frame`] for one that was not asked for. Whoever sends one that does not hold is not asked again in this
    /// conversation: it may stand on another branch of a chain.
    pub(crate) fn take_newest(&mut self, peer: DeviceId, log: LogId, bytes: &[u8]) -> Result<(), Error> {
        let state = self.peers.get_mut(&peer);
        let asked = state.and_then(|state| state.newest.asked.remove(&log));
        let Some(want) = asked else { return Err(Error::Frame("a page that nobody asked for")) };
        let is_kept = self.keeps(&log);
        let is_wanted = is_kept || self.reads_newest(&log) || self.store.has_preview(&log);
        if !self.is_common(peer, &log.space) || !is_wanted || is_kept && self.past_waits.is_over(&log) {
            return Ok(());
        }
        if bytes.is_empty() {
            if !is_kept {
                self.no_page(peer, log);
            }
            return Ok(());
        }
        let page = NewestPage::decode(bytes)?;
        if page.log != log {
            return Err(Error::Frame("a page of another channel"));
        }
        let taken = self.store.take_newest(&want, page, is_kept);
        let is_first = matches!(want, Want::First { .. });
        if is_kept && is_first && self.store.is_preview_whole(&log) {
            // There is no past to wait for.
            self.store.drop_preview(&log)?;
            return Ok(());
        }
        if is_kept {
            self.store.settle_preview(&log)?;
            self.mind_past_waits();
        }
        let what = match taken {
            Ok(Taken::Read(0) | Taken::Stale) => return Ok(()),
            Ok(Taken::Read(events)) => {
                format!("{events} events of {}, ahead of its past", self.channel_name(&log))
            }
            Ok(Taken::Waits(_)) => {
                self.ask(peer, LogId::control(log.space));
                return Ok(());
            }
            Ok(Taken::Full) if matches!(want, Want::Newer { .. }) => {
                self.want_page(peer, log, Want::First { messages: PAGE_LEN });
                return Ok(());
            }
            Ok(Taken::Full) => {
                format!(
                    "there is much before this in {}; `terachat channel keep` brings it",
                    self.channel_name(&log)
                )
            }
            Err(error @ (terachat_core_store::Error::Store(_) | terachat_core_store::Error::Halted(_))) => {
                return Err(error.into());
            }
            // It may go on with a chain whose newest is not here; one more try with nothing to fit to.
            Err(_) if !is_first => {
                self.want_page(peer, log, Want::First { messages: PAGE_LEN });
                return Ok(());
            }
            Err(_) => {
                self.no_page(peer, log);
                return Ok(());
            }
        };
        self.notices.push_back(Notice::Space { space: log.space.to_string(), what });
        Ok(())
    }

    fn no_page(&mut self, peer: DeviceId, log: LogId) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.newest.none.insert(log);
        }
    }
}
