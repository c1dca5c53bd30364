//! The audit log: a chain of signed events, each with the accesses of one commit. `docs/format/vault-store.md`.
mod event;
mod log;

pub(crate) use event::{Entry, Event, Totals};
pub(crate) use log::{AuditKeys, Head, SIGN_EVERY, broken, read_from};

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u8)]
pub enum Action {
    /// A version was read.
    Read = 1,
    /// A page of a collection was listed; its number of records stands in place of the version.
    List = 2,
    /// A version was stored.
    Put = 3,
    /// A record was erased with all versions; the newest one is named.
    Delete = 4,
    /// One version was erased.
    DeleteVersion = 5,
    /// A version was stored from an older one.
    Restore = 6,
    /// A probe was compared with one record.
    Verify = 7,
    /// A probe was compared with a collection; the number of candidates stands in place of the version.
    Identify = 8,
    /// A record expired and was erased.
    Expire = 9,
    /// Old versions were erased because the collection keeps fewer.
    Prune = 10,
    /// A record was asked for that there is not, or that the caller may not see.
    Miss = 11,
    /// A record did not open: an alarm.
    Damaged = 12,
    /// The vault was opened.
    Open = 20,
    /// The vault was closed.
    Close = 21,
    /// A collection was made.
    CreateCollection = 22,
    /// Keys of erased versions were destroyed; their number stands in place of the version.
    Sweep = 23,
    /// The KEK was replaced.
    RotateKek = 24,
    /// The master key was replaced.
    RotateMaster = 25,
    /// A new generation of a DEK was made; it stands in place of the version.
    RotateDek = 26,
    /// Nothing is left under an older generation; the number of records that the proof looked at stands in place of the
    /// version, the hash of what it saw in `note`.
    RotationProved = 27,
    /// An older generation's key was destroyed; the generation stands in place of the version.
    DestroyDek = 28,
    /// A source was added or taken away.
    ChangeSources = 29,
    /// A backup was begun.
    Backup = 30,
    /// The vault was restored from a backup.
    RestoreBackup = 31,
    /// An operator confirmed a clock that had jumped.
    ConfirmClock = 32,
    /// The whole log, or all records, were checked.
    Check = 33,
    /// A collection was erased whole.
    DropCollection = 34,
    /// Another counter guards the vault against being set back.
    AdoptCounter = 35,
}

impl Action {
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        use Action as A;
        [
            A::Read,
            A::List,
            A::Put,
            A::Delete,
            A::DeleteVersion,
            A::Restore,
            A::Verify,
            A::Identify,
            A::Expire,
            A::Prune,
            A::Miss,
            A::Damaged,
            A::Open,
            A::Close,
            A::CreateCollection,
            A::Sweep,
            A::RotateKek,
            A::RotateMaster,
            A::RotateDek,
            A::RotationProved,
            A::DestroyDek,
            A::ChangeSources,
            A::Backup,
            A::RestoreBackup,
            A::ConfirmClock,
            A::Check,
            A::DropCollection,
            A::AdoptCounter,
        ]
        .into_iter()
        .find(|action| *action as u8 == number)
    }
}

/// One access in the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Number of the event it stands in.
    pub seq: u64,
    /// When, in milliseconds since 1970.
    pub time_ms: u64,
    /// Who.
    pub actor: String,
    /// What.
    pub action: Action,
    /// Blinded id of the collection; zeros for what concerns the whole vault. [`TemplateVault::blinded`] tells which one a
    /// name has.
    ///
    /// [`TemplateVault::blinded`]: crate::TemplateVault::blinded
    pub collection: [u8; 16],
    /// Blinded id of the record; zeros for what concerns the whole collection.
    pub record: [u8; 16],
    /// The version, or the number that [`Action`] says.
    pub version: u64,
    /// More, where [`Action`] says so.
    pub note: Vec<u8>,
}

/// What a check of the whole audit log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditReport {
    /// Events, from number 1 to this.
    pub events: u64,
    /// Accesses in them.
    pub entries: u64,
    /// Chain hash of the newest event.
    pub head: [u8; 32],
    /// The vault's audit key, with which the head is signed.
    pub audit_key: [u8; 32],
    /// The signature on the head (`docs/format/event.md`, signed head).
    pub signature: [u8; 64],
}
