use std::collections::BTreeMap;

/// Documents of sealed segments that are gone: a bitmap in pieces of 1,024 numbers, so that few removals cost
/// little and many are looked up quickly.
#[derive(Debug, Default)]
pub(super) struct Removed {
    pieces: BTreeMap<u32, [u64; 16]>,
    len: usize,
}

impl Removed {
    /// False if it was there already.
    pub(super) fn insert(&mut self, doc: u32) -> bool {
        let bits = &mut self.pieces.entry(doc / 1024).or_default()[(doc / 64 % 16) as usize];
        let is_new = *bits & 1 << (doc % 64) == 0;
        *bits |= 1 << (doc % 64);
        self.len += usize::from(is_new);
        is_new
    }

    pub(super) fn contains(&self, doc: u32) -> bool {
        !self.pieces.is_empty()
            && self
                .pieces
                .get(&(doc / 1024))
                .is_some_and(|bits| bits[(doc / 64 % 16) as usize] >> (doc % 64) & 1 == 1)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Forgets the documents for which `keep` is false.
    pub(super) fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        let docs: Vec<u32> = self.iter().filter(|&doc| keep(doc)).collect();
        *self = Self::default();
        docs.into_iter().for_each(|doc| _ = self.insert(doc));
    }

    /// Ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        self.pieces
            .iter()
            .flat_map(|(piece, bits)| {
                (0..1024)
                    .filter(|at| bits[at / 64] >> (at % 64) & 1 == 1)
                    .zip(std::iter::repeat(piece * 1024))
            })
            .map(|(at, first)| first + u32::try_from(at).unwrap_or(0))
    }
}
