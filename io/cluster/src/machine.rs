use crate::engine::Event;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use terachat_cluster::State;
use terachat_ledger::{BadSnapshot, Machine};
use tokio::sync::mpsc::UnboundedSender;

/// The state that the ledger makes, for all who read it.
#[derive(Clone, Default)]
pub(crate) struct SharedState(Arc<RwLock<State>>);

impl SharedState {
    /// What has been applied so far. To be let go at once: the ledger waits meanwhile.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        // Nothing that holds it panics between two changes of the state.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the ledger's entries mean here.
pub(crate) struct StateMachine {
    state: SharedState,
    events: UnboundedSender<Event>,
}

impl StateMachine {
    pub(crate) fn new(state: SharedState, events: UnboundedSender<Event>) -> Self {
        Self { state, events }
    }
}

impl Machine for StateMachine {
    fn apply(&mut self, index: u64, entry: &[u8]) -> Vec<u8> {
        let applied = {
            let mut state = self.state.0.write().unwrap_or_else(PoisonError::into_inner);
            state.apply(index, entry)
        };
        if !applied.gone.is_empty() {
            // Whoever would drop the shards has stopped otherwise; the next count finds them.
            let _ = self.events.send(Event::Gone(applied.gone));
        }
        applied.outcome.encode()
    }

    fn snapshot(&self) -> Vec<u8> {
        self.state.read().snapshot()
    }

    fn restore(&mut self, index: u64, snapshot: &[u8]) -> Result<(), BadSnapshot> {
        let state = State::restore(snapshot).map_err(|error| BadSnapshot(error.to_string()))?;
        if state.applied() != index {
            return Err(BadSnapshot(format!("it is of entry {} instead of {index}", state.applied())));
        }
        *self.state.0.write().unwrap_or_else(PoisonError::into_inner) = state;
        Ok(())
    }
}
