//! The disk of a profile while somebody waits for a long work on it: how much was read and written so far.
use indicatif::ProgressBar;
use std::sync::atomic::{AtomicU64, Ordering};
use terachat_core_store::store::{Storage, StorageError};
use terachat_host::Disk;

/// Bytes from which on they are shown. What takes a moment shows nothing, and a passphrase is asked for long before.
const SHOWN_FROM: u64 = 8 << 20;

/// Passes on, and counts.
pub(crate) struct ShownDisk {
    disk: Disk,
    bytes: AtomicU64,
    bar: ProgressBar,
}

impl ShownDisk {
    pub(crate) fn new(disk: Disk, bar: ProgressBar) -> Self {
        Self { disk, bytes: AtomicU64::new(0), bar }
    }

    fn count(&self, len: usize) {
        let bytes = self.bytes.fetch_add(len as u64, Ordering::Relaxed) + len as u64;
        if bytes >= SHOWN_FROM {
            self.bar.set_position(bytes);
        }
    }
}

/// Nothing is shown beside what is said of the outcome.
impl Drop for ShownDisk {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl Storage for ShownDisk {
    fn append(&mut self, file: &str, bytes: &[u8]) -> Result<u64, StorageError> {
        self.count(bytes.len());
        self.disk.append(file, bytes)
    }

    fn read(&self, file: &str, offset: u64, len: usize) -> Result<Vec<u8>, StorageError> {
        self.count(len);
        self.disk.read(file, offset, len)
    }

    fn size(&self, file: &str) -> Result<Option<u64>, StorageError> {
        self.disk.size(file)
    }

    fn sync(&mut self, file: &str) -> Result<(), StorageError> {
        self.disk.sync(file)
    }

    fn truncate(&mut self, file: &str, len: u64) -> Result<(), StorageError> {
        self.disk.truncate(file, len)
    }

    fn replace(&mut self, file: &str, bytes: &[u8]) -> Result<(), StorageError> {
        self.count(bytes.len());
        self.disk.replace(file, bytes)
    }

    fn remove(&mut self, file: &str) -> Result<(), StorageError> {
        self.disk.remove(file)
    }

    fn list(&self) -> Result<Vec<String>, StorageError> {
        self.disk.list()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(folder: &std::path::Path, bar: &ProgressBar) -> ShownDisk {
        ShownDisk::new(Disk::open(folder).unwrap(), bar.clone())
    }

    #[test]
    fn conforms() {
        let mut folders = Vec::new();
        terachat_core_store::store::storage::suite::conforms(&mut || {
            let folder = tempfile::tempdir().unwrap();
            let disk = shown(folder.path(), &ProgressBar::hidden());
            folders.push(folder);
            Box::new(disk)
        });
    }

    #[test]
    fn what_is_read_and_written_is_counted() {
        let (folder, bar) = (tempfile::tempdir().unwrap(), ProgressBar::hidden());
        let mut disk = shown(folder.path(), &bar);
        disk.replace("keys", &[2; 30]).unwrap();
        disk.append("log", &vec![1; usize::try_from(SHOWN_FROM).unwrap() - 31]).unwrap();
        assert_eq!(bar.position(), 0, "one byte less than is shown");
        assert_eq!(disk.read("log", 90, 10).unwrap(), [1; 10]);
        disk.sync("log").unwrap();
        assert_eq!(bar.position(), SHOWN_FROM + 9);
    }
}
