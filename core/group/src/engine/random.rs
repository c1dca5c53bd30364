use blake3::{Hasher, OutputReader};
use hpke::rand_core::{TryCryptoRng, TryRng};
use std::{
    convert::Infallible,
    sync::atomic::{AtomicU64, Ordering},
};
use terachat_vault::memory::{HASH_DEPTH, burn_after};
use terachat_vault::{Entropy, Secret};

/// One verb's randomness: 32 bytes from the caller's source, expanded.
///
/// The library draws in sequence and encrypts in parallel. What is drawn in sequence is numbered; what a parallel
/// encryption needs is derived from the seed *and* everything that is encrypted, so the threads' order does
/// not show and equal randomness means equal input.
pub(crate) struct Seed {
    key: Secret<32>,
    draws: AtomicU64,
}

impl Seed {
    pub(crate) fn draw(entropy: &mut dyn Entropy) -> Self {
        Self { key: Secret::generate(|out| entropy.fill(out)), draws: AtomicU64::new(0) }
    }

    pub(super) fn fill(&self, out: &mut [u8]) {
        let draw = self.draws.fetch_add(1, Ordering::Relaxed);
        burn_after::<HASH_DEPTH, _>(|| {
            self.stream("terachat 2026-11 group randomness", &[&draw.to_le_bytes()]).fill(out);
        });
    }

    pub(super) fn ephemeral(&self, sealed: &[&[u8]]) -> Stream {
        Stream(self.stream("terachat 2026-11 group hpke ephemeral", sealed))
    }

    fn stream(&self, context: &str, parts: &[&[u8]]) -> OutputReader {
        let mut hasher = Hasher::new_derive_key(context);
        hasher.update(self.key.expose_secret());
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.finalize_xof()
    }
}

/// A random generator for one HPKE encapsulation.
pub(super) struct Stream(OutputReader);

impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(out);
        Ok(())
    }
}

impl TryCryptoRng for Stream {}
