use crate::read::Reader;
use crate::{Counts, Error, NodeId, Shard, ShardHash, StripeId, shard_len};
use std::collections::BTreeSet;
use std::num::NonZeroU32;

const VERSION: u8 = 1;
const WHAT: &str = "stripe's record";

/// What the cluster's metadata knows of a stripe: `docs/format/stripe.md`. Some 36 bytes a shard.
///
/// A value that exists has lengths that fit, and no node that holds two shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StripeRecord {
    stripe: StripeId,
    counts: Counts,
    len: u64,
    shard_len: usize,
    shards: Vec<(ShardHash, Option<NodeId>)>,
}

impl StripeRecord {
    /// The record of a stripe of `len` sealed bytes, with the hash of each shard and the node that holds it; no node,
    /// if none does yet.
    ///
    /// # Errors
    /// [`Error::ShardCount`], [`Error::HoldsTwo`], and as [`shard_len`].
    pub fn new(
        stripe: StripeId,
        counts: Counts,
        len: u64,
        shards: Vec<(ShardHash, Option<NodeId>)>,
    ) -> Result<Self, Error> {
        let shard_len = shard_len(counts, len)?;
        if shards.len() != counts.total() {
            return Err(Error::ShardCount { what: "shards", expected: counts.total(), found: shards.len() });
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) =
            shards.iter().filter_map(|(_, holder)| *holder).find(|holder| !seen.insert(*holder))
        {
            return Err(Error::HoldsTwo(twice));
        }
        Ok(Self { stripe, counts, len, shard_len, shards })
    }

    /// Reads a whole record.
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::Trailing`], [`Error::Version`], [`Error::Counts`], and as [`Self::new`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(WHAT, bytes);
        reader.version(VERSION)?;
        let counts = reader.counts()?;
        let stripe = StripeId(reader.array()?);
        let len = u64::from_le_bytes(reader.array()?);
        let mut shards = Vec::with_capacity(counts.total());
        for _ in 0..counts.total() {
            let hash = ShardHash(reader.array()?);
            let holder = NonZeroU32::new(u32::from_le_bytes(reader.array()?)).map(NodeId);
            shards.push((hash, holder));
        }
        reader.end()?;
        Self::new(stripe, counts, len, shards)
    }

    /// The record's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(self.counts.bytes());
        bytes.extend(self.stripe.0);
        bytes.extend(self.len.to_le_bytes());
        for (hash, holder) in &self.shards {
            bytes.extend(hash.0);
            bytes.extend(holder.map_or(0, |node| node.0.get()).to_le_bytes());
        }
        bytes
    }

    /// Its stripe.
    pub fn stripe(&self) -> StripeId {
        self.stripe
    }

    /// The code it was cut by.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Bytes of the stripe before it was cut.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// No stripe is empty.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Bytes of each shard's payload.
    pub fn shard_len(&self) -> usize {
        self.shard_len
    }

    /// The hash of a shard, if the stripe has it.
    pub fn hash(&self, index: u8) -> Option<ShardHash> {
        self.shards.get(usize::from(index)).map(|(hash, _)| *hash)
    }

    /// Who holds a shard, if anybody does.
    pub fn holder(&self, index: u8) -> Option<NodeId> {
        self.shards.get(usize::from(index)).and_then(|(_, holder)| *holder)
    }

    /// The record with another holder of one shard: after a repair or a move.
    ///
    /// # Errors
    /// [`Error::Index`], [`Error::HoldsTwo`]; nothing changed then.
    pub fn set_holder(&mut self, index: u8, holder: Option<NodeId>) -> Result<(), Error> {
        self.counts.check_indices(&[index])?;
        let at = usize::from(index);
        let others = self.shards.iter().enumerate().filter(|(other, _)| *other != at);
        if let Some(node) =
            holder.filter(|node| others.clone().any(|(_, (_, holder))| *holder == Some(*node)))
        {
            return Err(Error::HoldsTwo(node));
        }
        self.shards[at].1 = holder;
        Ok(())
    }

    /// Reads a shard that came from outside and checks that it is shard `index` of this stripe.
    ///
    /// # Errors
    /// As [`Shard::decode`] and [`Shard::check`].
    pub fn accept<'a>(&self, index: u8, bytes: &'a [u8]) -> Result<Shard<'a>, Error> {
        let shard = Shard::decode(bytes)?;
        shard.check(self, index)?;
        Ok(shard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Code, cut, join};
    use proptest::prelude::*;

    fn node(number: u32) -> Option<NodeId> {
        NonZeroU32::new(number).map(NodeId)
    }

    fn counts(data: usize, parity: usize) -> Counts {
        Counts::new(data, parity).unwrap()
    }

    fn record(k: usize, m: usize, len: u64, holders: &[u32]) -> Result<StripeRecord, Error> {
        let shards = holders.iter().map(|number| (ShardHash([7; 32]), node(*number))).collect();
        StripeRecord::new(StripeId([9; 16]), counts(k, m), len, shards)
    }

    /// A stripe's whole way: cut, one shard lost, one rotten, read again.
    #[test]
    fn a_stripe_is_read_from_what_is_sound() {
        let (code, id) = (Code::new(counts(4, 2)), StripeId([5; 16]));
        let sealed: Vec<u8> = (0..1001).map(|at| (at * 7) as u8).collect();
        let payloads = cut(&code, &sealed).unwrap();
        let shards: Vec<Shard<'_>> = payloads
            .iter()
            .enumerate()
            .map(|(at, payload)| Shard::new(id, code.counts(), at as u8, payload).unwrap())
            .collect();
        let hashes = shards.iter().map(|shard| (shard.hash(), node(u32::from(shard.index()) + 1))).collect();
        let record = StripeRecord::new(id, code.counts(), 1001, hashes).unwrap();
        let mut stored: Vec<Vec<u8>> = shards.iter().map(Shard::encode).collect();
        stored[2][SHARD_BYTE] ^= 1;
        let mut read: Vec<Option<Vec<u8>>> = (stored.iter().enumerate())
            .map(|(at, bytes)| Some(record.accept(at as u8, bytes).ok()?.payload().to_vec()))
            .collect();
        assert!(read[2].is_none(), "rot is seen");
        read[0] = None;
        code.reconstruct(&mut read).unwrap();
        let data: Vec<Vec<u8>> = read.into_iter().flatten().take(4).collect();
        assert_eq!(join(&code, &data, record.len()).unwrap(), sealed);
    }
    const SHARD_BYTE: usize = 100;

    #[test]
    fn what_is_no_record_is_refused() {
        let good = record(2, 1, 10, &[1, 2, 0]).unwrap();
        let bytes = good.encode();
        assert_eq!(StripeRecord::decode(&bytes).as_ref(), Ok(&good));
        for len in 0..bytes.len() {
            let error = StripeRecord::decode(&bytes[..len]).unwrap_err();
            assert!(matches!(error, Error::Truncated { .. }), "{len}: {error}");
        }
        let changed = |at: usize, byte: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            StripeRecord::decode(&bytes)
        };
        assert_eq!(changed(0, 2), Err(Error::Version { what: WHAT, found: 2 }));
        assert_eq!(changed(1, 0), Err(Error::Counts { data: 0, parity: 1 }));
        assert_eq!(changed(19, 0), Err(Error::StripeLen { len: 0 }));
        assert_eq!(changed(26, 1), Err(Error::StripeLen { len: (1 << 56) + 10 }));
        assert_eq!(changed(22, 3), Err(Error::Oversized { len: ((3 << 24) + 10) / 2 }));
        assert_eq!(
            StripeRecord::decode(&[&bytes[..], &[0]].concat()),
            Err(Error::Trailing { what: WHAT, extra: 1 })
        );
        assert_eq!(record(2, 1, 10, &[4, 1, 4]), Err(Error::HoldsTwo(node(4).unwrap())));
        assert_eq!(
            record(2, 1, 10, &[4, 1]),
            Err(Error::ShardCount { what: "shards", expected: 3, found: 2 })
        );
    }

    #[test]
    fn holders_change_one_at_a_time() {
        let mut record = record(2, 1, 10, &[1, 2, 0]).unwrap();
        assert_eq!(record.set_holder(2, node(1)), Err(Error::HoldsTwo(node(1).unwrap())));
        assert_eq!(record.set_holder(3, node(7)), Err(Error::Index(3)));
        record.set_holder(2, node(3)).unwrap();
        record.set_holder(0, None).unwrap();
        let holders: Vec<_> = (0..4).map(|index| record.holder(index)).collect();
        assert_eq!(holders, [None, node(2), node(3), None]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_record_or_an_error(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(first) = bytes.first_mut() {
                *first = 1;
            }
            if let Ok(record) = StripeRecord::decode(&bytes) {
                prop_assert_eq!(record.encode(), bytes);
            }
        }
    }
}
