//! What processes have had of the processors.
use std::fs;

/// Clock ticks a second in `/proc`: 100 on every Linux that Rust's standard library supports.
const TICKS: f64 = 100.0;

/// Seconds of all threads of these processes, in the program and in the system; `None` where the system does not tell, or one of them
/// has ended.
pub(crate) fn seconds(processes: &[u32]) -> Option<f64> {
    processes.iter().map(|process| seconds_of(*process)).sum()
}

fn seconds_of(process: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The second field is the program's name, in which anything may stand.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS)
}
