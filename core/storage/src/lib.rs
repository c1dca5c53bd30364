//! The smallest file system a store can stand on: flat names, append, read, sync, truncate, replace.
//!
//! Synchronous and object-safe, and without `std::fs`, so that a folder, a browser's private file system, plain
//! memory and a simulated power cut all fit behind it. [`suite::conforms`] is the one test of them all.
#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "tests cut numbers they made small"))]

mod crash;
mod error;
mod memory;
pub mod suite;

pub use crash::{CrashStorage, Fault};
pub use error::{Operation, StorageError, StorageErrorKind};
pub use memory::MemoryStorage;

/// Longest file name in bytes.
pub const NAME_LEN_MAX: usize = 100;

/// Files with flat names, owned by one process.
///
/// **What survives a power cut.** What was appended or truncated before the last successful [`sync`] of that
/// file, and every successful [`replace`]. Anything newer may survive wholly, in part, out of order or not at
/// all, each file for itself: bytes that did not reach the disk are missing at the end or read as zeros.
///
/// **Errors.** A failed call leaves the file readable; how much of a failed `append` is there is unknown, so the
/// caller truncates before it appends again. After a failed `sync` nothing since the last good one may be relied
/// on, even if a later `sync` succeeds: truncate it away.
///
/// [`sync`]: Storage::sync
/// [`replace`]: Storage::replace
pub trait Storage: Send {
    /// Adds `bytes` at the end of `file`, creating it if need be, and returns the offset at which they begin.
    ///
    /// # Errors
    /// Any [`StorageErrorKind`]; a part of `bytes` may have been written.
    fn append(&mut self, file: &str, bytes: &[u8]) -> Result<u64, StorageError>;

    /// Reads exactly `len` bytes from `offset` on.
    ///
    /// # Errors
    /// [`StorageErrorKind::NotFound`]; [`StorageErrorKind::Short`] when the file ends before `offset + len`.
    fn read(&self, file: &str, offset: u64, len: usize) -> Result<Vec<u8>, StorageError>;

    /// Length of `file` in bytes, `None` when there is none.
    ///
    /// # Errors
    /// Any [`StorageErrorKind`] but `NotFound`.
    fn size(&self, file: &str) -> Result<Option<u64>, StorageError>;

    /// Makes everything appended to or cut from `file`, and its existence, durable.
    ///
    /// # Errors
    /// [`StorageErrorKind::NotFound`], or any other: see the trait's page for what then may be relied on.
    fn sync(&mut self, file: &str) -> Result<(), StorageError>;

    /// Cuts `file` to `len` bytes; a file that is not longer is left as it is. Durable with the next `sync`.
    ///
    /// # Errors
    /// [`StorageErrorKind::NotFound`], or any other; the file is then as it was.
    fn truncate(&mut self, file: &str, len: u64) -> Result<(), StorageError>;

    /// Puts `bytes` in the place of `file`'s whole content, or creates it: atomic, and durable on return.
    ///
    /// # Errors
    /// Any [`StorageErrorKind`]; the file then holds the old content or, rarely, the new one, never a mixture.
    fn replace(&mut self, file: &str, bytes: &[u8]) -> Result<(), StorageError>;

    /// Removes `file` if it is there. After a power cut it may be back.
    ///
    /// # Errors
    /// Any [`StorageErrorKind`] but `NotFound`; the file is then as it was.
    fn remove(&mut self, file: &str) -> Result<(), StorageError>;

    /// The names of all files, sorted.
    ///
    /// # Errors
    /// Any [`StorageErrorKind`] but `NotFound`.
    fn list(&self) -> Result<Vec<String>, StorageError>;
}

/// Checks that `file` is a name every implementation can hold: 1 to [`NAME_LEN_MAX`] of `a-z 0-9 . _ -`, not
/// beginning with a dot.
///
/// # Errors
/// [`StorageErrorKind::Name`].
pub fn check_name(operation: Operation, file: &str) -> Result<(), StorageError> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    if file.is_empty() || file.len() > NAME_LEN_MAX || file.starts_with('.') || !file.bytes().all(fits) {
        return Err(StorageError::new(StorageErrorKind::Name, operation, file));
    }
    Ok(())
}
