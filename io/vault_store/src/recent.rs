//! Which rows of newest versions the last writes changed, so that what was read before a lock may still be used under it.
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Rows that are remembered at most, of all writes together.
const ROWS_MAX: usize = 16_384;

/// The last writes, numbered.
///
/// Who reads a row notes [`Recent::now`] first. Later, with nothing being written meanwhile, [`Recent::changed`] tells whether the row
/// can be another one: then it is read again. It errs to one side only.
#[derive(Default)]
pub(crate) struct Recent {
    number: AtomicU64,
    writes: Mutex<Writes>,
}

#[derive(Default)]
struct Writes {
    /// Of each write the marks of its rows, in order; the newest write is the last one.
    rows: VecDeque<Vec<u64>>,
    count: usize,
}

impl Recent {
    /// How many writes changed rows so far.
    pub(crate) fn now(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// Notes a write's rows. Before the next one begins, and after all of it can be read.
    pub(crate) fn note<'a>(&self, keys: impl Iterator<Item = &'a [u8; 32]>) {
        let mut rows: Vec<u64> = keys.map(mark).collect();
        if rows.is_empty() {
            return;
        }
        rows.sort_unstable();
        let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        writes.count += rows.len();
        writes.rows.push_back(rows);
        while writes.count > ROWS_MAX && writes.rows.len() > 1 {
            writes.count -= writes.rows.pop_front().map_or(0, |rows| rows.len());
        }
        self.number.fetch_add(1, Ordering::Release);
    }

    /// Whether one of the writes after the first `since` may have changed this row.
    pub(crate) fn changed(&self, since: u64, key: &[u8; 32]) -> bool {
        let behind = self.now() - since;
        if behind == 0 {
            return false;
        }
        let writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        let known = usize::try_from(behind).ok().and_then(|behind| writes.rows.len().checked_sub(behind));
        let Some(first) = known else { return true };
        writes.rows.range(first..).any(|rows| rows.binary_search(&mark(key)).is_ok())
    }
}

/// Stands for a key. Two keys may share one; then a row is read once more than it had to be.
fn mark(key: &[u8; 32]) -> u64 {
    // The blinded record id begins at the third byte (`order.rs`).
    u64::from_le_bytes(key[2..10].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u64) -> [u8; 32] {
        let mut key = [0; 32];
        key[2..10].copy_from_slice(&n.to_le_bytes());
        key
    }

    #[test]
    fn what_was_written_since_is_changed_and_nothing_else_is() {
        let recent = Recent::default();
        let before = recent.now();
        assert!(!recent.changed(before, &key(1)));
        recent.note([key(2), key(1)].iter());
        let between = recent.now();
        recent.note([key(3)].iter());
        assert!(recent.changed(before, &key(1)) && recent.changed(before, &key(3)));
        assert!(!recent.changed(between, &key(1)) && recent.changed(between, &key(3)));
        assert!(!recent.changed(before, &key(4)));
    }

    #[test]
    fn what_is_too_long_ago_is_taken_for_changed() {
        let recent = Recent::default();
        let before = recent.now();
        recent.note((0..10).map(key).collect::<Vec<_>>().iter());
        assert!(!recent.changed(before, &key(ROWS_MAX as u64 * 2)));
        recent.note((0..ROWS_MAX as u64).map(key).collect::<Vec<_>>().iter());
        assert!(recent.changed(before, &key(ROWS_MAX as u64 * 2)), "the first write's rows are forgotten");
        let after = recent.now();
        recent.note((0..2 * ROWS_MAX as u64).map(key).collect::<Vec<_>>().iter());
        assert!(
            !recent.changed(after, &key(ROWS_MAX as u64 * 2)),
            "the newest write's are known, however many"
        );
        assert!(recent.changed(after, &key(1)));
    }
}
