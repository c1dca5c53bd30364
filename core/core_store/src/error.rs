use terachat_event::EventRef;

/// What can go wrong in the state layer. Every variant leaves the state, in memory and on disk, as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer's: bytes that do not follow their format.
    #[error("malformed batch or bundle: {0}; the sender is broken or newer than this version")]
    Malformed(&'static str),
    /// The peer's or caller's: an operation that is out of bounds.
    #[error("unusable content: {0}")]
    Payload(&'static str),
    /// The peer's: a header, signature or proof that does not hold.
    #[error(transparent)]
    Event(#[from] terachat_event::Error),
    /// The peer's: an event's Lamport time is not one more than the largest of its parents'.
    #[error("event {0} claims a time that does not follow from its parents; its author is broken or lying")]
    Lamport(EventRef),
    /// The peer's: an event names its own author's event as a parent, or one twice.
    #[error("event {0} lists parents that are not minimal; its author is broken or lying")]
    Parents(EventRef),
    /// The peer's: a first event that is not the one the space is named after.
    #[error("this is not the genesis of the space it claims to found")]
    Genesis,
    /// The peer's: sealed content that does not open with the epoch's key.
    #[error(
        "the bundle's content does not open with its epoch's key; it was changed, or sealed by somebody else"
    )]
    Sealed,
    /// The peer's: an event numbered below the known end of its chain that is not the known one, and not signed
    /// either: a replay of something that never was.
    #[error("event {0} contradicts the known chain of its author without proof; it is refused")]
    Replay(EventRef),
    /// The caller's: nothing of that name is here.
    #[error("{0} is not known here; sync with a member, or check the id")]
    Unknown(&'static str),
    /// The caller's: this device may not do that.
    #[error("not allowed: {0}")]
    Forbidden(&'static str),
    /// The caller's: the epoch's key is not here.
    #[error("the key of epoch {0} is not on this device; it was removed before, or has to sync first")]
    NoKey(u64),
    /// The storage's.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// A bug or tampering: what is on disk contradicts itself. The red alarm.
    #[error(
        "ALARM: the stored history contradicts itself: {0}; stop writing, keep the folder, restore from another device"
    )]
    Corrupt(String),
    /// An audit or a check found that what is held contradicts itself, so nothing is written any more. Reading goes on.
    #[error(
        "ALARM: writing has stopped: {0}; run `terachat store check`, then restore the folder from a backup or from \
         another device, and start again"
    )]
    Halted(String),
}
