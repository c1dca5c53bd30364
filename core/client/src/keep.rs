//! Which channels of a space this device keeps: all, or a list (ADR 0020). What is not on it is neither asked for nor
//! answered; what is here of it stays until it is dropped.
use crate::api::{Answer, Notice, Selection};
use crate::protocol::Frame;
use crate::{Client, Error};
use std::collections::BTreeSet;
use terachat_core_store::model::History;
use terachat_core_store::store::Write;
use terachat_event::{ChannelId, DeviceId, LogId, SpaceId};
use terachat_vault::SecretBytes;

/// The record that holds the list: channel ids, ascending. Without one all channels are kept.
const KEPT: &[u8] = b"kept/";
/// Records of channels that were left out, each with the root that another device told while that was all there is here.
const HELD: &[u8] = b"held-elsewhere/";

impl Client {
    /// Whether this device keeps a log. The control log it always does.
    pub(crate) fn keeps(&self, log: &LogId) -> bool {
        let Some(channel) = log.channel else { return true };
        self.kept(&log.space).is_none_or(|list| {
            let at = list.as_chunks::<32>().0.binary_search(&channel.0);
            at.is_ok()
        })
    }

    pub(crate) fn kept(&self, space: &SpaceId) -> Option<&[u8]> {
        self.store.record(&[KEPT, &space.0].concat())
    }

    /// Whether both sides keep a log: only then there is anything to say of it.
    pub(crate) fn shares(&self, peer: DeviceId, log: &LogId) -> bool {
        self.keeps(log) && self.peers.get(&peer).is_some_and(|state| !state.without.contains(log))
    }

    /// Whether a log of a space is known here: its channel counts, or it is the control log.
    pub(crate) fn knows(&self, log: &LogId) -> bool {
        let state = self.store.space(&log.space);
        log.channel.is_none_or(|id| state.is_some_and(|state| state.channels.contains_key(&id)))
    }

    /// A channel that this device keeps, or has something of.
    pub(crate) fn readable(&self, log: LogId) -> Result<LogId, Error> {
        let is_readable = self.keeps(&log) || self.store.len(&log) > 0 || self.store.has_preview(&log);
        is_readable.then_some(log).ok_or_else(|| Error::NotKept(self.channel_name(&log)))
    }

    /// Refuses to take a right away where this device does not have all channels whole: a removal says where a member's
    /// messages end in each, and what it does not name would count for nothing.
    pub(crate) fn require_whole(&self, space: &SpaceId) -> Result<(), Error> {
        if self.is_whole(space) { Ok(()) } else { Err(Error::NotWhole(self.space_name(space))) }
    }

    /// Whether this device keeps all channels of a space, and nothing that it dropped is still to come back.
    pub(crate) fn is_whole(&self, space: &SpaceId) -> bool {
        let logs = self.store.logs().into_iter().filter(|log| log.space == *space);
        logs.into_iter().all(|log| self.keeps(&log) && !self.store.lacks_dropped(&log))
    }

    /// Changes which channels of a space this device keeps, and tells the peers.
    pub(crate) fn channels_keep(&mut self, space: Option<&str>, change: &Selection) -> Result<Answer, Error> {
        let space = self.space(space)?;
        let named = |names: &[String]| -> Result<BTreeSet<ChannelId>, Error> {
            if names.is_empty() {
                return Err(Error::Input("name at least one channel"));
            }
            names.iter().map(|name| self.channel(&space, name)).collect()
        };
        let now = self.kept(&space).map(|list| list.as_chunks::<32>().0.iter().map(|id| ChannelId(*id)));
        let now: Option<BTreeSet<ChannelId>> = now.map(Iterator::collect);
        let next = match change {
            Selection::All => None,
            Selection::Only { channels } => Some(named(channels)?),
            Selection::Also { channels } => {
                let more = named(channels)?;
                now.map(|list| list.union(&more).copied().collect())
            }
            Selection::LeaveOut { channels } | Selection::Newest { channels } => {
                let less = named(channels)?;
                let state = self.store.space(&space);
                let all = || state.into_iter().flat_map(|state| state.channels.keys().copied()).collect();
                Some(now.unwrap_or_else(all).difference(&less).copied().collect())
            }
        };
        if next.is_some() && self.archives(&space) {
            return Err(Error::NotAllowed("this device is the space's archive, which keeps all channels"));
        }
        let mut newest = self.newest_list(&space);
        match change {
            Selection::Newest { channels } => newest.extend(self.with_pages(&space, named(channels)?)?),
            Selection::LeaveOut { channels } => {
                let less = named(channels)?;
                newest.retain(|id| !less.contains(id));
            }
            _ => {}
        }
        newest.retain(|id| next.as_ref().is_some_and(|kept| !kept.contains(id)));
        self.select_newest(space, &newest, next.as_ref())?;
        self.select(space, next.as_ref())?;
        for id in newest {
            let log = LogId::channel(space, id);
            if !self.store.is_preview_durable(&log) {
                // What came while the channel was kept is in memory only.
                self.store.drop_preview(&log)?;
            }
            self.peers_in(&space).into_iter().for_each(|peer| self.begin_newest(peer, log));
        }
        self.mind_past_waits();
        Ok(Answer::Done)
    }

    /// These channels, if each has pages to be read ahead of its past.
    fn with_pages(
        &self,
        space: &SpaceId,
        channels: BTreeSet<ChannelId>,
    ) -> Result<BTreeSet<ChannelId>, Error> {
        let state = self.store.space(space);
        let has = |id: &ChannelId| {
            state
                .and_then(|state| state.channels.get(id))
                .is_some_and(|channel| channel.history == History::Shared)
        };
        if channels.iter().all(has) {
            return Ok(channels);
        }
        Err(Error::Input(
            "of a channel that is read since joining there is no past to leave out; keep it or leave it out",
        ))
    }

    /// Has a channel that this device just created on its list, if there is one.
    pub(crate) fn keep_created(&mut self, space: SpaceId, channel: ChannelId) -> Result<(), Error> {
        let Some(list) = self.kept(&space) else { return Ok(()) };
        let mut next: BTreeSet<ChannelId> =
            list.as_chunks::<32>().0.iter().map(|id| ChannelId(*id)).collect();
        next.insert(channel);
        self.select(space, Some(&next))
    }

    pub(crate) fn select(&mut self, space: SpaceId, list: Option<&BTreeSet<ChannelId>>) -> Result<(), Error> {
        let value = list.map(|list| {
            let mut ids: Vec<u8> = Vec::with_capacity(list.len() * 32);
            list.iter().for_each(|id| ids.extend_from_slice(&id.0));
            SecretBytes::take(ids)
        });
        let logs: Vec<LogId> = self.store.logs().into_iter().filter(|log| log.space == space).collect();
        let keeps = |log: &LogId| log.channel.is_none_or(|id| list.is_none_or(|list| list.contains(&id)));
        let (mut left, mut taken) = (Vec::new(), Vec::new());
        let mut writes: Vec<Write> = vec![([KEPT, &space.0].concat(), value)];
        for log in logs {
            match (self.keeps(&log), keeps(&log)) {
                (true, false) => left.push(log),
                (false, true) => {
                    writes.push((held_name(&log), None));
                    taken.push(log);
                }
                _ => {}
            }
        }
        self.store.write_records(writes)?;
        // Boards are read from the plan that fits what is kept now.
        self.boards.clear();
        for peer in self.peers_in(&space) {
            for log in &left {
                self.forget(peer, log);
                self.leave_out(peer, *log);
            }
            for log in &taken {
                self.take_back(peer, *log);
            }
        }
        let what = match list {
            None => "all channels are kept now".to_owned(),
            Some(list) => format!("{} channels are kept now", list.len()),
        };
        self.notices.push_back(Notice::Space { space: space.to_string(), what });
        Ok(())
    }

    /// A peer told its last word on a log that this device does not keep. If it has all that is here, that is noted: the log
    /// can be dropped then and nothing is lost.
    pub(crate) fn take_last_word(&mut self, log: &LogId, root: &[u8; 32]) -> Result<(), Error> {
        let name = held_name(log);
        let is_news = self.store.record(&name) != Some(root) && self.store.len(log) > 0;
        if is_news && self.store.frontier_root(log).as_ref() == Some(root) {
            self.store.write_records(vec![(name, Some(SecretBytes::copy_from(root)))])?;
            let what = format!("another device has all of {}, which can be dropped", self.channel_name(log));
            self.notices.push_back(Notice::Space { space: log.space.to_string(), what });
        }
        Ok(())
    }

    /// Removes what is here of a channel that this device does not keep.
    pub(crate) fn channel_drop(
        &mut self,
        space: Option<&str>,
        channel: &str,
        last_copy: bool,
    ) -> Result<Answer, Error> {
        let space = self.space(space)?;
        let log = LogId::channel(space, self.channel(&space, channel)?);
        if self.keeps(&log) {
            return Err(Error::Input(
                "this device keeps that channel; `terachat channel leave-out` comes first",
            ));
        }
        let root = self.store.frontier_root(&log);
        let is_held = self.store.record(&held_name(&log)) == root.as_ref().map(<[u8; 32]>::as_slice);
        let events = self.store.len(&log);
        if !is_held && !last_copy && events > 0 {
            return Err(Error::Input(
                "no other device is known to have all of that channel; keep it, sync, leave it out and sync again, or say --last-copy",
            ));
        }
        let before = self.store.disk_len();
        if events > 0 {
            self.forget_books(&log)?;
            self.store.drop_channel(&log, &self.identity.device_id())?;
        }
        Ok(Answer::Dropped { events, before, after: self.store.disk_len() })
    }

    /// Tells a peer that this device does not keep a log, unless it knows.
    pub(crate) fn leave_out(&mut self, peer: DeviceId, log: LogId) {
        let knows = self.knows(&log);
        let Some(state) = self.peers.get_mut(&peer).filter(|_| knows) else { return };
        if state.left_out.insert(log) {
            self.tell(peer, &Frame::Without { log });
        }
    }

    /// A peer spoke of a log as one that it keeps, and this device does not: it is told so, again if need be.
    pub(crate) fn answer_without(&mut self, peer: DeviceId, log: LogId) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.without.remove(&log);
        }
        self.tell(peer, &Frame::Without { log });
    }

    fn take_back(&mut self, peer: DeviceId, log: LogId) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.left_out.remove(&log);
        }
        // Also to one that does not keep it: it has to know when it takes the log back itself.
        self.tell_standing(peer, log);
    }

    /// A peer does not keep a log.
    pub(crate) fn take_without(&mut self, peer: DeviceId, log: LogId) -> Result<(), Error> {
        if log.channel.is_none() {
            return Err(Error::Frame("that it does not keep a control log, which everybody does"));
        }
        // Of what is not known here it says so again once it is asked.
        if self.is_common(peer, &log.space) && self.knows(&log) {
            self.forget(peer, &log);
            let state = self.peers.get_mut(&peer);
            if state.is_some_and(|state| state.without.insert(log))
                && self.keeps(&log)
                && let Some(root) = self.store.frontier_root(&log)
            {
                self.tell(peer, &Frame::Ack { log, root });
            }
        }
        Ok(())
    }

    /// Whether a peer's events of a log are wanted: not of one that this device does not keep, as may have crossed with its
    /// word on that.
    ///
    /// # Errors
    /// [`Error::Frame`] for events of a log that the peer said it does not keep.
    pub(crate) fn wants_from(&self, peer: DeviceId, log: &LogId) -> Result<bool, Error> {
        if self.peers.get(&peer).is_some_and(|state| state.without.contains(log)) {
            return Err(Error::Frame("events of a channel that it said it does not keep"));
        }
        Ok(self.keeps(log))
    }

    /// Forgets where a peer stands in a log.
    fn forget(&mut self, peer: DeviceId, log: &LogId) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        state.theirs.remove(log);
        state.comparisons.remove(log);
        state.roots.remove(log);
        state.awaited.remove(log);
        state.asked.remove(log);
        state.doubted.remove(log);
        state.waits.remove(log);
    }
}

fn held_name(log: &LogId) -> Vec<u8> {
    let channel = log.channel.map_or([0; 32], |channel| channel.0);
    [HELD, &log.space.0, &channel].concat()
}
