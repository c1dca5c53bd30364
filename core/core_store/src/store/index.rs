use super::BlockRef;
use crate::crdt::Stamp;
use crate::sync::{Batch, BatchAuthor, BatchEvent, BatchStub, ChainHead, Frontier, KeyId};
use hashbrown::HashMap;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use terachat_event::{
    DeviceId, EventHash, EventRef, Header, Kind, LogId, SignedHead, chain_start, genesis_start,
};

/// What is known of every event of one log besides its payload, by position: the order in which events were accepted,
/// which is causal. Some 50 bytes an event, all in memory.
pub(crate) struct LogIndex {
    pub(crate) log: LogId,
    pub(crate) chains: Vec<Chain>,
    by_device: HashMap<DeviceId, u32>,
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
    pub(super) hashes: Vec<EventHash>,
    pub(super) hashes_from: u32,
    pub(super) stubs: Vec<Stub>,
    /// From which number on a device's events count for nothing because it signed two with one number.
    pub(crate) frozen: BTreeMap<DeviceId, u64>,
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
    /// Positions of its events by number, from 1.
    pub(crate) events: Vec<u32>,
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
            by_device: HashMap::new(),
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
        }
    }

    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.events.len()).expect("insert keeps positions within 32 bits")
    }

    pub(crate) fn event(&self, at: u32) -> &EventMeta {
        &self.events[at as usize]
    }

    pub(crate) fn chain_of(&self, device: &DeviceId) -> Option<u32> {
        self.by_device.get(device).copied()
    }

    pub(crate) fn device(&self, chain: u32) -> &DeviceId {
        &self.chains[chain as usize].device
    }

    /// How many events of this chain are here.
    pub(crate) fn chain_len(&self, chain: u32) -> u64 {
        self.chains[chain as usize].events.len() as u64
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
        let events = &self.chains[chain as usize].events;
        events.get(usize::try_from(seq.checked_sub(1)?).ok()?).copied()
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

    /// Notes a stub and gives the parent that stands for it.
    pub(super) fn stub_parent(&mut self, stub: Stub) -> u32 {
        STUB | intern(&mut self.stubs, stub)
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

    /// Takes in a staged batch: `fresh` says which of its events are new, `hashes` are all theirs.
    pub(super) fn insert(
        &mut self,
        batch: &Batch,
        fresh: &[bool],
        hashes: &[EventHash],
        blocks: &[BlockRef],
    ) {
        let key = batch.key.map_or(0, |key| intern(&mut self.keys, key));
        let controls: Vec<u32> =
            batch.controls.iter().map(|list| intern(&mut self.controls, list.clone())).collect();
        let chains: Vec<u32> = batch.authors.iter().map(|author| self.chain_for(author)).collect();
        self.events.reserve(batch.events.len());
        let mut next: Vec<u64> = batch.authors.iter().map(|author| author.first_seq).collect();
        let (mut parents, mut place) = (batch.parents.iter(), Place::new(batch, self.chunks.len()));
        for (at, event) in batch.events.iter().enumerate() {
            let (chunk, offset) = place.next(at, event);
            let author = event.author as usize;
            let seq = next[author];
            next[author] += 1;
            let mine = parents.by_ref().take(event.parents as usize);
            if !fresh[at] {
                mine.for_each(drop);
                continue;
            }
            let position = self.len();
            for (parent, seq) in mine {
                let parent = self.parent(batch, *parent, *seq, chains[*parent as usize]);
                self.heads.remove(&parent);
                self.parents.push(parent);
            }
            let chain = &mut self.chains[chains[author] as usize];
            if let Some(predecessor) = chain.events.last() {
                self.heads.remove(predecessor);
            }
            chain.events.push(position);
            self.heads.insert(position);
            self.hashes.push(hashes[at]);
            #[allow(
                clippy::cast_possible_truncation,
                reason = "a chain holds no more events than positions exist"
            )]
            self.events.push(EventMeta {
                chain: chains[author],
                seq: seq as u32,
                lamport: event.lamport,
                wall_ms: event.wall_ms,
                control: controls.get(event.control as usize).copied().unwrap_or(0),
                key,
                parents_end: self.parents.len() as u32,
                chunk,
                offset,
                len: event.payload_len,
            });
        }
        for (author, chain) in batch.authors.iter().zip(&chains).filter(|(author, _)| author.count > 0) {
            let last = author.first_seq + u64::from(author.count) - 1;
            let chain = &mut self.chains[*chain as usize];
            if last > chain.head.seq {
                let at = *chain.events.last().expect("it has the event with that number");
                let hash = self.hashes[(at - self.hashes_from) as usize];
                chain.head = SignedHead { seq: last, hash, signature: author.signature };
            }
        }
        self.metas.push(blocks[0]);
        self.chunks.extend_from_slice(&blocks[1..]);
        self.batch_ends.push(self.len());
    }

    /// The position of a staged event's parent, or the stub that stands for it.
    fn parent(&mut self, batch: &Batch, author: u32, seq: u64, chain: u32) -> u32 {
        let held = self.position(chain, seq);
        let Some(stub) = batch.stub(author, seq) else { return held.expect("staging found every parent") };
        match held.filter(|at| self.hash(*at) == Some(stub.hash)) {
            Some(at) => at,
            None => {
                let event = EventRef { author: batch.authors[author as usize].device, seq };
                self.stub_parent(Stub { event, hash: stub.hash, lamport: stub.lamport })
            }
        }
    }

    fn chain_for(&mut self, author: &BatchAuthor) -> u32 {
        *self.by_device.entry(author.device).or_insert_with(|| {
            let head = SignedHead { seq: 0, hash: EventHash([0; 32]), signature: [0; 64] };
            self.chains.push(Chain { device: author.device, head, events: Vec::new() });
            u32::try_from(self.chains.len() - 1).expect("no more chains than events")
        })
    }

    /// The events at `positions` (ascending) as a batch; `signature` gives an author's signature on the last of its
    /// events here.
    pub(crate) fn batch(
        &self,
        positions: &[u32],
        signature: impl Fn(u32, u64) -> Option<[u8; 64]>,
    ) -> Option<Batch> {
        let first = *positions.first()?;
        let mut batch = Batch {
            log: self.log,
            key: self.key(first).copied(),
            authors: Vec::new(),
            controls: Vec::new(),
            events: Vec::with_capacity(positions.len()),
            parents: Vec::new(),
            stubs: Vec::new(),
        };
        let (mut authors, mut controls) = (HashMap::new(), HashMap::new());
        for at in positions {
            let event = self.event(*at);
            let author = batch_author(&mut batch, &mut authors, *self.device(event.chain), event.seq.into());
            let entry = &mut batch.authors[author as usize];
            if entry.count == 0 {
                entry.first_seq = event.seq.into();
            }
            entry.count += 1;
            let control = *controls.entry(event.control).or_insert_with(|| {
                if self.log.channel.is_some() {
                    batch.controls.push(self.controls[event.control as usize].clone());
                }
                u32::try_from(batch.controls.len().saturating_sub(1)).expect("no more lists than events")
            });
            // The header names parents by ascending hash; decoders sort again, so any fixed order serves.
            let parents = self.parents_of(*at).to_vec();
            for parent in &parents {
                let name = self.parent_ref(*parent);
                let author = batch_author(&mut batch, &mut authors, name.author, name.seq);
                batch.parents.push((author, name.seq));
                if self.is_frozen(&name) && batch.stub(author, name.seq).is_none() {
                    let hash = self.parent_hash(*parent, |at| self.hash(at))?;
                    let lamport =
                        self.stub(*parent).map_or_else(|| self.event(*parent).lamport, |stub| stub.lamport);
                    batch.stubs.push(BatchStub { author, seq: name.seq, hash, lamport });
                }
            }
            batch.events.push(BatchEvent {
                author,
                control,
                lamport: event.lamport,
                wall_ms: event.wall_ms,
                parents: u32::try_from(parents.len()).expect("at most 32"),
                payload_len: event.len,
            });
        }
        for author in batch.authors.iter_mut().filter(|author| author.count > 0) {
            let chain = self.chain_of(&author.device)?;
            author.signature = signature(chain, author.first_seq + u64::from(author.count) - 1)?;
        }
        Some(batch)
    }

    /// Events nobody has built on yet.
    pub(crate) fn heads(&self) -> impl Iterator<Item = u32> + '_ {
        self.heads.iter().copied()
    }

    /// The position of a chain's newest event.
    pub(crate) fn position_of_last(&self, chain: u32) -> Option<u32> {
        self.chains[chain as usize].events.last().copied()
    }

    /// Devices that have chains here.
    pub(crate) fn devices(&self) -> impl Iterator<Item = &DeviceId> {
        self.chains.iter().map(|chain| &chain.device)
    }

    /// Which stored batch the event at this position came in.
    pub(crate) fn batch_of(&self, at: u32) -> usize {
        self.batch_ends.partition_point(|end| *end <= at)
    }

    /// Builds the lookup by device anew, after the chains were read from a snapshot.
    pub(super) fn relink(&mut self) {
        self.by_device = (0..).zip(&self.chains).map(|(at, chain)| (chain.device, at)).collect();
    }

    /// Chains and the number from which on they are cut off by proofs of equivocation.
    pub(crate) fn positions_from(&self, device: &DeviceId, seq: u64) -> &[u32] {
        let Some(chain) = self.chain_of(device) else { return &[] };
        let events = &self.chains[chain as usize].events;
        &events[usize::try_from(seq.saturating_sub(1)).unwrap_or(usize::MAX).min(events.len())..]
    }
}

/// The place of `device` among the batch's authors, given one when it has none yet.
fn batch_author(batch: &mut Batch, known: &mut HashMap<DeviceId, u32>, device: DeviceId, seq: u64) -> u32 {
    *known.entry(device).or_insert_with(|| {
        batch.authors.push(BatchAuthor { device, first_seq: seq, count: 0, signature: [0; 64] });
        u32::try_from(batch.authors.len() - 1).expect("no more authors than events")
    })
}

/// Where each event's payload lies: its chunk, and the offset inside.
struct Place {
    ends: Vec<usize>,
    first: usize,
    chunk: usize,
    offset: u32,
}

impl Place {
    fn new(batch: &Batch, first: usize) -> Self {
        Self { ends: batch.chunk_ends(), first, chunk: 0, offset: 0 }
    }

    fn next(&mut self, at: usize, event: &BatchEvent) -> (u32, u32) {
        if at == self.ends[self.chunk] {
            self.chunk += 1;
            self.offset = 0;
        }
        let here = (u32::try_from(self.first + self.chunk).expect("fewer chunks than events"), self.offset);
        self.offset += event.payload_len;
        here
    }
}

/// The place of `value` in `list`, appended when it is new; new values repeat the last ones far more often than not.
fn intern<T: PartialEq>(list: &mut Vec<T>, value: T) -> u32 {
    let at = list.iter().rposition(|known| *known == value).unwrap_or_else(|| {
        list.push(value);
        list.len() - 1
    });
    u32::try_from(at).expect("no more values than events")
}

/// Void events by position, with the reason: they stand in the log and count for nothing.
pub(crate) type Void = BTreeMap<u32, &'static str>;
