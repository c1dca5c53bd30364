use super::item::Hashed;
use super::{HeadItem, RatelessError};
use std::ops::BitXorAssign;

/// Items and their checksums, added up without carry. The paper's count is left out: whose an item is, its own set tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Symbol {
    sum: u128,
    check: u32,
}

impl Symbol {
    /// Length of one: 16 bytes of items, 4 of checksums.
    pub const LEN: usize = 20;

    /// Several in turn.
    pub fn encode(symbols: &[Self]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(symbols.len() * Self::LEN);
        for symbol in symbols {
            bytes.extend_from_slice(&symbol.sum.to_le_bytes());
            bytes.extend_from_slice(&symbol.check.to_le_bytes());
        }
        bytes
    }

    /// Reads what [`Symbol::encode`] wrote.
    ///
    /// # Errors
    /// [`RatelessError::Malformed`] for another length than a multiple of [`Symbol::LEN`].
    pub fn decode(bytes: &[u8]) -> Result<Vec<Self>, RatelessError> {
        let (symbols, []) = bytes.as_chunks::<{ Self::LEN }>() else { return Err(RatelessError::Malformed) };
        let read = |bytes: &[u8; Self::LEN]| Self {
            sum: u128::from_le_bytes(std::array::from_fn(|at| bytes[at])),
            check: u32::from_le_bytes(std::array::from_fn(|at| bytes[16 + at])),
        };
        Ok(symbols.iter().map(read).collect())
    }

    /// The only item in it, if it is one: to be compared with that item's own checksum.
    pub(super) fn item(&self) -> HeadItem {
        HeadItem(self.sum)
    }

    pub(super) fn is_of(&self, hashed: &Hashed) -> bool {
        self.check == hashed.check
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl BitXorAssign for Symbol {
    fn bitxor_assign(&mut self, other: Self) {
        self.sum ^= other.sum;
        self.check ^= other.check;
    }
}

impl From<&Hashed> for Symbol {
    fn from(hashed: &Hashed) -> Self {
        Self { sum: hashed.item.0, check: hashed.check }
    }
}
