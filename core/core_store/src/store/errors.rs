use super::storage::StorageError;

/// What can go wrong in a store. No variant carries a secret; each says whether anything changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file operation failed. A commit that met it did not happen; what was acknowledged before is safe. The
    /// log can still be read, and the commit tried again.
    #[error("{0}")]
    Storage(#[from] StorageError),
    /// A sync failed: every commit since the last good one is withdrawn, as if it had not been made. Nothing
    /// acknowledged is lost. Their blocks are no longer there; the caller drops what it built on them.
    #[error("{source}; what had not been made durable yet was withdrawn, nothing acknowledged is lost")]
    Withdrawn {
        /// What the file system said.
        source: StorageError,
    },
    /// The key is not the one this log was made with. Nothing changed.
    #[error(
        "this key does not open the log in this folder; is it the passphrase or profile of another folder?"
    )]
    WrongKey,
    /// A file carries the name of one of ours but is none. Nothing changed.
    #[error("{file:?} is not a file of this log; move it away, or restore the folder from a backup")]
    Foreign {
        /// Its name.
        file: String,
    },
    /// A newer program wrote this file. Nothing changed.
    #[error("{file:?} was written in format {found}, this program reads up to {known}; use a newer terachat")]
    NewerVersion {
        /// Its name.
        file: String,
        /// The version it carries.
        found: u16,
        /// The newest version this program knows.
        known: u16,
    },
    /// Bytes that had been made durable have changed since. Nothing was cut or repaired; all other blocks can
    /// still be read.
    #[error(
        "segment {segment} of the log is damaged at block {block} (byte {offset}): {what}; check the disk, then \
         restore the folder from a backup, or make a new one and fetch its content from another device"
    )]
    Damaged {
        /// The segment's number, as in its file name.
        segment: u32,
        /// The block's number within the segment.
        block: u32,
        /// Where it begins in the file.
        offset: u64,
        /// In what way.
        what: &'static str,
    },
    /// A segment of the log is not there. Nothing changed.
    #[error("segment {segment} of the log is missing; restore the folder from a backup")]
    Missing {
        /// The segment's number, as in its file name.
        segment: u32,
    },
    /// The snapshot covers more than the log holds, so the log has lost its end, or an older copy of it was put
    /// back. Nothing changed.
    #[error("the log ends before what its snapshot covers; restore the whole folder from one backup")]
    Shortened,
    /// The snapshot does not open. The log is not touched; remove the file and it is rebuilt from the log.
    #[error("the snapshot file is damaged; remove {file:?} and it is rebuilt from the log")]
    Snapshot {
        /// Its name.
        file: String,
    },
    /// A block that no frame can hold. Nothing changed.
    #[error("a block of {len} bytes is more than a log holds ({max}); split it")]
    TooLarge {
        /// Its length in bytes.
        len: usize,
        /// The longest a block may be.
        max: usize,
    },
    /// A commit without blocks: a mistake in the calling code. Nothing changed.
    #[error("a commit needs at least one block")]
    Empty,
    /// No block begins where the reference points: it is from another log, or was withdrawn.
    #[error(
        "the log holds no block at segment {segment}, byte {offset}; the reference is of another log or was withdrawn"
    )]
    NoSuchBlock {
        /// The reference's segment.
        segment: u32,
        /// The reference's place in it.
        offset: u64,
    },
    /// Compressed bytes are damaged or hold more than they may.
    #[error("compressed bytes are damaged or hold more than they may; they are refused")]
    Compression,
}
