//! Where records are left for those who are offline: `docs/format/board.md`.
//!
//! A board is not trusted. It sees sealed records of a few sizes under keys that say nothing, can check each of them and
//! can lose, withhold or repeat them; it cannot read, change or forge one.
mod error;
mod memory;
mod record;
pub mod suite;

pub use error::BoardError;
pub use memory::MemoryBoard;
pub(crate) use record::FRAME_LEN;
pub use record::{BoardRecord, DHT_RECORD_LEN, RECORD_LEN_MAX, RECORD_LIFETIME_MS_MAX, RecordKey};

/// Longest [`Cursor`] in bytes.
pub const CURSOR_LEN_MAX: usize = 64;

/// How far a reader has read a board's list. Opaque: only the board that gave it can say what it means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor(pub Vec<u8>);

/// What became of a record that was not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// It is new here.
    Added,
    /// Its content was here already; it is kept longer now.
    Renewed,
    /// It was here already, and is kept at least as long.
    Known,
}

/// A part of a board's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Keys, in the order in which their records came. One may come twice, or have no record any more.
    pub keys: Vec<RecordKey>,
    /// Where to go on.
    pub next: Cursor,
    /// Whether there is more behind `next` already.
    pub more: bool,
}

/// A place for records, shared by devices that need not meet: a folder, the organisation's cluster, the DHT.
///
/// A record is there whole or not at all, and the first content of a key stays: until it expires another one is refused,
/// so that nobody can overwrite what others may not have read, not even who knows the key's secret. Time is the caller's,
/// in milliseconds since 1970. [`suite::conforms`] is the one test of them all.
pub trait Board {
    /// Names the board: the same for as long as it is the same board.
    fn id(&self) -> [u8; 16];

    /// Longest record it takes, in bytes: from [`DHT_RECORD_LEN`] to [`RECORD_LEN_MAX`].
    fn record_len_max(&self) -> usize;

    /// Leaves a record under its key. Durable when this returns.
    ///
    /// # Errors
    /// [`BoardError::Taken`], [`BoardError::TooLong`], [`BoardError::Lifetime`], [`BoardError::Failed`]; the board is as
    /// it was.
    fn publish(&mut self, record: &BoardRecord, now_ms: u64) -> Result<Published, BoardError>;

    /// The record of this key that has not expired.
    ///
    /// # Errors
    /// [`BoardError::Damaged`] when what is kept there is no such record, [`BoardError::Failed`].
    fn fetch(&self, key: &RecordKey, now_ms: u64) -> Result<Option<BoardRecord>, BoardError>;

    /// At most `max` keys that came after `after`; from the beginning with an empty cursor, or with one that is not, or
    /// no longer, known here. Whoever follows the list sees every key that is published from then on.
    ///
    /// # Errors
    /// [`BoardError::Failed`].
    fn list(&self, after: &Cursor, max: usize) -> Result<Listing, BoardError>;

    /// Removes what has expired; gives back how many records that were.
    ///
    /// # Errors
    /// [`BoardError::Failed`]; a part may have been removed.
    fn collect(&mut self, now_ms: u64) -> Result<usize, BoardError>;

    /// Who says what came first, where the board has somebody who does. Most have not.
    fn order(&self) -> Option<&dyn Order> {
        None
    }
}

/// Says what came first among devices that need not meet. Nobody relies on it: whoever asks has to be right without it, too.
pub trait Order {
    /// Lets `value` stand in `slot` for `life_ms` milliseconds from now on, unless another value stands there; gives back what does.
    /// The same claim again is the same claim, and stands longer.
    ///
    /// # Errors
    /// [`BoardError::Failed`]; whether it stands is not known.
    fn claim(&self, slot: &[u8; 32], value: &[u8; 32], life_ms: u64) -> Result<[u8; 32], BoardError>;
}
