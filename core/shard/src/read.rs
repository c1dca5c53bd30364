//! Reading bytes from outside, each read checked.
use crate::{Counts, Error};

pub(crate) struct Reader<'a> {
    what: &'static str,
    whole: usize,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, whole: bytes.len(), rest: bytes }
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let Some((bytes, rest)) = self.rest.split_at_checked(len) else {
            let expected = (self.whole - self.rest.len()).saturating_add(len);
            return Err(Error::Truncated { what: self.what, len: self.whole, expected });
        };
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    pub(crate) fn version(&mut self, expected: u8) -> Result<(), Error> {
        let [found] = self.array()?;
        if found == expected { Ok(()) } else { Err(Error::Version { what: self.what, found }) }
    }

    pub(crate) fn counts(&mut self) -> Result<Counts, Error> {
        let [data, parity] = self.array()?;
        Counts::new(usize::from(data), usize::from(parity))
    }

    pub(crate) fn end(self) -> Result<(), Error> {
        match self.rest.len() {
            0 => Ok(()),
            extra => Err(Error::Trailing { what: self.what, extra }),
        }
    }
}
