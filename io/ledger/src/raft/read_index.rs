//! How far a reader must have applied the log to see everything that is committed (section 6.4 of Ongaro's dissertation on Raft).
//!
//! openraft's own way gives a voter one heartbeat's time to say that this node still leads. A leader further away than that from most voters
//! would take entries and never answer a reader.
use super::RaftLedger;
use super::message::{Answer, Appended, Denial, Request, encode};
use super::quorum::majority_says;
use super::types::{Ballot, Id};
use crate::ReadError;
use openraft::{EmptyNode, RaftMetrics};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::timeout;

/// What the leader knew as it was asked, all at one moment.
struct Claim {
    ballot: Ballot,
    committed: Option<Id>,
    voters: Vec<BTreeSet<u64>>,
}

impl RaftLedger {
    /// On the leader: the place in the log that a reader must have applied, once a majority has said that this node still leads.
    pub(super) async fn read_index(&self) -> Result<Option<u64>, Denial<ReadError>> {
        // Who was not heard for so long is not waited for by the others either.
        let limit = Duration::from_millis(self.settings.election_ms);
        timeout(limit, self.confirmed_index()).await.unwrap_or(Err(Denial::Failed(ReadError::NoMajority)))
    }

    async fn confirmed_index(&self) -> Result<Option<u64>, Denial<ReadError>> {
        let stopped = || Denial::Failed(ReadError::Stopped);
        let mut metrics = self.raft.metrics();
        metrics
            .wait_for(|now| now.running_state.is_err() || !is_settling(now))
            .await
            .map_err(|_| stopped())?;
        let claim = self.raft.with_raft_state(|state| Claim {
            ballot: (*state.vote_ref()).into(),
            committed: state.committed.map(Id::from),
            voters: state.membership_state.effective().membership().get_joint_config().clone(),
        });
        let Claim { ballot, committed, voters } = claim.await.map_err(|_| stopped())?;
        if !ballot.leads || ballot.node != self.id() {
            return Err(Denial::NotLeader(Some(ballot.node).filter(|_| ballot.leads)));
        }
        if committed.is_none_or(|id| id.term != ballot.term) {
            return Err(Denial::NotLeader(None));
        }
        // A sign of life: whoever has voted for somebody else since refuses it.
        let sign = Request::Append { ballot, previous: committed, entries: Vec::new(), committed };
        let is_heard: fn(&Answer) -> bool =
            |answer| matches!(answer, Answer::Append(Appended::All | Appended::Conflict));
        match majority_says(&self.carrier, self.id(), &voters, &encode(&sign), is_heard).await {
            true => Ok(committed.map(|id| id.index)),
            false => Err(Denial::Failed(ReadError::NoMajority)),
        }
    }
}

/// Whether a node leads and does not know yet how far the log was committed before: it does with its first own entry.
fn is_settling(now: &RaftMetrics<u64, EmptyNode>) -> bool {
    now.state.is_leader() && now.last_applied.is_none_or(|id| id.leader_id.term < now.current_term)
}
