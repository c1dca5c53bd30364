//! The vault's time: never goes back, and does not believe every jump ahead.
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub(crate) struct Time {
    clock: Arc<dyn Fn() -> u64 + Send + Sync>,
    step_max_ms: u64,
    state: Mutex<State>,
    /// The newest time that was given out, while the system's clock is believed; else 0. Most calls are within one
    /// millisecond of the one before and need nothing else.
    believed_ms: AtomicU64,
}

struct State {
    last_ms: u64,
    seen: Instant,
    doubted: bool,
}

impl Time {
    /// Time that goes on from `watermark_ms`, the newest time on disk; 0 for a new vault, which believes its first clock.
    pub(crate) fn new(
        clock: Arc<dyn Fn() -> u64 + Send + Sync>,
        step_max: Duration,
        watermark_ms: u64,
    ) -> Self {
        let last_ms = if watermark_ms == 0 { clock() } else { watermark_ms };
        let step_max_ms = millis(step_max);
        let state = Mutex::new(State { last_ms, seen: Instant::now(), doubted: false });
        Self { clock, step_max_ms, state, believed_ms: AtomicU64::new(0) }
    }

    /// Milliseconds since 1970. While the system's clock is behind, or too far ahead to be believed, time passes at the
    /// machine's own pace from where it was.
    pub(crate) fn now_ms(&self) -> u64 {
        let system = (self.clock)();
        if system != 0 && system == self.believed_ms.load(Ordering::Relaxed) {
            return system;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = state.seen.elapsed();
        let own = state.last_ms.saturating_add(millis(elapsed));
        state.doubted = system > own.saturating_add(self.step_max_ms);
        let now = if system >= state.last_ms && !state.doubted { system } else { own };
        if now > state.last_ms {
            state.last_ms = now;
            state.seen = Instant::now();
        }
        let believed_ms = if state.doubted || state.last_ms != system { 0 } else { system };
        self.believed_ms.store(believed_ms, Ordering::Relaxed);
        state.last_ms
    }

    /// Whether the clock is too far ahead to be believed.
    pub(crate) fn doubted(&self) -> bool {
        self.now_ms();
        self.state.lock().unwrap_or_else(PoisonError::into_inner).doubted
    }

    /// Believes the clock as it is now.
    pub(crate) fn confirm(&self) {
        let system = (self.clock)();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.last_ms = state.last_ms.max(system);
        state.seen = Instant::now();
        state.doubted = false;
    }
}

/// Milliseconds since 1970 by the system's clock; 0 when that stands before.
pub(crate) fn system_ms() -> u64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_back_and_not_too_far_ahead() {
        let clock = Arc::new(AtomicU64::new(1_000_000));
        let source = {
            let clock = clock.clone();
            Arc::new(move || clock.load(Ordering::Relaxed))
        };
        let time = Time::new(source, Duration::from_secs(100), 0);
        let near = |expected: u64| {
            let now = time.now_ms();
            assert!((expected..expected + 50_000).contains(&now), "{now}");
        };
        near(1_000_000);
        clock.store(1_090_000, Ordering::Relaxed);
        near(1_090_000);
        clock.store(5_000, Ordering::Relaxed);
        near(1_090_000);
        clock.store(9_000_000, Ordering::Relaxed);
        near(1_090_000);
        assert!(time.doubted());
        time.confirm();
        near(9_000_000);
        assert!(!time.doubted());
    }
}
