use std::path::PathBuf;
use std::sync::Arc;
use terachat_vault::{KeyringError, SourceError};

/// Why the vault did not do what it was asked. Unless a variant says otherwise, nothing changed. None carries a secret, a
/// caller's id or a part of a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's: a name or id is empty, too long or has control characters.
    #[error("the {what} {problem}")]
    Name {
        /// Which text.
        what: &'static str,
        /// What is wrong with it, and what is allowed.
        problem: &'static str,
    },
    /// The caller's: there is no such record for this caller. Absent, erased, expired, in a collection that does not
    /// exist or that this caller may not use: one answer for all, after the same work.
    #[error("no such record")]
    NotFound,
    /// The caller's: the record is not at the expected version. Read it again and decide anew.
    #[error("the record is at version {current}, not at the expected one; read it again (0: there is none)")]
    Conflict {
        /// Its newest version, 0 when there is no such record.
        current: u64,
    },
    /// The caller's: content beyond [`CONTENT_LEN_MAX`](crate::CONTENT_LEN_MAX).
    #[error("content of {len} bytes; at most {max} are allowed")]
    TooLarge {
        /// Its length.
        len: usize,
        /// The most.
        max: usize,
    },
    /// The caller's: a batch that is empty or beyond its limits, or names one record twice.
    #[error("the batch {0}")]
    Batch(&'static str),
    /// The caller's: the time to keep it is over already; it would be erased at once.
    #[error("the time to keep this record is over already; set a later time, or none")]
    ExpiredAlready,
    /// The caller's: the idempotency key was used for another request.
    #[error("this idempotency key was used for another request; use a new one")]
    IdempotencyReused,
    /// The caller's: a cursor that this vault did not give out for this list.
    #[error("this cursor is not one of this list; start again without one")]
    Cursor,
    /// The caller's: a configuration value outside its range.
    #[error("the setting {setting} is out of range: {allowed}")]
    Config {
        /// Which one.
        setting: &'static str,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The caller's: the record is no template, and only templates are compared.
    #[error("this record is not a template")]
    NotATemplate,
    /// The caller's: the template or probe is refused.
    #[error(transparent)]
    Template(#[from] terachat_template::Error),
    /// The caller's: a collection of this name exists with another cipher.
    #[error("a collection of this name exists with another cipher; use it as it is, or another name")]
    CollectionExists,
    /// The caller's: there is no such collection. Only operators are told; callers of records get [`Error::NotFound`].
    #[error("no such collection")]
    NoCollection,
    /// The store's: the record at this address is there and does not open: damaged, swapped or replayed. An alarm was
    /// recorded. Restore it from a backup.
    #[error("record {record} of collection {collection}, version {version}, is damaged ({reason}); restore it from a backup", record = hex(.record), collection = hex(.collection))]
    Damaged {
        /// The collection's blinded id.
        collection: [u8; 16],
        /// The record's blinded id.
        record: [u8; 16],
        /// Its version.
        version: u64,
        /// What does not fit.
        reason: &'static str,
    },
    /// The store's: the audit log is broken from this event on.
    #[error(
        "the audit log is broken at event {seq}: {reason}; keep a copy of the folder and restore a backup"
    )]
    AuditBroken {
        /// The first event that does not hold.
        seq: u64,
        /// What does not hold.
        reason: &'static str,
    },
    /// The store's: an earlier write failed (full or broken disk), so nothing is written any more. Reading goes on.
    /// Make room and open the vault again.
    #[error("the vault is read-only since a write failed ({0}); make room on the disk and open it again")]
    ReadOnly(Arc<str>),
    /// The store's: reading or opening the database failed.
    #[error("{doing}: {reason}; check the disk")]
    Storage {
        /// What was tried.
        doing: &'static str,
        /// The engine's words.
        reason: Arc<str>,
    },
    /// The store's: a file of the vault.
    #[error("cannot {doing} {path}: {reason}", path = .path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// The system's words.
        reason: Arc<str>,
    },
    /// The machine's: the folder's lock (another process has the vault open), or no randomness.
    #[error("{0}")]
    Host(Arc<str>),
    /// The caller's: the folder holds no vault, or holds one where a new one was to be made.
    #[error("{path}: {problem}", path = .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The master key's source does not open this vault, or the keyring is damaged.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// A source did not wrap the new master key.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The rollback counter does not fit the vault, or does not answer.
    #[error(transparent)]
    Counter(#[from] terachat_vault::RollbackError),
    /// The caller's: the vault has a counter, and was to be opened without.
    #[error("this vault is guarded by a counter ({0}) against being set back; open it with that counter")]
    Guarded(&'static str),
    /// The keyring and the database are not of one time: an old copy of one of them was put in its place.
    #[error(
        "the keyring is of epoch {keyring}, the database of {database}: one of them is an old copy; restore both"
    )]
    RolledBack {
        /// Epoch of the keyring's file.
        keyring: u64,
        /// Epoch of the keyring that the newest audit event names.
        database: u64,
    },
    /// The caller's: the bytes are not a backup, or were changed, or cut short. Nothing was restored.
    #[error("the backup is refused: {0}; nothing was restored")]
    Backup(&'static str),
    /// The caller's: the receipt does not hold.
    #[error("the erasure receipt does not hold: {0}")]
    Receipt(&'static str),
    /// The vault was closed.
    #[error("the vault is closed")]
    Closed,
}

impl Error {
    pub(crate) fn storage(doing: &'static str) -> impl Fn(fjall::Error) -> Self {
        move |error| Self::Storage { doing, reason: error.to_string().into() }
    }

    pub(crate) fn file(doing: &'static str, path: &std::path::Path) -> impl Fn(std::io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::File { doing, path: path.clone(), reason: error.to_string().into() }
    }
}

fn hex(bytes: &[u8; 16]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
