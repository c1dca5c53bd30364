/// In which symbols an item is: always in symbol 0, in symbol i with probability 1 / (1 + i / 2), by a generator that starts
/// at the item's seed (sections 4.1 and 4.2 of the paper). In whole numbers, so that all machines agree.
#[derive(Debug, Clone)]
pub(super) struct Mapping {
    next: u64,
    state: u64,
}

impl Mapping {
    pub(super) fn new(seed: u64) -> Self {
        // An odd state gives the multiplier its full period.
        Self { next: 0, state: seed | 1 }
    }

    /// The next symbol before `end` that the item is in.
    pub(super) fn next_before(&mut self, end: usize) -> Option<usize> {
        let at = usize::try_from(self.next).ok().filter(|at| *at < end)?;
        self.step();
        Some(at)
    }

    /// The next index is (i + 3/2) / sqrt(r) - 3/2, rounded up, with r uniform in (0, 1]: here in halves, with r = state / 2^64.
    fn step(&mut self) {
        self.state = self.state.wrapping_mul(0xda94_2042_e4dd_58b5);
        if self.next >= END {
            return;
        }
        let halves = self.next * 2 + 3;
        let reached = (halves << 32).div_ceil(self.state.isqrt().max(1));
        self.next += reached.saturating_sub(halves).div_ceil(2).max(1);
    }
}

/// No symbol has this number, nor a later one; below it nothing overflows.
const END: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_in_a_symbol_as_often_as_the_paper_says() {
        const ITEMS: u64 = 20_000;
        let mut counts = [0_u64; 100];
        for n in 0..ITEMS {
            let hash = blake3::hash(&n.to_le_bytes());
            let mut mapping = Mapping::new(u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap()));
            while let Some(at) = mapping.next_before(counts.len()) {
                counts[at] += 1;
            }
        }
        for (at, count) in (0..).zip(counts) {
            let expected = ITEMS * 2 / (2 + at);
            // The paper's formula is near, to one in twenty; and five standard deviations, whose square is below the mean.
            let off = count.abs_diff(expected).saturating_sub(expected / 20);
            assert!(off.pow(2) <= 25 * expected, "symbol {at}: {count}, not {expected}");
        }
    }

    #[test]
    fn the_worst_state_ends() {
        let mut mapping = Mapping { next: END - 1, state: 0 };
        mapping.step();
        assert!(mapping.next >= END);
        mapping.step();
        assert_eq!(mapping.next_before(1 << 16), None);
    }
}
