//! What tests of several modules share.
use terachat_vault::Entropy;

/// Entropy that repeats in every run.
#[derive(Default)]
pub(crate) struct Counter(u64);

impl Entropy for Counter {
    fn fill(&mut self, out: &mut [u8]) {
        for part in out.chunks_mut(32) {
            self.0 += 1;
            part.copy_from_slice(&blake3::hash(&self.0.to_le_bytes()).as_bytes()[..part.len()]);
        }
    }
}
