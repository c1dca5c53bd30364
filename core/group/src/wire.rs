//! What RFC 9420's messages are made of, for whoever reads them without the library.
use crate::Error;

/// A vector behind its length (section 2.1.2).
pub(crate) fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).ok().filter(|len| *len < 1 << 30).expect("far below 1 GiB");
    match len {
        0..64 => out.push(len.to_be_bytes()[3]),
        64..16384 => out.extend_from_slice(&(len | 0x4000).to_be_bytes()[2..]),
        _ => out.extend_from_slice(&(len | 0x8000_0000).to_be_bytes()),
    }
    out.extend_from_slice(bytes);
}

/// Bytes that are read from the front; what is wrong with them is told as `what`.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { rest: bytes, what }
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (head, tail) = self.rest.split_at_checked(len).ok_or(Error::Malformed(self.what))?;
        self.rest = tail;
        Ok(head)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Error> {
        Ok(self.take(1)?[0])
    }

    /// The content of a vector. Its length has one form.
    pub(crate) fn vector(&mut self) -> Result<&'a [u8], Error> {
        let first = self.byte()?;
        let (more, floor) = match first >> 6 {
            0 => (0, 0),
            1 => (1, 64),
            2 => (3, 16384),
            _ => return Err(Error::Malformed(self.what)),
        };
        let more = self.take(more)?;
        let len = more.iter().fold(usize::from(first & 0x3F), |len, byte| len << 8 | usize::from(*byte));
        if len < floor {
            return Err(Error::Malformed(self.what));
        }
        self.take(len)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_one_form() {
        for len in [0, 1, 63, 64, 16383, 16384, 70_000] {
            let mut out = Vec::new();
            put(&mut out, &vec![7; len]);
            let mut reader = Reader::new("vector", &out);
            assert_eq!(reader.vector().unwrap().len(), len);
            assert!(reader.is_empty());
        }
        for longer in [&[0x40, 1, 9][..], &[0x80, 0, 0, 1, 9], &[0xC0]] {
            assert!(Reader::new("vector", longer).vector().is_err(), "{longer:?}");
        }
    }
}
