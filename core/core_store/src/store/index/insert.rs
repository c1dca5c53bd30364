//! How events come into the index.
use super::{Chain, EventMeta, LogIndex, Stub};
use crate::store::BlockRef;
use crate::sync::{Batch, BatchAuthor, BatchEvent, ChainHead, HeadSum};
use std::collections::BTreeSet;
use terachat_event::{EventHash, EventRef, SignedHead};

impl LogIndex {
    /// Takes in a staged batch: `fresh` says which of its events are new, `hashes` are all theirs.
    pub(in crate::store) fn insert(
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
        let sum = self.begin_head_sum(&chains);
        self.events.reserve(batch.events.len());
        self.hashes.reserve(batch.events.len());
        self.parents.reserve(batch.parents.len());
        for (author, chain) in batch.authors.iter().zip(&chains) {
            self.chains[*chain as usize].fresh.reserve(author.count as usize);
        }
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
            // What is behind a fork counts for nothing, and so hides nothing that it builds on.
            let counts = !self.is_frozen(&EventRef { author: batch.authors[author].device, seq });
            for (parent, seq) in mine {
                let parent = self.parent(batch, *parent, *seq, chains[*parent as usize]);
                if counts {
                    self.heads.remove(&parent);
                }
                self.parents.push(parent);
            }
            if counts {
                if let Some(predecessor) = self.position_of_last(chains[author]) {
                    self.heads.remove(&predecessor);
                }
                self.heads.insert(position);
            }
            self.chains[chains[author] as usize].fresh.push(position);
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
            let at = self.position_of_last(*chain);
            let chain = &mut self.chains[*chain as usize];
            if last > chain.head.seq {
                let at = at.expect("it has the event with that number");
                let hash = self.hashes[(at - self.hashes_from) as usize];
                chain.head = SignedHead { seq: last, hash, signature: author.signature };
            }
        }
        self.end_head_sum(sum, &chains);
        self.metas.push(blocks[0]);
        self.chunks.extend_from_slice(&blocks[1..]);
        self.batch_ends.push(self.len());
    }

    /// The sum without the heads of these chains, if it is worth keeping: where a batch touches many of them it is found anew
    /// when it is asked for.
    fn begin_head_sum(&mut self, chains: &[u32]) -> Option<HeadSum> {
        let mut sum = self.head_sum.take().filter(|_| chains.len() * 4 <= self.chains.len() + 16)?;
        self.standings(chains).for_each(|head| sum.subtract(&head));
        Some(sum)
    }

    fn end_head_sum(&mut self, sum: Option<HeadSum>, chains: &[u32]) {
        let Some(mut sum) = sum else { return };
        self.standings(chains).for_each(|head| sum.add(&head));
        self.head_sum = sum.into();
    }

    /// What the frontier says of these chains; of one that has no events yet, nothing.
    fn standings<'a>(&'a self, chains: &'a [u32]) -> impl Iterator<Item = ChainHead> + 'a {
        chains.iter().filter_map(|at| self.standing(*at, &self.chains[*at as usize]))
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

    /// Notes a stub and gives the parent that stands for it.
    fn stub_parent(&mut self, stub: Stub) -> u32 {
        Self::nth_stub(intern(&mut self.stubs, stub))
    }

    fn chain_for(&mut self, author: &BatchAuthor) -> u32 {
        if let Some(known) = self.chain_of(&author.device) {
            return known;
        }
        let at = u32::try_from(self.chains.len()).expect("no more chains than events");
        let head = SignedHead { seq: 0, hash: EventHash([0; 32]), signature: [0; 64] };
        self.chains.push(Chain { device: author.device, head, stored: 0, fresh: Vec::new() });
        self.by_device.get_mut().expect("it was just asked").insert(author.device, at);
        at
    }

    /// Finds the heads anew after a chain was frozen: what is behind its fork is none, and what only that built on is one
    /// again.
    pub(crate) fn refresh_heads(&mut self) {
        let counting = (0..self.len()).filter(|at| !self.is_frozen(&self.event_ref(*at)));
        let counting: Vec<u32> = counting.collect();
        let mut heads: BTreeSet<u32> = counting.iter().copied().collect();
        for at in counting {
            self.predecessor(at).iter().chain(self.parents_of(at)).for_each(|before| {
                heads.remove(before);
            });
        }
        self.heads = heads;
    }
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
