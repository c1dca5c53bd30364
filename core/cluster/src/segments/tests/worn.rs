//! A disk that wears: what it does not give any more is lost, and nothing else.
use super::*;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use terachat_storage::{Operation, StorageError, StorageErrorKind};

/// What cannot be read: of a file, or of all where it is `*`.
type Gone = Option<(String, Range<u64>)>;

/// A disk some of whose sectors cannot be read any more.
#[derive(Clone)]
struct Worn {
    disk: CrashStorage,
    gone: Arc<Mutex<Gone>>,
}

impl Storage for Worn {
    fn append(&mut self, file: &str, bytes: &[u8]) -> Result<u64, StorageError> {
        self.disk.append(file, bytes)
    }

    fn read(&self, file: &str, offset: u64, len: usize) -> Result<Vec<u8>, StorageError> {
        let gone = self.gone.lock().unwrap();
        let hits = |(name, range): &(String, Range<u64>)| {
            (name == file || name == "*") && offset < range.end && offset + len as u64 > range.start
        };
        match gone.as_ref().is_some_and(hits) {
            true => Err(StorageError::new(StorageErrorKind::Io, Operation::Read, file)),
            false => self.disk.read(file, offset, len),
        }
    }

    fn sync(&mut self, file: &str) -> Result<(), StorageError> {
        self.disk.sync(file)
    }

    fn size(&self, file: &str) -> Result<Option<u64>, StorageError> {
        self.disk.size(file)
    }

    fn replace(&mut self, file: &str, bytes: &[u8]) -> Result<(), StorageError> {
        self.disk.replace(file, bytes)
    }

    fn truncate(&mut self, file: &str, len: u64) -> Result<(), StorageError> {
        self.disk.truncate(file, len)
    }

    fn remove(&mut self, file: &str) -> Result<(), StorageError> {
        self.disk.remove(file)
    }

    fn list(&self) -> Result<Vec<String>, StorageError> {
        self.disk.list()
    }
}

/// A shard on a sector that cannot be read is rotten: it is counted as that, others behind it are read, and a sound one takes its place.
/// Where the disk gives nothing at all nobody knows.
#[test]
fn a_sector_that_is_gone_costs_its_shard_and_no_other() {
    let disk = CrashStorage::new(1);
    let worn = Worn { disk: disk.clone(), gone: Arc::default() };
    let mut dice = Dice(1);
    let shards: Vec<Vec<u8>> = (1..=6).map(|stripe| shard(stripe, 0, 2000)).collect();
    let mut store = open(&worn);
    shards.iter().for_each(|bytes| put(&mut store, &[bytes], &mut dice).unwrap());
    drop(store);
    let place = disk.list().unwrap().into_iter().find_map(|file| {
        let len = disk.size(&file).unwrap().unwrap() as usize;
        let bytes = disk.read(&file, 0, len).unwrap();
        let at = bytes.windows(shards[1].len()).position(|window| window == shards[1])?;
        Some((file, at as u64 + 100..at as u64 + 101))
    });
    let mut store = open(&worn);
    *worn.gone.lock().unwrap() = place;
    let (first, last) = (StripeId([1; 16]), StripeId([6; 16]));
    // The last file was read when the store was opened.
    let len = shards[0].len() as u64;
    assert_eq!(store.verify(first, last, u64::MAX), Ok(5 * len));
    let sounds: Vec<Sound> = store.count(first, last).iter().map(|held| held.sound).collect();
    let expected = [1, 2, 3, 4, 5, 6].map(|stripe| if stripe == 2 { Sound::Rotten } else { Sound::Yes });
    assert_eq!(sounds, expected);
    let scrubbed = store.scrub(u64::MAX).unwrap();
    assert_eq!((scrubbed.rotten, scrubbed.through), (vec![(StripeId([2; 16]), 0)], true));
    put(&mut store, &[&shards[1]], &mut dice).unwrap();
    assert!(store.count(first, last).iter().all(|held| held.sound == Sound::Yes));
    assert_eq!(store.get(StripeId([2; 16]), 0), Ok(Some(shards[1].clone())));
    drop(store);

    let mut store = {
        *worn.gone.lock().unwrap() = None;
        open(&worn)
    };
    *worn.gone.lock().unwrap() = Some(("*".to_owned(), 0..u64::MAX));
    assert!(matches!(store.verify(first, last, u64::MAX), Err(crate::Error::Storage(_))));
    *worn.gone.lock().unwrap() = None;
    assert!(store.verify(first, last, u64::MAX).is_ok());
    assert!(store.count(first, last).iter().all(|held| held.sound == Sound::Yes));
}
