//! What a parcel holds, and how it is read record by record.
use super::book::Shelf;
use super::root::Root;
use crate::Error;
use crate::protocol::Frame;
use terachat_core_store::store::dht_adapter::{BoardStream, DirectoryStream, Joiner, Piece};
use terachat_core_store::sync::board::{Board, BoardError, BoardRecord, RecordKey};
use terachat_event::DeviceId;

const VERSION: u8 = 1;
const FRAMES: u8 = 0;
const STEP: u8 = 1;
const MOVE: u8 = 2;
const ASK: u8 = 3;
const ANSWER: u8 = 4;
/// How many missing records in a row a stream goes on behind.
pub(crate) const GAP: u64 = 2;

/// What one device leaves for others in one piece.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parcel<'a> {
    /// Frames as in a bundle file.
    Frames(&'a [u8]),
    /// An MLS commit of the epoch whose members the parcel is for: it leads them to the next epoch's records.
    Step(&'a [u8]),
    /// What puts another group in the place of the one whose epoch's members the parcel is for: a step as well.
    Move(&'a [u8]),
    /// What a device asks that is to rejoin its group, behind its door.
    Ask(&'a [u8]),
    /// What a member answers it, behind the same door.
    Answer(&'a [u8]),
}

impl<'a> Parcel<'a> {
    pub(crate) fn frames(frames: &[Frame]) -> Vec<u8> {
        let mut bytes = vec![VERSION, FRAMES];
        frames.iter().for_each(|frame| crate::bundle_file::put(&mut bytes, frame));
        bytes
    }

    pub(crate) fn step(commit: &[u8]) -> Vec<u8> {
        [&[VERSION, STEP], commit].concat()
    }

    pub(crate) fn moves(reinit: &[u8]) -> Vec<u8> {
        [&[VERSION, MOVE], reinit].concat()
    }

    pub(crate) fn ask(ask: &[u8]) -> Vec<u8> {
        [&[VERSION, ASK], ask].concat()
    }

    pub(crate) fn answer(answer: &[u8]) -> Vec<u8> {
        [&[VERSION, ANSWER], answer].concat()
    }

    /// # Errors
    /// Why nothing can be made of it.
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, &'static str> {
        match bytes {
            [VERSION, FRAMES, rest @ ..] => Ok(Self::Frames(rest)),
            [VERSION, STEP, rest @ ..] => Ok(Self::Step(rest)),
            [VERSION, MOVE, rest @ ..] => Ok(Self::Move(rest)),
            [VERSION, ASK, rest @ ..] => Ok(Self::Ask(rest)),
            [VERSION, ANSWER, rest @ ..] => Ok(Self::Answer(rest)),
            [VERSION, ..] => Err("a parcel of an unknown kind; a newer version may read it"),
            _ => Err("a parcel of another format version; update whichever device is older"),
        }
    }
}

/// How much one call may read, so that no board decides how long it takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// Records to be asked for.
    pub(crate) records: u32,
    /// Bytes to be read.
    pub(crate) len: usize,
}

impl Budget {
    pub(crate) fn is_spent(&self) -> bool {
        self.records == 0 || self.len == 0
    }

    fn take(&mut self, len: usize) {
        self.records = self.records.saturating_sub(1);
        self.len = self.len.saturating_sub(len);
    }
}

/// What stands in a stream at some record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing, or not yet all of it.
    End,
    /// A parcel, up to this record.
    Parcel { next: u64, bytes: Vec<u8> },
    /// No parcel. It goes on at `next`; what is there may become whole when it is read again, or not.
    Broken { next: u64, why: String, again: bool },
}

/// Records under numbers.
pub(crate) trait Slots {
    /// Where that of this number is kept.
    fn key(&self, number: u64) -> RecordKey;
    /// Opens it.
    fn open(&self, number: u64, record: &BoardRecord) -> Result<Piece, BoardError>;
}

impl Slots for BoardStream {
    fn key(&self, number: u64) -> RecordKey {
        self.key(number)
    }

    fn open(&self, number: u64, record: &BoardRecord) -> Result<Piece, BoardError> {
        self.open(number, record)
    }
}

impl Slots for DirectoryStream {
    fn key(&self, number: u64) -> RecordKey {
        self.key(number)
    }

    fn open(&self, number: u64, record: &BoardRecord) -> Result<Piece, BoardError> {
        self.open(number, record)
    }
}

/// One device's records of a shelf, for those who know a root.
pub(crate) struct Stream(BoardStream);

impl Stream {
    pub(crate) fn of(shelf: &Shelf, root: &Root, device: &DeviceId) -> Self {
        Self(BoardStream::derive(&root.secret, &shelf.log, device, shelf.bucket))
    }

    pub(crate) fn inner(&self) -> &BoardStream {
        &self.0
    }

    /// Reads the parcel that begins with record `from`.
    ///
    /// # Errors
    /// [`Error::Board`] when the board itself fails.
    pub(super) fn read(
        &self,
        board: &dyn Board,
        from: u64,
        now_ms: u64,
        budget: &mut Budget,
    ) -> Result<Found, Error> {
        read_parcel(&self.0, board, from, now_ms, budget)
    }
}

/// Reads the parcel that begins with record `from`.
///
/// # Errors
/// [`Error::Board`] when the board itself fails.
pub(crate) fn read_parcel(
    slots: &dyn Slots,
    board: &dyn Board,
    from: u64,
    now_ms: u64,
    budget: &mut Budget,
) -> Result<Found, Error> {
    let mut joiner = Joiner::default();
    for number in from.. {
        let broken = |next: u64, why: String, again| Ok(Found::Broken { next, why, again });
        let record = match board.fetch(&slots.key(number), now_ms) {
            Ok(Some(record)) => record,
            Ok(None) => {
                budget.take(0);
                return match goes_on(slots, board, number, now_ms, budget)? {
                    Some(next) => broken(next, "a record is missing; it may still come".to_owned(), true),
                    None => Ok(Found::End),
                };
            }
            Err(error @ BoardError::Failed(_)) => return Err(error.into()),
            Err(error) => {
                budget.take(0);
                return broken(number + 1, error.to_string(), true);
            }
        };
        budget.take(record.bytes().len());
        let piece = match slots.open(number, &record) {
            Ok(piece) => piece,
            Err(error) => return broken(number + 1, error.to_string(), false),
        };
        if piece.first != (number == from) {
            // Its writer was interrupted, or the beginning was told of already.
            let next = if number == from { number + 1 } else { number };
            return broken(next, "a part of a parcel without its beginning or end".to_owned(), false);
        }
        if let Some(bytes) = joiner.push(piece) {
            return Ok(Found::Parcel { next: number + 1, bytes });
        }
        if !joiner.is_within() {
            return broken(number + 1, "a parcel that is longer than any may be".to_owned(), false);
        }
    }
    Ok(Found::End)
}

/// Where the stream goes on behind a record that is missing.
fn goes_on(
    slots: &dyn Slots,
    board: &dyn Board,
    missing: u64,
    now_ms: u64,
    budget: &mut Budget,
) -> Result<Option<u64>, Error> {
    for next in (1..=GAP).map(|ahead| missing.saturating_add(ahead)) {
        budget.take(0);
        match board.fetch(&slots.key(next), now_ms) {
            Ok(None) => {}
            Err(error @ BoardError::Failed(_)) => return Err(error.into()),
            _ => return Ok(Some(next)),
        }
    }
    Ok(None)
}
