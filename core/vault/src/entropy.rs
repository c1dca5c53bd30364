/// A source of cryptographically secure random bytes, handed into `core/` from outside.
///
/// Infallible: an implementation seeds itself when it is made and reports a missing source there.
pub trait Entropy {
    /// Fills `out` with unpredictable bytes.
    fn fill(&mut self, out: &mut [u8]);
}
