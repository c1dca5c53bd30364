//! How many chunks a file has, and how long each is: from the file's length alone.
use crate::Error;

/// Bytes of a file in a chunk, but for the last: 1 MiB.
pub const CHUNK_LEN: usize = 1 << 20;
/// Most chunks of a file: so many names are a manifest of 2 MiB, of the 4 MiB that an item of the cluster has at most.
const CHUNKS_MAX: u64 = 1 << 16;
/// Longest file: 64 GiB.
pub const FILE_LEN_MAX: u64 = CHUNKS_MAX * CHUNK_LEN as u64;

/// The chunks of a file of a certain length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    len: u64,
    padded: u64,
}

impl Layout {
    /// # Errors
    /// [`Error::TooLong`].
    pub(crate) fn of(len: u64) -> Result<Self, Error> {
        if len > FILE_LEN_MAX {
            return Err(Error::TooLong);
        }
        Ok(Self { len, padded: padded(len) })
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// At least one: an empty file has an empty chunk, so that the end is sealed too.
    pub(crate) fn count(&self) -> u32 {
        let count = self.padded.div_ceil(CHUNK_LEN as u64).max(1);
        u32::try_from(count).expect("a file has at most 2^16 chunks")
    }

    pub(crate) fn is_last(&self, index: u32) -> bool {
        index + 1 == self.count()
    }

    /// Bytes that are sealed in this chunk, padding included.
    pub(crate) fn sealed_len(&self, index: u32) -> usize {
        Self::share(self.padded, index)
    }

    /// Bytes of the file in this chunk. Behind its end there may be whole chunks of padding.
    pub(crate) fn file_len(&self, index: u32) -> usize {
        Self::share(self.len, index)
    }

    fn share(len: u64, index: u32) -> usize {
        let left = len.saturating_sub(u64::from(index) * CHUNK_LEN as u64);
        usize::try_from(left).unwrap_or(CHUNK_LEN).min(CHUNK_LEN)
    }
}

/// The length that is shown in the place of a file's own: the next one with few digits set (PADME; Nikitin et al., "Reducing metadata
/// leakage from encrypted files and communication with PURBs", 2019, section 4). Some 12 % longer at most, 3 % from 64 KiB on.
fn padded(len: u64) -> u64 {
    let Some(exponent) = len.checked_ilog2().filter(|exponent| *exponent > 0) else { return len };
    let zeros = exponent - (exponent.ilog2() + 1);
    let mask = (1 << zeros) - 1;
    (len + mask) & !mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_are_rounded_up_to_few_different_ones() {
        for (len, expected) in [
            (0, 0),
            (1, 1),
            (7, 7),
            (8, 8),
            (9, 10),
            (1000, 1024),
            (100_000, 100_352),
            (1 << 20, 1 << 20),
            ((1 << 20) + 1, (1 << 20) + (1 << 15)),
            (FILE_LEN_MAX, FILE_LEN_MAX),
        ] {
            assert_eq!(padded(len), expected, "{len}");
        }
    }

    #[test]
    fn the_ends_of_what_is_allowed() {
        let counts = [(0, 1), (1, 1), (1 << 20, 1), ((1 << 20) + 1, 2), (FILE_LEN_MAX, 1 << 16)];
        for (len, count) in counts {
            assert_eq!(Layout::of(len).unwrap().count(), count, "{len}");
        }
        assert_eq!(Layout::of(FILE_LEN_MAX + 1), Err(Error::TooLong));
    }

    proptest! {
        #[test]
        fn chunks_add_up(len in 0..=FILE_LEN_MAX) {
            let layout = Layout::of(len).unwrap();
            prop_assert!(layout.padded >= len && layout.padded - len <= len / 8);
            if len >= 1 << 16 {
                prop_assert!(layout.padded - len <= len / 32);
            }
            let last = layout.count() - 1;
            for (total, share) in [(layout.padded, layout.sealed_len(last)), (len, layout.file_len(last))] {
                let before: u64 = (0..last).map(|n| Layout::share(total, n) as u64).sum();
                prop_assert_eq!(before + share as u64, total);
            }
            prop_assert!((0..last).all(|n| layout.sealed_len(n) == CHUNK_LEN && !layout.is_last(n)));
            prop_assert!(layout.is_last(last) && (layout.sealed_len(last) > 0 || len == 0));
        }
    }
}
