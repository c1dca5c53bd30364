//! Clocks and statistics: wall time, this process's CPU time, and how much repeated runs differ.
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use std::time::Instant;

/// What a piece of work took, in seconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Took {
    /// By the wall clock.
    pub wall: f64,
    /// On the processor, user and system, all threads.
    pub cpu: f64,
}

/// Times `work`.
pub fn time<T>(work: impl FnOnce() -> T) -> (T, Took) {
    let (cpu, wall) = (cpu_seconds(), Instant::now());
    let value = work();
    (value, Took { wall: wall.elapsed().as_secs_f64(), cpu: cpu_seconds() - cpu })
}

fn cpu_seconds() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// Repeated runs of one thing.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Spread {
    /// The smallest.
    pub min: f64,
    /// The middle one.
    pub median: f64,
    /// The largest.
    pub max: f64,
    /// How many there were.
    pub runs: usize,
}

impl Spread {
    /// Of `values`, of which there is at least one.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
        let runs = values.len();
        Self { min: at(0), median: at(runs / 2), max: at(runs.saturating_sub(1)), runs }
    }

    /// Everything divided by `unit`.
    pub fn per(self, unit: f64) -> Self {
        Self { min: self.min / unit, median: self.median / unit, max: self.max / unit, ..self }
    }

    /// `count` things in so many seconds, as things a second: the quickest run is the largest rate.
    pub fn rate(self, count: f64) -> Self {
        Self { min: count / self.max, median: count / self.median, max: count / self.min, ..self }
    }
}

/// The value that this share of `sorted` does not exceed.
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let at = ((sorted.len().saturating_sub(1)) as f64 * share).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

/// Keeps this process on one core, so that "a core" in the figures is one, `work` while it lasts. Threads that `work`
/// starts stay there too.
pub fn on_one_core<T>(work: impl FnOnce() -> T) -> T {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{sched_getaffinity, sched_setaffinity};
        let before = sched_getaffinity(None);
        if !pin_to_one_core() {
            eprintln!("not pinned to one core: rates by the wall clock may be those of several");
        }
        let value = work();
        if let Ok(before) = before {
            // What cannot be undone shows in the wall clock only.
            let _ = sched_setaffinity(None, &before);
        }
        value
    }
    #[cfg(not(target_os = "linux"))]
    {
        eprintln!("not pinned to one core: rates by the wall clock may be those of several");
        work()
    }
}

#[cfg(target_os = "linux")]
fn pin_to_one_core() -> bool {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let Ok(allowed) = sched_getaffinity(None) else { return false };
    // The last one: interrupts and other programs tend to the first.
    let Some(core) = (0..CpuSet::MAX_CPU).rev().find(|core| allowed.is_set(*core)) else { return false };
    let mut one = CpuSet::new();
    one.set(core);
    sched_setaffinity(None, &one).is_ok()
}

/// Bytes of this process's memory that the system counts under `name` (`VmHWM`: the most it ever held; `VmRSS`: now).
pub fn memory(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics() {
        let spread = Spread::of([3.0, 1.0, 2.0]);
        assert_eq!((spread.min, spread.median, spread.max, spread.runs), (1.0, 2.0, 3.0, 3));
        let rate = spread.rate(6.0);
        assert_eq!((rate.min, rate.median, rate.max), (2.0, 3.0, 6.0));
        let hundred: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!((percentile(&hundred, 0.5), percentile(&hundred, 0.99)), (50.0, 99.0));
    }

    #[test]
    fn work_takes_processor_time() {
        let (sum, took) = time(|| (0..20_000_000u64).fold(0, |sum, n| std::hint::black_box(sum ^ n)));
        assert!(took.cpu > 0.0 && took.wall > 0.0, "{sum}");
    }
}
