use super::bucket;
use super::root::RootId;
use crate::{Client, Error};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use terachat_core_store::sync::Batch;
use terachat_event::{DeviceId, EventHash, LogId};
use terachat_vault::SecretBytes;

/// Records of what is known of boards: `docs/format/profile.md`.
const BOOKS: &[u8] = b"board/";
const ID_LEN: usize = 16;
/// Parcels of one stream that are remembered to wait. Of more the oldest is given up.
const WAITING_MAX: usize = 64;

/// What one book is about: the records of one log on one board in one bucket. The ticket's id where they are for whoever
/// holds a ticket, zeros where they are for an epoch's members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shelf {
    pub(crate) board: [u8; ID_LEN],
    pub(crate) bucket: u64,
    pub(crate) log: LogId,
    pub(crate) ticket: RootId,
}

impl Shelf {
    fn name(&self) -> Vec<u8> {
        let channel = self.log.channel.map_or([0; 32], |channel| channel.0);
        let bucket = self.bucket.to_be_bytes();
        [BOOKS, &self.board, &bucket, &self.log.space.0, &channel, &self.ticket].concat()
    }
}

/// What this device knows of a shelf: what stands there, and how far it has read. Written after the events are durable, and
/// after the records are: a crash makes this device read something twice, and lose nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Book {
    /// Epochs under which there stands what the next two count.
    pub(super) under: BTreeSet<EventHash>,
    /// Up to which number each chain stands there without a gap.
    pub(super) chains: BTreeMap<DeviceId, u64>,
    /// What stands there besides events, by its hash: commits, trees, proofs.
    pub(super) things: BTreeSet<[u8; 16]>,
    /// How far each stream has been read.
    pub(super) streams: BTreeMap<(RootId, DeviceId), Reading>,
}

/// How far a stream has been read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reading {
    /// The first record that was not.
    pub(super) next: u64,
    /// First records of earlier parcels that wait for something, or are not whole.
    pub(super) waiting: Vec<u64>,
}

impl Reading {
    /// Remembers a parcel to be read again.
    pub(super) fn wait(&mut self, number: u64) {
        if !self.waiting.contains(&number) {
            self.waiting.push(number);
            let more = self.waiting.len().saturating_sub(WAITING_MAX);
            self.waiting.drain(..more);
        }
    }
}

impl Book {
    /// The events of a batch stand on the shelf. Counts what follows without a gap on what stood there before.
    pub(super) fn note(&mut self, batch: &Batch) {
        for author in batch.authors.iter().filter(|author| author.count > 0) {
            let known = self.chains.entry(author.device).or_insert(0);
            let last = author.first_seq.saturating_add(u64::from(author.count) - 1);
            if author.first_seq <= known.saturating_add(1) {
                *known = last.max(*known);
            }
        }
    }

    /// Forgets what stands there: it has to be published again.
    pub(super) fn forget(&mut self) {
        self.under.clear();
        self.chains.clear();
        self.things.clear();
    }
}

/// The name of a thing in [`Book::things`].
pub(super) fn thing(bytes: &[u8]) -> [u8; 16] {
    *blake3::hash(bytes).as_bytes().first_chunk().expect("a hash is longer")
}

impl Client {
    pub(super) fn book(&self, shelf: &Shelf) -> Book {
        let known = self.store.record(&shelf.name());
        // What this version cannot read it reads from the board again.
        known.and_then(|bytes| postcard::from_bytes(bytes).ok()).unwrap_or_default()
    }

    pub(super) fn keep_book(&mut self, shelf: &Shelf, book: &Book) -> Result<(), Error> {
        let bytes = postcard::to_allocvec(book).expect("plain values encode into a growing buffer");
        Ok(self.store.write_records(vec![(shelf.name(), Some(SecretBytes::take(bytes)))])?)
    }

    /// Drops all books about a log: nothing of it is here any more, so it is read from the beginning again.
    pub(crate) fn forget_books(&mut self, log: &LogId) -> Result<(), Error> {
        let channel = log.channel.map_or([0; 32], |channel| channel.0);
        let ids = [log.space.0, channel].concat();
        let at = BOOKS.len() + ID_LEN + size_of::<u64>();
        let of_log = |name: &[u8]| name.get(at..).is_some_and(|rest| rest.starts_with(&ids));
        let names = self.store.records(BOOKS).map(|(name, _)| name).filter(|name| of_log(name));
        let writes: Vec<_> = names.map(|name| (name.to_vec(), None)).collect();
        Ok(self.store.write_records(writes)?)
    }

    /// Drops the books of buckets whose records have expired, of all boards.
    pub(super) fn drop_old_books(&mut self) -> Result<(), Error> {
        let oldest = bucket(self.now_ms).saturating_sub(1);
        let at = BOOKS.len() + ID_LEN;
        let is_old = |name: &[u8]| {
            let bucket = name.get(at..).and_then(|rest| rest.first_chunk()).copied();
            bucket.is_some_and(|bucket| u64::from_be_bytes(bucket) < oldest)
        };
        let names = self.store.records(BOOKS).map(|(name, _)| name).filter(|name| is_old(name));
        let old: Vec<_> = names.map(|name| (name.to_vec(), None)).collect();
        Ok(self.store.write_records(old)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use terachat_core_store::sync::BatchAuthor;
    use terachat_event::SpaceId;

    fn batch(first_seq: u64, count: u32) -> Batch {
        let author = BatchAuthor { device: DeviceId([1; 32]), first_seq, count, signature: [0; 64] };
        Batch {
            log: LogId::control(SpaceId([1; 32])),
            key: None,
            authors: vec![author],
            controls: vec![],
            chunk_len: terachat_core_store::sync::ChunkLen::Short,
            events: vec![],
            parents: vec![],
            stubs: vec![],
            skeletons: vec![],
        }
    }

    #[test]
    fn a_chain_counts_as_far_as_it_has_no_gap() {
        let mut book = Book::default();
        let mut case = |first, count, expected| {
            book.note(&batch(first, count));
            assert_eq!(book.chains[&DeviceId([1; 32])], expected, "{first} + {count}");
        };
        case(4, 2, 0);
        case(1, 3, 3);
        case(2, 1, 3);
        case(3, 4, 6);
        case(u64::MAX, 1, 6);
    }

    #[test]
    fn of_too_many_that_wait_the_oldest_is_given_up() {
        let mut reading = Reading::default();
        (0..=WAITING_MAX as u64).chain([9]).for_each(|number| reading.wait(number));
        assert_eq!(reading.waiting, (1..=WAITING_MAX as u64).collect::<Vec<_>>());
    }
}
