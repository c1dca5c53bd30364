//! A hash of all rows together that follows each change in constant time.
use crate::engine::Id;

/// A keyed multiset hash (MSet-Add-Hash of Clarke et al., Asiacrypt 2003, over four words of 64 bits each): the sum of
/// every row's keyed hash. Which rows there are decides it, the order of changes does not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Digest(pub(crate) [u64; 4]);

impl Digest {
    pub(crate) fn add(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word = word.wrapping_add(other));
    }

    pub(crate) fn subtract(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word = word.wrapping_sub(other));
    }

    pub(crate) fn bytes(&self) -> [u8; 32] {
        let mut out = [0; 32];
        out.chunks_exact_mut(8)
            .zip(self.0)
            .for_each(|(chunk, word)| chunk.copy_from_slice(&word.to_le_bytes()));
        out
    }

    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(std::array::from_fn(|i| {
            u64::from_le_bytes(bytes[8 * i..8 * i + 8].try_into().expect("eight bytes"))
        }))
    }
}

/// The key of the digest.
pub(crate) struct DigestKey(pub(crate) terachat_vault::Secret<32>);

/// Bytes of a sealed record that stand for all of it: prefix, salt and commitment at its start, the tag at its end.
const START_LEN: usize = 16 + 24 + 32;
const TAG_LEN: usize = 16;

impl DigestKey {
    /// The part of one version. `mark` is 0 for an older one; for the newest one it tells all that its row says in the
    /// clear.
    pub(crate) fn version(
        &self,
        collection: &Id,
        record: &Id,
        version: u64,
        mark: u128,
        sealed: &[u8],
    ) -> Digest {
        let start = &sealed[..sealed.len().min(START_LEN)];
        let tag = &sealed[sealed.len().saturating_sub(TAG_LEN)..];
        let len = (sealed.len() as u64).to_le_bytes();
        self.hash(&[b"V", collection, record, &version.to_le_bytes(), &mark.to_le_bytes(), &len, start, tag])
    }

    /// The part of a record that is gone.
    pub(crate) fn gone(&self, collection: &Id, record: &Id, last: u64) -> Digest {
        self.hash(&[b"E", collection, record, &last.to_le_bytes()])
    }

    /// All parts but the last two have fixed lengths, and the length of the sealed bytes tells theirs.
    fn hash(&self, parts: &[&[u8]]) -> Digest {
        let mut buffer = [0; 192];
        let mut at = 0;
        for part in parts {
            buffer[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        Digest::from_bytes(blake3::keyed_hash(self.0.expose_secret(), &buffer[..at]).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_changes_does_not_matter_and_everything_else_does() {
        let key = DigestKey(terachat_vault::Secret::take(&mut [1; 32]));
        let (c, r, sealed) = ([1; 16], [2; 16], [3; 120]);
        let rows = [
            key.version(&c, &r, 1, 0, &sealed),
            key.version(&c, &r, 2, 0, &sealed),
            key.version(&c, &r, 1, 1, &sealed),
            key.version(&r, &r, 1, 0, &sealed),
            key.version(&c, &r, 1, 0, &[4; 120]),
            key.version(&c, &r, 1, 0, &sealed[1..]),
            key.gone(&c, &r, 1),
        ];
        assert!((0..rows.len()).all(|i| (0..i).all(|j| rows[i] != rows[j])));
        let (mut a, mut b) = (Digest::default(), Digest::default());
        rows.iter().for_each(|row| a.add(*row));
        rows.iter().rev().for_each(|row| b.add(*row));
        assert_eq!(a, b);
        rows.iter().for_each(|row| a.subtract(*row));
        assert_eq!(a, Digest::default());
        assert_eq!(Digest::from_bytes(&b.bytes()), b);
    }
}
