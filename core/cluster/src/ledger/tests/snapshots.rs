//! Snapshots that no state gives.
use super::*;
use crate::{Chronicle, Error, ItemPlace, Signature};
use std::collections::BTreeMap;

/// As `docs/format/cluster-ledger.md` has it.
type Parts = (
    u64,
    Chronicle,
    Vec<(Vec<u8>, PackageKey)>,
    Vec<ItemPlace>,
    BTreeMap<StripeId, u64>,
    Vec<((u64, u32), Signature)>,
);

/// A leader sends it, and a disk keeps it. What is there twice would be there once in the state that is made of it, and that state's
/// own snapshot another one.
#[test]
fn what_is_there_twice_is_no_snapshot() {
    let (mut state, _) = founded(1);
    take(&mut state, &stripe(1, 1, &[1], vec![item(1), item(2)], u64::MAX));
    let snapshot = state.snapshot();
    let (version, rest) = snapshot.split_first().unwrap();
    let changed = |change: fn(&mut Parts)| {
        let mut parts: Parts = postcard::from_bytes(rest).unwrap();
        change(&mut parts);
        State::restore(&postcard::to_extend(&parts, vec![*version]).unwrap())
    };
    assert_eq!(changed(|_| {}), Ok(state.clone()));
    assert_eq!(changed(|parts| parts.2.extend_from_within(..)), Err(Error::Snapshot), "a stripe");
    assert_eq!(changed(|parts| parts.3.extend_from_within(..1)), Err(Error::Snapshot), "an item");
    assert_eq!(changed(|parts| parts.2.clear()), Err(Error::Snapshot), "items of no stripe");
}
