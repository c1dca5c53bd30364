/// A set of small numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// An empty set that has room for `0..len`.
    pub(super) fn none(len: usize) -> Self {
        Self(vec![0; len.div_ceil(64)])
    }

    /// All of `range`, with room for `0..len`.
    pub(super) fn range(len: usize, range: std::ops::Range<usize>) -> Self {
        let mut bits = Self::none(len);
        for (word, at) in bits.0.iter_mut().zip((0..).step_by(64)) {
            *word = between(at, &range);
        }
        bits
    }

    pub(super) fn insert(&mut self, n: usize) {
        self.0[n / 64] |= 1 << (n % 64);
    }

    pub(super) fn remove(&mut self, n: usize) {
        self.0[n / 64] &= !(1 << (n % 64));
    }

    pub(super) fn contains(&self, n: usize) -> bool {
        self.0[n / 64] & (1 << (n % 64)) != 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(super) fn union(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word |= other);
    }

    /// Adds those of the other set that are in `range`.
    pub(super) fn union_within(&mut self, other: &Self, range: std::ops::Range<usize>) {
        if range.is_empty() {
            return;
        }
        let words = range.start / 64..range.end.div_ceil(64);
        for (at, word) in words.clone().map(|word| word * 64).zip(&mut self.0[words]) {
            *word |= other.0[at / 64] & between(at, &range);
        }
    }

    pub(super) fn subtract(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word &= !other);
    }

    pub(super) fn intersection(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(word, other)| word & other).collect())
    }

    pub(super) fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(word, other)| word & other != 0)
    }

    /// The first number that is in both.
    pub(super) fn first_in(&self, other: &Self) -> Option<usize> {
        let mut both = self.0.iter().zip(&other.0).map(|(word, other)| word & other);
        let at = both.position(|word| word != 0)?;
        Some(at * 64 + (self.0[at] & other.0[at]).trailing_zeros() as usize)
    }

    /// The numbers, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            std::iter::successors(Some(*word), |word| Some(word & word.wrapping_sub(1)))
                .take_while(|word| *word != 0)
                .map(move |word| at * 64 + word.trailing_zeros() as usize)
        })
    }
}

/// The word of a set at `at` that holds all of `range`.
fn between(at: usize, range: &std::ops::Range<usize>) -> u64 {
    let (from, to) = (range.start.clamp(at, at + 64) - at, range.end.clamp(at, at + 64) - at);
    let below = |n: usize| if n == 64 { u64::MAX } else { (1 << n) - 1 };
    below(to.max(from)) & !below(from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn as_a_set_of_numbers(a in prop::collection::btree_set(0..200usize, 0..40), b in prop::collection::btree_set(0..200usize, 0..40), from in 0..200usize, to in 0..200usize) {
            let bits = |set: &BTreeSet<usize>| { let mut bits = Bits::none(200); set.iter().for_each(|n| bits.insert(*n)); bits };
            let set = |bits: &Bits| bits.iter().collect::<BTreeSet<_>>();
            let (x, y) = (bits(&a), bits(&b));
            prop_assert_eq!(set(&x), a.clone());
            prop_assert_eq!(set(&x.intersection(&y)), &a & &b);
            prop_assert_eq!(x.first_in(&y), (&a & &b).first().copied());
            prop_assert_eq!((x.meets(&y), x.is_empty()), (!a.is_disjoint(&b), a.is_empty()));
            let (mut more, mut less) = (x.clone(), x.clone());
            more.union(&y);
            less.subtract(&y);
            prop_assert_eq!((set(&more), set(&less)), (&a | &b, &a - &b));
            let mut part = x.clone();
            part.union_within(&y, from..to);
            let within = b.iter().copied().filter(|n| (from..to).contains(n)).collect();
            prop_assert_eq!(set(&part), &a | &within);
            if let Some(n) = a.first() { less = x.clone(); less.remove(*n); prop_assert!(!less.contains(*n) && x.contains(*n)); }
            prop_assert_eq!(set(&Bits::range(200, from..to)), (from..to).collect());
        }
    }
}
