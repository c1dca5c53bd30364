//! A page of record keys, and how one of them is destroyed. `docs/format/key-page.md`.
use crate::envelope::EnvelopeKey;
use crate::memory::{HASH_CHUNK_DEPTH, burn_after};
use crate::record::{self, RecordAddress, RecordHeader};
use crate::{Algorithm, Entropy, Error, Secret, SecretBytes, envelope};

/// Record keys in a page.
pub const KEY_PAGE_SLOTS: u16 = 256;

const ENTRY_PREFIX: [u8; 4] = *b"TCe\x01";
const PUNCTURED_PREFIX: [u8; 4] = *b"TCp\x01";
const WHOLE: u8 = 0;
const PUNCTURED: u8 = 1;
const BITMAP_LEN: usize = KEY_PAGE_SLOTS as usize / 8;
const SLOT_CONTEXT: &[u8] = b"slot";

/// Where a page belongs; bound to its sealed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyPageAddress {
    /// The collection's id.
    pub collection: [u8; 16],
    /// Generation of the collection's DEK.
    pub generation: u32,
    /// Number of the page in the generation.
    pub page: u32,
}

impl KeyPageAddress {
    fn aad(&self) -> [u8; 24] {
        let mut aad = [0; 24];
        aad[..16].copy_from_slice(&self.collection);
        aad[16..20].copy_from_slice(&self.generation.to_le_bytes());
        aad[20..].copy_from_slice(&self.page.to_le_bytes());
        aad
    }
}

/// The keys of [`KEY_PAGE_SLOTS`] records.
///
/// A whole page is one seed from which each slot's key follows. Once a record is erased, the seed has to go: the page is
/// then *punctured* and lists the keys that are left. What follows from a punctured page is nothing about those that are
/// not in it.
pub struct KeyPage(Keys);

enum Keys {
    Whole(Secret<32>),
    /// Under a key of the page's own; `slots` has 32 bytes for each bit that is set in `left`, in ascending order.
    Punctured {
        key: Secret<32>,
        left: [u8; BITMAP_LEN],
        slots: SecretBytes,
    },
}

/// A page as it is stored: a small entry under the DEK, and for a punctured page the keys that are left, under the key in
/// the entry. Only the entry has to be written again when the DEK changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedKeyPage {
    /// The page's own key under the DEK.
    pub entry: Vec<u8>,
    /// The keys left in a punctured page; `None` for a whole one.
    pub slots: Option<Vec<u8>>,
}

impl KeyPage {
    /// A fresh page with all its keys.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        Self(Keys::Whole(Secret::generate(|seed| entropy.fill(seed))))
    }

    /// The key of a slot; `None` when it was destroyed.
    pub fn key(&self, slot: u16) -> Option<Secret<32>> {
        let key = self.slot(slot)?;
        Some(Secret::generate(|out| {
            burn_after::<HASH_CHUNK_DEPTH, _>(|| key.with_key(|key| out.copy_from_slice(key)));
        }))
    }

    /// Seals one version of a record under the key of the slot that `header` names: as [`crate::seal_record`] with
    /// [`KeyPage::key`], and the same bytes, but in place and without a copy of the key. `buffer` holds room for
    /// [`crate::RECORD_HEAD_LEN`] bytes, the plaintext, and room for [`crate::TAG_LEN`] bytes. `false`, and nothing is changed,
    /// when the slot's key was destroyed.
    ///
    /// # Panics
    /// When `buffer` is shorter than [`crate::RECORD_OVERHEAD`].
    #[must_use]
    pub fn seal_record(
        &self,
        header: &RecordHeader,
        address: &RecordAddress,
        buffer: &mut [u8],
        entropy: &mut dyn Entropy,
    ) -> bool {
        let key = self.slot(header.key.slot);
        key.is_some_and(|key| {
            record::seal_in_place(&key, header, address, buffer, entropy);
            true
        })
    }

    /// Opens a record that belongs at `address` with the key of its slot: as [`crate::open_record`] with [`KeyPage::key`].
    /// `None` when that key was destroyed.
    ///
    /// # Errors
    /// As [`crate::open_record`].
    pub fn open_record(
        &self,
        header: &RecordHeader,
        address: &RecordAddress,
        sealed: &[u8],
    ) -> Option<Result<SecretBytes, Error>> {
        let key = self.slot(header.key.slot)?;
        Some(record::open_under(&key, header, address, sealed))
    }

    fn slot(&self, slot: u16) -> Option<SlotKey<'_>> {
        if slot >= KEY_PAGE_SLOTS {
            return None;
        }
        match &self.0 {
            Keys::Whole(seed) => Some(SlotKey::Of(seed, slot)),
            Keys::Punctured { left, slots, .. } => {
                let at = position(left, slot)? * 32;
                slots.expose_secret()[at..].first_chunk().map(SlotKey::Is)
            }
        }
    }

    /// The page without the keys of `erased`. The page as it was still has them: it is for the caller to drop it, and to
    /// make every stored copy of it unreadable by changing the DEK.
    pub fn puncture(&self, erased: &[u16], entropy: &mut dyn Entropy) -> Self {
        let kept: Vec<(u16, Secret<32>)> = (0..KEY_PAGE_SLOTS)
            .filter(|slot| !erased.contains(slot))
            .filter_map(|slot| Some((slot, self.key(slot)?)))
            .collect();
        let mut left = [0; BITMAP_LEN];
        kept.iter().for_each(|(slot, _)| left[usize::from(slot / 8)] |= 1 << (slot % 8));
        let slots = SecretBytes::generate(kept.len() * 32, |out| {
            for (place, (_, key)) in out.chunks_exact_mut(32).zip(&kept) {
                place.copy_from_slice(key.expose_secret());
            }
        });
        let key = Secret::generate(|key| entropy.fill(key));
        Self(Keys::Punctured { key, left, slots })
    }

    /// How many keys are left.
    pub fn len(&self) -> u16 {
        match &self.0 {
            Keys::Whole(_) => KEY_PAGE_SLOTS,
            Keys::Punctured { left, .. } => {
                left.iter().map(|byte| u16::from(byte.count_ones().to_le_bytes()[0])).sum()
            }
        }
    }

    /// Whether every key was destroyed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Seals the page under the DEK `root`.
    pub fn seal(
        &self,
        algorithm: Algorithm,
        root: &Secret<32>,
        address: &KeyPageAddress,
        entropy: &mut dyn Entropy,
    ) -> SealedKeyPage {
        let (kind, key) = match &self.0 {
            Keys::Whole(seed) => (WHOLE, seed),
            Keys::Punctured { key, .. } => (PUNCTURED, key),
        };
        let slots = match &self.0 {
            Keys::Whole(_) => None,
            Keys::Punctured { key, left, slots } => {
                let slots = slots.expose_secret();
                let plain = SecretBytes::generate(BITMAP_LEN + slots.len(), |out| {
                    out[..BITMAP_LEN].copy_from_slice(left);
                    out[BITMAP_LEN..].copy_from_slice(slots);
                });
                let plain = plain.expose_secret();
                Some(envelope::seal(algorithm, key, &PUNCTURED_PREFIX, &address.aad(), plain, entropy))
            }
        };
        SealedKeyPage { entry: seal_entry(algorithm, root, kind, key, address, entropy), slots }
    }

    /// Opens a stored page.
    ///
    /// # Errors
    /// [`Error::Open`] when it does not belong to this DEK and address or was changed; [`Error::Envelope`] for foreign
    /// bytes, and for a punctured page that comes without its keys.
    pub fn open(
        algorithm: Algorithm,
        root: &Secret<32>,
        address: &KeyPageAddress,
        sealed: &SealedKeyPage,
    ) -> Result<Self, Error> {
        let (kind, key) = open_entry(algorithm, root, address, &sealed.entry)?;
        match (kind, &sealed.slots) {
            (WHOLE, None) => Ok(Self(Keys::Whole(key))),
            (PUNCTURED, Some(slots)) => {
                check_prefix(slots, PUNCTURED_PREFIX)?;
                let plain = envelope::open(algorithm, &key, PUNCTURED_PREFIX.len(), &address.aad(), slots)?;
                let (left, slots) = plain
                    .expose_secret()
                    .split_first_chunk::<BITMAP_LEN>()
                    .ok_or(Error::Envelope("a key page is cut short"))?;
                let count: u32 = left.iter().map(|byte| byte.count_ones()).sum();
                if slots.len() != count as usize * 32 {
                    return Err(Error::Envelope("a key page has not the keys it lists"));
                }
                Ok(Self(Keys::Punctured { key, left: *left, slots: SecretBytes::copy_from(slots) }))
            }
            (WHOLE | PUNCTURED, _) => Err(Error::Envelope("a key page does not fit its entry")),
            _ => Err(Error::Envelope("an unknown kind of key page")),
        }
    }
}

/// Moves a page's entry from one DEK to another. What the entry opens stays as it is.
///
/// # Errors
/// As [`KeyPage::open`].
pub fn rewrap_entry(
    algorithm: Algorithm,
    from: &Secret<32>,
    to: &Secret<32>,
    address: &KeyPageAddress,
    entry: &[u8],
    entropy: &mut dyn Entropy,
) -> Result<Vec<u8>, Error> {
    let (kind, key) = open_entry(algorithm, from, address, entry)?;
    Ok(seal_entry(algorithm, to, kind, &key, address, entropy))
}

fn seal_entry(
    algorithm: Algorithm,
    root: &Secret<32>,
    kind: u8,
    key: &Secret<32>,
    address: &KeyPageAddress,
    entropy: &mut dyn Entropy,
) -> Vec<u8> {
    let plain = Secret::<33>::generate(|plain| {
        plain[0] = kind;
        plain[1..].copy_from_slice(key.expose_secret());
    });
    envelope::seal(algorithm, root, &ENTRY_PREFIX, &address.aad(), plain.expose_secret(), entropy)
}

fn open_entry(
    algorithm: Algorithm,
    root: &Secret<32>,
    address: &KeyPageAddress,
    entry: &[u8],
) -> Result<(u8, Secret<32>), Error> {
    check_prefix(entry, ENTRY_PREFIX)?;
    let plain = envelope::open(algorithm, root, ENTRY_PREFIX.len(), &address.aad(), entry)?;
    let plain: &[u8; 33] = plain
        .expose_secret()
        .try_into()
        .map_err(|_| Error::Envelope("a key page's entry has another length"))?;
    Ok((plain[0], Secret::generate(|key| key.copy_from_slice(&plain[1..]))))
}

fn check_prefix(bytes: &[u8], prefix: [u8; 4]) -> Result<(), Error> {
    if bytes.starts_with(&prefix) { Ok(()) } else { Err(Error::Envelope("not a key page of this version")) }
}

/// The key of a slot that is there.
enum SlotKey<'a> {
    Is(&'a [u8; 32]),
    /// It follows from the page's seed.
    Of(&'a Secret<32>, u16),
}

impl EnvelopeKey for SlotKey<'_> {
    fn with_key<R>(&self, work: impl FnOnce(&[u8; 32]) -> R) -> R {
        match self {
            Self::Is(key) => work(key),
            Self::Of(seed, slot) => {
                let mut input = [0; SLOT_CONTEXT.len() + 2];
                input[..SLOT_CONTEXT.len()].copy_from_slice(SLOT_CONTEXT);
                input[SLOT_CONTEXT.len()..].copy_from_slice(&slot.to_le_bytes());
                work(blake3::keyed_hash(seed.expose_secret(), &input).as_bytes())
            }
        }
    }
}

/// How many keys stand before that of `slot`; `None` when the slot has none.
fn position(left: &[u8; BITMAP_LEN], slot: u16) -> Option<usize> {
    let (byte, bit) = (usize::from(slot / 8), slot % 8);
    if left[byte] & (1 << bit) == 0 {
        return None;
    }
    let before: u32 = left[..byte].iter().map(|byte| byte.count_ones()).sum();
    Some((before + (left[byte] & ((1 << bit) - 1)).count_ones()) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Counting;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const ADDRESS: KeyPageAddress = KeyPageAddress { collection: [1; 16], generation: 2, page: 3 };
    const CIPHER: Algorithm = Algorithm::ChaCha20Poly1305;

    fn root(byte: u8) -> Secret<32> {
        Secret::take(&mut [byte; 32])
    }

    fn keys(page: &KeyPage) -> Vec<Option<[u8; 32]>> {
        (0..KEY_PAGE_SLOTS).map(|slot| page.key(slot).map(|key| *key.expose_secret())).collect()
    }

    proptest! {
        /// However often it is punctured, sealed, moved to another DEK and opened, a page has the keys it had at first,
        /// without those that were erased.
        #[test]
        fn a_page_loses_the_erased_keys_and_no_other(erasures: Vec<BTreeSet<u16>>) {
            let mut entropy = Counting(0);
            let mut page = KeyPage::generate(&mut entropy);
            let mut model = keys(&page);
            prop_assert_eq!(model.iter().flatten().collect::<BTreeSet<_>>().len(), usize::from(KEY_PAGE_SLOTS));
            for (round, erased) in erasures.iter().enumerate() {
                let erased: Vec<u16> = erased.iter().map(|slot| slot % KEY_PAGE_SLOTS).collect();
                page = page.puncture(&erased, &mut entropy);
                for slot in erased {
                    model[usize::from(slot)] = None;
                }
                let mut sealed = page.seal(CIPHER, &root(round as u8), &ADDRESS, &mut entropy);
                let (from, to) = (root(round as u8), root(round as u8 + 1));
                sealed.entry = rewrap_entry(CIPHER, &from, &to, &ADDRESS, &sealed.entry, &mut entropy).unwrap();
                prop_assert_eq!(KeyPage::open(CIPHER, &from, &ADDRESS, &sealed).err(), Some(Error::Open));
                page = KeyPage::open(CIPHER, &to, &ADDRESS, &sealed).unwrap();
                prop_assert_eq!(keys(&page), model.clone());
                prop_assert_eq!(usize::from(page.len()), model.iter().flatten().count());
            }
        }

        #[test]
        fn damage_is_an_error_and_never_a_panic(entry: Vec<u8>, slots: Option<Vec<u8>>, flip: prop::sample::Index) {
            let any = SealedKeyPage { entry, slots };
            prop_assert!(KeyPage::open(CIPHER, &root(0), &ADDRESS, &any).is_err());
            let mut entropy = Counting(0);
            let page = KeyPage::generate(&mut entropy).puncture(&[7], &mut entropy);
            let mut sealed = page.seal(CIPHER, &root(0), &ADDRESS, &mut entropy);
            let slots = sealed.slots.as_mut().unwrap();
            let at = flip.index(slots.len());
            slots[at] ^= 1;
            prop_assert!(KeyPage::open(CIPHER, &root(0), &ADDRESS, &sealed).is_err());
            sealed.slots = None;
            prop_assert!(KeyPage::open(CIPHER, &root(0), &ADDRESS, &sealed).is_err());
        }
    }

    /// Under the page, with its key or after it was punctured, a record is what it is with the slot's key in one's hands.
    #[test]
    fn records_are_sealed_and_opened_without_taking_the_key_out() {
        use crate::record::{RECORD_HEAD_LEN, RECORD_OVERHEAD, RecordKeyId, open_record, seal_record};
        let at = RecordAddress { collection: [1; 16], record: [2; 16], version: 3 };
        let whole = KeyPage::generate(&mut Counting(0));
        let punctured = whole.puncture(&[7], &mut Counting(100));
        for (page, algorithm) in [(&whole, Algorithm::Aes256Gcm), (&punctured, CIPHER)] {
            for slot in [0, 6, 255] {
                let id = RecordKeyId { generation: 2, page: 3, slot };
                let header = RecordHeader { algorithm, compressed: false, key: id };
                let expected =
                    seal_record(&page.key(slot).unwrap(), &header, &at, b"a face", &mut Counting(7));
                let mut sealed = vec![9; RECORD_OVERHEAD + 6];
                sealed[RECORD_HEAD_LEN..RECORD_HEAD_LEN + 6].copy_from_slice(b"a face");
                assert!(page.seal_record(&header, &at, &mut sealed, &mut Counting(7)));
                assert_eq!(sealed, expected);
                let opened = page.open_record(&header, &at, &sealed).unwrap().unwrap();
                assert_eq!(opened.expose_secret(), b"a face");
                assert!(open_record(&whole.key(slot).unwrap(), &at, &sealed).is_ok());
                let other = RecordAddress { version: 4, ..at };
                assert_eq!(page.open_record(&header, &other, &sealed).unwrap().err(), Some(Error::Open));
            }
        }
        for slot in [7, 256] {
            let id = RecordKeyId { generation: 2, page: 3, slot };
            let header = RecordHeader { algorithm: CIPHER, compressed: false, key: id };
            let mut room = [9; RECORD_OVERHEAD];
            assert!(!punctured.seal_record(&header, &at, &mut room, &mut Counting(7)));
            assert_eq!(room, [9; RECORD_OVERHEAD], "nothing is changed");
            assert!(punctured.open_record(&header, &at, &room).is_none());
        }
    }

    #[test]
    fn a_page_opens_at_its_own_address_only() {
        let mut entropy = Counting(0);
        let sealed = KeyPage::generate(&mut entropy).seal(CIPHER, &root(0), &ADDRESS, &mut entropy);
        for address in [
            KeyPageAddress { collection: [9; 16], ..ADDRESS },
            KeyPageAddress { generation: 9, ..ADDRESS },
            KeyPageAddress { page: 9, ..ADDRESS },
        ] {
            assert_eq!(KeyPage::open(CIPHER, &root(0), &address, &sealed).err(), Some(Error::Open));
        }
    }
}
