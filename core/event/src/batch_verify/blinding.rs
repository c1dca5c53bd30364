/// The factors of a batch, which nobody who made its signatures could foresee: a hash over all of them.
pub(super) struct Blinding(blake3::OutputReader);

impl Blinding {
    /// The factors for signatures that `transcript` fixes to the last bit.
    pub(super) fn new(transcript: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("terachat 2026-11 batch verification");
        Self(hasher.update(transcript).finalize_xof())
    }

    /// Numbers of 127 bits.
    #[cfg(any(test, target_arch = "x86_64"))]
    pub(super) fn numbers(mut self, count: usize) -> impl Iterator<Item = u128> {
        let mut bytes = vec![[0; 16]; count];
        self.0.fill(bytes.as_flattened_mut());
        bytes.into_iter().map(|bytes| u128::from_le_bytes(bytes) >> 1)
    }
}

impl rand_core::TryRng for Blinding {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        self.0.fill(out);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Blinding {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_127_bits_and_hang_on_every_bit_signed() {
        let transcript = [7; 300];
        let numbers: Vec<_> = Blinding::new(&transcript).numbers(1000).collect();
        assert!(numbers.iter().all(|number| number >> 127 == 0));
        assert!(numbers.iter().any(|number| number >> 126 == 1));
        let mut all: std::collections::BTreeSet<_> = numbers.iter().copied().collect();
        for bit in 0..2400 {
            let mut changed = transcript;
            changed[bit / 8] ^= 1 << (bit % 8);
            all.extend(Blinding::new(&changed).numbers(2));
        }
        assert_eq!(all.len(), 1000 + 4800);
    }
}
