//! The same two jobs for everybody: make the parity, and make the first data shards anew from the others.
use crate::arena::Arena;
use anyhow::Result;
use reed_solomon_erasure::galois_8::ReedSolomon;
use reed_solomon_simd::{ReedSolomonDecoder, ReedSolomonEncoder};
use std::hint::black_box;
use terachat_shard::{Code, Counts, Kernel};

/// Somebody who cuts and mends.
pub(crate) trait Coder {
    /// For the table.
    fn name(&self) -> String;
    /// Makes the parity of all stripes.
    fn encode(&mut self, arena: &mut Arena) -> Result<()>;
    /// Makes the first `lost` data shards of all stripes anew, in the room.
    fn reconstruct(&mut self, arena: &mut Arena, lost: usize) -> Result<()>;
}

/// A plain copy of the data, stripe by stripe.
pub(crate) struct Copy;

impl Coder for Copy {
    fn name(&self) -> String {
        "memcpy".to_owned()
    }

    fn encode(&mut self, arena: &mut Arena) -> Result<()> {
        let size = arena.k * arena.len;
        let stripes = arena.data.chunks_exact(size).zip(arena.made.chunks_exact_mut(size));
        stripes.for_each(|(data, made)| black_box(made).copy_from_slice(data));
        Ok(())
    }

    fn reconstruct(&mut self, arena: &mut Arena, _lost: usize) -> Result<()> {
        self.encode(arena)
    }
}

/// Ours, with some instructions.
pub(crate) struct Ours(pub(crate) Code, pub(crate) Kernel);

impl Ours {
    pub(crate) fn new(k: usize, m: usize, kernel: Kernel) -> Result<Self> {
        Ok(Self(Code::with_kernel(Counts::new(k, m)?, kernel), kernel))
    }
}

impl Coder for Ours {
    fn name(&self) -> String {
        format!("terachat {:?}", self.1)
    }

    fn encode(&mut self, arena: &mut Arena) -> Result<()> {
        let mut result = Ok(());
        arena.each(|data, parity, _| {
            if let Err(error) = self.0.encode(data, parity) {
                result = Err(error);
            }
        });
        Ok(result?)
    }

    fn reconstruct(&mut self, arena: &mut Arena, lost: usize) -> Result<()> {
        let (k, m) = (arena.k, arena.m);
        let indices: Vec<u8> = self.0.counts().indices().collect();
        let mut result = Ok(());
        arena.each(|data, parity, made| {
            // Prepared anew for each stripe, as for stripes that lost different shards.
            let decoded = self.0.decoder(&indices[lost..k + m], &indices[..lost]).and_then(|decoder| {
                let parity = parity.iter().map(|shard| &**shard);
                let sources: Vec<&[u8]> = data[lost..].iter().copied().chain(parity).take(k).collect();
                decoder.decode(&sources, &mut made[..lost])
            });
            if let Err(error) = decoded {
                result = Err(error);
            }
        });
        Ok(result?)
    }
}

/// reed-solomon-erasure.
pub(crate) struct Erasure(ReedSolomon);

impl Erasure {
    pub(crate) fn new(k: usize, m: usize) -> Result<Self> {
        Ok(Self(ReedSolomon::new(k, m)?))
    }
}

impl Coder for Erasure {
    fn name(&self) -> String {
        "reed-solomon-erasure".to_owned()
    }

    fn encode(&mut self, arena: &mut Arena) -> Result<()> {
        let mut result = Ok(());
        arena.each(|data, parity, _| {
            if let Err(error) = self.0.encode_sep(data, parity) {
                result = Err(error);
            }
        });
        Ok(result?)
    }

    fn reconstruct(&mut self, arena: &mut Arena, lost: usize) -> Result<()> {
        let Arena { k, m, len, .. } = *arena;
        // It mends in place: what is lost is in the data's own room, which it fills with what was there.
        let data = arena.data.chunks_exact_mut(k * len);
        for (data, parity) in data.zip(arena.parity.chunks_exact_mut(m * len)) {
            let shards = data.chunks_exact_mut(len).chain(parity.chunks_exact_mut(len));
            let mut shards: Vec<(&mut [u8], bool)> =
                shards.enumerate().map(|(at, shard)| (shard, at >= lost)).collect();
            self.0.reconstruct_data(&mut shards)?;
        }
        Ok(())
    }
}

/// reed-solomon-simd.
pub(crate) struct Simd(ReedSolomonEncoder, ReedSolomonDecoder);

impl Simd {
    pub(crate) fn new(k: usize, m: usize, len: usize) -> Result<Self> {
        Ok(Self(ReedSolomonEncoder::new(k, m, len)?, ReedSolomonDecoder::new(k, m, len)?))
    }
}

impl Coder for Simd {
    fn name(&self) -> String {
        "reed-solomon-simd".to_owned()
    }

    fn encode(&mut self, arena: &mut Arena) -> Result<()> {
        let mut result = Ok(());
        arena.each(|data, parity, _| {
            let mut encode = || -> Result<()> {
                for shard in data {
                    self.0.add_original_shard(shard)?;
                }
                let made = self.0.encode()?;
                for (parity, made) in parity.iter_mut().zip(made.recovery_iter()) {
                    parity.copy_from_slice(made);
                }
                Ok(())
            };
            if let Err(error) = encode() {
                result = Err(error);
            }
        });
        result
    }

    fn reconstruct(&mut self, arena: &mut Arena, lost: usize) -> Result<()> {
        let mut result = Ok(());
        arena.each(|data, parity, made| {
            let mut decode = || -> Result<()> {
                for (at, shard) in data.iter().enumerate().skip(lost) {
                    self.1.add_original_shard(at, shard)?;
                }
                for (at, shard) in parity.iter().enumerate().take(lost) {
                    self.1.add_recovery_shard(at, &**shard)?;
                }
                let restored = self.1.decode()?;
                for (at, shard) in restored.restored_original_iter() {
                    made[at].copy_from_slice(shard);
                }
                Ok(())
            };
            if let Err(error) = decode() {
                result = Err(error);
            }
        });
        result
    }
}
