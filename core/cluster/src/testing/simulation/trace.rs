//! Everything that can be seen of a run, in its order, as one hash: what one seed is played twice for.
use crate::{Objects, ObjectsError, Part};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use terachat_storage::{Storage, StorageError};

/// What was seen so far. Clones see the same run; without one being asked for, nothing is kept.
#[derive(Clone, Default)]
pub(super) struct Trace(Option<Arc<Mutex<Seen>>>);

#[derive(Default)]
struct Seen {
    hash: blake3::Hasher,
    /// Hashes up to there, so that two runs that part say where.
    steps: Vec<(String, u64)>,
}

impl Trace {
    /// One that keeps what it sees.
    pub(super) fn on() -> Self {
        Self(Some(Arc::default()))
    }

    /// Whether anybody looks on.
    pub(super) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Something happened: in a word, and all that can be said of it.
    pub(super) fn see(&self, what: &str, parts: &[&[u8]]) {
        let Some(seen) = &self.0 else { return };
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.hash.update(what.as_bytes());
        for part in parts {
            seen.hash.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        let now = seen.hash.finalize();
        seen.steps.push((what.to_owned(), u64::from_le_bytes(*now.as_bytes().first_chunk().unwrap())));
    }

    /// The same of what is shown as it is debugged, which costs more.
    pub(super) fn see_all(&self, what: &str, all: &dyn Debug) {
        if self.0.is_some() {
            self.see(what, &[format!("{all:?}").as_bytes()]);
        }
    }

    /// What was seen, step by step.
    pub(super) fn steps(&self) -> Vec<(String, u64)> {
        let seen = self.0.as_ref().map(|seen| seen.lock().unwrap_or_else(PoisonError::into_inner));
        seen.map(|seen| seen.steps.clone()).unwrap_or_default()
    }
}

/// A disk or a bucket, and who looks on.
pub(super) struct Traced<T> {
    pub(super) inner: T,
    /// Of which node.
    pub(super) of: u32,
    pub(super) trace: Trace,
}

impl<T> Traced<T> {
    fn see<V, E: Debug>(&self, verb: &str, name: &str, bytes: &[u8], result: Result<V, E>) -> Result<V, E> {
        let outcome = result.as_ref().err().map(|error| format!("{error:?}")).unwrap_or_default();
        self.trace.see(verb, &[&self.of.to_le_bytes(), name.as_bytes(), bytes, outcome.as_bytes()]);
        result
    }
}

impl<T: Storage> Storage for Traced<T> {
    fn append(&mut self, file: &str, bytes: &[u8]) -> Result<u64, StorageError> {
        let result = self.inner.append(file, bytes);
        self.see("append", file, bytes, result)
    }

    fn read(&self, file: &str, offset: u64, len: usize) -> Result<Vec<u8>, StorageError> {
        let result = self.inner.read(file, offset, len);
        let bytes = result.clone().unwrap_or_default();
        self.see("read", file, &bytes, result)
    }

    fn size(&self, file: &str) -> Result<Option<u64>, StorageError> {
        self.inner.size(file)
    }

    fn sync(&mut self, file: &str) -> Result<(), StorageError> {
        let result = self.inner.sync(file);
        self.see("sync", file, &[], result)
    }

    fn truncate(&mut self, file: &str, len: u64) -> Result<(), StorageError> {
        let result = self.inner.truncate(file, len);
        self.see("truncate", file, &len.to_le_bytes(), result)
    }

    fn replace(&mut self, file: &str, bytes: &[u8]) -> Result<(), StorageError> {
        let result = self.inner.replace(file, bytes);
        self.see("replace", file, bytes, result)
    }

    fn remove(&mut self, file: &str) -> Result<(), StorageError> {
        let result = self.inner.remove(file);
        self.see("remove", file, &[], result)
    }

    fn list(&self) -> Result<Vec<String>, StorageError> {
        self.inner.list()
    }
}

impl<T: Objects> Objects for Traced<T> {
    fn put(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), ObjectsError> {
        let seen = bytes.clone();
        let result = self.inner.put(name, bytes);
        self.see("put", name, &seen, result)
    }

    fn read(&self, parts: &[Part]) -> Vec<Result<Vec<u8>, ObjectsError>> {
        let results = self.inner.read(parts);
        self.trace.see_all("get", &(self.of, parts, &results));
        results
    }

    fn remove(&mut self, names: &[String]) -> Result<(), ObjectsError> {
        let result = self.inner.remove(names);
        self.see("remove", &names.join(" "), &[], result)
    }

    fn list(&self) -> Result<Vec<(String, u64)>, ObjectsError> {
        self.inner.list()
    }
}
