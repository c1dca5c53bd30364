use crate::interpolation::coefficients;
use crate::kernel::{Kernel, Rows, Stores};
use crate::{Counts, Error};

mod decoder;
pub use decoder::Decoder;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

/// Bytes read and written from which on the written ones go past the cache.
///
/// Below, whoever hashes or sends them finds them there.
const STREAM_FROM: usize = 8 << 20;

/// Parity is compared with what is computed so many bytes at a time.
const VERIFY_STEP: usize = 16 << 10;

/// A systematic Reed-Solomon code over GF(2^8), polynomial 0x11D: from k data shards m parity shards of the same
/// length, and from any k of them all others.
///
/// The bytes are those of reed-solomon-erasure's `galois_8`, and of Backblaze's and klauspost's libraries by default: a
/// Vandermonde matrix made systematic. 1 to 255 data shards, 256 shards in all at most. A value is a few hundred bytes
/// of tables, made in microseconds; keep one for each pair of counts.
#[derive(Debug, Clone)]
pub struct Code {
    counts: Counts,
    kernel: Kernel,
    parity: Rows,
}

impl Code {
    /// A code that uses the quickest instructions that there are here.
    pub fn new(counts: Counts) -> Self {
        Self::with_kernel(counts, Kernel::best())
    }

    /// A code that uses these instructions.
    pub fn with_kernel(counts: Counts, kernel: Kernel) -> Self {
        let (data, parity): (Vec<u8>, Vec<u8>) = counts.indices().partition(|index| counts.is_data(*index));
        let parity = Rows::new(kernel, counts.data(), &coefficients(&data, &parity));
        Self { counts, kernel, parity }
    }

    /// How many shards it has.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The instructions it uses.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Overwrites the parity shards by those of the data shards.
    ///
    /// # Errors
    /// [`Error::ShardCount`], [`Error::ShardLen`]; nothing was written then.
    pub fn encode(&self, data: &[impl AsRef<[u8]>], parity: &mut [impl AsMut<[u8]>]) -> Result<(), Error> {
        expect("data shards", self.counts.data(), data.len())?;
        expect("parity shards", self.counts.parity(), parity.len())?;
        apply(&self.parity, data, parity)
    }

    /// Whether all shards, data and then parity, are of one stripe. Which one is not, their hashes tell.
    ///
    /// # Errors
    /// [`Error::ShardCount`], [`Error::ShardLen`].
    pub fn verify(&self, shards: &[impl AsRef<[u8]>]) -> Result<bool, Error> {
        expect("shards", self.counts.total(), shards.len())?;
        let shards: Vec<&[u8]> = shards.iter().map(AsRef::as_ref).collect();
        let len = same_len(shards.iter().map(|shard| shard.len()))?;
        let (data, parity) = shards.split_at(self.counts.data());
        let mut computed = vec![vec![0; VERIFY_STEP.min(len)]; parity.len()];
        for from in (0..len).step_by(VERIFY_STEP) {
            let to = len.min(from + VERIFY_STEP);
            let part: Vec<&[u8]> = data.iter().map(|shard| &shard[from..to]).collect();
            let mut outputs: Vec<&mut [u8]> =
                computed.iter_mut().map(|shard| &mut shard[..to - from]).collect();
            self.parity.apply(&part, &mut outputs, Stores::Cached);
            if outputs.iter().zip(parity).any(|(computed, given)| **computed != given[from..to]) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What makes the `wanted` shards of the `present` ones: the lowest k of these. Preparing it takes about as long as
    /// multiplying k² bytes; where many stripes lost the same shards, keep it.
    ///
    /// # Errors
    /// [`Error::Index`] for an index that the code does not have, that stands twice, or that is both wanted and present;
    /// [`Error::TooFew`] if fewer than k are present.
    pub fn decoder(&self, present: &[u8], wanted: &[u8]) -> Result<Decoder, Error> {
        Decoder::new(self.counts, self.kernel, present, wanted)
    }

    /// Fills in every shard that is `None`, data and parity.
    ///
    /// # Errors
    /// [`Error::ShardCount`], [`Error::ShardLen`], [`Error::TooFew`]; nothing was filled in then.
    pub fn reconstruct(&self, shards: &mut [Option<Vec<u8>>]) -> Result<(), Error> {
        let wanted: Vec<u8> = self.counts.indices().collect();
        self.reconstruct_only(shards, &wanted)
    }

    /// Fills in those of the `wanted` shards that are `None`, and no others.
    ///
    /// # Errors
    /// As [`Self::reconstruct`], and [`Error::Index`].
    pub fn reconstruct_only(&self, shards: &mut [Option<Vec<u8>>], wanted: &[u8]) -> Result<(), Error> {
        expect("shards", self.counts.total(), shards.len())?;
        self.counts.check_indices(wanted)?;
        let is_there = |index: &u8| shards[usize::from(*index)].is_some();
        let present: Vec<u8> = self.counts.indices().filter(is_there).collect();
        let lost: Vec<u8> = wanted.iter().copied().filter(|index| !is_there(index)).collect();
        let len = same_len(shards.iter().flatten().map(Vec::len))?;
        if lost.is_empty() {
            return Ok(());
        }
        let decoder = self.decoder(&present, &lost)?;
        let sources: Vec<&[u8]> =
            decoder.sources().iter().filter_map(|index| shards[usize::from(*index)].as_deref()).collect();
        let mut made = vec![vec![0; len]; lost.len()];
        decoder.decode(&sources, &mut made)?;
        for (index, shard) in lost.iter().zip(made) {
            shards[usize::from(*index)] = Some(shard);
        }
        Ok(())
    }
}

fn expect(what: &'static str, expected: usize, found: usize) -> Result<(), Error> {
    if expected == found { Ok(()) } else { Err(Error::ShardCount { what, expected, found }) }
}

/// The one length of all.
fn same_len(mut lens: impl Iterator<Item = usize>) -> Result<usize, Error> {
    let Some(expected) = lens.next() else { return Ok(0) };
    lens.find(|len| *len != expected).map_or(Ok(expected), |found| Err(Error::ShardLen { expected, found }))
}

/// Rows on shards whose number was checked and whose lengths are not.
fn apply(rows: &Rows, inputs: &[impl AsRef<[u8]>], outputs: &mut [impl AsMut<[u8]>]) -> Result<(), Error> {
    let inputs: Vec<&[u8]> = inputs.iter().map(AsRef::as_ref).collect();
    let mut outputs: Vec<&mut [u8]> = outputs.iter_mut().map(AsMut::as_mut).collect();
    let lens = inputs.iter().map(|input| input.len()).chain(outputs.iter().map(|output| output.len()));
    let len = same_len(lens)?;
    let all = len * (inputs.len() + outputs.len());
    let stores = if all >= STREAM_FROM { Stores::Streaming } else { Stores::Cached };
    rows.apply(&inputs, &mut outputs, stores);
    Ok(())
}
