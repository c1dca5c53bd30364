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

    /// Does a write that changes these rows, with all by which it is read, and notes it then: who noted [`Recent::now`] in between and
    /// read what was there before is told that it may have changed. One write at a time.
    pub(crate) fn during<T>(&self, keys: &[[u8; 32]], write: impl FnOnce() -> T) -> T {
        let written = write();
        if keys.is_empty() {
            return written;
        }
        let mut rows: Vec<u64> = keys.iter().map(mark).collect();
        rows.sort_unstable();
        let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        writes.count += rows.len();
        writes.rows.push_back(rows);
        while writes.count > ROWS_MAX && writes.rows.len() > 1 {
            writes.count -= writes.rows.pop_front().map_or(0, |rows| rows.len());
        }
        self.number.fetch_add(1, Ordering::Release);
        written
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
        recent.during(&[key(2), key(1)], || ());
        let between = recent.now();
        recent.during(&[key(3)], || ());
        assert!(recent.changed(before, &key(1)) && recent.changed(before, &key(3)));
        assert!(!recent.changed(between, &key(1)) && recent.changed(between, &key(3)));
        assert!(!recent.changed(before, &key(4)));
    }

    /// Until the last of what a write does somebody may still find the old row: in the engine, or in the row cache.
    #[test]
    fn what_is_read_while_a_write_goes_on_is_taken_for_changed() {
        let recent = Recent::default();
        let since = recent.during(&[key(1)], || recent.now());
        assert!(recent.changed(since, &key(1)) && !recent.changed(since, &key(2)));
    }

    #[test]
    fn what_is_too_long_ago_is_taken_for_changed() {
        let recent = Recent::default();
        let before = recent.now();
        recent.during(&(0..10).map(key).collect::<Vec<_>>(), || ());
        assert!(!recent.changed(before, &key(ROWS_MAX as u64 * 2)));
        recent.during(&(0..ROWS_MAX as u64).map(key).collect::<Vec<_>>(), || ());
        assert!(recent.changed(before, &key(ROWS_MAX as u64 * 2)), "the first write's rows are forgotten");
        let after = recent.now();
        recent.during(&(0..2 * ROWS_MAX as u64).map(key).collect::<Vec<_>>(), || ());
        assert!(
            !recent.changed(after, &key(ROWS_MAX as u64 * 2)),
            "the newest write's are known, however many"
        );
        assert!(recent.changed(after, &key(1)));
    }
}
