use std::fmt;

/// The last applied entry and the chain of hashes up to it: equal on all nodes that have applied as much.
///
/// What a node has applied is on its own disk. So a caller may bind a head to a counter outside the disk, and see
/// after a restart whether the disk was put back in time.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Head {
    /// Number of entries applied; 0 for none.
    pub index: u64,
    /// Hash of the previous head's hash, this index and the entry's bytes.
    pub hash: [u8; 32],
}

impl Head {
    /// Before the first entry.
    pub const START: Self = Self { index: 0, hash: [0; 32] };

    /// The head after one more entry.
    #[must_use]
    pub fn after(&self, entry: &[u8]) -> Self {
        let index = self.index + 1;
        let mut hasher = blake3::Hasher::new_derive_key("TeraChat 2026 ledger chain v1");
        hasher.update(&self.hash).update(&index.to_le_bytes()).update(entry);
        Self { index, hash: hasher.finalize().into() }
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Head({} ", self.index)?;
        self.hash.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_commits_to_every_entry_and_its_place() {
        let two = Head::START.after(b"a").after(b"b");
        assert_eq!(two.index, 2);
        for other in [
            Head::START.after(b"b").after(b"a"),
            Head::START.after(b"").after(b"ab"),
            Head::START.after(b"ab").after(b""),
            Head::START.after(b"b"),
        ] {
            assert_ne!(other.hash, two.hash);
        }
        assert_ne!(Head { index: 1, ..Head::START }.after(b"a").hash, Head::START.after(b"a").hash);
    }
}
