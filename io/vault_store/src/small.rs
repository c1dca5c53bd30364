//! The sealing of small rows: options, erasures, receipts, answers to repeat, states of rotations.
use crate::entropy::ThreadEntropy;
use terachat_vault::{
    Algorithm, RecordAddress, RecordHeader, RecordKeyId, Secret, SecretBytes, derive_key, open_record,
    seal_record,
};

pub(crate) struct SmallKey(Secret<32>);

impl SmallKey {
    pub(crate) fn new(seed: &Secret<32>) -> Self {
        Self(derive_key("terachat 2026-11 vault small rows key", seed, &[]))
    }

    /// Seals the value of the row with this key, and binds it to it.
    pub(crate) fn seal(&self, row: &[u8], plain: &[u8]) -> Vec<u8> {
        let key = RecordKeyId { generation: 0, page: 0, slot: 0 };
        let header = RecordHeader { algorithm: Algorithm::Aes256Gcm, compressed: false, key };
        seal_record(&self.0, &header, &address(row), plain, &mut ThreadEntropy)
    }

    /// Opens what [`SmallKey::seal`] made for the row with this key.
    pub(crate) fn open(&self, row: &[u8], sealed: &[u8]) -> Option<SecretBytes> {
        open_record(&self.0, &address(row), sealed).ok().map(|(_, plain)| plain)
    }
}

fn address(row: &[u8]) -> RecordAddress {
    let hash = blake3::hash(row);
    let (collection, record) = hash.as_bytes().split_at(16);
    let half = |half: &[u8]| half.try_into().expect("half of 32 bytes");
    RecordAddress { collection: half(collection), record: half(record), version: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_row_opens_in_its_own_place_only() {
        let key = SmallKey::new(&Secret::take(&mut [1; 32]));
        let sealed = key.seal(b"row", b"value");
        assert_eq!(key.open(b"row", &sealed).unwrap().expose_secret(), b"value");
        assert!(key.open(b"another", &sealed).is_none());
        assert!(SmallKey::new(&Secret::take(&mut [2; 32])).open(b"row", &sealed).is_none());
    }
}
