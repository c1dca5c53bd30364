//! Channels that are kept, and of which the newest is here while their past is on its way: ADR 0020, "the newest, built".
use crate::newest::PAGE_LEN;
use crate::{Client, Error};
use std::collections::BTreeMap;
use terachat_core_store::model::History;
use terachat_core_store::sync::Want;
use terachat_event::{DeviceId, LogId};

/// For how long a kept channel waits for its past behind its newest, in milliseconds by this device's clock, once in a run of the
/// program. Longer than a hundred thousand messages take to come and be judged; whoever withholds them shuts nobody out for longer.
pub(crate) const PAST_WAIT_MS: u64 = 30_000;
/// Events of a kept channel that another device has more, from which on its newest is asked for ahead of them: as many as come without
/// being asked for again. Fewer in tests.
const FAR: u64 = if cfg!(test) { 64 } else { 1 << 16 };

/// The channels that wait for their past, and those that have done so. In memory only, and only of channels that are kept.
#[derive(Default)]
pub(crate) struct PastWaits(BTreeMap<LogId, PastWait>);

enum PastWait {
    /// Since when, and when that was last looked at.
    Lasts { since_ms: u64, seen_ms: u64 },
    /// For good: whatever comes later, and whatever the clock says then.
    Over,
}

impl PastWait {
    /// How long it lasts at the most.
    fn left_ms(&self, now_ms: u64) -> Option<u64> {
        let Self::Lasts { since_ms, seen_ms } = self else { return None };
        // A clock that was set back tells nothing of how long it was.
        let age_ms = (now_ms >= *seen_ms).then(|| now_ms - since_ms)?;
        PAST_WAIT_MS.checked_sub(age_ms).filter(|left_ms| *left_ms > 0)
    }

    fn look(&mut self, now_ms: u64) {
        match (self.left_ms(now_ms), &mut *self) {
            (Some(_), Self::Lasts { seen_ms, .. }) => *seen_ms = now_ms,
            (_, wait) => *wait = Self::Over,
        }
    }
}

impl PastWaits {
    /// Whether a channel has waited as long as it does.
    pub(crate) fn is_over(&self, log: &LogId) -> bool {
        matches!(self.0.get(log), Some(PastWait::Over))
    }
}

impl Client {
    /// Asks a peer for the newest of a channel that is kept and of which this device lacks much, ahead of the past that is on its way:
    /// one peer at a time, each once in a conversation, and nobody once that was waited for. `theirs` is how many events the peer has, if that is known.
    pub(crate) fn begin_ahead(&mut self, peer: DeviceId, log: LogId, theirs: Option<u64>) {
        let here = self.store.len(&log) as u64;
        let is_far = theirs.map_or(here == 0, |theirs| theirs.saturating_sub(here) > FAR);
        let is_asked = || self.peers.values().any(|state| state.newest.asked.contains_key(&log));
        let began = || self.peers.get(&peer).is_some_and(|state| state.newest.began.contains(&log));
        let is_whole = || self.store.history(&log) == History::Shared;
        let is_kept = log.channel.is_some() && self.keeps(&log) && !self.past_waits.is_over(&log);
        if is_far && is_kept && is_whole() && !self.store.has_preview(&log) && !is_asked() && !began() {
            self.want_page(peer, log, Want::First { messages: PAGE_LEN });
        }
    }

    /// For how many seconds at the most nothing can be said in a kept channel, because it would stand far behind what is shown of it.
    pub(crate) fn past_wait_s(&self, log: &LogId) -> Option<u64> {
        let is_coming = self.is_ahead_kept(log) && !self.peers_in(&log.space).is_empty();
        let wait = self.past_waits.0.get(log).filter(|_| is_coming)?;
        Some(wait.left_ms(self.now_ms)?.div_ceil(1000))
    }

    /// Whether the newest of a channel that is kept is here ahead of its past.
    pub(crate) fn is_ahead_kept(&self, log: &LogId) -> bool {
        self.keeps(log) && self.store.has_preview(log)
    }

    /// Looks at the clock, in each call that brings a new time: begins to wait where the newest of a kept channel is here and somebody is
    /// there to bring its past, and lets go of the newest where that was waited for long enough.
    pub(crate) fn mind_past_waits(&mut self) {
        let mut waits = std::mem::take(&mut self.past_waits.0);
        // Which channels are kept is for the user to say, so a new wait after that is, too.
        waits.retain(|log, _| self.keeps(log));
        let now_ms = self.now_ms;
        waits.values_mut().for_each(|wait| wait.look(now_ms));
        let ahead = self.store.previews();
        for log in ahead.iter().filter(|log| self.keeps(log) && !self.peers_in(&log.space).is_empty()) {
            waits.entry(*log).or_insert(PastWait::Lasts { since_ms: now_ms, seen_ms: now_ms });
        }
        self.past_waits.0 = waits;
        for log in ahead {
            let is_of_no_use = !self.keeps(&log) && !self.reads_newest(&log);
            if self.past_waits.is_over(&log) || is_of_no_use {
                self.let_go_of_newest(&log);
            }
        }
    }

    /// A peer has gone. Whose past was on its way from nobody else is read by its log again, and can be written in.
    pub(crate) fn end_ahead(&mut self) {
        for log in self.store.previews() {
            let is_on_its_way = self.keeps(&log) && !self.store.is_preview_durable(&log);
            if is_on_its_way && self.peers_in(&log.space).is_empty() {
                self.let_go_of_newest(&log);
            }
        }
    }

    /// Reads a channel by its log from now on.
    pub(crate) fn let_go_of_newest(&mut self, log: &LogId) {
        let dropped = self.store.drop_preview(log).map_err(Error::from);
        let _ = self.excuse(dropped);
    }
}
