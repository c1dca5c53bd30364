use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How many requests one token may make: the generic cell rate algorithm, in one number.
///
/// The number is when, in nanoseconds since the start, the requests so far would have been made at exactly the rate;
/// it may lie ahead of now by as much as a burst.
pub(crate) struct Bucket {
    start: Instant,
    due_ns: AtomicU64,
}

/// The rate of every token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second in the long run; 0: no limit.
    pub per_s: u32,
    /// Requests at once, 1 or more.
    pub burst: u32,
}

impl Bucket {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), due_ns: AtomicU64::new(0) }
    }

    /// Takes one request out, or says in how long there will be one.
    pub(crate) fn take(&self, rate: Rate) -> Result<(), Duration> {
        let now = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.take_at(rate, now)
    }

    fn take_at(&self, rate: Rate, now: u64) -> Result<(), Duration> {
        if rate.per_s == 0 {
            return Ok(());
        }
        let step = 1_000_000_000 / u64::from(rate.per_s);
        let ahead_max = step * u64::from(rate.burst);
        let taken = self.due_ns.fetch_update(Relaxed, Relaxed, |due| {
            let due = due.max(now) + step;
            (due - now <= ahead_max).then_some(due)
        });
        taken.map(|_| ()).map_err(|due| Duration::from_nanos((due + step).saturating_sub(now + ahead_max)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let (bucket, rate) = (Bucket::new(), Rate { per_s: 10, burst: 3 });
        let second = 1_000_000_000;
        for _ in 0..3 {
            assert_eq!(bucket.take_at(rate, second), Ok(()));
        }
        assert_eq!(bucket.take_at(rate, second), Err(Duration::from_millis(100)));
        assert_eq!(bucket.take_at(rate, second + 100_000_000), Ok(()));
        assert!(bucket.take_at(rate, second + 100_000_000).is_err());
        let taken = (0..100).filter(|n| bucket.take_at(rate, 2 * second + n * second / 10).is_ok()).count();
        assert_eq!(taken, 100);
    }

    #[test]
    fn no_rate_is_no_limit() {
        let bucket = Bucket::new();
        assert!((0..1000).all(|_| bucket.take_at(Rate { per_s: 0, burst: 1 }, 0).is_ok()));
    }
}
