use serde::{Deserialize, Serialize};
use terachat_event::{DeviceId, EventHash, LogId};

/// Where one chain stands: enough to see what is missing, and whether two replicas hold the same branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainHead {
    /// The device.
    pub device: DeviceId,
    /// Number of its newest event.
    pub seq: u64,
    /// That event's hash.
    pub hash: EventHash,
}

/// The heads of a log's chains, each hashed to a number and added up: one that changes is taken out and put in, so that the root
/// of a frontier of thousands costs two hashes a message.
///
/// A sum of hashes is a weaker promise than a hash of all (a member with many devices could look for heads whose sums are
/// equal), and it is asked for less: whether two replicas have more to say to each other. What they believe is proven
/// event by event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct HeadSum([u64; 4]);

/// A key and not a context, so that it is not hashed anew for each head.
const HEAD_KEY: &[u8; 32] = b"terachat 2026-11 frontier a head";

impl HeadSum {
    /// Puts a chain's head in.
    pub(crate) fn add(&mut self, head: &ChainHead) {
        let mut carry = false;
        for (sum, part) in self.0.iter_mut().zip(number(head)) {
            let (once, first) = sum.overflowing_add(part);
            let (twice, second) = once.overflowing_add(u64::from(carry));
            (*sum, carry) = (twice, first || second);
        }
    }

    /// Takes a chain's head out that is in it.
    pub(crate) fn subtract(&mut self, head: &ChainHead) {
        let mut borrow = false;
        for (sum, part) in self.0.iter_mut().zip(number(head)) {
            let (once, first) = sum.overflowing_sub(part);
            let (twice, second) = once.overflowing_sub(u64::from(borrow));
            (*sum, borrow) = (twice, first || second);
        }
    }

    /// The frontier's root.
    pub(crate) fn root(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("terachat 2026-11 frontier");
        self.0.iter().for_each(|part| {
            hasher.update(&part.to_le_bytes());
        });
        *hasher.finalize().as_bytes()
    }
}

/// A head as a number below 2^256, the least part first.
fn number(head: &ChainHead) -> [u64; 4] {
    let mut bytes = [0; 72];
    bytes[..32].copy_from_slice(&head.device.0);
    bytes[32..40].copy_from_slice(&head.seq.to_le_bytes());
    bytes[40..].copy_from_slice(&head.hash.0);
    let hash = blake3::keyed_hash(HEAD_KEY, &bytes);
    let (parts, _) = hash.as_bytes().as_chunks::<8>();
    std::array::from_fn(|at| u64::from_le_bytes(parts[at]))
}

/// All chains of a log, ascending by device: what a replica has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frontier {
    /// The log.
    pub log: LogId,
    /// Its chains.
    pub chains: Vec<ChainHead>,
}

impl Frontier {
    /// 32 bytes that are equal where two replicas have the same events.
    pub fn root(&self) -> [u8; 32] {
        let mut sum = HeadSum::default();
        self.chains.iter().for_each(|chain| sum.add(chain));
        sum.root()
    }

    /// The chain of `device`, if it has events.
    pub fn chain(&self, device: &DeviceId) -> Option<&ChainHead> {
        self.chains.binary_search_by(|chain| chain.device.cmp(device)).ok().map(|at| &self.chains[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head() -> impl Strategy<Value = ChainHead> {
        (any::<u8>(), any::<u64>(), any::<u8>()).prop_map(|(device, seq, hash)| ChainHead {
            device: DeviceId([device; 32]),
            seq,
            hash: EventHash([hash; 32]),
        })
    }

    proptest! {
        #[test]
        fn a_sum_forgets_what_was_taken_out_and_in_which_order_the_rest_came(mut heads in prop::collection::vec(head(), 0..40), gone in prop::collection::vec(head(), 0..10)) {
            let sum = |heads: &[ChainHead]| {
                let mut sum = HeadSum::default();
                heads.iter().for_each(|head| sum.add(head));
                sum
            };
            let expected = sum(&heads);
            let mut all = sum(&gone);
            heads.reverse();
            heads.iter().for_each(|head| all.add(head));
            if !gone.is_empty() { prop_assert_ne!(all, expected); }
            gone.iter().for_each(|head| all.subtract(head));
            prop_assert_eq!(all, expected);
            prop_assert_eq!(all.root(), expected.root());
        }
    }
}
