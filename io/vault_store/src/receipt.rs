//! Signed proof that keys were destroyed: `docs/format/erasure-receipt.md`.
use crate::bytes::{Malformed, Reader, count};
use crate::erasure::{read_records, write_records};
use crate::{ErasureId, Error};
use terachat_event::{DeviceId, DeviceKey};

/// Proof, signed with the vault's audit key, that the keys of these versions were destroyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasureReceipt {
    /// The vault.
    pub vault: [u8; 16],
    /// The number of the erasure.
    pub erasure: ErasureId,
    /// Blinded id of the collection.
    pub collection: [u8; 16],
    /// What was erased.
    pub records: Vec<ErasedRecord>,
    /// When it was unlisted, in milliseconds since 1970.
    pub unlisted_ms: u64,
    /// When the keys were destroyed, in milliseconds since 1970.
    pub destroyed_ms: u64,
    /// For each generation of the DEK that had keys of it: the generation, its epoch before, and after the sweep (0: the
    /// whole generation was destroyed).
    pub epochs: Vec<(u32, u64, u64)>,
    /// Epoch of the keyring without the old keys.
    pub keyring_epoch: u64,
    /// Number of the audit event that unlisted them.
    pub audit_seq: u64,
    /// Its chain hash.
    pub audit_hash: [u8; 32],
    pub(crate) signature: [u8; 64],
}

/// One erased record or version in a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasedRecord {
    /// The record's blinded id.
    pub record: [u8; 16],
    /// Hash of the caller's id, by which its owner knows it: [`ErasedRecord::hash_of`].
    pub id_hash: [u8; 32],
    /// Each erased version with the id of the key that was destroyed: version, generation, page, slot.
    pub versions: Vec<(u64, u32, u32, u16)>,
}

impl ErasedRecord {
    /// The hash by which a record's id stands in a receipt: keyed with the vault's id and the collection's name, so that
    /// whoever knows the three can check it.
    pub fn hash_of(vault: &[u8; 16], collection: &str, id: &str) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("terachat 2026-11 erased record id");
        for part in [&vault[..], collection.as_bytes(), id.as_bytes()] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        *hasher.finalize().as_bytes()
    }
}

const MAGIC: &[u8; 8] = b"TCeras\0\x01";
const CONTEXT: &str = "terachat 2026-11 erasure receipt";
const SIGNATURE_LEN: usize = 64;

impl ErasureReceipt {
    /// Checks the signature. Needs nothing but the vault's public audit key.
    ///
    /// # Errors
    /// [`Error::Receipt`].
    pub fn verify(&self, audit_key: &DeviceId) -> Result<(), Error> {
        let signed = self.signed_bytes();
        if terachat_event::verify(&audit_key.0, CONTEXT, &signed, &self.signature) {
            Ok(())
        } else {
            Err(Error::Receipt("its signature is not that of this vault's audit key"))
        }
    }

    /// The bytes to hand out and keep.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.signed_bytes();
        out.extend_from_slice(&self.signature);
        out
    }

    /// Reads what [`ErasureReceipt::encode`] wrote; whether it holds is [`ErasureReceipt::verify`]'s to say.
    ///
    /// # Errors
    /// [`Error::Receipt`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let bytes = bytes.strip_prefix(MAGIC).ok_or(Error::Receipt("it is none, or of a newer version"))?;
        read(bytes).map_err(|Malformed| Error::Receipt("it is cut short, or was changed"))
    }

    pub(crate) fn sign(mut self, device: &DeviceKey) -> Self {
        self.signature = device.sign(CONTEXT, &self.signed_bytes());
        self
    }

    fn signed_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&self.vault);
        out.extend_from_slice(&self.collection);
        for number in
            [self.erasure.0, self.unlisted_ms, self.destroyed_ms, self.keyring_epoch, self.audit_seq]
        {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.audit_hash);
        out.extend_from_slice(&count(self.epochs.len()));
        for (generation, before, after) in &self.epochs {
            out.extend_from_slice(&generation.to_le_bytes());
            out.extend_from_slice(&before.to_le_bytes());
            out.extend_from_slice(&after.to_le_bytes());
        }
        write_records(&self.records, &mut out);
        out
    }
}

fn read(bytes: &[u8]) -> Result<ErasureReceipt, Malformed> {
    let mut reader = Reader(bytes);
    let (vault, collection) = (reader.array()?, reader.array()?);
    let erasure = ErasureId(reader.u64()?);
    let (unlisted_ms, destroyed_ms) = (reader.u64()?, reader.u64()?);
    let (keyring_epoch, audit_seq, audit_hash) = (reader.u64()?, reader.u64()?, reader.array()?);
    let epochs = (0..reader.u32()?)
        .map(|_| Ok((reader.u32()?, reader.u64()?, reader.u64()?)))
        .collect::<Result<_, Malformed>>()?;
    let records = read_records(&mut reader)?;
    let signature = reader.array::<SIGNATURE_LEN>()?;
    reader.end()?;
    Ok(ErasureReceipt {
        vault,
        erasure,
        collection,
        records,
        unlisted_ms,
        destroyed_ms,
        epochs,
        keyring_epoch,
        audit_seq,
        audit_hash,
        signature,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use terachat_vault::Secret;

    fn receipt() -> ErasureReceipt {
        let record = ErasedRecord {
            record: [3; 16],
            id_hash: ErasedRecord::hash_of(&[1; 16], "door", "ann-1"),
            versions: vec![(1, 2, 3, 4), (2, 2, 3, 5)],
        };
        ErasureReceipt {
            vault: [1; 16],
            erasure: ErasureId(7),
            collection: [2; 16],
            records: vec![record],
            unlisted_ms: 8,
            destroyed_ms: 9,
            epochs: vec![(2, 1, 2)],
            keyring_epoch: 10,
            audit_seq: 11,
            audit_hash: [12; 32],
            signature: [0; 64],
        }
        .sign(&DeviceKey::from_seed(&Secret::take(&mut [5; 32])))
    }

    #[test]
    fn a_receipt_holds_as_it_was_signed() {
        let key = DeviceKey::from_seed(&Secret::take(&mut [5; 32])).id();
        let other = DeviceKey::from_seed(&Secret::take(&mut [6; 32])).id();
        let good = receipt();
        assert_eq!(good.verify(&key), Ok(()));
        assert!(matches!(good.verify(&other), Err(Error::Receipt(_))));
        assert_eq!(ErasureReceipt::decode(&good.encode()), Ok(good));
    }

    proptest! {
        #[test]
        fn a_changed_receipt_does_not_hold(at: prop::sample::Index, bit in 0..8u8, cut: prop::sample::Index) {
            let key = DeviceKey::from_seed(&Secret::take(&mut [5; 32])).id();
            let mut bytes = receipt().encode();
            let cut = cut.index(bytes.len());
            prop_assert!(ErasureReceipt::decode(&bytes[..cut]).is_err());
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(ErasureReceipt::decode(&bytes).and_then(|receipt| receipt.verify(&key)).is_err());
        }

        #[test]
        fn any_bytes_are_an_error_and_never_a_panic(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }
    }
}
