//! The rows of newest versions that were read or written last, in memory: sealed, as they are stored. A look-up in the
//! database walks several tables; most reads go to few records, and to new ones.
use fjall::Slice;
use quick_cache::Weighter;
use quick_cache::sync::{Cache, GuardResult};

/// Collection ‖ record.
type Key = [u8; 32];

/// What a row takes beside its bytes: its key, and its place in the cache.
const OVERHEAD: u64 = 96;
/// About what a row takes, for the cache's own tables.
const TYPICAL: u64 = 1024;

/// A bounded number of bytes of rows. What is in it is what the database has: whoever changed rows there calls
/// [`Newest::change`] before anybody is told.
pub(crate) struct Newest(Cache<Key, Slice, Bytes>);

#[derive(Clone)]
struct Bytes;

impl Weighter<Key, Slice> for Bytes {
    fn weight(&self, _: &Key, row: &Slice) -> u64 {
        row.len() as u64 + OVERHEAD
    }
}

impl Newest {
    /// For so many bytes.
    pub(crate) fn new(size: u64) -> Self {
        let rows = usize::try_from(size / TYPICAL).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(rows, size, Bytes))
    }

    /// The row, from memory or else from the database.
    ///
    /// A row that is changed while it is fetched is not kept: its place is gone or taken then.
    pub(crate) fn get<E>(
        &self,
        key: &Key,
        fetch: impl FnOnce() -> Result<Option<Slice>, E>,
    ) -> Result<Option<Slice>, E> {
        match self.0.get_value_or_guard(key, None) {
            GuardResult::Value(row) => Ok(Some(row)),
            GuardResult::Guard(place) => {
                let Some(row) = fetch()? else { return Ok(None) };
                // A copy, for the database's own may keep a whole block alive.
                let _ = place.insert(Slice::from(&row[..]));
                Ok(Some(row))
            }
            GuardResult::Timeout => fetch(),
        }
    }

    /// The row, if it is in memory.
    pub(crate) fn peek(&self, key: &Key) -> Option<Slice> {
        self.0.peek(key)
    }

    /// A row that nobody asks for is another now: in memory it takes the place of the one before, if that was there.
    pub(crate) fn follow(&self, key: &Key, row: Slice) {
        // Who fetches the old one meanwhile finds its place gone.
        self.change(key, self.peek(key).map(|_| row));
    }

    /// This row is another now; with `None` it is gone, or what it is has to be fetched.
    pub(crate) fn change(&self, key: &Key, row: Option<Slice>) {
        match row {
            Some(row) => self.0.insert(*key, row),
            None => {
                self.0.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    fn key(n: u8) -> Key {
        [n; 32]
    }

    fn get(newest: &Newest, key: &Key, row: Option<&[u8]>) -> (Option<Vec<u8>>, bool) {
        let mut fetched = false;
        let found = newest.get(key, || {
            fetched = true;
            Ok::<_, Infallible>(row.map(Slice::from))
        });
        (found.unwrap().map(|row| row.to_vec()), fetched)
    }

    /// A reader has the old row in its hands while a writer replaces it: what the reader keeps would be stale for ever.
    #[test]
    fn a_row_that_changes_while_it_is_fetched_is_not_kept() {
        let newest = Newest::new(1 << 20);
        let found = newest.get(&key(1), || {
            newest.change(&key(1), None);
            Ok::<_, Infallible>(Some(Slice::from(&b"old"[..])))
        });
        assert_eq!(&found.unwrap().unwrap()[..], b"old", "it was the row when the read began");
        assert_eq!(get(&newest, &key(1), Some(b"new")), (Some(b"new".to_vec()), true));
        assert_eq!(get(&newest, &key(1), Some(b"never asked for")), (Some(b"new".to_vec()), false));
    }

    #[test]
    fn a_row_that_is_written_while_the_old_one_is_fetched_stays() {
        let newest = Newest::new(1 << 20);
        let found = newest.get(&key(1), || {
            newest.change(&key(1), Some(Slice::from(&b"new"[..])));
            Ok::<_, Infallible>(Some(Slice::from(&b"old"[..])))
        });
        assert_eq!(&found.unwrap().unwrap()[..], b"old", "it was the row when the read began");
        assert_eq!(get(&newest, &key(1), None), (Some(b"new".to_vec()), false));
    }

    #[test]
    fn a_row_that_nobody_asked_for_comes_in_only_where_the_old_one_was() {
        let newest = Newest::new(1 << 20);
        newest.follow(&key(1), Slice::from(&b"moved"[..]));
        assert_eq!(newest.peek(&key(1)), None);
        newest.change(&key(1), Some(Slice::from(&b"put"[..])));
        newest.follow(&key(1), Slice::from(&b"moved"[..]));
        assert_eq!(newest.peek(&key(1)).as_deref(), Some(&b"moved"[..]));
        let found = newest.get(&key(2), || {
            newest.follow(&key(2), Slice::from(&b"moved"[..]));
            Ok::<_, Infallible>(Some(Slice::from(&b"old"[..])))
        });
        assert_eq!(found.unwrap().as_deref(), Some(&b"old"[..]), "it was the row when the read began");
        assert_eq!(newest.peek(&key(2)), None);
    }

    #[test]
    fn an_error_and_an_absence_are_not_kept() {
        let newest = Newest::new(1 << 20);
        assert_eq!(newest.get(&key(1), || Err::<Option<Slice>, _>("disk")), Err("disk"));
        assert_eq!(get(&newest, &key(1), None), (None, true));
        assert_eq!(newest.peek(&key(1)), None);
        assert_eq!(get(&newest, &key(1), Some(b"row")), (Some(b"row".to_vec()), true));
    }

    proptest! {
        /// Reads and writes in any order, through a cache that holds a part of the rows only, give what the rows are.
        #[test]
        fn what_is_read_is_what_was_written(steps in prop::collection::vec((0..40u8, prop::option::of((0..400usize, 0..3))), 1..300)) {
            let newest = Newest::new(8 << 10);
            let mut rows: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
            for (n, write) in steps {
                if let Some((len, how)) = write {
                    rows.insert(n, vec![n; len]);
                    let row = Slice::from(vec![n; len]);
                    match how {
                        0 => newest.follow(&key(n), row),
                        how => newest.change(&key(n), (how == 1).then_some(row)),
                    }
                }
                let row = rows.get(&n);
                let (found, _) = get(&newest, &key(n), row.map(|row| &row[..]));
                prop_assert_eq!(found.as_ref(), row);
                prop_assert!(newest.0.weight() <= 8 << 10);
            }
        }
    }
}
