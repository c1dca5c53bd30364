//! What keeps a node's shards, wherever that is.
pub mod suite;

use crate::Error;
use terachat_shard::{Shard, ShardHash, StripeId};
use terachat_vault::Entropy;

/// A shard's name on a node: its stripe and its place in it.
pub(crate) type Key = (StripeId, u8);

/// What is known of a shard that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sound {
    /// Nobody has read it since the store was opened.
    Unknown,
    /// It was written or read since, and was what it should be.
    Yes,
    /// It was read and is not what was written. It counts as lost.
    Rotten,
}

/// A shard that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Its stripe.
    pub stripe: StripeId,
    /// Its place in the stripe.
    pub index: u8,
    /// Its hash, which the stripe's record has to have too.
    pub hash: ShardHash,
    /// Bytes of the shard, its header with it.
    pub len: u32,
    /// Whether it is still what it was.
    pub sound: Sound,
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Shards that are kept.
    pub shards: u64,
    /// Those of them that are rotten.
    pub rotten: u64,
    /// Bytes of all that are kept.
    pub live_bytes: u64,
    /// Bytes of all segments or objects.
    pub disk_bytes: u64,
    /// Segments or objects.
    pub segments: u64,
}

/// What a step of a scrub found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Bytes of shards that were read.
    pub bytes: u64,
    /// Shards that are not what was written: stripe and index.
    pub rotten: Vec<(StripeId, u8)>,
    /// The step came to the end; the next one begins anew.
    pub through: bool,
}

/// What a step of a compaction did. All zero and empty: there is nothing to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Bytes of shards that were copied.
    pub copied: u64,
    /// Bytes of the segments or objects that were removed.
    pub freed: u64,
    /// Shards that were found rotten on the way: stripe and index. What they are in stays until sound ones are put, or they are given
    /// up.
    pub rotten: Vec<(StripeId, u8)>,
}

/// The shards of one node: [`crate::SegmentStore`] on a disk, [`crate::BucketStore`] in a bucket. [`suite::conforms`] is the one test
/// of them.
///
/// What a call acknowledged is there after a power cut, and what it gave up does not come back. After an error the store goes on: what
/// was not acknowledged may be there when it is opened anew.
pub trait ShardStore: Send {
    /// Keeps shards, all of them durable on return. One that is kept already is not written again; one in the place of a rotten one is.
    /// Put many in one call: they become durable together.
    ///
    /// # Errors
    /// [`Error::Taken`]: none is kept. [`Error::Storage`], [`Error::Objects`]: a part of them may be.
    fn put(&mut self, shards: &[Shard<'_>], entropy: &mut dyn Entropy) -> Result<(), Error>;

    /// The whole shards, each compared with its hash, in the order in which they are asked for; `None` for one that is not kept.
    ///
    /// # Errors
    /// [`Error::Rotten`]: nothing is noted of it, so tell [`ShardStore::condemn`]. [`Error::Storage`], [`Error::Objects`].
    fn get_all(&self, shards: &[(StripeId, u8)]) -> Vec<Result<Option<Vec<u8>>, Error>>;

    /// Counts a shard as rotten: somebody read it, and it is not what was written. Not durable, for whoever reads it again finds it.
    fn condemn(&mut self, stripe: StripeId, index: u8);

    /// Forgets that a shard was sound: somebody could not read it. What is not rotten counts again once it was read.
    fn doubt(&mut self, stripe: StripeId, index: u8);

    /// Gives shards up, durable on return, and says how many of them there were.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Objects`]: whether they are given up is seen when the store is opened anew.
    fn give_up(&mut self, shards: &[(StripeId, u8)], entropy: &mut dyn Entropy) -> Result<usize, Error>;

    /// Which shards of a stripe are kept and not known to be rotten.
    fn places(&self, stripe: StripeId) -> Vec<u8>;

    /// What is kept of these stripes, first and last with them. Nothing is read for it.
    fn count(&self, first: StripeId, last: StripeId) -> Vec<Held>;

    /// Reads what nobody has read since the store was opened of these stripes, first and last with them, until `budget` bytes are read
    /// or all is, and says how many bytes that were. Each is then known to be sound or rotten.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Objects`]: it cannot be read; what was found until then is known.
    fn verify(&mut self, first: StripeId, last: StripeId, budget: u64) -> Result<u64, Error>;

    /// Reads the next shards, as they lie, until `budget` bytes are read or all were. Each is then known to be sound or rotten. Begins
    /// where the step before ended; a store that is opened begins anew.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Objects`]: it cannot be read; what was found until then is known.
    fn scrub(&mut self, budget: u64) -> Result<Scrubbed, Error>;

    /// Has the next step of the scrub begin anew.
    fn rewind(&mut self);

    /// One step of having space back: copies shards out of where at most `live_percent` counts, until about `budget` bytes are copied,
    /// and removes what nothing counts in any more.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Objects`]: everything that is kept still is.
    fn compact(
        &mut self,
        live_percent: u8,
        budget: u64,
        entropy: &mut dyn Entropy,
    ) -> Result<Compacted, Error>;

    /// How much there is.
    fn usage(&self) -> Usage;
}
