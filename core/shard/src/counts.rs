use crate::Error;

/// How many data and parity shards a stripe has: 1 to 255 and 0 to 255, at most 256 in all.
///
/// Shards are numbered from 0: first data, then parity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Counts {
    data: u8,
    parity: u8,
}

impl Counts {
    /// Counts that make a code.
    ///
    /// # Errors
    /// [`Error::Counts`].
    pub fn new(data: usize, parity: usize) -> Result<Self, Error> {
        let in_bytes = (u8::try_from(data), u8::try_from(parity));
        match in_bytes {
            (Ok(k @ 1..), Ok(m)) if data + parity <= 256 => Ok(Self { data: k, parity: m }),
            _ => Err(Error::Counts { data, parity }),
        }
    }

    /// Data shards: k. So many shards, whichever, are needed to read.
    pub fn data(self) -> usize {
        usize::from(self.data)
    }

    /// Parity shards: m. So many, whichever, may be lost.
    pub fn parity(self) -> usize {
        usize::from(self.parity)
    }

    /// All shards: k + m.
    pub fn total(self) -> usize {
        self.data() + self.parity()
    }

    /// The numbers of all shards, ascending.
    pub fn indices(self) -> impl Iterator<Item = u8> + Clone + use<> {
        0..=u8::try_from(self.total() - 1).unwrap_or(u8::MAX)
    }

    /// Whether the shard of this number is one of data.
    pub fn is_data(self, index: u8) -> bool {
        index < self.data
    }

    pub(crate) fn bytes(self) -> [u8; 2] {
        [self.data, self.parity]
    }

    /// Each is a shard's, and none stands twice.
    pub(crate) fn check_indices(self, indices: &[u8]) -> Result<(), Error> {
        let mut seen = [false; 256];
        for index in indices {
            let place = &mut seen[usize::from(*index)];
            if usize::from(*index) >= self.total() || *place {
                return Err(Error::Index(*index));
            }
            *place = true;
        }
        Ok(())
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}+{}", self.data, self.parity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        for (data, parity) in [(1, 0), (1, 255), (255, 1), (128, 128), (255, 0)] {
            let counts = Counts::new(data, parity).unwrap();
            assert_eq!((counts.data(), counts.parity(), counts.total()), (data, parity, data + parity));
            assert_eq!(counts.indices().count(), data + parity);
        }
        for (data, parity) in [(0, 1), (256, 0), (129, 128), (1, 256), (usize::MAX, usize::MAX)] {
            assert_eq!(Counts::new(data, parity), Err(Error::Counts { data, parity }));
        }
    }
}
