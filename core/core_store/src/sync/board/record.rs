use super::{BoardError, Published};
use std::fmt;
use terachat_event::{BlindedKey, DeviceKey, verify};

/// Longest record that every board takes, in bytes: what a DHT's peers accept.
pub const DHT_RECORD_LEN: usize = 14 << 10;
/// Longest record that any board takes, in bytes: 64 times as much.
pub const RECORD_LEN_MAX: usize = 14 << 16;
/// Longest time from publishing to a record's end: 90 days.
pub const RECORD_LIFETIME_MS_MAX: u64 = 90 * 24 * 3600 * 1000;

const VERSION: u8 = 1;
const CONTEXT: &str = "terachat 2026-11 board record";
const KEY_CONTEXT: &str = "terachat 2026-11 board key";
const SIGNER_END: usize = 1 + 32;
const HEAD_LEN: usize = SIGNER_END + 8;
const SIGNATURE_LEN: usize = 64;
/// Bytes of a record that are not content.
pub(crate) const FRAME_LEN: usize = HEAD_LEN + SIGNATURE_LEN;

/// Under which a board keeps a record: the hash of the public key that signs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey(pub [u8; 32]);

impl RecordKey {
    /// The key of what `signer` signs.
    pub fn of(signer: &[u8; 32]) -> Self {
        Self(blake3::derive_key(KEY_CONTEXT, signer))
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A sealed value, signed by the key it is kept under: whoever stores it can check it and learns nothing else. One that
/// exists has a true signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoardRecord {
    key: RecordKey,
    bytes: Vec<u8>,
}

impl BoardRecord {
    /// Signs `content`, to be kept until `expires_ms`.
    pub(crate) fn sign(signer: &DeviceKey, expires_ms: u64, content: &[u8]) -> Self {
        Self::sign_with(&signer.id().0, expires_ms, content, |bytes| signer.sign(CONTEXT, bytes))
    }

    /// The same by a blinded key.
    pub(crate) fn sign_blinded(signer: &BlindedKey, expires_ms: u64, content: &[u8]) -> Self {
        Self::sign_with(&signer.id(), expires_ms, content, |bytes| signer.sign(CONTEXT, bytes))
    }

    fn sign_with(
        signer: &[u8; 32],
        expires_ms: u64,
        content: &[u8],
        sign: impl FnOnce(&[u8]) -> [u8; SIGNATURE_LEN],
    ) -> Self {
        let mut bytes = Vec::with_capacity(FRAME_LEN + content.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(signer);
        bytes.extend_from_slice(&expires_ms.to_le_bytes());
        bytes.extend_from_slice(content);
        let signature = sign(&bytes);
        bytes.extend_from_slice(&signature);
        Self { key: RecordKey::of(signer), bytes }
    }

    /// Reads and checks a record.
    ///
    /// # Errors
    /// [`BoardError::Record`], [`BoardError::TooLong`].
    pub fn decode(bytes: Vec<u8>) -> Result<Self, BoardError> {
        if bytes.len() > RECORD_LEN_MAX {
            return Err(BoardError::TooLong { len: bytes.len(), max: RECORD_LEN_MAX });
        }
        if bytes.len() < FRAME_LEN {
            return Err(BoardError::Record("it is cut short"));
        }
        if bytes[0] != VERSION {
            return Err(BoardError::Record("another format version"));
        }
        let (body, signature) = bytes.split_last_chunk().expect("it is longer than its frame");
        let signer = body[1..33].try_into().expect("32 bytes");
        if !verify(signer, CONTEXT, body, signature) {
            return Err(BoardError::Record("its signature does not fit"));
        }
        Ok(Self { key: RecordKey::of(signer), bytes })
    }

    /// Where it is kept.
    pub fn key(&self) -> RecordKey {
        self.key
    }

    /// Its bytes as they are stored and sent.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// When it may be removed, in milliseconds since 1970.
    pub fn expires_ms(&self) -> u64 {
        u64::from_le_bytes(self.bytes[SIGNER_END..HEAD_LEN].try_into().expect("eight bytes"))
    }

    /// What it holds, sealed.
    pub fn content(&self) -> &[u8] {
        &self.bytes[HEAD_LEN..self.bytes.len() - SIGNATURE_LEN]
    }

    /// All but its end and its signature: what stays the same when it is renewed. Never empty.
    pub fn lasting(&self) -> Vec<u8> {
        [&self.bytes[..SIGNER_END], self.content()].concat()
    }

    /// Its signature, which covers [`lasting`](Self::lasting) and the end.
    pub fn signature(&self) -> [u8; SIGNATURE_LEN] {
        *self.bytes.last_chunk().expect("it is longer than its frame")
    }

    /// The bytes of the record that has these parts; [`decode`](Self::decode) tells whether they belong together.
    pub fn join(lasting: &[u8], expires_ms: u64, signature: &[u8; SIGNATURE_LEN]) -> Vec<u8> {
        let (head, content) = lasting.split_at(lasting.len().min(SIGNER_END));
        [head, &expires_ms.to_le_bytes(), content, signature].concat()
    }

    /// What a board does with the record where `known` stands under its key: the rule of all boards.
    ///
    /// # Errors
    /// [`BoardError::TooLong`] above `len_max` bytes, [`BoardError::Lifetime`], [`BoardError::Taken`].
    pub fn admit(&self, known: Option<&Self>, len_max: usize, now_ms: u64) -> Result<Published, BoardError> {
        if self.bytes.len() > len_max {
            return Err(BoardError::TooLong { len: self.bytes.len(), max: len_max });
        }
        let expires_ms = self.expires_ms();
        if expires_ms <= now_ms || expires_ms - now_ms > RECORD_LIFETIME_MS_MAX {
            return Err(BoardError::Lifetime);
        }
        match known.filter(|known| known.expires_ms() > now_ms) {
            None => Ok(Published::Added),
            Some(known) if known.content() != self.content() => Err(BoardError::Taken),
            Some(known) if known.expires_ms() < expires_ms => Ok(Published::Renewed),
            Some(_) => Ok(Published::Known),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use terachat_vault::Secret;

    fn signer(n: u8) -> DeviceKey {
        DeviceKey::from_seed(&Secret::take(&mut [n; 32]))
    }

    #[test]
    fn it_says_what_was_signed() {
        let record = BoardRecord::sign(&signer(1), 77, b"sealed");
        let read = BoardRecord::decode(record.bytes().to_vec()).unwrap();
        assert_eq!((read.expires_ms(), read.content()), (77, &b"sealed"[..]));
        assert_eq!(read.key(), RecordKey::of(&signer(1).id().0));
        assert_ne!(read.key(), RecordKey::of(&signer(2).id().0));
    }

    #[test]
    fn a_lifetime_has_two_ends() {
        let case = |expires_ms| BoardRecord::sign(&signer(1), expires_ms, b"").admit(None, 500, 1000);
        assert_eq!(case(1000), Err(BoardError::Lifetime));
        assert_eq!(case(1001), Ok(Published::Added));
        assert_eq!(case(1000 + RECORD_LIFETIME_MS_MAX), Ok(Published::Added));
        assert_eq!(case(1001 + RECORD_LIFETIME_MS_MAX), Err(BoardError::Lifetime));
        assert_eq!(case(u64::MAX), Err(BoardError::Lifetime));
    }

    #[test]
    fn its_parts_are_the_record_and_a_renewal_changes_two_of_them() {
        for content in [&b""[..], b"sealed"] {
            let [short, long] = [77, 78].map(|end| BoardRecord::sign(&signer(1), end, content));
            assert_eq!(short.lasting(), long.lasting());
            for (record, end) in [(&short, 77), (&long, 78)] {
                let joined = BoardRecord::join(&record.lasting(), end, &record.signature());
                assert_eq!(BoardRecord::decode(joined).as_ref(), Ok(record));
            }
            let mixed = BoardRecord::join(&short.lasting(), 77, &long.signature());
            assert!(BoardRecord::decode(mixed).is_err());
        }
        assert!(BoardRecord::decode(BoardRecord::join(&[1, 2], 3, &[0; 64])).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            let _ = BoardRecord::decode(bytes);
        }

        #[test]
        fn every_bit_is_signed(content in prop::collection::vec(any::<u8>(), 0..64), at: prop::sample::Index, bit in 0..8u8) {
            let mut bytes = BoardRecord::sign(&signer(1), 77, &content).bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(BoardRecord::decode(bytes).is_err());
        }
    }
}
