use super::{Piece, opened, sealed};
use crate::sync::board::{BoardError, BoardRecord, RecordKey};
use terachat_event::{DeviceKey, UserId, blinded_id};
use terachat_vault::{Entropy, Secret, derive_key};

/// The records that a user's devices leave for whoever knows the user's id, in a span of time: readers compute where they are, and
/// nobody but the user's own devices can write one, so nobody stands in their way.
pub struct DirectoryStream {
    user: UserId,
    secret: Secret<32>,
}

impl DirectoryStream {
    /// The stream of `user` (`docs/format/board.md`); `None` for an id that is no key.
    pub fn derive(user: &UserId, bucket: u64) -> Option<Self> {
        let known = Secret::take(&mut { user.0 });
        let secret = derive_key("terachat 2026-11 board directory", &known, &[&bucket.to_le_bytes()]);
        let stream = Self { user: *user, secret };
        stream.signer(0).is_some().then_some(stream)
    }

    /// Where its record of this number is kept.
    pub fn key(&self, number: u64) -> RecordKey {
        RecordKey::of(&self.signer_of(number))
    }

    /// Seals a piece as the record of this number, signed by the user's own key in a form that is this record's alone. The same
    /// number must not be published twice with different pieces.
    pub fn seal(
        &self,
        number: u64,
        piece: &Piece,
        expires_ms: u64,
        user: &DeviceKey,
        entropy: &mut dyn Entropy,
    ) -> BoardRecord {
        let factor = self.factor(number);
        let signer = user.blinded(&factor);
        BoardRecord::sign_blinded(&signer, expires_ms, &sealed(&factor, &signer.id(), piece, entropy))
    }

    /// Opens the record of this number. Whatever opens was signed by one of the user's devices.
    ///
    /// # Errors
    /// [`BoardError::Content`] when it is another's, or holds what no device of the user writes.
    pub fn open(&self, number: u64, record: &BoardRecord) -> Result<Piece, BoardError> {
        opened(&self.factor(number), &self.signer_of(number), record)
    }

    fn signer(&self, number: u64) -> Option<[u8; 32]> {
        blinded_id(&self.user.0, &self.factor(number))
    }

    fn signer_of(&self, number: u64) -> [u8; 32] {
        self.signer(number).expect("a key has a blinded one by any factor, since it had the first")
    }

    fn factor(&self, number: u64) -> Secret<32> {
        derive_key("terachat 2026-11 board slot", &self.secret, &[&number.to_le_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Counter;

    fn key(n: u8) -> DeviceKey {
        DeviceKey::from_seed(&Secret::take(&mut [n; 32]))
    }

    fn stream(n: u8, bucket: u64) -> DirectoryStream {
        DirectoryStream::derive(&UserId(key(n).id().0), bucket).unwrap()
    }

    #[test]
    fn who_knows_the_user_reads_and_the_user_alone_writes() {
        let piece = Piece { first: true, last: true, bytes: b"key packages".to_vec() };
        let record = stream(1, 0).seal(3, &piece, 1_000, &key(1), &mut Counter::default());
        assert_eq!(record.key(), stream(1, 0).key(3));
        assert!(BoardRecord::decode(record.bytes().to_vec()).is_ok(), "any board can check it");
        assert_eq!(stream(1, 0).open(3, &record), Ok(piece.clone()));
        // No place in common with another number, span or user.
        for (other, number) in [(stream(1, 0), 4), (stream(1, 1), 3), (stream(2, 0), 3)] {
            assert_ne!(other.key(number), record.key());
            assert_eq!(other.open(number, &record), Err(BoardError::Content("it belongs elsewhere")));
        }
        // Whoever knows the user's id, and has another key, makes a record of another place.
        let forged = stream(1, 0).seal(3, &piece, 1_000, &key(2), &mut Counter::default());
        assert_ne!(forged.key(), record.key());
        assert!(stream(1, 0).open(3, &forged).is_err());
    }

    #[test]
    fn an_id_that_is_no_key_has_no_stream() {
        let mut one = [0; 32];
        one[0] = 1;
        for id in [[2; 32], one] {
            assert!(DirectoryStream::derive(&UserId(id), 0).is_none());
        }
    }
}
