mod events;
mod insert;
mod pack;
mod relocate;
mod runs;

use super::BlockRef;
use crate::blocks::Lazy;
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

pub(super) use events::{BLOCK_BITS, BLOCK_BITS_MAX, Bounds, EventBlock};
pub(super) use relocate::{Moved, Places};
pub(super) use runs::Runs;

/// What is known of every event of one log besides its payload, by position: the order in which events were accepted,
/// which is causal. Some 50 bytes an event; of what the log was opened with, in memory once it was asked for.
pub(crate) struct LogIndex {
    pub(crate) log: LogId,
    pub(crate) chains: Vec<Chain>,
    /// Chains by device, built when it is first asked for.
    by_device: OnceCell<HashMap<DeviceId, u32>>,
    /// The events that the log was opened with, how many they are, and how many in a block, as a power of two.
    pub(super) stored: Vec<Lazy<EventBlock>>,
    pub(super) stored_len: u32,
    pub(super) block_bits: u32,
    /// Where among these each chain's are.
    pub(super) runs: Lazy<Runs>,
    /// Those that came since.
    events: Vec<EventMeta>,
    /// Positions of parents other than the predecessor, of the events that came since in turn.
    parents: Vec<u32>,
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
pub(crate) struct Stub {
    pub(super) event: EventRef,
    pub(super) hash: EventHash,
    pub(super) lamport: u64,
}

/// One device's chain.
pub(crate) struct Chain {
    pub(super) device: DeviceId,
    pub(super) head: SignedHead,
    /// How many of its events the log was opened with.
    pub(super) stored: u32,
    /// Positions of those that came since.
    pub(super) fresh: Vec<u32>,
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
    /// Where this event's parents end in the list that it is beside.
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
            stored: Vec::new(),
            stored_len: 0,
            block_bits: BLOCK_BITS,
            runs: Lazy::default(),
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
        let fresh = u32::try_from(self.events.len()).ok();
        let len = fresh.and_then(|fresh| fresh.checked_add(self.stored_len));
        len.expect("insert keeps positions within 32 bits")
    }

    #[inline]
    pub(crate) fn event(&self, at: u32) -> &EventMeta {
        match at.checked_sub(self.stored_len) {
            Some(fresh) => &self.events[fresh as usize],
            None => self.block(at >> self.block_bits).event(self.place(at)),
        }
    }

    fn event_mut(&mut self, at: u32) -> &mut EventMeta {
        match at.checked_sub(self.stored_len) {
            Some(fresh) => &mut self.events[fresh as usize],
            None => {
                let place = self.place(at);
                self.stored[(at >> self.block_bits) as usize].get_mut().event_mut(place)
            }
        }
    }

    fn block(&self, block: u32) -> &EventBlock {
        self.stored[block as usize].get()
    }

    /// Of a stored event in its block.
    fn place(&self, at: u32) -> u32 {
        at & ((1 << self.block_bits) - 1)
    }

    /// Where the chunk with the payload of the event at this position is on disk.
    pub(crate) fn chunk_of(&self, at: u32) -> BlockRef {
        self.chunks[self.event(at).chunk as usize]
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
        let chain = &self.chains[chain as usize];
        u64::from(chain.stored) + chain.fresh.len() as u64
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

    pub(crate) fn position(&self, chain: u32, seq: u64) -> Option<u32> {
        let Chain { stored, fresh, .. } = &self.chains[chain as usize];
        match seq.checked_sub(1)?.checked_sub(u64::from(*stored)) {
            Some(at) => fresh.get(usize::try_from(at).ok()?).copied(),
            None => Some(self.stored_position(chain, u32::try_from(seq).ok()?)),
        }
    }

    /// The position of an event of a chain that the log was opened with.
    fn stored_position(&self, chain: u32, seq: u32) -> u32 {
        let runs = self.runs.get().of(chain);
        let run = runs.get(runs.partition_point(|run| run.last < seq));
        // Nothing but a bug leaves one out; the store knows of it and writes nothing any more.
        let block = run.map_or(0, |run| run.block);
        let (first, places) = self.block(block).of_chain(chain);
        let place = seq.checked_sub(first).and_then(|at| places.get(at as usize));
        (block << self.block_bits) + place.map_or(0, |place| u32::from(*place))
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
        match at.checked_sub(self.stored_len) {
            Some(at) => {
                let at = at as usize;
                let from = at.checked_sub(1).map_or(0, |before| self.events[before].parents_end);
                &self.parents[from as usize..self.events[at].parents_end as usize]
            }
            None => self.block(at >> self.block_bits).parents_of(self.place(at)),
        }
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

    pub(crate) fn stub(&self, parent: u32) -> Option<&Stub> {
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
        self.position(chain, self.chain_len(chain))
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

    /// Positions of a device's events from this number on.
    pub(crate) fn positions_from(&self, device: &DeviceId, seq: u64) -> Vec<u32> {
        let Some(chain) = self.chain_of(device) else { return Vec::new() };
        let Chain { stored, fresh, .. } = &self.chains[chain as usize];
        let mut all = Vec::new();
        if seq <= u64::from(*stored) {
            let seq = u32::try_from(seq).expect("it is no larger than one that has 32 bits");
            let runs = self.runs.get().of(chain);
            for run in &runs[runs.partition_point(|run| run.last < seq)..] {
                let (first, places) = self.block(run.block).of_chain(chain);
                let skip = (seq.saturating_sub(first) as usize).min(places.len());
                all.extend(
                    places[skip..].iter().map(|place| (run.block << self.block_bits) + u32::from(*place)),
                );
            }
        }
        let skip = seq.saturating_sub(1).saturating_sub(u64::from(*stored));
        let skip = usize::try_from(skip).unwrap_or(usize::MAX).min(fresh.len());
        all.extend_from_slice(&fresh[skip..]);
        all
    }
}

/// Void events by position, with the reason: they stand in the log and count for nothing.
pub(crate) type Void = BTreeMap<u32, &'static str>;
