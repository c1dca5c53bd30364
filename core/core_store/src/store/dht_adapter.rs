//! Parcels of frames as records of a board, and back: `docs/format/board.md`.
mod directory;

pub use directory::DirectoryStream;

use crate::sync::board::{BoardError, BoardRecord, DHT_RECORD_LEN, FRAME_LEN, RECORD_LEN_MAX, RecordKey};
use terachat_event::{DeviceId, DeviceKey, LogId};
use terachat_vault::{Algorithm, Entropy, NONCE_LEN, Secret, TAG_LEN, derive_key, open_once, seal_once};

/// Longest parcel that is put together from records, in bytes.
pub const PARCEL_LEN_MAX: usize = 96 << 20;

const SALT_LEN: usize = 16;
/// Flags and length of a piece.
const PIECE_HEAD_LEN: usize = 1 + 4;
const OVERHEAD: usize = FRAME_LEN + SALT_LEN + PIECE_HEAD_LEN + TAG_LEN;
const FIRST: u8 = 1;
const LAST: u8 = 2;

/// The records that one device leaves of one log for whoever knows a secret: an epoch's members, or a newcomer.
pub struct BoardStream {
    secret: Secret<32>,
}

/// A part of a parcel, as one record holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Whether a parcel begins with it.
    pub first: bool,
    /// Whether the parcel ends with it.
    pub last: bool,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl BoardStream {
    /// The stream of `device` for whoever knows `root`, in a span of time (`docs/format/board.md`).
    pub fn derive(root: &Secret<32>, log: &LogId, device: &DeviceId, bucket: u64) -> Self {
        let channel = log.channel.map_or([0; 32], |channel| channel.0);
        let parts: [&[u8]; 4] = [&log.space.0, &channel, &device.0, &bucket.to_le_bytes()];
        Self { secret: derive_key("terachat 2026-11 board stream", root, &parts) }
    }

    /// The stream of what is left for the owner of a key package by whoever uses it, as far as the key package is known by its
    /// hash. Whoever knows that writes there; a record's number counts once.
    pub fn claims(key_package: &[u8; 32]) -> Self {
        let known = Secret::take(&mut { *key_package });
        Self { secret: derive_key("terachat 2026-11 board claims", &known, &[]) }
    }

    /// Where its record of this number is kept.
    pub fn key(&self, number: u64) -> RecordKey {
        RecordKey::of(&DeviceKey::from_seed(&self.seed(number)).id().0)
    }

    /// Seals and signs a piece as the record of this number, padded to the shortest length that holds it. The same
    /// number must not be published twice with different pieces.
    pub fn seal(
        &self,
        number: u64,
        piece: &Piece,
        expires_ms: u64,
        entropy: &mut dyn Entropy,
    ) -> BoardRecord {
        let seed = self.seed(number);
        let signer = DeviceKey::from_seed(&seed);
        BoardRecord::sign(&signer, expires_ms, &sealed(&seed, &signer.id().0, piece, entropy))
    }

    /// Opens the record of this number.
    ///
    /// # Errors
    /// [`BoardError::Content`] when it is another's, or holds what no member writes.
    pub fn open(&self, number: u64, record: &BoardRecord) -> Result<Piece, BoardError> {
        let seed = self.seed(number);
        opened(&seed, &DeviceKey::from_seed(&seed).id().0, record)
    }

    fn seed(&self, number: u64) -> Secret<32> {
        derive_key("terachat 2026-11 board slot", &self.secret, &[&number.to_le_bytes()])
    }
}

/// Cuts a parcel into pieces for a board that takes records of `record_len_max` bytes.
pub fn cut(parcel: &[u8], record_len_max: usize) -> Vec<Piece> {
    let largest = record_lens().take_while(|len| *len <= record_len_max).last().unwrap_or(DHT_RECORD_LEN);
    let mut pieces: Vec<Piece> = parcel
        .chunks(largest - OVERHEAD)
        .map(|bytes| Piece { first: false, last: false, bytes: bytes.to_vec() })
        .collect();
    if let Some(first) = pieces.first_mut() {
        first.first = true;
    }
    if let Some(last) = pieces.last_mut() {
        last.last = true;
    }
    pieces
}

/// A parcel as its pieces come.
#[derive(Debug, Default)]
pub struct Joiner {
    parcel: Option<Vec<u8>>,
}

impl Joiner {
    /// Adds the next piece; gives back the parcel that it completes. A first piece begins anew, since its writer may have
    /// been interrupted; a piece of no parcel, or of one that becomes too long, is dropped.
    pub fn push(&mut self, piece: Piece) -> Option<Vec<u8>> {
        if piece.first {
            self.parcel = Some(Vec::new());
        }
        let parcel = self.parcel.as_mut()?;
        if parcel.len() + piece.bytes.len() > PARCEL_LEN_MAX {
            self.parcel = None;
            return None;
        }
        parcel.extend_from_slice(&piece.bytes);
        if piece.last { self.parcel.take() } else { None }
    }

    /// Whether a parcel has begun and not ended.
    pub fn is_within(&self) -> bool {
        self.parcel.is_some()
    }
}

/// The lengths a record may have, ascending.
fn record_lens() -> impl Iterator<Item = usize> {
    let small = (10..14).map(|bits| 1 << bits);
    let large = (0..).map(|bits| DHT_RECORD_LEN << bits).take_while(|len| *len <= RECORD_LEN_MAX);
    small.chain(large)
}

/// A piece with its head, filled up with zeros as far as its record goes.
fn padded(piece: &Piece) -> Vec<u8> {
    let len = piece.bytes.len();
    let record_len =
        record_lens().find(|record_len| *record_len >= len + OVERHEAD).expect("it was cut to fit");
    let mut plain = Vec::with_capacity(record_len);
    plain.push((u8::from(piece.first) * FIRST) | (u8::from(piece.last) * LAST));
    plain.extend_from_slice(&u32::try_from(len).expect("it fits a record").to_le_bytes());
    plain.extend_from_slice(&piece.bytes);
    plain.resize(record_len - OVERHEAD + PIECE_HEAD_LEN, 0);
    plain
}

fn piece_of(mut plain: Vec<u8>) -> Result<Piece, BoardError> {
    let (head, rest) =
        plain.split_first_chunk::<PIECE_HEAD_LEN>().ok_or(BoardError::Content("it is too short"))?;
    let [flags, len @ ..] = *head;
    let len = u32::from_le_bytes(len) as usize;
    if flags > FIRST | LAST {
        return Err(BoardError::Content("unknown flags"));
    }
    if len > rest.len() || rest[len..].iter().any(|byte| *byte != 0) {
        return Err(BoardError::Content("its padding is none"));
    }
    plain.truncate(PIECE_HEAD_LEN + len);
    plain.drain(..PIECE_HEAD_LEN);
    Ok(Piece { first: flags & FIRST != 0, last: flags & LAST != 0, bytes: plain })
}

/// A record's content: a piece, sealed under what the record's place gives.
fn sealed(place: &Secret<32>, signer: &[u8; 32], piece: &Piece, entropy: &mut dyn Entropy) -> Vec<u8> {
    let mut salt = [0; SALT_LEN];
    entropy.fill(&mut salt);
    let mut sealed = padded(piece);
    seal_once(Algorithm::ChaCha20Poly1305, &seal_key(place, &salt), &[0; NONCE_LEN], signer, &mut sealed);
    [&salt[..], &sealed].concat()
}

/// Opens what [`sealed`] made, where it is this signer's record.
fn opened(place: &Secret<32>, signer: &[u8; 32], record: &BoardRecord) -> Result<Piece, BoardError> {
    if record.key() != RecordKey::of(signer) {
        return Err(BoardError::Content("it belongs elsewhere"));
    }
    let (salt, sealed) =
        record.content().split_first_chunk().ok_or(BoardError::Content("it is too short"))?;
    let mut plain = sealed.to_vec();
    let key = seal_key(place, salt);
    let len = open_once(Algorithm::ChaCha20Poly1305, &key, &[0; NONCE_LEN], signer, &mut plain)
        .map_err(|_| BoardError::Content("it does not open"))?;
    plain.truncate(len);
    piece_of(plain)
}

fn seal_key(seed: &Secret<32>, salt: &[u8; SALT_LEN]) -> Secret<32> {
    derive_key("terachat 2026-11 board seal", seed, &[salt])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Counter;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use terachat_event::{ChannelId, SpaceId};

    const END: u64 = 1_000;

    fn stream(root: u8, log: &LogId, device: u8, bucket: u64) -> BoardStream {
        BoardStream::derive(&Secret::take(&mut [root; 32]), log, &DeviceId([device; 32]), bucket)
    }

    fn log() -> LogId {
        LogId::control(SpaceId([1; 32]))
    }

    fn piece(bytes: &[u8]) -> Piece {
        Piece { first: true, last: true, bytes: bytes.to_vec() }
    }

    #[test]
    fn whatever_differs_gives_other_keys_and_opens_nothing() {
        let record = stream(1, &log(), 1, 0).seal(0, &piece(b"words"), END, &mut Counter::default());
        assert_eq!(stream(1, &log(), 1, 0).open(0, &record), Ok(piece(b"words")));
        let channel = LogId::channel(SpaceId([1; 32]), ChannelId([0x11; 32]));
        let others = [
            (stream(2, &log(), 1, 0), 0),
            (stream(1, &channel, 1, 0), 0),
            (stream(1, &LogId::control(SpaceId([2; 32])), 1, 0), 0),
            (stream(1, &log(), 2, 0), 0),
            (stream(1, &log(), 1, 1), 0),
            (stream(1, &log(), 1, 0), 1),
        ];
        let keys: BTreeSet<RecordKey> = others.iter().map(|(stream, number)| stream.key(*number)).collect();
        assert_eq!(keys.len(), others.len());
        for (stream, number) in others {
            assert_ne!(stream.key(number), record.key());
            assert_eq!(stream.open(number, &record), Err(BoardError::Content("it belongs elsewhere")));
        }
    }

    /// What a member who lies can sign: content of any kind.
    #[test]
    fn content_that_no_member_writes_is_refused() {
        let stream = stream(1, &log(), 1, 0);
        let seed = stream.seed(0);
        let signer = DeviceKey::from_seed(&seed);
        let sealed = |plain: &[u8]| {
            let mut body = plain.to_vec();
            let key = seal_key(&seed, &[0; SALT_LEN]);
            seal_once(Algorithm::ChaCha20Poly1305, &key, &[0; NONCE_LEN], &signer.id().0, &mut body);
            BoardRecord::sign(&signer, END, &[&[0; SALT_LEN][..], &body].concat())
        };
        let case = |record: &BoardRecord, why| {
            assert_eq!(stream.open(0, record), Err(BoardError::Content(why)));
        };
        assert!(stream.open(0, &sealed(&[3, 1, 0, 0, 0, 9, 0, 0])).is_ok());
        case(&sealed(&[3, 1, 0, 0, 0, 9, 0, 1]), "its padding is none");
        case(&sealed(&[3, 0xff, 0xff, 0xff, 0xff, 9]), "its padding is none");
        case(&sealed(&[4, 1, 0, 0, 0, 9]), "unknown flags");
        case(&sealed(&[3, 0, 0, 0]), "it is too short");
        case(&BoardRecord::sign(&signer, END, &[7; 8]), "it is too short");
        case(&BoardRecord::sign(&signer, END, &[7; 64]), "it does not open");
    }

    #[test]
    fn an_interrupted_parcel_is_dropped_and_one_without_end_is_given_up() {
        let part = |first, last, bytes: &[u8]| Piece { first, last, bytes: bytes.to_vec() };
        let mut joiner = Joiner::default();
        assert_eq!(joiner.push(part(false, true, b"tail of nothing")), None);
        assert_eq!(joiner.push(part(true, false, b"broken ")), None);
        assert!(joiner.is_within());
        assert_eq!(joiner.push(part(true, false, b"wh")), None);
        assert_eq!(joiner.push(part(false, true, b"ole")), Some(b"whole".to_vec()));
        assert!(!joiner.is_within());
        let mebibyte = vec![0; 1 << 20];
        joiner.push(part(true, false, &mebibyte));
        for _ in 0..PARCEL_LEN_MAX >> 20 {
            assert_eq!(joiner.push(part(false, false, &mebibyte)), None);
        }
        assert!(!joiner.is_within(), "it holds nothing any more");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn parcels_come_back_from_records_of_few_lengths(
            parcel in prop::collection::vec(any::<u8>(), 1..60_000),
            max in prop::sample::select(vec![DHT_RECORD_LEN, 20_000, RECORD_LEN_MAX]),
        ) {
            let (stream, mut entropy, mut joiner) = (stream(1, &log(), 1, 0), Counter::default(), Joiner::default());
            let pieces = cut(&parcel, max);
            let count = pieces.len();
            for (number, piece) in (0..).zip(pieces) {
                let record = stream.seal(number, &piece, END, &mut entropy);
                prop_assert!(record.bytes().len() <= max);
                prop_assert!(record_lens().any(|len| len == record.bytes().len()));
                let read = BoardRecord::decode(record.bytes().to_vec()).unwrap();
                let whole = joiner.push(stream.open(number, &read).unwrap());
                prop_assert_eq!(whole.is_some(), number + 1 == count as u64);
                if let Some(whole) = whole {
                    prop_assert_eq!(&whole, &parcel);
                }
            }
        }
    }
}
