use crate::Error;
use std::cell::RefCell;
use terachat_vault::Entropy;

/// Longest draw that is taken from what was drawn ahead: salts, which are no secret. Keys come from the system directly.
const AHEAD_LEN_MAX: usize = 24;
const AHEAD_LEN: usize = 1536;

struct Ahead {
    bytes: [u8; AHEAD_LEN],
    used: usize,
}

thread_local! {
    static AHEAD: RefCell<Ahead> = const { RefCell::new(Ahead { bytes: [0; AHEAD_LEN], used: AHEAD_LEN }) };
}

/// The system's random bytes. Salts are drawn ahead on each thread, since one comes with every sealing.
pub(crate) struct ThreadEntropy;

impl ThreadEntropy {
    /// Makes sure that the system gives randomness at all.
    pub(crate) fn check() -> Result<(), Error> {
        getrandom::fill(&mut [0; 32]).map_err(|error| Error::Host(format!("no randomness: {error}").into()))
    }
}

impl Entropy for ThreadEntropy {
    fn fill(&mut self, out: &mut [u8]) {
        if out.len() > AHEAD_LEN_MAX {
            return system(out);
        }
        AHEAD.with_borrow_mut(|ahead| {
            if ahead.used + out.len() > AHEAD_LEN {
                system(&mut ahead.bytes);
                ahead.used = 0;
            }
            let from = &mut ahead.bytes[ahead.used..ahead.used + out.len()];
            out.copy_from_slice(from);
            // Nothing is given out twice, whatever goes wrong.
            from.fill(0);
            ahead.used += out.len();
        });
    }
}

fn system(out: &mut [u8]) {
    getrandom::fill(out).expect("the system gave randomness when the vault was opened");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_draws_are_alike() {
        let mut seen = BTreeSet::new();
        for n in 0..2000 {
            let mut draw = [0; 48];
            let draw = &mut draw[..if n % 3 == 0 { 48 } else { 24 }];
            ThreadEntropy.fill(draw);
            assert!(seen.insert(draw.to_vec()));
        }
        assert_eq!(ThreadEntropy::check(), Ok(()));
    }
}
