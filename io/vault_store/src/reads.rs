//! Reads that wait for the audit event that takes them along.
use crate::audit::Entry;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// So many reads wake the thread that writes them.
pub(crate) const WAKE_AT: usize = 1024;
/// Most reads that one event takes along.
const TAKE_MAX: usize = 8192;

#[derive(Default)]
pub(crate) struct Reads {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<Entry>,
    stop: bool,
}

impl Reads {
    pub(crate) fn push(&self, entry: Entry) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.push(entry);
        if state.waiting.len() == WAKE_AT {
            self.wake.notify_all();
        }
    }

    pub(crate) fn take(&self) -> Vec<Entry> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.waiting.len() <= TAKE_MAX {
            return std::mem::replace(&mut state.waiting, Vec::with_capacity(WAKE_AT));
        }
        state.waiting.drain(..TAKE_MAX).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).waiting.is_empty()
    }

    /// Waits until there is something to write, the time is over or the vault closes; says whether it goes on.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |state: &mut State| !state.stop && state.waiting.len() < WAKE_AT;
        let (state, _) =
            self.wake.wait_timeout_while(state, time, waits).unwrap_or_else(PoisonError::into_inner);
        !state.stop
    }

    /// Ends every wait from now on.
    pub(crate) fn stop(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).stop = true;
        self.wake.notify_all();
    }
}
