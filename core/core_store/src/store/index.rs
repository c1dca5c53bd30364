mod insert;
mod pack;
mod relocate;

use super::BlockRef;
use crate::crdt::Stamp;
use crate::sync::{ChainHead, Frontier, HeadSum, KeyId};
use hashbrown::HashMap;
use std::cell::OnceCell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use terachat_event::{
    DeviceId, EventHash, EventRef, Header, Kind, LogId, SignedHead, chain_start, genesis_start,
};

pub(super) use relocate::{Moved, Places};

/// What is known of every event of one log besides its payload, by position: the order in which events were accepted,
/// which is causal. Some 50 bytes an event, all in memory.
pub(crate) struct LogIndex {
    pub(crate) log: LogId,
    pub(crate) chains: Vec<Chain>,
    /// Chains by device, built when it is first asked for.
    by_device: OnceCell<HashMap<DeviceId, u32>>,
    /// Positions that chains name as theirs, as they were when the log was opened.
    threaded: Vec<u32>,
    pub(crate) events: Vec<EventMeta>,
    /// Positions of parents other than the predecessor, of all events in turn.
    pub(super) parents: Vec<u32>,
    pub(super) controls: Vec<Vec<EventHash>>,
    pub(super) keys: Vec<KeyId>,
    /// Where payload chunks are on disk.
    pub(crate) chunks: Vec<BlockRef>,
    /// Positions where a stored batch ends: there, and only there, the newest event of every chain is signed.
    pub(super) batch_ends: Vec<u32>,
    /// Where each stored batch's description is on disk.
    pub(crate) metas: Vec<BlockRef>,
    pub(super) heads: BTreeSet<u32>,
    /// Hashes of the events from `hashes_from` on; earlier ones are recomputed when somebody needs them.
    pub(crate) hashes: Vec<EventHash>,
    pub(super) hashes_from: u32,
    pub(super) stubs: Vec<Stub>,
    /// From which number on a device's events count for nothing because it signed two with one number.
    pub(crate) frozen: BTreeMap<DeviceId, u64>,
    /// Of the frontier's heads, from when it was first asked for; nothing after a change that is no event's.
    pub(super) head_sum: OnceCell<HeadSum>,
}

/// A parent that is no position but a stub: this bit and the stub's number.
const STUB: u32 = 1 << 31;

/// A parent of which only hash and time are known: it stands on the other branch of a chain that forked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stub {
    pub(super) event: EventRef,
    pub(super) hash: EventHash,
    pub(super) lamport: u64,
}

/// One device's chain.
pub(crate) struct Chain {
    pub(super) device: DeviceId,
    pub(super) head: SignedHead,
    /// Of its events.
    pub(super) events: Positions,
}

/// Where a chain's events are: a part of the list that all chains share since the log was opened, until the chain grows
/// and has a list of its own.
#[derive(Default)]
pub(super) struct Positions {
    shared: Range<u32>,
    own: Vec<u32>,
}

/// One event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventMeta {
    pub(crate) chain: u32,
    pub(crate) seq: u32,
    pub(crate) lamport: u64,
    pub(crate) wall_ms: u64,
    pub(crate) control: u32,
    pub(crate) key: u32,
    /// Where this event's parents end in the index's list.
    pub(crate) parents_end: u32,
    pub(crate) chunk: u32,
    pub(crate) offset: u32,
    pub(crate) len: u32,
}

impl LogIndex {
    pub(crate) fn new(log: LogId) -> Self {
        Self {
            log,
            chains: Vec::new(),
            by_device: OnceCell::new(),
            threaded: Vec::new(),
            events: Vec::new(),
            parents: Vec::new(),
            controls: Vec::new(),
            keys: Vec::new(),
            chunks: Vec::new(),
            batch_ends: Vec::new(),
            metas: Vec::new(),
            heads: BTreeSet::new(),
            hashes: Vec::new(),
            hashes_from: 0,
            stubs: Vec::new(),
            frozen: BTreeMap::new(),
            head_sum: OnceCell::new(),
        }
    }

    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.events.len()).expect("insert keeps positions within 32 bits")
    }

    pub(crate) fn event(&self, at: u32) -> &EventMeta {
        &self.events[at as usize]
    }

    pub(crate) fn chain_of(&self, device: &DeviceId) -> Option<u32> {
        let chains = (0..).zip(&self.chains);
        self.by_device
            .get_or_init(|| chains.map(|(at, chain)| (chain.device, at)).collect())
            .get(device)
            .copied()
    }

    pub(crate) fn device(&self, chain: u32) -> &DeviceId {
        &self.chains[chain as usize].device
    }

    /// How many events of this chain are here.
    pub(crate) fn chain_len(&self, chain: u32) -> u64 {
        self.chain_events(chain).len() as u64
    }

    pub(crate) fn head(&self, device: &DeviceId) -> Option<&SignedHead> {
        self.chain_of(device).map(|chain| &self.chains[chain as usize].head)
    }

    pub(crate) fn event_ref(&self, at: u32) -> EventRef {
        let event = self.event(at);
        EventRef { author: *self.device(event.chain), seq: event.seq.into() }
    }

    pub(crate) fn stamp(&self, at: u32) -> Stamp {
        let event = self.event(at);
        Stamp { lamport: event.lamport, author: *self.device(event.chain), seq: event.seq.into() }
    }

    pub(crate) fn order(&self, a: u32, b: u32) -> Ordering {
        let (x, y) = (self.event(a), self.event(b));
        x.lamport.cmp(&y.lamport).then_with(|| self.stamp(a).cmp(&self.stamp(b)))
    }

    pub(crate) fn find(&self, event: &EventRef) -> Option<u32> {
        self.position(self.chain_of(&event.author)?, event.seq)
    }

    pub(super) fn position(&self, chain: u32, seq: u64) -> Option<u32> {
        self.chain_events(chain).get(usize::try_from(seq.checked_sub(1)?).ok()?).copied()
    }

    /// The hash of the event at this position, unless it has to be recomputed first.
    pub(crate) fn hash(&self, at: u32) -> Option<EventHash> {
        if let Some(at) = at.checked_sub(self.hashes_from) {
            return self.hashes.get(at as usize).copied();
        }
        let event = self.event(at);
        let head = &self.chains[event.chain as usize].head;
        (head.seq == u64::from(event.seq)).then_some(head.hash)
    }

    /// h_0 of a chain in this log.
    pub(crate) fn start(&self, device: &DeviceId, genesis: bool) -> EventHash {
        if genesis { genesis_start(device) } else { chain_start(&self.log, device) }
    }

    pub(crate) fn parents_of(&self, at: u32) -> &[u32] {
        let from = at.checked_sub(1).map_or(0, |before| self.event(before).parents_end);
        &self.parents[from as usize..self.event(at).parents_end as usize]
    }

    /// The name of a parent as [`LogIndex::parents_of`] gives it.
    pub(crate) fn parent_ref(&self, parent: u32) -> EventRef {
        self.stub(parent).map_or_else(|| self.event_ref(parent), |stub| stub.event)
    }

    /// The hash of a parent as [`LogIndex::parents_of`] gives it.
    pub(crate) fn parent_hash(
        &self,
        parent: u32,
        hash_of: impl Fn(u32) -> Option<EventHash>,
    ) -> Option<EventHash> {
        self.stub(parent).map_or_else(|| hash_of(parent), |stub| Some(stub.hash))
    }

    pub(super) fn stub(&self, parent: u32) -> Option<&Stub> {
        (parent & STUB != 0).then(|| &self.stubs[(parent & !STUB) as usize])
    }

    /// The parent that stands for the stub with this number.
    pub(super) fn nth_stub(number: u32) -> u32 {
        STUB | number
    }

    /// Whether the event counts for nothing because its author signed another one with a number up to its own.
    pub(crate) fn is_frozen(&self, event: &EventRef) -> bool {
        !self.frozen.is_empty() && self.frozen.get(&event.author).is_some_and(|from| event.seq >= *from)
    }

    /// The event before this one in its author's chain.
    pub(crate) fn predecessor(&self, at: u32) -> Option<u32> {
        let event = self.event(at);
        self.position(event.chain, u64::from(event.seq) - 1)
    }

    pub(crate) fn control_heads(&self, at: u32) -> &[EventHash] {
        self.controls.get(self.event(at).control as usize).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn key(&self, at: u32) -> Option<&KeyId> {
        self.log.channel.and(self.keys.get(self.event(at).key as usize))
    }

    /// Whether events here are sealed under the epoch that this control event made.
    pub(crate) fn knows_epoch(&self, commit: &EventHash) -> bool {
        self.keys.iter().any(|key| key.commit == *commit)
    }

    /// The canonical header of the event at this position; `None` when a parent's hash has to be recomputed first.
    pub(crate) fn header(
        &self,
        at: u32,
        hash_of: impl Fn(u32) -> Option<EventHash>,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let event = self.event(at);
        let mut parents = self
            .parents_of(at)
            .iter()
            .map(|at| self.parent_hash(*at, &hash_of))
            .collect::<Option<Vec<_>>>()?;
        parents.sort_unstable();
        let header = Header {
            kind: if self.log.channel.is_some() { Kind::Sealed } else { Kind::Control },
            seq: event.seq.into(),
            lamport: event.lamport,
            wall_ms: event.wall_ms,
            epoch: self.key(at).map(|key| key.epoch),
            parents: &parents,
            control: self.control_heads(at),
        };
        out.clear();
        header.write(out);
        Some(())
    }

    /// h_0 of the chain whose first event is at this position.
    pub(crate) fn start_of(&self, at: u32) -> EventHash {
        let founds = self.log.channel.is_none() && self.parents_of(at).is_empty();
        self.start(self.device(self.event(at).chain), founds)
    }

    /// All chains as far as they count: of a chain that forked, what is before the fork.
    pub(crate) fn frontier(&self) -> Frontier {
        let mut chains: Vec<ChainHead> =
            (0..).zip(&self.chains).filter_map(|(at, chain)| self.standing(at, chain)).collect();
        chains.sort_unstable_by_key(|chain| chain.device);
        Frontier { log: self.log, chains }
    }

    /// The root of [`LogIndex::frontier`].
    pub(crate) fn frontier_root(&self) -> [u8; 32] {
        let sum = self.head_sum.get_or_init(|| {
            let mut sum = HeadSum::default();
            let heads = (0..).zip(&self.chains).filter_map(|(at, chain)| self.standing(at, chain));
            heads.for_each(|head| sum.add(&head));
            sum
        });
        sum.root()
    }

    /// A chain was frozen: which heads stand in the frontier is to be found anew.
    pub(crate) fn forget_head_sum(&mut self) {
        self.head_sum.take();
    }

    fn standing(&self, at: u32, chain: &Chain) -> Option<ChainHead> {
        let Chain { device, head, .. } = chain;
        match self.frozen.get(device) {
            Some(from) if *from <= head.seq => {
                let last = self.position(at, from.checked_sub(1).filter(|seq| *seq > 0)?)?;
                // Freezing recomputed the hashes, so it is there.
                let hash = self.hash(last).unwrap_or(EventHash([0; 32]));
                Some(ChainHead { device: *device, seq: *from - 1, hash })
            }
            _ => (head.seq > 0).then_some(ChainHead { device: *device, seq: head.seq, hash: head.hash }),
        }
    }

    /// What [`LogIndex::frontier`] says of one device.
    pub(crate) fn standing_of(&self, device: &DeviceId) -> Option<ChainHead> {
        let at = self.chain_of(device)?;
        self.standing(at, &self.chains[at as usize])
    }

    /// Events nobody has built on yet.
    pub(crate) fn heads(&self) -> impl Iterator<Item = u32> + '_ {
        self.heads.iter().copied()
    }

    /// The position of a chain's newest event.
    pub(crate) fn position_of_last(&self, chain: u32) -> Option<u32> {
        self.chain_events(chain).last().copied()
    }

    /// The largest Lamport time here; 0 without events.
    pub(crate) fn latest(&self) -> u64 {
        let chains = 0..u32::try_from(self.chains.len()).unwrap_or(u32::MAX);
        let last = chains.filter_map(|chain| self.position_of_last(chain));
        last.map(|at| self.event(at).lamport).max().unwrap_or(0)
    }

    /// Devices that have chains here.
    pub(crate) fn devices(&self) -> impl Iterator<Item = &DeviceId> {
        self.chains.iter().map(|chain| &chain.device)
    }

    /// Which stored batch the event at this position came in.
    pub(crate) fn batch_of(&self, at: u32) -> usize {
        self.batch_ends.partition_point(|end| *end <= at)
    }

    /// Positions of the events that a stored batch brought.
    pub(super) fn positions_of(&self, batch: usize) -> Range<u32> {
        let from = batch.checked_sub(1).map_or(0, |before| self.batch_ends[before]);
        from..self.batch_ends[batch]
    }

    /// Positions of a chain's events by number, from 1.
    pub(crate) fn chain_events(&self, chain: u32) -> &[u32] {
        self.chains[chain as usize].events.list(&self.threaded)
    }

    /// Chains and the number from which on they are cut off by proofs of equivocation.
    pub(crate) fn positions_from(&self, device: &DeviceId, seq: u64) -> &[u32] {
        let Some(chain) = self.chain_of(device) else { return &[] };
        let events = self.chain_events(chain);
        &events[usize::try_from(seq.saturating_sub(1)).unwrap_or(usize::MAX).min(events.len())..]
    }
}

impl Positions {
    fn list<'a>(&'a self, threaded: &'a [u32]) -> &'a [u32] {
        if self.own.is_empty() {
            &threaded[self.shared.start as usize..self.shared.end as usize]
        } else {
            &self.own
        }
    }
}

/// Void events by position, with the reason: they stand in the log and count for nothing.
pub(crate) type Void = BTreeMap<u32, &'static str>;
