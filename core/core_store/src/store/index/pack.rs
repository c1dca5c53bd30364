//! How events leave the index: as a batch for a bundle.
use super::LogIndex;
use crate::sync::{Batch, BatchAuthor, BatchEvent, BatchStub, ChunkLen};
use hashbrown::HashMap;
use terachat_event::{DeviceId, EventHash};

impl LogIndex {
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
            chunk_len: ChunkLen::Short,
            events: Vec::with_capacity(positions.len()),
            parents: Vec::new(),
            stubs: Vec::new(),
            skeletons: Vec::new(),
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
                let mut author = batch_author(&mut batch, &mut authors, name.author, name.seq);
                if self.is_frozen(&name) {
                    let hash = self.parent_hash(*parent, |at| self.hash(at))?;
                    let lamport =
                        self.stub(*parent).map_or_else(|| self.event(*parent).lamport, |stub| stub.lamport);
                    author = batch_stub(&mut batch, author, name.seq, hash, lamport);
                }
                batch.parents.push((author, name.seq));
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
        batch.chunk_len = ChunkLen::for_history(batch.payload_len());
        for author in batch.authors.iter_mut().filter(|author| author.count > 0) {
            let chain = self.chain_of(&author.device)?;
            author.signature = signature(chain, author.first_seq + u64::from(author.count) - 1)?;
        }
        Some(batch)
    }
}

/// The place of `device` among the batch's authors, given one when it has none yet.
fn batch_author(batch: &mut Batch, known: &mut HashMap<DeviceId, u32>, device: DeviceId, seq: u64) -> u32 {
    *known.entry(device).or_insert_with(|| {
        batch.authors.push(BatchAuthor { device, first_seq: seq, count: 0, signature: [0; 64] });
        u32::try_from(batch.authors.len() - 1).expect("no more authors than events")
    })
}

/// The author by which a stub is named, noted if it is new: two branches of one chain are told apart as two authors.
fn batch_stub(batch: &mut Batch, author: u32, seq: u64, hash: EventHash, lamport: u64) -> u32 {
    let device = batch.authors[author as usize].device;
    let same = |stub: &&BatchStub| {
        (stub.seq, stub.hash) == (seq, hash) && batch.authors[stub.author as usize].device == device
    };
    if let Some(stub) = batch.stubs.iter().find(same) {
        return stub.author;
    }
    let author = match batch.stub(author, seq) {
        None => author,
        Some(_) => {
            batch.authors.push(BatchAuthor { device, first_seq: seq, count: 0, signature: [0; 64] });
            u32::try_from(batch.authors.len() - 1).expect("no more authors than events")
        }
    };
    batch.stubs.push(BatchStub { author, seq, hash, lamport });
    author
}
