use super::{apply, expect};
use crate::interpolation::coefficients;
use crate::kernel::{Kernel, Rows};
use crate::{Counts, Error};

/// What makes certain shards of a stripe out of certain others: made by [`Code::decoder`](crate::Code::decoder).
#[derive(Debug, Clone)]
pub struct Decoder {
    sources: Vec<u8>,
    wanted: Vec<u8>,
    rows: Rows,
}

impl Decoder {
    pub(super) fn new(counts: Counts, kernel: Kernel, present: &[u8], wanted: &[u8]) -> Result<Self, Error> {
        counts.check_indices(present)?;
        counts.check_indices(wanted)?;
        if let Some(index) = wanted.iter().find(|index| present.contains(index)) {
            return Err(Error::Index(*index));
        }
        let mut sources = present.to_vec();
        sources.sort_unstable();
        if sources.len() < counts.data() {
            return Err(Error::TooFew { have: sources.len(), need: counts.data() });
        }
        sources.truncate(counts.data());
        let rows = Rows::new(kernel, sources.len(), &coefficients(&sources, wanted));
        Ok(Self { sources, wanted: wanted.to_vec(), rows })
    }

    /// Which k shards it is made for, in the order in which [`Self::decode`] takes them.
    pub fn sources(&self) -> &[u8] {
        &self.sources
    }

    /// Which shards it makes, in the order in which [`Self::decode`] gives them.
    pub fn wanted(&self) -> &[u8] {
        &self.wanted
    }

    /// Overwrites `made` by the wanted shards.
    ///
    /// # Errors
    /// [`Error::ShardCount`], [`Error::ShardLen`]; nothing was written then.
    pub fn decode(&self, sources: &[impl AsRef<[u8]>], made: &mut [impl AsMut<[u8]>]) -> Result<(), Error> {
        expect("source shards", self.sources.len(), sources.len())?;
        expect("shards to be made", self.wanted.len(), made.len())?;
        apply(&self.rows, sources, made)
    }
}
