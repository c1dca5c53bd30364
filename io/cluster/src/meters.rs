//! What a node was asked by clients since it started, and how long it took.
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use terachat_cluster::{Request, Response};

/// Upper bounds in seconds of the classes that times are counted in; the last class has none. Gets from memory take tenths of a
/// millisecond, puts wait for several disks, and a put that meets an election takes a second or two.
pub const SECONDS: [f64; 13] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0, 10.0];

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum Verb {
    /// To keep something.
    Put,
    /// For something that is kept.
    Get,
    /// Whether something is kept.
    Has,
    /// For names.
    List,
    /// To forget something.
    Forget,
    /// To forget what has ended.
    Collect,
    /// To be the first in a slot.
    Claim,
}

impl Verb {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] =
        [Self::Put, Self::Get, Self::Has, Self::List, Self::Forget, Self::Collect, Self::Claim];

    pub(crate) fn of(request: &Request) -> Self {
        match request {
            Request::Put { .. } => Self::Put,
            Request::Get(_) => Self::Get,
            Request::Has(_) => Self::Has,
            Request::List { .. } => Self::List,
            Request::Forget(_) => Self::Forget,
            Request::Collect => Self::Collect,
            Request::Claim { .. } => Self::Claim,
        }
    }

    /// Its name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
            Self::Has => "has",
            Self::List => "list",
            Self::Forget => "forget",
            Self::Collect => "collect",
            Self::Claim => "claim",
        }
    }
}

/// What was counted of one verb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metered {
    /// The verb.
    pub verb: Verb,
    /// Requests that were done.
    pub done: u64,
    /// Requests that were refused, whatever the reason.
    pub refused: u64,
    /// Bytes of the items that were kept or given.
    pub bytes: u64,
    /// How many requests, done or refused, took at most as long as each of [`SECONDS`] but longer than the one before; last, those
    /// that took longer than all.
    pub took: [u64; SECONDS.len() + 1],
    /// The time of all together.
    pub took_all: Duration,
}

/// The counts of a node that runs. They begin at nothing with its process.
#[derive(Debug, Default)]
pub(crate) struct Meters([Meter; Verb::ALL.len()]);

#[derive(Debug, Default)]
struct Meter {
    done: AtomicU64,
    refused: AtomicU64,
    bytes: AtomicU64,
    took: [AtomicU64; SECONDS.len() + 1],
    took_micros: AtomicU64,
}

impl Meters {
    /// Counts a request that was answered; `len` are the bytes that came with it.
    pub(crate) fn count(&self, verb: Verb, len: usize, response: &Response, took: Duration) {
        let meter = &self.0[verb as usize];
        let len = match response {
            Response::Got(bytes) => bytes.as_ref().map_or(0, Vec::len),
            _ => len,
        };
        match response {
            Response::Refused(_) => meter.refused.fetch_add(1, Ordering::Relaxed),
            _ => {
                meter.bytes.fetch_add(len as u64, Ordering::Relaxed);
                meter.done.fetch_add(1, Ordering::Relaxed)
            }
        };
        let class = SECONDS.partition_point(|bound| *bound < took.as_secs_f64());
        meter.took[class].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        meter.took_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// What was counted so far, of each verb.
    pub(crate) fn read(&self) -> Vec<Metered> {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let read = |verb: Verb| {
            let meter = &self.0[verb as usize];
            Metered {
                verb,
                done: get(&meter.done),
                refused: get(&meter.refused),
                bytes: get(&meter.bytes),
                took: std::array::from_fn(|class| get(&meter.took[class])),
                took_all: Duration::from_micros(get(&meter.took_micros)),
            }
        };
        Verb::ALL.into_iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use terachat_cluster::{Fate, Refused};

    #[test]
    fn each_request_is_counted_once_in_its_class() {
        let meters = Meters::default();
        meters.count(Verb::Put, 100, &Response::Put(Fate::Added), Duration::from_millis(5));
        meters.count(Verb::Put, 100, &Response::Refused(Refused::NoMajority), Duration::from_secs(60));
        meters.count(Verb::Get, 0, &Response::Got(Some(vec![1; 7])), Duration::ZERO);
        meters.count(Verb::Get, 0, &Response::Got(None), Duration::from_micros(101));
        let read = meters.read();
        let classes = |verb: Verb| -> Vec<usize> {
            let took = read[verb as usize].took;
            (0..took.len()).filter(|class| took[*class] > 0).collect()
        };
        assert_eq!((read[0].done, read[0].refused, read[0].bytes), (1, 1, 100));
        assert_eq!((read[0].took_all, classes(Verb::Put)), (Duration::from_millis(60_005), vec![5, 13]));
        assert_eq!((read[1].done, read[1].refused, read[1].bytes), (2, 0, 7));
        assert_eq!(classes(Verb::Get), [0, 1]);
        assert!(read.iter().zip(Verb::ALL).all(|(metered, verb)| metered.verb == verb));
    }
}
