use crate::Error;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use terachat_vault::Entropy;
use terachat_vault::memory::{HASH_DEPTH, burn_after};

/// Bytes given out before the system is asked again.
const REFRESH_LEN: usize = 64 << 10;

/// Random bytes from the system, stretched by ChaCha20.
///
/// It is seeded when it is made and never fails afterwards. After every [`fill`](Entropy::fill) it replaces its
/// own seed, so that a later look into memory does not tell what was given out before, and every 64 KiB it mixes
/// in new bytes of the system; should the system have none left by then, the stream goes on without.
pub struct OsEntropy {
    stream: ChaCha20Rng,
    given: usize,
}

impl OsEntropy {
    /// A source seeded with 32 bytes from the system.
    ///
    /// # Errors
    /// [`Error::Entropy`] when the system gives none.
    pub fn new() -> Result<Self, Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| Error::Entropy(error.to_string()))?;
        Ok(Self { stream: ChaCha20Rng::from_seed(seed), given: 0 })
    }

    fn reseed(&mut self) {
        let mut seed = [0; 32];
        self.stream.fill_bytes(&mut seed);
        if self.given >= REFRESH_LEN {
            self.given = 0;
            let mut fresh = [0; 32];
            if getrandom::fill(&mut fresh).is_ok() {
                seed.iter_mut().zip(fresh).for_each(|(byte, fresh)| *byte ^= fresh);
            }
        }
        self.stream = ChaCha20Rng::from_seed(seed);
    }
}

impl Entropy for OsEntropy {
    fn fill(&mut self, out: &mut [u8]) {
        // The generator's block, from which keys are copied, is also on the stack for a while.
        burn_after::<HASH_DEPTH, _>(|| {
            self.stream.fill_bytes(out);
            self.given = self.given.saturating_add(out.len());
            self.reseed();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_draws_are_alike() {
        let (mut a, mut b) = (OsEntropy::new().unwrap(), OsEntropy::new().unwrap());
        let mut seen = BTreeSet::new();
        for _ in 0..5000 {
            for source in [&mut a, &mut b] {
                let mut draw = [0; 16];
                source.fill(&mut draw);
                assert!(seen.insert(draw));
            }
        }
        let mut large = vec![0; 300_000];
        a.fill(&mut large);
        let ones: u32 = large.iter().map(|byte| byte.count_ones()).sum();
        assert!((1_190_000..1_210_000).contains(&ones), "half of the bits: {ones}");
    }
}
