//! What a user says of the own devices: cards add them, revocations take them away for good.
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use terachat_event::{DeviceId, DeviceKey, Statement, UserId, verify_all};

const CONTEXT: &str = "terachat 2026-11 device revocation";

/// A user's word that a device is none of the user's any more, signed by the user's key: the same in every space.
///
/// Revocations of one user are a chain, so that whoever holds one knows of those before it. Where two devices of a user
/// revoke without hearing of each other the chain has two ends; both hold, and the next names the one with the larger
/// number, then the lower hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Whose word it is.
    pub user: UserId,
    /// The device.
    pub device: DeviceId,
    /// Number in the chain, from 1.
    pub seq: u64,
    /// [`Revocation::hash`] of the one before; zeros for the first.
    pub previous: [u8; 32],
    /// The user's signature over all of this; 64 bytes.
    signature: Vec<u8>,
}

impl Revocation {
    /// Revokes `device` by the user's key, behind the newest revocation that is known.
    pub fn issue(user: &DeviceKey, device: DeviceId, after: Option<&Self>) -> Self {
        let (seq, previous) = after.map_or((1, [0; 32]), |last| (last.seq.saturating_add(1), last.hash()));
        let mut revocation = Self { user: UserId(user.id().0), device, seq, previous, signature: Vec::new() };
        revocation.signature = user.sign(CONTEXT, &revocation.said()).to_vec();
        revocation
    }

    /// Whether the user really said so.
    pub fn is_genuine(&self) -> bool {
        let bytes = self.said();
        self.statement(&bytes).is_some_and(|statement| verify_all(&[statement]).is_empty())
    }

    /// What the next one in the chain names.
    pub fn hash(&self) -> [u8; 32] {
        blake3::derive_key("terachat 2026-11 identity log", &self.said())
    }

    /// What the user signed.
    pub(crate) fn said(&self) -> Vec<u8> {
        [&self.user.0[..], &self.device.0, &self.seq.to_le_bytes(), &self.previous].concat()
    }

    /// The signature over [`Revocation::said`], to be checked with others'; `None` where there is none.
    pub(crate) fn statement<'a>(&self, bytes: &'a [u8]) -> Option<Statement<'a>> {
        let signature = self.signature.as_slice().try_into().ok()?;
        Some(Statement { signer: self.user.0, context: CONTEXT, bytes, signature })
    }
}

/// The revocations of one user as far as they are known: a set that only grows, whatever order they come in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentityLog {
    entries: BTreeMap<[u8; 32], Revocation>,
}

impl IdentityLog {
    /// Takes one in. The caller has checked that it is genuine and of the user whose log this is.
    pub fn insert(&mut self, revocation: Revocation) {
        self.entries.entry(revocation.hash()).or_insert(revocation);
    }

    /// Takes in what another device knows.
    pub fn merge(&mut self, other: &Self) {
        other.entries.values().for_each(|entry| self.insert(entry.clone()));
    }

    /// All that are known, by number and hash.
    pub fn entries(&self) -> Vec<&Revocation> {
        let mut all: Vec<(&[u8; 32], &Revocation)> = self.entries.iter().collect();
        all.sort_unstable_by_key(|(hash, entry)| (entry.seq, **hash));
        all.into_iter().map(|(_, entry)| entry).collect()
    }

    /// Whether the user revoked this device.
    pub fn revokes(&self, device: &DeviceId) -> bool {
        self.entries.values().any(|entry| entry.device == *device)
    }

    /// The one that the next one follows.
    pub fn newest(&self) -> Option<&Revocation> {
        let by_number =
            self.entries.iter().max_by_key(|(hash, entry)| (entry.seq, std::cmp::Reverse(**hash)));
        by_number.map(|(_, entry)| entry)
    }

    /// How many revocations others name as the one before and that are not here: somebody keeps them back, or they have
    /// not come yet.
    pub fn missing(&self) -> usize {
        let named = self.entries.values().filter(|entry| entry.seq > 1).map(|entry| entry.previous);
        let lacking: std::collections::BTreeSet<[u8; 32]> =
            named.filter(|hash| !self.entries.contains_key(hash)).collect();
        lacking.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use terachat_vault::Secret;

    fn key(n: u8) -> DeviceKey {
        DeviceKey::from_seed(&Secret::take(&mut [n; 32]))
    }

    #[test]
    fn a_revocation_holds_for_what_was_signed_only() {
        let first = Revocation::issue(&key(1), DeviceId([2; 32]), None);
        let second = Revocation::issue(&key(1), DeviceId([3; 32]), Some(&first));
        assert!(first.is_genuine() && second.is_genuine());
        assert_eq!((second.seq, second.previous), (2, first.hash()));
        let changes: [fn(&mut Revocation); 5] = [
            |r| r.user = UserId([9; 32]),
            |r| r.device = DeviceId([9; 32]),
            |r| r.seq += 1,
            |r| r.previous[0] ^= 1,
            |r| r.signature.truncate(63),
        ];
        for change in changes {
            let mut changed = second.clone();
            change(&mut changed);
            assert!(!changed.is_genuine());
        }
    }

    #[test]
    fn whoever_holds_a_later_one_knows_that_an_earlier_one_is_missing() {
        let first = Revocation::issue(&key(1), DeviceId([2; 32]), None);
        let second = Revocation::issue(&key(1), DeviceId([3; 32]), Some(&first));
        let mut log = IdentityLog::default();
        log.insert(second.clone());
        assert_eq!((log.missing(), log.newest()), (1, Some(&second)));
        log.insert(first);
        assert_eq!((log.missing(), log.entries().len()), (0, 2));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// Three devices of a user revoke and hear of each other now and then: whatever is merged in whatever order, and
        /// however often, comes to the set of all.
        #[test]
        fn merging_is_commutative_associative_and_idempotent(steps in prop::collection::vec((0..3usize, any::<u8>(), 0..3usize), 1..9)) {
            let user = key(1);
            let (mut logs, mut all) = (vec![IdentityLog::default(); 3], IdentityLog::default());
            for (at, device, from) in steps {
                let entry = Revocation::issue(&user, DeviceId([device; 32]), logs[at].newest());
                logs[at].insert(entry.clone());
                all.insert(entry);
                let other = logs[from].clone();
                logs[at].merge(&other);
            }
            let merged = |order: [usize; 4]| order.iter().fold(IdentityLog::default(), |mut log, at| {
                log.merge(&logs[at % 3]);
                log
            });
            for order in [[0, 1, 2, 0], [2, 1, 0, 1], [1, 1, 0, 2]] {
                prop_assert_eq!(&merged(order), &all);
            }
            let mut nested = logs[1].clone();
            nested.merge(&logs[2]);
            let mut left = logs[0].clone();
            left.merge(&nested);
            prop_assert_eq!(&left, &all);
            prop_assert_eq!(all.missing(), 0);
            // The numbers tell how long a chain is, whichever way it branched.
            let longest = all.entries().last().map_or(0, |entry| entry.seq);
            prop_assert_eq!(all.newest().map_or(0, |entry| entry.seq), longest);
        }
    }
}
