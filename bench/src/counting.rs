//! A storage that counts what is asked of the one beneath it.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use terachat_core_store::store::{Storage, StorageError};

/// What has been asked so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    syncs: AtomicU64,
    appended: AtomicU64,
}

impl Counts {
    /// Calls that make something durable: `sync` and `replace`.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// Bytes appended.
    pub(crate) fn appended(&self) -> u64 {
        self.appended.load(Ordering::Relaxed)
    }
}

/// Files beneath, counted.
pub(crate) struct Counting<S> {
    beneath: S,
    counts: Arc<Counts>,
}

impl<S> Counting<S> {
    /// Over `beneath`.
    pub(crate) fn over(beneath: S) -> (Self, Arc<Counts>) {
        let counts = Arc::new(Counts::default());
        (Self { beneath, counts: Arc::clone(&counts) }, counts)
    }
}

impl<S: Storage> Storage for Counting<S> {
    fn append(&mut self, file: &str, bytes: &[u8]) -> Result<u64, StorageError> {
        self.counts.appended.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.beneath.append(file, bytes)
    }

    fn read(&self, file: &str, offset: u64, len: usize) -> Result<Vec<u8>, StorageError> {
        self.beneath.read(file, offset, len)
    }

    fn size(&self, file: &str) -> Result<Option<u64>, StorageError> {
        self.beneath.size(file)
    }

    fn sync(&mut self, file: &str) -> Result<(), StorageError> {
        self.counts.syncs.fetch_add(1, Ordering::Relaxed);
        self.beneath.sync(file)
    }

    fn truncate(&mut self, file: &str, len: u64) -> Result<(), StorageError> {
        self.beneath.truncate(file, len)
    }

    fn replace(&mut self, file: &str, bytes: &[u8]) -> Result<(), StorageError> {
        self.counts.syncs.fetch_add(1, Ordering::Relaxed);
        self.beneath.replace(file, bytes)
    }

    fn remove(&mut self, file: &str) -> Result<(), StorageError> {
        self.beneath.remove(file)
    }

    fn list(&self) -> Result<Vec<String>, StorageError> {
        self.beneath.list()
    }
}
