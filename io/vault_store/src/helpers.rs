//! Threads that help whoever has much to do at once.
use rayon::ThreadPool;
use std::sync::OnceLock;

/// Threads that help at most.
const HELPERS_MAX: usize = 3;
/// Parts of which it does not pay to wake somebody for fewer.
const PART_LEN_MIN: usize = 24;

/// The threads of one vault, started when there is first something to share.
#[derive(Default)]
pub(crate) struct Helpers(OnceLock<Option<ThreadPool>>);

impl Helpers {
    /// Has `work` done on all of `items`, in parts that follow each other, some of them on other threads.
    ///
    /// # Errors
    /// The first error of the first part that has one; the other parts are done all the same.
    pub(crate) fn share<T: Send, E: Send>(
        &self,
        items: &mut [T],
        work: impl Fn(&mut [T]) -> Result<(), E> + Sync,
    ) -> Result<(), E> {
        let pool = match items.len() {
            len if len < 2 * PART_LEN_MIN => None,
            _ => self.0.get_or_init(start).as_ref(),
        };
        let Some(pool) = pool else { return work(items) };
        let parts = (pool.current_num_threads() + 1).min(items.len() / PART_LEN_MIN);
        let mut parts = items.chunks_mut(items.len().div_ceil(parts));
        let own = parts.next().unwrap_or_default();
        let mut others: Vec<(&mut [T], Result<(), E>)> = parts.map(|part| (part, Ok(()))).collect();
        let done = pool.in_place_scope(|scope| {
            for (part, done) in &mut others {
                let work = &work;
                scope.spawn(move |_| *done = work(part));
            }
            work(own)
        });
        others.into_iter().fold(done, |done, (_, other)| done.and(other))
    }
}

/// As many as there are other processors; none where that is none, or the system gives no threads.
fn start() -> Option<ThreadPool> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let count = (processors - 1).min(HELPERS_MAX);
    if count == 0 {
        return None;
    }
    let name = |number| format!("vault helper {number}");
    rayon::ThreadPoolBuilder::new().num_threads(count).thread_name(name).build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once_whatever_their_number() {
        let helpers = Helpers::default();
        for len in [0, 1, 47, 48, 49, 100, 1000] {
            let mut items: Vec<u32> = (0..len).collect();
            let done: Result<(), u32> = helpers.share(&mut items, |part| {
                part.iter_mut().for_each(|item| *item += 1);
                Ok(())
            });
            assert_eq!(done, Ok(()));
            assert_eq!(items, (1..=len).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_error_of_any_part_is_told() {
        let helpers = Helpers::default();
        for bad in [0, 60, 119] {
            let mut items: Vec<u32> = (0..120).collect();
            let done = helpers.share(&mut items, |part| if part.contains(&bad) { Err(bad) } else { Ok(()) });
            assert_eq!(done, Err(bad));
        }
    }
}
