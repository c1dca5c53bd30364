use crate::Unwelcome;
use crate::machine::SharedState;
use std::sync::Arc;
use std::time::Duration;
use terachat_cluster::{Deed, Entry, Outcome, Refusal, SignedDeed, What};
use terachat_event::DeviceKey;
use terachat_host::clock;
use terachat_ledger::Ledger;
use terachat_shard::NodeId;
use tokio::time::{Instant, sleep};

/// How long a deed is tried for.
const PATIENCE: Duration = Duration::from_secs(10);
/// After a try that nobody took.
const PAUSE: Duration = Duration::from_millis(100);

/// What signs deeds for this node and brings them into the ledger.
#[derive(Clone)]
pub(crate) struct Doer {
    pub(crate) node: NodeId,
    pub(crate) key: Arc<DeviceKey>,
    pub(crate) state: SharedState,
    pub(crate) ledger: Arc<dyn Ledger>,
}

impl Doer {
    /// Does it. Another deed that comes first is no obstacle; one that may have been done is tried again, for all of them may be
    /// done twice.
    ///
    /// # Errors
    /// [`Unwelcome::Ledger`], [`Unwelcome::NoMajority`].
    pub(crate) async fn act(&self, what: What) -> Result<Outcome, Unwelcome> {
        let until = Instant::now() + PATIENCE;
        loop {
            let outcome = self.try_once(what.clone()).await;
            match outcome {
                Some(Outcome::Refused(Refusal::Stale)) => {}
                Some(Outcome::Refused(refusal)) => return Err(Unwelcome::Ledger(refusal)),
                Some(outcome) => return Ok(outcome),
                None => sleep(PAUSE).await,
            }
            if Instant::now() >= until {
                return Err(Unwelcome::NoMajority);
            }
            // What came first has to be known before the next try.
            let _ = self.ledger.read_barrier().await;
        }
    }

    /// Waits until all that was decided before is known here.
    ///
    /// # Errors
    /// [`Unwelcome::NoMajority`].
    pub(crate) async fn catch_up(&self) -> Result<(), Unwelcome> {
        self.ledger.read_barrier().await.map_err(|_| Unwelcome::NoMajority)
    }

    /// `None` if nobody knows what became of it.
    async fn try_once(&self, what: What) -> Option<Outcome> {
        let (seq, previous) = self.state.read().chronicle().next();
        let deed = Deed { seq, previous, at_ms: clock::now_ms(), by: self.node, what };
        let entry = Entry::Deed(SignedDeed::sign(deed, &self.key)).encode();
        let committed = self.ledger.propose(entry).await.ok()?;
        Outcome::decode(&committed.answer).ok()
    }
}
