use crate::{Code, Failure};
use terachat_vault::memory::{HASH_DEPTH, burn_after};
use terachat_vault::{Entropy, Secret};

/// Bytes given out before the host is asked again.
const REFRESH_LEN: usize = 64 << 10;

/// Random bytes of the host, stretched by BLAKE3.
///
/// It is seeded when it is made and never fails afterwards. After every [`fill`](Entropy::fill) its key is another one,
/// so that a later look into memory does not tell what was given out before; every 64 KiB it mixes in new bytes of the
/// host, and goes on without should there be none by then.
pub struct TabEntropy {
    key: Secret<32>,
    given: usize,
    host: Box<Host>,
}

/// Fills an array with unpredictable bytes, or says that there are none.
type Host = dyn FnMut(&mut [u8; 32]) -> bool + Send;

impl TabEntropy {
    /// A source seeded with 32 bytes of `host`, which gives whether it filled the array.
    ///
    /// # Errors
    /// [`Code::NoEntropy`] when it did not.
    pub fn new(mut host: impl FnMut(&mut [u8; 32]) -> bool + Send + 'static) -> Result<Self, Failure> {
        let mut seed = [0; 32];
        if !host(&mut seed) {
            return Err(Failure::new(
                Code::NoEntropy,
                "there is no randomness here to make keys of; use a browser that has crypto.getRandomValues",
            ));
        }
        Ok(Self { key: Secret::take(&mut seed), given: 0, host: Box::new(host) })
    }

    /// Mixes new bytes of the host into the next key, where it has some.
    fn refresh(&mut self) {
        self.given = 0;
        let mut fresh = [0; 32];
        if (self.host)(&mut fresh) {
            let fresh = Secret::take(&mut fresh);
            let mut mixed = [0; 32];
            for ((mixed, old), new) in
                mixed.iter_mut().zip(self.key.expose_secret()).zip(fresh.expose_secret())
            {
                *mixed = old ^ new;
            }
            self.key = Secret::take(&mut mixed);
        }
    }
}

impl Entropy for TabEntropy {
    fn fill(&mut self, out: &mut [u8]) {
        burn_after::<HASH_DEPTH, _>(|| {
            let mut hasher = blake3::Hasher::new_derive_key("terachat 2026-11 tab entropy");
            let mut stream = hasher.update(self.key.expose_secret()).finalize_xof();
            let mut next = [0; 32];
            stream.fill(&mut next);
            stream.fill(out);
            self.key = Secret::take(&mut next);
            self.given = self.given.saturating_add(out.len());
            if self.given >= REFRESH_LEN {
                self.refresh();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// A host whose answers tell how often it was asked, and which has `calls` of them.
    fn host(calls: u8) -> impl FnMut(&mut [u8; 32]) -> bool + Send {
        let mut asked = 0;
        move |out| {
            asked += 1;
            out.fill(asked);
            asked <= calls
        }
    }

    fn draw(entropy: &mut TabEntropy, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        entropy.fill(&mut out);
        out
    }

    #[test]
    fn no_two_draws_are_alike() {
        let mut entropy = TabEntropy::new(host(1)).unwrap();
        let mut seen = BTreeSet::new();
        for _ in 0..5000 {
            assert!(seen.insert(draw(&mut entropy, 16)));
        }
    }

    #[test]
    fn a_host_without_randomness_is_told_of_at_once() {
        let Err(failure) = TabEntropy::new(host(0)) else { panic!("it was made") };
        assert_eq!(failure.code, Code::NoEntropy);
    }

    #[test]
    fn the_host_is_asked_again_after_64_kib_and_may_then_have_nothing() {
        let [mut once, mut twice] = [1, 2].map(|calls| TabEntropy::new(host(calls)).unwrap());
        assert_eq!(draw(&mut once, REFRESH_LEN), draw(&mut twice, REFRESH_LEN));
        assert_ne!(draw(&mut once, 32), draw(&mut twice, 32));
    }
}
