use crate::{Counts, Error, NodeId, StripeId, StripeRecord};
use std::collections::{BTreeMap, BTreeSet};

/// What was found of one stripe when its shards were last verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StripeCensus {
    counts: Counts,
    shard_len: usize,
    /// Whole and true to the record.
    sound: BTreeSet<(u8, NodeId)>,
    /// There, but not true to the record.
    rotten: BTreeSet<(u8, NodeId)>,
}

impl StripeCensus {
    /// Of this stripe nothing was found yet.
    pub fn new(record: &StripeRecord) -> Self {
        let (counts, shard_len) = (record.counts(), record.shard_len());
        Self { counts, shard_len, sound: BTreeSet::new(), rotten: BTreeSet::new() }
    }

    /// A node has this shard, and it was verified against the stripe's record.
    ///
    /// # Errors
    /// [`Error::Index`].
    pub fn found_sound(&mut self, index: u8, node: NodeId) -> Result<(), Error> {
        self.counts.check_indices(&[index])?;
        self.rotten.remove(&(index, node));
        self.sound.insert((index, node));
        Ok(())
    }

    /// A node has something in this shard's place that is not it.
    ///
    /// # Errors
    /// [`Error::Index`].
    pub fn found_rotten(&mut self, index: u8, node: NodeId) -> Result<(), Error> {
        self.counts.check_indices(&[index])?;
        self.sound.remove(&(index, node));
        self.rotten.insert((index, node));
        Ok(())
    }

    /// A node has this shard no more.
    pub fn forget(&mut self, index: u8, node: NodeId) {
        self.sound.remove(&(index, node));
        self.rotten.remove(&(index, node));
    }

    /// The code it was cut by.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Bytes of each shard's payload.
    pub fn shard_len(&self) -> usize {
        self.shard_len
    }

    /// Sound shards and who has them. A shard may be on several nodes, a node may have several.
    pub fn sound(&self) -> impl Iterator<Item = (u8, NodeId)> + Clone {
        self.sound.iter().copied()
    }

    /// Rotten shards and who has them.
    pub fn rotten(&self) -> impl Iterator<Item = (u8, NodeId)> + Clone {
        self.rotten.iter().copied()
    }
}

/// What was found of every stripe: what health is counted from and repairs are planned by. What was not verified does not
/// stand in it.
pub type Census = BTreeMap<StripeId, StripeCensus>;
