//! How the keys of records stand in the engine: `docs/format/vault-store.md`, "Keys of records".
//!
//! A record's key is collection ‖ record, and everything but the engine knows it as that. Stored are two bytes of the
//! collection first, then the record, then the rest of the collection. The engine's table in memory is a skip list whose
//! nodes hold the first four bytes of their keys; the rest is somewhere else. With 16 bytes in front that all records of a
//! collection share, each of the some fifteen comparisons of a look-up or a write would go and fetch it.
use crate::engine::Space;
use fjall::Slice;

/// Bytes of a collection's id that stand first.
const TAG_LEN: usize = 2;
const ID_LEN: usize = 16;
const RECORD_END: usize = 2 * ID_LEN;
/// A key of `versions`, and one byte more: the bound after it.
const LEN_MAX: usize = RECORD_END + 8 + 1;

fn has_records(space: Space) -> bool {
    matches!(space, Space::Records | Space::Versions)
}

/// Hands out how this key is stored; of a key's beginning (a collection, or some of a record's bytes too) where the keys
/// that begin so are: all of them, and of other collections with the same first bytes some, are from there on.
pub(crate) fn with_stored<R>(space: Space, key: &[u8], work: impl FnOnce(&[u8]) -> R) -> R {
    if !has_records(space) || !(ID_LEN..=LEN_MAX).contains(&key.len()) {
        return work(key);
    }
    let (collection, rest) = key.split_at(ID_LEN);
    let (record, version) = rest.split_at(rest.len().min(ID_LEN));
    let mut stored = [0; LEN_MAX];
    stored[..TAG_LEN].copy_from_slice(&collection[..TAG_LEN]);
    stored[TAG_LEN..TAG_LEN + record.len()].copy_from_slice(record);
    if record.len() < ID_LEN {
        return work(&stored[..TAG_LEN + record.len()]);
    }
    stored[TAG_LEN + ID_LEN..RECORD_END].copy_from_slice(&collection[TAG_LEN..]);
    stored[RECORD_END..key.len()].copy_from_slice(version);
    work(&stored[..key.len()])
}

/// A key as it is stored.
pub(crate) fn stored(space: Space, key: &[u8]) -> Slice {
    with_stored(space, key, |key| Slice::from(key))
}

/// What [`stored`] made its key of. Keys of other lengths, which somebody else wrote, stay as they are.
pub(crate) fn plain(space: Space, stored: Slice) -> Slice {
    if !has_records(space) || !(RECORD_END..=LEN_MAX).contains(&stored.len()) {
        return stored;
    }
    let mut key = [0; LEN_MAX];
    key[..TAG_LEN].copy_from_slice(&stored[..TAG_LEN]);
    key[TAG_LEN..ID_LEN].copy_from_slice(&stored[TAG_LEN + ID_LEN..RECORD_END]);
    key[ID_LEN..RECORD_END].copy_from_slice(&stored[TAG_LEN..TAG_LEN + ID_LEN]);
    key[RECORD_END..stored.len()].copy_from_slice(&stored[RECORD_END..]);
    Slice::from(&key[..stored.len()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn keys_come_back_as_they_were(key: Vec<u8>, long in prop::collection::vec(any::<u8>(), 32..=41)) {
            for space in Space::ALL {
                prop_assert_eq!(&plain(space, stored(space, &long))[..], &long[..]);
                if key.len() >= 32 || !has_records(space) {
                    prop_assert_eq!(&plain(space, stored(space, &key))[..], &key[..]);
                }
            }
        }

        /// Within a collection the order is that of the records, and the bounds of scans leave nothing out.
        #[test]
        fn scans_find_what_they_would_find_without_the_reordering(
            keys in prop::collection::btree_set((0..3u8, 0..3u8, prop::collection::vec(prop::sample::select(vec![0, 1, 255]), 16)), 0..40),
            cut in 0..=16usize,
        ) {
            // Collections that share their first bytes, and others.
            let keys: BTreeSet<Vec<u8>> = keys.into_iter().map(|(tag, rest, record)| {
                let mut collection = [tag; 16];
                collection[2..].fill(rest);
                [&collection[..], &record].concat()
            }).collect();
            let ordered: BTreeSet<Vec<u8>> = keys.iter().map(|key| stored(Space::Records, key).to_vec()).collect();
            for from in &keys {
                let (collection, from) = (&from[..16], &from[..16 + cut]);
                let found: Vec<Vec<u8>> = with_stored(Space::Records, from, |bound| ordered.range(bound.to_vec()..).cloned().collect::<Vec<_>>());
                let found: Vec<Vec<u8>> = found.into_iter().map(|key| plain(Space::Records, key.into()).to_vec()).filter(|key| key.starts_with(collection)).collect();
                let expected: Vec<Vec<u8>> = keys.range(from.to_vec()..).filter(|key| key.starts_with(collection)).cloned().collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
