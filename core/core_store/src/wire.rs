//! Varints and bounded reads, shared by all formats of this crate.
use crate::Error;

/// Appends LEB128.
pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        #[allow(clippy::cast_possible_truncation, reason = "the low seven bits are meant")]
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    #[allow(clippy::cast_possible_truncation, reason = "below 0x80")]
    out.push(value as u8);
}

/// Maps small differences of either sign to small numbers. Wraps, so every pair of numbers has a difference.
pub(crate) fn zigzag(from: u64, to: u64) -> u64 {
    let delta = to.wrapping_sub(from).cast_signed();
    ((delta << 1) ^ (delta >> 63)).cast_unsigned()
}

/// Undoes [`zigzag`].
pub(crate) fn unzigzag(from: u64, code: u64) -> u64 {
    from.wrapping_add((code >> 1) ^ (code & 1).wrapping_neg())
}

/// Reads from the front of untrusted bytes.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(Error::Malformed("it is cut short"))?;
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        Ok(self.bytes(N)?.try_into().expect("that many bytes were read"))
    }

    #[inline]
    pub(crate) fn number(&mut self) -> Result<u64, Error> {
        // One byte is by far the most common.
        if let [byte @ 0..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                break;
            }
            value |= part << shift;
            if byte < 0x80 {
                // Only the shortest form is accepted: one value, one encoding.
                return if byte == 0 && shift > 0 {
                    Err(Error::Malformed("a padded number"))
                } else {
                    Ok(value)
                };
            }
        }
        Err(Error::Malformed("a number is too large"))
    }

    /// A number that counts something of which at most `max` may be.
    pub(crate) fn count(&mut self, max: usize) -> Result<usize, Error> {
        let count = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        (count <= max).then_some(count).ok_or(Error::Malformed("a count is beyond its limit"))
    }

    /// A number below `end`.
    #[inline]
    pub(crate) fn index(&mut self, end: usize) -> Result<u32, Error> {
        let index = self.number()?;
        if index < end as u64 {
            u32::try_from(index).map_err(|_| Error::Malformed("an index is too large"))
        } else {
            Err(Error::Malformed("an index points nowhere"))
        }
    }

    pub(crate) fn end(&self) -> Result<(), Error> {
        self.rest.is_empty().then_some(()).ok_or(Error::Malformed("bytes behind its end"))
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_have_one_encoding(value: u64, from: u64, bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            let mut out = Vec::new();
            put(&mut out, value);
            prop_assert_eq!(Reader::new(&out).number(), Ok(value));
            prop_assert_eq!(unzigzag(from, zigzag(from, value)), value);
            let mut reader = Reader::new(&bytes);
            if let Ok(value) = reader.number() {
                let mut again = Vec::new();
                put(&mut again, value);
                prop_assert_eq!(&again[..], &bytes[..bytes.len() - reader.rest().len()]);
            }
        }
    }
}
