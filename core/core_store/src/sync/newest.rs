//! What a peer is told of a channel that it does not have from the beginning: the newest, what is older, what came since.
use super::anti_entropy::Plan;
use super::newest_page::{BUNDLES_MAX, NewestPage, OUTSIDE_MAX, PAGE_LIMITS, Want};
use super::{Bundle, ChainHead};
use crate::model::History;
use crate::store::index::LogIndex;
use crate::store::space_logs::ChannelLog;
use crate::{Error, LocalStore};
use hashbrown::HashMap;
use std::collections::{BTreeMap, BTreeSet};
use terachat_event::{DeviceId, LogId};

/// The events that a page is to hold: those of these times, ascending by position.
pub(crate) struct Span {
    pub(crate) from: u64,
    pub(crate) below: u64,
    pub(crate) positions: Vec<u32>,
}

impl LocalStore {
    /// The page of a channel that answers a wish. `None` where there is none and the channel has to be taken whole: nothing of
    /// it is here, it is read since joining only, some of the events wanted stand beside a fork, or one message alone is too
    /// long.
    ///
    /// # Errors
    /// [`Error::Store`] when the disk cannot be read; nothing changed.
    pub fn newest(&mut self, log: &LogId, want: &Want) -> Result<Option<NewestPage>, Error> {
        let is_open = log.channel.is_some() && self.history(log) == History::Shared;
        let Ok(channel) = self.channel(log) else { return Ok(None) };
        match span(channel, want).filter(|_| is_open) {
            Some(span) => self.page_of(log, &span),
            None => Ok(None),
        }
    }

    /// These events as a page.
    pub(crate) fn page_of(&mut self, log: &LogId, span: &Span) -> Result<Option<NewestPage>, Error> {
        let channel = self.channel(log)?;
        let Some(places) = older_than(&channel.index, span) else { return Ok(None) };
        if places.iter().any(|at| channel.index.hash(*at).is_none()) {
            self.recompute_hashes(log)?;
        }
        let index = &self.channel(log)?.index;
        let head = |at: &u32| {
            let name = index.event_ref(*at);
            Some(ChainHead { device: name.author, seq: name.seq, hash: index.hash(*at)? })
        };
        let missing = || Error::Corrupt("a hash is missing after it was recomputed".to_owned());
        let outside = places.iter().map(head).collect::<Option<Vec<_>>>().ok_or_else(missing)?;
        let plans = runs(index, &span.positions).into_iter().map(|run| plan(index, run)).collect::<Vec<_>>();
        let mut bundles: Vec<Bundle> = Vec::with_capacity(plans.len());
        for plan in plans {
            match self.pack(log, plan) {
                Ok(bundle) => bundles.push(bundle),
                Err(Error::NoKey(_)) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        let forked = |bundle: &Bundle| !(bundle.batch.stubs.is_empty() && bundle.batch.skeletons.is_empty());
        if bundles.iter().any(forked) {
            return Ok(None);
        }
        Ok(Some(NewestPage { log: *log, from: span.from, below: span.below, outside, bundles, wire_len: 0 }))
    }
}

/// The events that are wanted, as many as a page holds.
pub(crate) fn span(channel: &ChannelLog, want: &Want) -> Option<Span> {
    let index = &channel.index;
    let end = NewestPage::end_of_time();
    if index.len() == 0 {
        return None;
    }
    let (mut messages, below) = match want {
        Want::First { messages } => (*messages, end),
        Want::Older { messages, below } => (*messages, (*below).clamp(2, end)),
        Want::Newer { from, heads } => {
            let heads: BTreeMap<DeviceId, u64> = heads.iter().copied().collect();
            let from = (*from).clamp(1, end - 1);
            let span = Span { from, below: end, positions: positions(index, from, end, &heads)? };
            return fits(index, &span.positions).then_some(span);
        }
    };
    let timeline = &channel.state.timeline;
    let older = timeline.rank_where(|at| index.event(at).lamport < below);
    loop {
        messages = messages.max(1);
        let first = older.checked_sub(messages.into()).filter(|first| *first > 0);
        let first = first.and_then(|first| timeline.iter_from(first).next());
        let from = first.map_or(1, |at| index.event(at).lamport);
        let positions = positions(index, from, below, &BTreeMap::new())?;
        if fits(index, &positions) {
            return Some(Span { from, below, positions });
        }
        if messages == 1 {
            return None;
        }
        messages /= 2;
    }
}

fn fits(index: &LogIndex, positions: &[u32]) -> bool {
    let len = |at: &u32| index.event(*at).len as usize;
    positions.len() <= PAGE_LIMITS.events
        && positions.iter().map(len).sum::<usize>() <= PAGE_LIMITS.payload_len
        && runs(index, positions).len() <= BUNDLES_MAX
}

/// Positions of the events of these times, ascending, without those up to `heads`, as many as a page holds and one more; `None`
/// where a chain is frozen among them.
fn positions(index: &LogIndex, from: u64, below: u64, heads: &BTreeMap<DeviceId, u64>) -> Option<Vec<u32>> {
    let mut found = Vec::new();
    for (at, device) in (0..).zip(index.devices()) {
        let len = index.chain_len(at);
        // Times rise along a chain.
        let first_at = |time: u64| {
            let (mut low, mut high): (u64, u64) = (1, len + 1);
            while low < high {
                let middle = low.midpoint(high);
                let is_before = index.position(at, middle).is_some_and(|at| index.event(at).lamport < time);
                (low, high) = if is_before { (middle + 1, high) } else { (low, middle) };
            }
            low
        };
        let known = heads.get(device).map_or(0, |seq| seq.saturating_add(1));
        let (first, end) = (first_at(from).max(known), first_at(below));
        if first >= end {
            continue;
        }
        if index.frozen.contains_key(device) {
            return None;
        }
        // One too many tells as much as all of them.
        let room = (PAGE_LIMITS.events + 1).saturating_sub(found.len());
        found.extend((first..end).take(room).filter_map(|seq| index.position(at, seq)));
    }
    found.sort_unstable();
    Some(found)
}

/// Cut where another epoch begins.
fn runs<'a>(index: &LogIndex, positions: &'a [u32]) -> Vec<&'a [u32]> {
    positions.chunk_by(|a, b| index.key(*a) == index.key(*b)).collect()
}

/// Positions of older events on which these stand, in the order of their names; `None` where they are too many, or one of them
/// stands behind a fork.
fn older_than(index: &LogIndex, span: &Span) -> Option<Vec<u32>> {
    let mut older = BTreeSet::new();
    for at in &span.positions {
        let parents = index.parents_of(*at).iter().copied();
        for parent in parents.chain(index.predecessor(*at)) {
            if index.stub(parent).is_some() || index.is_frozen(&index.event_ref(parent)) {
                return None;
            }
            if index.event(parent).lamport < span.from {
                older.insert(parent);
            }
        }
    }
    let mut older: Vec<u32> = older.into_iter().collect();
    older.sort_unstable_by_key(|at| index.event_ref(*at));
    (older.len() <= OUTSIDE_MAX).then_some(older)
}

/// One bundle: chains that end here are signed, the others go on in another bundle or page.
fn plan(index: &LogIndex, positions: &[u32]) -> Plan {
    let mut signatures = HashMap::new();
    for at in positions {
        let event = index.event(*at);
        let head = index.head(index.device(event.chain)).filter(|head| head.seq == u64::from(event.seq));
        let signature = head.map_or([0; 64], |head| head.signature);
        signatures.insert((event.chain, event.seq.into()), signature);
    }
    let payload_len = positions.iter().map(|at| index.event(*at).len as usize).sum();
    Plan { positions: positions.to_vec(), payload_len, signatures }
}
