//! A sealed record: one version of one value, under a key of its own. `docs/format/record.md`.
use crate::envelope::EnvelopeKey;
use crate::{Algorithm, Entropy, Error, Secret, SecretBytes, envelope};

const VERSION: u8 = 1;
const PREFIX_LEN: usize = 16;
const COMPRESSED: u8 = 1;

/// Bytes by which a sealed record is longer than its plaintext.
pub const RECORD_OVERHEAD: usize = PREFIX_LEN + envelope::OVERHEAD;
/// Bytes of a sealed record before the ciphertext, which is as long as the plaintext.
pub const RECORD_HEAD_LEN: usize = PREFIX_LEN + envelope::HEAD_LEN;

/// Where a record belongs. It is bound to the sealed bytes without being in them: a record that was moved to another
/// collection, id or version does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordAddress {
    /// The collection's id.
    pub collection: [u8; 16],
    /// The record's id in it.
    pub record: [u8; 16],
    /// Which version of the record, from 1.
    pub version: u64,
}

impl RecordAddress {
    fn aad(&self) -> [u8; 40] {
        let mut aad = [0; 40];
        aad[..16].copy_from_slice(&self.collection);
        aad[16..32].copy_from_slice(&self.record);
        aad[32..].copy_from_slice(&self.version.to_le_bytes());
        aad
    }
}

/// Which key a record is sealed under: the data-encryption key's generation, a page of keys below it, a slot in the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKeyId {
    /// Generation of the collection's DEK.
    pub generation: u32,
    /// Page of record keys in that generation.
    pub page: u32,
    /// Slot in the page, below [`crate::KEY_PAGE_SLOTS`].
    pub slot: u16,
}

/// What a sealed record says of itself before it is opened. Bound to it, as the address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader {
    /// The cipher.
    pub algorithm: Algorithm,
    /// Whether the plaintext is a zstd frame. Compressing and its limits are the caller's.
    pub compressed: bool,
    /// The key it is sealed under.
    pub key: RecordKeyId,
}

impl RecordHeader {
    fn prefix(&self) -> [u8; PREFIX_LEN] {
        let mut prefix = [0; PREFIX_LEN];
        prefix[0] = VERSION;
        prefix[1] = self.algorithm as u8;
        prefix[2] = if self.compressed { COMPRESSED } else { 0 };
        prefix[4..8].copy_from_slice(&self.key.generation.to_le_bytes());
        prefix[8..12].copy_from_slice(&self.key.page.to_le_bytes());
        prefix[12..14].copy_from_slice(&self.key.slot.to_le_bytes());
        prefix
    }

    /// Reads the header of a sealed record. It is to be believed only once the record has opened.
    ///
    /// # Errors
    /// [`Error::Envelope`] for bytes that [`seal_record`] does not write.
    pub fn read(sealed: &[u8]) -> Result<Self, Error> {
        let prefix = sealed.get(..PREFIX_LEN).ok_or(Error::Envelope("it is cut short"))?;
        if prefix[0] != VERSION {
            return Err(Error::Envelope("another version of the record format"));
        }
        let algorithm = Algorithm::from_number(prefix[1]).ok_or(Error::Envelope("an unknown cipher"))?;
        if prefix[2] > COMPRESSED || prefix[3] != 0 || prefix[14..] != [0; 2] {
            return Err(Error::Envelope("an unknown flag"));
        }
        let number = |at: usize| u32::from_le_bytes(prefix[at..at + 4].try_into().expect("four bytes"));
        let slot = u16::from_le_bytes([prefix[12], prefix[13]]);
        if slot >= crate::KEY_PAGE_SLOTS {
            return Err(Error::Envelope("a slot that no page has"));
        }
        let key = RecordKeyId { generation: number(4), page: number(8), slot };
        Ok(Self { algorithm, compressed: prefix[2] == COMPRESSED, key })
    }
}

/// Seals one version of a record under the key of its slot. The slot may have been used before: each sealing derives its
/// own key from 24 random bytes.
pub fn seal_record(
    key: &Secret<32>,
    header: &RecordHeader,
    address: &RecordAddress,
    plaintext: &[u8],
    entropy: &mut dyn Entropy,
) -> Vec<u8> {
    envelope::seal(header.algorithm, key, &header.prefix(), &address.aad(), plaintext, entropy)
}

/// Opens a sealed record that belongs at `address`.
///
/// # Errors
/// [`Error::Envelope`] for foreign bytes; [`Error::Open`] when the key or the address is not the one it was sealed with,
/// or any byte was changed.
pub fn open_record(
    key: &Secret<32>,
    address: &RecordAddress,
    sealed: &[u8],
) -> Result<(RecordHeader, SecretBytes), Error> {
    let header = RecordHeader::read(sealed)?;
    let plaintext = open_under(key, &header, address, sealed)?;
    Ok((header, plaintext))
}

/// [`seal_record`] within a buffer: [`envelope::seal_in_place`] says how it is laid out.
pub(crate) fn seal_in_place(
    key: &impl EnvelopeKey,
    header: &RecordHeader,
    address: &RecordAddress,
    buffer: &mut [u8],
    entropy: &mut dyn Entropy,
) {
    let (prefix, aad) = (header.prefix(), address.aad());
    envelope::seal_in_place(header.algorithm, key, &prefix, &aad, buffer, entropy);
}

/// [`open_record`] with the header that was read from `sealed`.
pub(crate) fn open_under(
    key: &impl EnvelopeKey,
    header: &RecordHeader,
    address: &RecordAddress,
    sealed: &[u8],
) -> Result<SecretBytes, Error> {
    envelope::open(header.algorithm, key, PREFIX_LEN, &address.aad(), sealed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Counting;
    use proptest::prelude::*;

    const ADDRESS: RecordAddress = RecordAddress { collection: [1; 16], record: [2; 16], version: 3 };

    fn header(algorithm: Algorithm) -> RecordHeader {
        RecordHeader { algorithm, compressed: false, key: RecordKeyId { generation: 4, page: 5, slot: 6 } }
    }

    fn key() -> Secret<32> {
        Secret::take(&mut std::array::from_fn(|i| i as u8))
    }

    fn sealed(algorithm: Algorithm) -> Vec<u8> {
        seal_record(&key(), &header(algorithm), &ADDRESS, b"a template", &mut Counting(0))
    }

    #[test]
    fn opens_at_its_own_address_only() {
        for algorithm in [Algorithm::ChaCha20Poly1305, Algorithm::Aes256Gcm] {
            let sealed = sealed(algorithm);
            assert_eq!(sealed.len(), 10 + RECORD_OVERHEAD);
            let (read, plaintext) = open_record(&key(), &ADDRESS, &sealed).unwrap();
            assert_eq!((read, plaintext.expose_secret()), (header(algorithm), &b"a template"[..]));
            for address in [
                RecordAddress { collection: [9; 16], ..ADDRESS },
                RecordAddress { record: [9; 16], ..ADDRESS },
                RecordAddress { version: 2, ..ADDRESS },
            ] {
                assert_eq!(open_record(&key(), &address, &sealed).err(), Some(Error::Open));
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_error_and_never_a_panic(bytes: Vec<u8>) {
            prop_assert!(open_record(&key(), &ADDRESS, &bytes).is_err());
        }

        #[test]
        fn a_flipped_bit_is_noticed_wherever_it_is(at: prop::sample::Index, bit in 0..8u8) {
            let mut sealed = sealed(Algorithm::ChaCha20Poly1305);
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert!(open_record(&key(), &ADDRESS, &sealed).is_err());
        }
    }
}
