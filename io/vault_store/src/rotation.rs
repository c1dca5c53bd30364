//! Re-encryption under a new generation of a collection's DEK: in the background, in small steps, across restarts.
mod place;
mod proof;
mod steps;

use crate::engine::Id;
use crate::store::Store;
use crate::{Error, RotationProgress};
use place::Place;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Rows of the proof between two pauses.
const PROOF_ROWS: u64 = 1024;
/// How many times as fast as it re-encrypts a rotation looks at rows for its proof: it opens none of them.
const PROOF_PACE: f64 = 8.0;

/// How many times as slow a rotation is while others read or write: what it writes has to be merged by the engine, which does not step
/// back behind anybody.
const BUSY_PACE: f64 = 8.0;

/// Rows of one step: few, since writers wait for its commit.
pub(crate) const STEP_ROWS: usize = 64;

pub(crate) struct Rotations {
    state: Mutex<State>,
    wake: Condvar,
    rate_per_s: AtomicU32,
    /// How many calls of others there had been at the last pause.
    calls: AtomicU64,
}

#[derive(Default)]
struct State {
    running: BTreeMap<Id, Running>,
    stop: bool,
}

/// One collection's re-encryption.
struct Running {
    place: Place,
    /// Bytes written before `since`.
    bytes_before: u64,
    since: Instant,
    /// Why it does not go on.
    blocked: Option<Error>,
}

impl Rotations {
    pub(crate) fn new(rate_per_s: u32) -> Self {
        Self {
            state: Mutex::default(),
            wake: Condvar::new(),
            rate_per_s: rate_per_s.into(),
            calls: AtomicU64::new(0),
        }
    }

    pub(crate) fn set_rate(&self, per_s: u32) {
        self.rate_per_s.store(per_s.clamp(1, 10_000_000), Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stop(&self) {
        self.state().stop = true;
        self.wake.notify_all();
    }

    /// How long so many rows take at the bounded rate, after calls of others up to this number.
    fn pause(&self, rows: f64, calls: u64) -> Duration {
        let busy = self.calls.swap(calls, Ordering::Relaxed) != calls;
        let rate = f64::from(self.rate_per_s.load(Ordering::Relaxed));
        Duration::from_secs_f64(rows / rate * if busy { BUSY_PACE } else { 1.0 })
    }

    /// Pauses the proof; says whether it goes on.
    fn breathe(&self, calls: u64) -> bool {
        let pause = self.pause(PROOF_ROWS as f64 / PROOF_PACE, calls);
        let state = self.state();
        let (state, _) = self
            .wake
            .wait_timeout_while(state, pause, |state| !state.stop)
            .unwrap_or_else(PoisonError::into_inner);
        !state.stop
    }

    /// Those that can go on.
    fn ready(&self) -> Vec<Id> {
        let state = self.state();
        state.running.iter().filter(|(_, running)| running.blocked.is_none()).map(|(id, _)| *id).collect()
    }

    fn begin(&self, collection: Id, place: Place) {
        let running = Running { bytes_before: place.bytes, place, since: Instant::now(), blocked: None };
        self.state().running.insert(collection, running);
        self.wake.notify_all();
    }

    fn place(&self, collection: &Id) -> Option<Place> {
        self.state().running.get(collection).map(|running| running.place.clone())
    }

    fn advance(&self, collection: &Id, place: Place) {
        if let Some(running) = self.state().running.get_mut(collection)
            && running.place.generation == place.generation
        {
            running.place = place;
        }
    }

    fn block(&self, collection: &Id, error: Error) {
        if let Some(running) = self.state().running.get_mut(collection) {
            running.blocked = Some(error);
        }
        self.wake.notify_all();
    }

    fn blocked(&self, collection: &Id) -> Option<Option<Error>> {
        self.state().running.get(collection).map(|running| running.blocked.clone())
    }

    pub(crate) fn end(&self, collection: &Id) {
        self.state().running.remove(collection);
        self.wake.notify_all();
    }

    pub(crate) fn progress(&self, store: &Store) -> Vec<RotationProgress> {
        let state = self.state();
        let keyring = store.keyring();
        let show = |(id, running): (&Id, &Running)| {
            let keys = keyring.collection(id)?;
            let Running { place, bytes_before, since, .. } = running;
            let written = place.bytes - bytes_before;
            let elapsed = since.elapsed();
            let elapsed_ms = elapsed.as_millis().max(1);
            let bytes_per_s = u64::try_from(u128::from(written) * 1000 / elapsed_ms).unwrap_or(u64::MAX);
            let left = place.total.saturating_sub(place.done);
            let remaining = (place.done > 0)
                .then(|| Duration::from_secs_f64(elapsed.as_secs_f64() * left as f64 / place.done as f64));
            Some(RotationProgress {
                collection: keys.name().to_owned(),
                generation: place.generation,
                older: keys
                    .generations()
                    .map(|(number, _)| number)
                    .filter(|n| *n != keys.current())
                    .collect(),
                done: place.done,
                total: place.total,
                bytes: place.bytes,
                bytes_per_s,
                remaining,
                started_ms: place.started_ms,
            })
        };
        state.running.iter().filter_map(show).collect()
    }
}
