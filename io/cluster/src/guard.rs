//! A node started from an old copy of its folder would have forgotten votes and entries that it gave its word for. So it binds the
//! ledger's head to a counter outside of the folder, checkpoint by checkpoint: ADR 0011, ADR 0034.
use crate::Error;
use std::path::{Path, PathBuf};
use terachat_host::Disk;
use terachat_ledger::Head;
use terachat_storage::Storage;
use terachat_vault::{BoxedCounter, OPENING_CHECKPOINTS, Secret, settle};

/// Apart from the other files, which others write meanwhile.
const FOLDER: &str = "checkpoint";
const FILE: &str = "head";
const MAGIC: &[u8; 8] = b"TCnhead\x01";
const HEAD_LEN: usize = 8 + 8 + 8 + 32;
const LEN: usize = HEAD_LEN + 32;

/// The last checkpoint, and what it is bound to.
pub(crate) struct Guard {
    folder: PathBuf,
    disk: Disk,
    key: Secret<32>,
    counter: Option<BoxedCounter>,
    /// The counter's value in the checkpoint.
    stored: u64,
    head: Head,
}

impl Guard {
    /// Reads the last checkpoint and judges it by the counter, if there is one.
    ///
    /// # Errors
    /// [`Error::OlderCopy`], [`Error::Counter`], [`Error::Damaged`], [`Error::Storage`].
    pub(crate) fn open(
        folder: &Path,
        key: Secret<32>,
        mut counter: Option<BoxedCounter>,
    ) -> Result<Self, Error> {
        let disk = Disk::open(&folder.join(FOLDER))?;
        let (stored, head) = match disk.size(FILE)? {
            None => (0, Head::START),
            Some(_) => read(&disk, &key).ok_or_else(|| Error::Damaged(folder.join(FOLDER).join(FILE)))?,
        };
        if let Some(counter) = &mut counter {
            settle(stored, counter.as_mut()).map_err(|error| Error::rollback(folder, error))?;
        }
        Ok(Self { folder: folder.to_owned(), disk, key, counter, stored, head })
    }

    /// The head of the last checkpoint.
    pub(crate) fn head(&self) -> Head {
        self.head
    }

    /// Makes the counter go beyond every head that an earlier run can have left anywhere.
    pub(crate) fn begin(&mut self) -> Result<(), Error> {
        (0..OPENING_CHECKPOINTS).try_for_each(|_| self.write(self.head))
    }

    /// Makes a checkpoint, if the head has gone on since the last.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Counter`].
    pub(crate) fn checkpoint(&mut self, head: Head) -> Result<(), Error> {
        if head.index <= self.head.index { Ok(()) } else { self.write(head) }
    }

    fn write(&mut self, head: Head) -> Result<(), Error> {
        let stored = self.stored + u64::from(self.counter.is_some());
        let mut bytes = MAGIC.to_vec();
        bytes.extend(stored.to_le_bytes());
        bytes.extend(head.index.to_le_bytes());
        bytes.extend(head.hash);
        let tag = blake3::keyed_hash(self.key.expose_secret(), &bytes);
        bytes.extend(tag.as_bytes());
        self.disk.replace(FILE, &bytes)?;
        (self.stored, self.head) = (stored, head);
        if let Some(counter) = &mut self.counter {
            settle(stored, counter.as_mut()).map_err(|error| Error::rollback(&self.folder, error))?;
        }
        Ok(())
    }
}

fn read(disk: &Disk, key: &Secret<32>) -> Option<(u64, Head)> {
    let bytes = disk.read(FILE, 0, LEN).ok()?;
    let (said, tag) = bytes.split_at(HEAD_LEN);
    let sound = blake3::keyed_hash(key.expose_secret(), said) == *<&[u8; 32]>::try_from(tag).ok()?;
    if !said.starts_with(MAGIC) || !sound {
        return None;
    }
    let number = |at: usize| said[at..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    Some((number(8)?, Head { index: number(16)?, hash: *said[24..].first_chunk()? }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use terachat_vault::{CounterError, RollbackCounter};

    #[derive(Clone, Default)]
    struct Chip(Arc<Mutex<u64>>);

    impl RollbackCounter for Chip {
        fn read(&mut self) -> Result<u64, CounterError> {
            Ok(*self.0.lock().unwrap())
        }

        fn advance(&mut self) -> Result<u64, CounterError> {
            let mut value = self.0.lock().unwrap();
            *value += 1;
            Ok(*value)
        }
    }

    fn key() -> Secret<32> {
        Secret::take(&mut [5; 32])
    }

    #[test]
    fn an_older_copy_is_refused_and_the_newest_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (path, chip) = (folder.path(), Chip::default());
        let open = || Guard::open(path, key(), Some(Box::new(chip.clone())));
        open().unwrap().begin().unwrap();
        let old = std::fs::read(path.join(FOLDER).join(FILE)).unwrap();
        let mut guard = open().unwrap();
        let head = Head::START.after(b"entry");
        guard.checkpoint(head).unwrap();
        guard.checkpoint(head).unwrap();
        assert_eq!(*chip.0.lock().unwrap(), 3, "a head that stands still costs nothing");
        assert_eq!(open().unwrap().head(), head);
        std::fs::write(path.join(FOLDER).join(FILE), old).unwrap();
        let error = open().map(|_| ()).unwrap_err();
        assert!(matches!(&error, Error::OlderCopy { .. }), "{error}");
        std::fs::remove_file(path.join(FOLDER).join(FILE)).unwrap();
        assert!(matches!(open(), Err(Error::OlderCopy { .. })), "nor without any");
    }

    #[test]
    fn a_changed_checkpoint_is_no_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        Guard::open(path, key(), None).unwrap().checkpoint(Head::START.after(b"entry")).unwrap();
        let file = path.join(FOLDER).join(FILE);
        let bytes = std::fs::read(&file).unwrap();
        for at in [0, 9, 17, 30, 60] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            std::fs::write(&file, changed).unwrap();
            assert!(matches!(Guard::open(path, key(), None), Err(Error::Damaged(_))), "{at}");
        }
    }
}
