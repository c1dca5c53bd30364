//! Whole numbers as bytes and bits.

/// Appends `value` as LEB128: seven bits a byte, low ones first.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

/// Takes a LEB128 number off the front of `bytes`; `None` if it ends early or is over 32 bits.
#[inline]
pub(super) fn take_varint(bytes: &mut &[u8]) -> Option<u32> {
    let mut value = 0u64;
    for shift in [0, 7, 14, 21, 28] {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return u32::try_from(value).ok();
        }
    }
    None
}

/// Takes four little-endian bytes at `at`.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A quotient that would take this many zero bits is written as so many and the number plain.
const ESCAPE: u32 = 24;
/// Rice parameters go from 0 to this.
pub(super) const RICE_MAX: u8 = 31;

/// The Rice parameter that writes `gaps` in the fewest bits, as far as a look at its neighbours tells.
pub(super) fn rice_parameter(gaps: &[u32]) -> u8 {
    let sum: u64 = gaps.iter().map(|&gap| u64::from(gap)).sum();
    let mean = sum / gaps.len().max(1) as u64;
    let guess = mean.checked_ilog2().unwrap_or(0).min(30);
    let bits = |k: u32| gaps.iter().map(|&gap| (gap >> k).min(ESCAPE + 32) + 1 + k).sum::<u32>();
    let best = (guess.saturating_sub(2)..=guess + 1).min_by_key(|&k| bits(k)).unwrap_or(0);
    u8::try_from(best).unwrap_or(RICE_MAX)
}

/// Writes numbers in Rice code, low bits first: the quotient in zeros, a one, then `k` bits of remainder.
pub(super) struct RiceWriter<'a> {
    out: &'a mut Vec<u8>,
    /// Fewer than eight between two numbers, and no code is longer than 57.
    bits: u64,
    len: u32,
    k: u32,
}

impl<'a> RiceWriter<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, k: u8) -> Self {
        Self { out, bits: 0, len: 0, k: u32::from(k.min(RICE_MAX)) }
    }

    pub(super) fn put(&mut self, value: u32) {
        let quotient = value >> self.k;
        if quotient < ESCAPE {
            let remainder = u64::from(value) & ((1 << self.k) - 1);
            self.put_bits(1 << quotient | remainder << (quotient + 1), quotient + 1 + self.k);
        } else {
            self.put_bits(1 << ESCAPE | u64::from(value) << (ESCAPE + 1), ESCAPE + 1 + 32);
        }
    }

    fn put_bits(&mut self, bits: u64, len: u32) {
        self.bits |= bits << self.len;
        self.len += len;
        let whole = self.len / 8;
        self.out.extend_from_slice(&self.bits.to_le_bytes()[..whole as usize]);
        self.bits = self.bits.checked_shr(8 * whole).unwrap_or(0);
        self.len %= 8;
    }

    /// Fills the last byte with zeros.
    pub(super) fn finish(self) {
        if self.len > 0 {
            self.out.push((self.bits & 0xff) as u8);
        }
    }
}

/// Reads what [`RiceWriter`] wrote. Past the end it reads zeros, which is an error at the latest in the check of
/// [`RiceReader::is_within`].
pub(super) struct RiceReader<'a> {
    bytes: &'a [u8],
    at: usize,
    k: u32,
}

impl<'a> RiceReader<'a> {
    pub(super) fn new(bytes: &'a [u8], k: u8) -> Self {
        Self { bytes, at: 0, k: u32::from(k.min(RICE_MAX)) }
    }

    /// At least 57 bits from where the reader stands, the longest code there is.
    #[inline]
    fn window(&self) -> u64 {
        let from = self.at / 8;
        let window = match self.bytes.get(from..).and_then(<[u8]>::first_chunk) {
            Some(eight) => u64::from_le_bytes(*eight),
            None => self.last_window(from),
        };
        window >> (self.at % 8)
    }

    #[cold]
    fn last_window(&self, from: usize) -> u64 {
        let mut eight = [0; 8];
        let rest = self.bytes.get(from..).unwrap_or(&[]);
        eight[..rest.len()].copy_from_slice(rest);
        u64::from_le_bytes(eight)
    }

    /// The next number; for damaged bytes any number.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "masked to at most 32 bits")]
    pub(super) fn take(&mut self) -> u32 {
        let window = self.window();
        let quotient = window.trailing_zeros().min(ESCAPE);
        let rest = window >> (quotient + 1);
        if quotient < ESCAPE {
            self.at += (quotient + 1 + self.k) as usize;
            quotient << self.k | (rest & ((1 << self.k) - 1)) as u32
        } else {
            self.at += (ESCAPE + 1 + 32) as usize;
            (rest & u64::from(u32::MAX)) as u32
        }
    }

    /// Whether everything taken so far was there.
    pub(super) fn is_within(&self) -> bool {
        self.at <= self.bytes.len() * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_come_back(value: u32) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value >> (value % 32));
            let mut rest = &bytes[..];
            prop_assert_eq!(take_varint(&mut rest), Some(value >> (value % 32)));
            prop_assert!(rest.is_empty());
            prop_assert_eq!(take_varint(&mut &bytes[..bytes.len() - 1]), None);
        }

        #[test]
        fn rice_codes_come_back(seed in proptest::collection::vec((any::<u32>(), 0u32..32), 1..200), k in 0u8..32) {
            let values: Vec<u32> = seed.into_iter().map(|(value, shift)| value >> shift).collect();
            for k in [k, rice_parameter(&values)] {
                let mut bytes = Vec::new();
                let mut writer = RiceWriter::new(&mut bytes, k);
                values.iter().for_each(|&value| writer.put(value));
                writer.finish();
                let mut reader = RiceReader::new(&bytes, k);
                for &value in &values {
                    prop_assert_eq!(reader.take(), value);
                }
                prop_assert!(reader.is_within());
            }
        }
    }

    #[test]
    fn overlong_varints_are_refused() {
        assert_eq!(take_varint(&mut &[0xff, 0xff, 0xff, 0xff, 0x0f][..]), Some(u32::MAX));
        assert_eq!(take_varint(&mut &[0xff, 0xff, 0xff, 0xff, 0x1f][..]), None);
        assert_eq!(take_varint(&mut &[0x80, 0x80, 0x80, 0x80, 0x80, 0][..]), None);
    }
}
