/// The rows that may be among the `count` best, given bounds of their scores, while rows come one after another.
///
/// A row stays out only when its upper bound is below the threshold, or below the lower bounds of `count` others: then
/// all of them are better, whatever the scores are.
pub(crate) struct Shortlist {
    count: usize,
    /// What an upper bound must reach.
    bar: f64,
    entries: Vec<Entry>,
    /// How many entries there may be before the bar is raised.
    room: usize,
}

/// A row and what is known of its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Entry {
    pub(crate) row: usize,
    pub(crate) lower: f64,
    pub(crate) upper: f64,
}

impl Shortlist {
    pub(crate) fn new(count: usize, threshold: f64) -> Self {
        let room = 1024.max(4 * count);
        Self { count, bar: threshold, entries: Vec::new(), room }
    }

    /// What an upper bound must reach to be worth an [`Shortlist::add`].
    pub(crate) fn bar(&self) -> f64 {
        self.bar
    }

    pub(crate) fn add(&mut self, entry: Entry) {
        self.entries.push(entry);
        if self.entries.len() > self.room {
            self.raise();
            // Where nearly all are alike, raising the bar for each new one would take quadratic time.
            self.room = self.room.max(2 * self.entries.len());
        }
    }

    /// All that remain, the greatest upper bound first.
    pub(crate) fn into_entries(mut self) -> Vec<Entry> {
        self.raise();
        self.entries.sort_unstable_by(|a, b| b.upper.total_cmp(&a.upper));
        self.entries
    }

    /// Raises the bar to the `count`-th lower bound and drops what does not reach it. The bar never falls: the entries
    /// that raised it reach it themselves, and so are all still there.
    fn raise(&mut self) {
        if self.entries.len() >= self.count {
            let (_, least, _) =
                self.entries.select_nth_unstable_by(self.count - 1, |a, b| b.lower.total_cmp(&a.lower));
            self.bar = self.bar.max(least.lower);
        }
        let bar = self.bar;
        self.entries.retain(|entry| entry.upper >= bar);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the true scores are within their bounds, none of the best is lost.
        #[test]
        fn the_best_remain(scores in prop::collection::vec((-10..10i32, 0..4i32, 0..4i32), 0..5000), count in 1..40usize, threshold in -12..12i32) {
            let mut shortlist = Shortlist::new(count, threshold.into());
            for (row, (score, below, above)) in scores.iter().enumerate() {
                let entry = Entry { row, lower: (score - below).into(), upper: (score + above).into() };
                if entry.upper >= shortlist.bar() {
                    shortlist.add(entry);
                }
            }
            let mut best: Vec<usize> = (0..scores.len()).filter(|row| scores[*row].0 >= threshold).collect();
            best.sort_by_key(|row| (-scores[*row].0, *row));
            let least = best.get(count - 1).map(|row| scores[*row].0);
            let entries = shortlist.into_entries();
            // Every one that ties with the last of the best must remain too: ids settle ties.
            for row in best.iter().filter(|row| least.is_none_or(|least| scores[**row].0 >= least)) {
                prop_assert!(entries.iter().any(|entry| entry.row == *row), "{row}");
            }
            prop_assert!(entries.is_sorted_by(|a, b| a.upper >= b.upper));
        }
    }

    #[test]
    fn far_worse_ones_are_dropped() {
        let mut shortlist = Shortlist::new(2, -1.0);
        let mut added = 0;
        for row in 0..100_000 {
            // 0, 1, ... 9999, again and again.
            let score = f64::from(row % 10_000) / 10_000.0;
            let entry = Entry { row: row as usize, lower: score - 1e-5, upper: score + 1e-5 };
            if entry.upper >= shortlist.bar() {
                added += 1;
                shortlist.add(entry);
            }
        }
        assert!(added < 15_000, "{added}");
        assert_eq!(shortlist.into_entries().len(), 10, "the ten best are alike");
    }
}
