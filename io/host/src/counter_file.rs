use crate::disk::private;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use terachat_vault::{CounterError, RollbackCounter, Secret, VaultId, derive_key};

const MAGIC: &[u8; 8] = b"TCcount\x01";
const TAG_AT: usize = MAGIC.len() + 8;
const LEN: usize = TAG_AT + 32;

/// A counter against rollback in a file: `docs/format/counter-file.md`.
///
/// It belongs outside of the folder that it guards, and outside of that folder's backups. It notices a folder that was
/// restored or copied; a whole disk that was restored it does not.
pub struct CounterFile {
    path: PathBuf,
    key: Secret<32>,
}

impl CounterFile {
    /// Makes the counter at 0, durable when this returns, in the place of whatever was at `path`. `secret` is random and
    /// kept in the keyring `owner`.
    ///
    /// # Errors
    /// [`CounterError`].
    pub fn create(path: &Path, owner: &VaultId, secret: &Secret<32>) -> Result<Self, CounterError> {
        let counter = Self::at(path, owner, secret);
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            private::create_folder(folder).map_err(|error| counter.failed("made", &error))?;
        }
        counter.write(0)?;
        Ok(counter)
    }

    /// The counter that [`CounterFile::create`] made.
    ///
    /// # Errors
    /// [`CounterError`] when it is not there, or is not this keyring's.
    pub fn open(path: &Path, owner: &VaultId, secret: &Secret<32>) -> Result<Self, CounterError> {
        let mut counter = Self::at(path, owner, secret);
        counter.read()?;
        Ok(counter)
    }

    fn at(path: &Path, owner: &VaultId, secret: &Secret<32>) -> Self {
        Self { path: path.to_owned(), key: derive_key("terachat 2026-11 counter file", secret, &[&owner.0]) }
    }

    fn tag(&self, head: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(self.key.expose_secret(), head).as_bytes()
    }

    fn write(&self, value: u64) -> Result<(), CounterError> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&value.to_le_bytes());
        bytes.extend_from_slice(&self.tag(&bytes));
        let beside = self.path.with_extension("new");
        let written = (|| {
            // What a crash left there is worth nothing.
            match fs::remove_file(&beside) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = private::options().write(true).create_new(true).open(&beside)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&beside, &self.path)?;
            match self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                Some(folder) => private::sync_folder(folder),
                None => private::sync_folder(Path::new(".")),
            }
        })();
        written.map_err(|error| self.failed("written", &error))
    }

    fn failed(&self, what: &str, error: &std::io::Error) -> CounterError {
        self.refused(&format!("cannot be {what}: {error}; check that its folder is yours, with space left"))
    }

    fn refused(&self, what: &str) -> CounterError {
        CounterError { reason: format!("{} {what}", self.path.display()) }
    }
}

impl RollbackCounter for CounterFile {
    fn read(&mut self) -> Result<u64, CounterError> {
        let file = File::open(&self.path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => self
                .refused("is missing; if this is another machine, or the file is lost, adopt a new counter"),
            _ => self.failed("read", &error),
        })?;
        let mut bytes = Vec::with_capacity(LEN + 1);
        file.take(LEN as u64 + 1).read_to_end(&mut bytes).map_err(|error| self.failed("read", &error))?;
        let (head, tag) = match bytes.len() {
            LEN if bytes.starts_with(MAGIC) => bytes.split_at(TAG_AT),
            _ => return Err(self.refused("is not a counter file, or is cut short; put the right one back")),
        };
        // Not in constant time: whoever can try tags out can write the file.
        if tag != self.tag(head) {
            return Err(self.refused(
                "is another's counter, or this folder is a copy from before its counter was made anew; use the newest copy",
            ));
        }
        Ok(u64::from_le_bytes(head[MAGIC.len()..].try_into().expect("eight bytes")))
    }

    fn advance(&mut self) -> Result<u64, CounterError> {
        let next = self.read()?.checked_add(1).ok_or_else(|| self.refused("cannot count any further"))?;
        self.write(next)?;
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> Secret<32> {
        Secret::take(&mut [byte; 32])
    }

    const OWNER: VaultId = VaultId([1; 16]);

    #[test]
    fn it_counts_and_keeps_its_value() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/down/counter");
        let mut counter = CounterFile::create(&path, &OWNER, &secret(1)).unwrap();
        assert_eq!((counter.read(), counter.advance(), counter.advance()), (Ok(0), Ok(1), Ok(2)));
        std::fs::write(path.with_extension("new"), "left by a crash").unwrap();
        let mut again = CounterFile::open(&path, &OWNER, &secret(1)).unwrap();
        assert_eq!((again.read(), again.advance(), again.read()), (Ok(2), Ok(3), Ok(3)));
    }

    #[test]
    fn nobody_elses_and_no_damaged_one_passes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("counter");
        let reason =
            |owner: &VaultId, by: u8| CounterFile::open(&path, owner, &secret(by)).err().unwrap().reason;
        assert!(reason(&OWNER, 1).contains("is missing"));
        CounterFile::create(&path, &OWNER, &secret(1)).unwrap();
        assert!(reason(&OWNER, 2).contains("another's"));
        assert!(reason(&VaultId([2; 16]), 1).contains("another's"));
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            assert!(CounterFile::open(&path, &OWNER, &secret(1)).is_err(), "byte {at}");
            std::fs::write(&path, &good[..at]).unwrap();
            assert!(CounterFile::open(&path, &OWNER, &secret(1)).is_err(), "cut at {at}");
        }
        std::fs::write(&path, [&good[..], &[0]].concat()).unwrap();
        assert!(reason(&OWNER, 1).contains("not a counter file"));
    }
}
