use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Entries that share one place in the log, one frame on the disk and one sync: for each its length (4,
/// little-endian) and its bytes.
#[derive(Clone, Default)]
pub(crate) struct Batch {
    bytes: Arc<Vec<u8>>,
    taken: Taken,
}

/// Whether a batch reached this node's log: from then on nobody can say that it was not taken.
///
/// openraft answers "not the leader" both when it refuses a proposal and when it drops one from the log that another
/// leader did not have; a third node may still have that one, and win an election with it.
#[derive(Clone, Default)]
pub(crate) struct Taken(Arc<AtomicBool>);

impl Taken {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Batch {
    pub(crate) fn new<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut bytes = Vec::new();
        for entry in entries {
            let len = u32::try_from(entry.len()).expect("entries are at most 1 MiB");
            bytes.extend_from_slice(&len.to_le_bytes());
            bytes.extend_from_slice(entry);
        }
        Self { bytes: Arc::new(bytes), taken: Taken::default() }
    }

    /// `None` when the bytes are not whole entries.
    pub(crate) fn parse(bytes: Vec<u8>) -> Option<Self> {
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            (_, rest) = split(rest)?;
        }
        Some(Self { bytes: Arc::new(bytes), taken: Taken::default() })
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (entry, behind) = split(rest)?;
            rest = behind;
            Some(entry)
        })
    }

    /// Bytes it takes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn taken(&self) -> &Taken {
        &self.taken
    }
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)
}

impl PartialEq for Batch {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

/// Without the entries, which are nobody's business.
impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({} bytes)", self.len())
    }
}

impl Serialize for Batch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.bytes)
    }
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Batch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the entries of a batch")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Batch, E> {
                Batch::parse(bytes.to_vec()).ok_or_else(|| E::custom("not whole entries"))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_and_parts_of_them_do_not() {
        let batch = Batch::new([b"one".as_slice(), b"", b"three"]);
        let bytes = postcard::to_allocvec(&batch).unwrap();
        let back: Batch = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(back.entries().collect::<Vec<_>>(), [b"one".as_slice(), b"", b"three"]);
        let whole = batch.bytes.to_vec();
        let boundaries: Vec<usize> =
            (0..=whole.len()).filter(|&len| Batch::parse(whole[..len].to_vec()).is_some()).collect();
        assert_eq!(boundaries, [0, 7, 11, 20]);
    }
}
