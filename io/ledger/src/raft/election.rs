//! When a node stands for election: only if a majority of the voters has lost the leader too (pre-vote, section 9.6 of Ongaro's
//! dissertation on Raft). openraft 0.9 has none; its own elections are off.
//!
//! So a node that was cut off, or starved for a moment, does not vote out a leader whom the others hear; and a leader whose
//! connection has ended can be replaced at once, since suspicion costs nothing.
use super::log::Log;
use super::message::{Answer, Request, encode};
use super::quorum::majority_says;
use super::settings::Settings;
use super::types::{Id, Types};
use super::{Carrier, node_id};
use openraft::error::Fatal;
use openraft::{EmptyNode, Raft, RaftMetrics, ServerState};
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::{Duration, Instant, sleep, timeout};

/// Candidacies after which a node that is far from a majority stands, too.
const NEAR_TRIES: u32 = 4;

type Metrics = RaftMetrics<u64, EmptyNode>;

/// What a node knows of the leader, and whose candidacy it waits for.
pub(crate) struct Elections {
    node: u64,
    carrier: Arc<dyn Carrier>,
    log: Log,
    heartbeat: Duration,
    /// For so long after a word of a leader openraft votes for nobody else.
    lease: Duration,
    /// A leader that is connected and was silent for so long is lost.
    patience: Duration,
    known: Mutex<Known>,
}

struct Known {
    leader: Option<u64>,
    heard: Instant,
    /// The candidate that this node would vote for, and since when it knows.
    promised: Option<(Candidate, Instant)>,
}

/// Who wants to lead. Of two at once the greater one is given way to, so that they do not halve the votes: who has more, then the
/// one of the lower number.
type Candidate = (Option<Id>, Reverse<u64>);

impl Elections {
    /// Stands for election when it is time, until the ledger stops.
    pub(crate) fn spawn(
        raft: Raft<Types>,
        carrier: Arc<dyn Carrier>,
        log: Log,
        settings: &Settings,
    ) -> Arc<Self> {
        let elections = Arc::new(Self {
            node: raft.metrics().borrow().id,
            carrier,
            log,
            heartbeat: Duration::from_millis(settings.heartbeat_ms),
            lease: Duration::from_millis(settings.lease_ms()),
            patience: Duration::from_millis(settings.election_ms),
            known: Mutex::new(Known { leader: None, heard: Instant::now(), promised: None }),
        });
        tokio::spawn(Arc::clone(&elections).run(raft));
        elections
    }

    /// A leader has given a sign of life.
    pub(crate) fn heard(&self, leader: u64) {
        let mut known = self.known();
        (known.leader, known.heard, known.promised) = (Some(leader), Instant::now(), None);
    }

    /// Whether this node would vote for `candidate`, whose log ends with `last`.
    pub(crate) fn would_vote_for(&self, candidate: u64, last: Option<Id>, now: &Metrics) -> bool {
        if leads(now, self.patience) || !self.has_lost_leader() || last < self.log.last() {
            return false;
        }
        let mut known = self.known();
        let candidate = (last, Reverse(candidate));
        let gives_way = match known.promised {
            Some((other, since)) => candidate >= other || since.elapsed() >= 2 * self.heartbeat,
            None => true,
        };
        if gives_way {
            known.promised = Some((candidate, Instant::now()));
        }
        gives_way
    }

    /// Where this node's log ends.
    #[cfg(test)]
    pub(super) fn last(&self) -> Option<Id> {
        self.log.last()
    }

    fn has_lost_leader(&self) -> bool {
        let known = self.known();
        let silence = known.heard.elapsed();
        match known.leader.and_then(node_id) {
            Some(leader) if self.carrier.is_connected(leader) => silence >= self.patience.max(self.lease),
            _ => silence >= self.lease,
        }
    }

    async fn run(self: Arc<Self>, raft: Raft<Types>) {
        let mut tries = 0;
        while self.step(&raft, &mut tries).await.is_ok() {}
    }

    async fn step(&self, raft: &Raft<Types>, tries: &mut u32) -> Result<(), Fatal<u64>> {
        sleep(self.heartbeat / 4).await;
        let now = raft.metrics().borrow().clone();
        now.running_state.clone()?;
        let groups = now.membership_config.membership().get_joint_config();
        let votes = groups.iter().any(|voters| voters.contains(&self.node));
        if !votes || now.state == ServerState::Leader || !self.has_lost_leader() {
            *tries = 0;
            return Ok(());
        }
        // Who is far from the others leaves it to them first: openraft waits for votes no longer than for the lease.
        let within = if *tries < NEAR_TRIES { self.lease / 2 } else { self.lease };
        *tries += 1;
        let last = self.log.last();
        if self.would_vote_for(self.node, last, &now)
            && timeout(within, self.is_wanted(groups, last)).await == Ok(true)
            && self.has_lost_leader()
            && self.is_promised_to_itself()
        {
            raft.trigger().elect().await?;
            let mut metrics = raft.metrics();
            let decided = metrics.wait_for(|now| now.running_state.is_err() || now.current_leader.is_some());
            let _ = timeout(self.lease, decided).await;
        }
        self.release();
        sleep(self.heartbeat + self.heartbeat.mul_f64(2.0 * random_share())).await;
        Ok(())
    }

    /// Whether a majority of each group of voters would vote for this node.
    async fn is_wanted(&self, groups: &[BTreeSet<u64>], last: Option<Id>) -> bool {
        let request = encode(&Request::PreVote { last });
        majority_says(&self.carrier, self.node, groups, &request, |answer| {
            matches!(answer, Answer::PreVote { granted: true })
        })
        .await
    }

    fn is_promised_to_itself(&self) -> bool {
        self.known().promised.is_some_and(|((_, candidate), _)| candidate.0 == self.node)
    }

    /// Whoever asks next may have the promise that this node gave itself.
    fn release(&self) {
        let mut known = self.known();
        known.promised.take_if(|((_, candidate), _)| candidate.0 == self.node);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether this node leads, and a majority has said so within `patience`.
fn leads(now: &Metrics, patience: Duration) -> bool {
    let heard = now.millis_since_quorum_ack.is_none_or(|ms| Duration::from_millis(ms) < patience);
    now.state == ServerState::Leader && heard
}

/// From 0 to 1: two that stand at once do not do so again at once.
fn random_share() -> f64 {
    let mut byte = [0];
    // Without it they are told apart by their numbers alone.
    let _ = getrandom::fill(&mut byte);
    f64::from(byte[0]) / 255.0
}
