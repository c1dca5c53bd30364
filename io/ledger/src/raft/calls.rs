//! What a caller asks for on this node, done where the leader is.
use super::message::{
    Answer, Denial, MembersDenial, ProposeDenial, Proposed, ReadDenial, Refusal, Request, decode, encode,
};
use super::{RaftLedger, node_id};
use crate::{Committed, ENTRY_LEN_MAX, Head, MembersError, ProposeError, ReadError, Unreachable};
use openraft::ChangeMembers;
use openraft::EmptyNode;
use openraft::error::{ChangeMembershipError, ClientWriteError, RaftError};
use std::collections::{BTreeMap, BTreeSet};
use terachat_shard::NodeId;
use tokio::time::{Instant, timeout_at};

/// Why a request brought nothing: whether it may have been carried out nevertheless.
enum Lost {
    No,
    Maybe,
}

impl RaftLedger {
    pub(super) async fn propose_somewhere(&self, entry: Vec<u8>) -> Result<Committed, ProposeError> {
        if entry.len() > ENTRY_LEN_MAX {
            return Err(ProposeError::TooLong(entry.len()));
        }
        let deadline = Instant::now() + self.settings.call_limit;
        let mut denied = None;
        loop {
            let leader = self.leader(denied, deadline).await.map_err(|stopped| match stopped {
                true => ProposeError::Stopped,
                false => ProposeError::NoLeader,
            })?;
            let outcome = if leader == self.id() {
                match timeout_at(deadline, self.proposer.propose(entry.clone())).await {
                    Ok(outcome) => outcome,
                    Err(_) => return Err(ProposeError::Unknown),
                }
            } else {
                self.propose_to(leader, entry.clone(), deadline).await?
            };
            match outcome {
                Ok(Proposed { index, answer }) => {
                    return self
                        .applied_here(index, deadline)
                        .await
                        .map(|()| Committed { index, answer: answer.0 });
                }
                Err(Denial::Failed(error)) => return Err(error),
                // Certainly not taken, so that somebody else may be asked.
                Err(Denial::NotLeader(_)) => denied = Some(leader),
            }
        }
    }

    async fn propose_to(
        &self,
        leader: u64,
        entry: Vec<u8>,
        deadline: Instant,
    ) -> Result<super::proposer::Outcome, ProposeError> {
        let len = entry.len();
        let request = Request::Propose { entry: super::message::Bytes(entry) };
        let mut metrics = self.raft.metrics();
        let replaced = metrics.wait_for(|now| now.current_leader.is_some_and(|other| other != leader));
        let answer = tokio::select! {
            answer = self.ask(leader, &request, deadline) => answer,
            // It was cut off and may never answer; whether the entry came to others nobody can say.
            Ok(_) = replaced => Err(Lost::Maybe),
        };
        match answer {
            Ok(Answer::Proposed(Ok(proposed))) => Ok(Ok(proposed)),
            Ok(Answer::Proposed(Err(Denial::NotLeader(other)))) => Ok(Err(Denial::NotLeader(other))),
            Ok(Answer::Proposed(Err(Denial::Failed(denial)))) => Err(match denial {
                ProposeDenial::TooLong => ProposeError::TooLong(len),
                ProposeDenial::NoLeader | ProposeDenial::Stopped => ProposeError::NoLeader,
                ProposeDenial::Unknown => ProposeError::Unknown,
            }),
            Ok(Answer::Refused(Refusal::Stopped | Refusal::Form)) | Err(Lost::No) => {
                Ok(Err(Denial::NotLeader(None)))
            }
            Ok(_) | Err(Lost::Maybe) => Err(ProposeError::Unknown),
        }
    }

    /// Waits until this node has applied entry `index`, which is committed.
    async fn applied_here(&self, index: u64, deadline: Instant) -> Result<(), ProposeError> {
        let mut head = self.head.clone();
        let reached = timeout_at(deadline, head.wait_for(|head: &Head| head.index >= index)).await;
        reached.map(drop).map_err(|_| ProposeError::Unknown)
    }

    pub(super) async fn reach_committed(&self) -> Result<(), ReadError> {
        let deadline = Instant::now() + self.settings.call_limit;
        let mut denied = None;
        let index = loop {
            let leader = self.leader(denied, deadline).await.map_err(|stopped| match stopped {
                true => ReadError::Stopped,
                false => ReadError::NoMajority,
            })?;
            let outcome = if leader == self.id() {
                timeout_at(deadline, self.read_index()).await.map_err(|_| ReadError::NoMajority)?
            } else {
                match self.ask(leader, &Request::ReadIndex, deadline).await {
                    Ok(Answer::ReadIndex(Ok(index))) => Ok(index),
                    Ok(Answer::ReadIndex(Err(Denial::Failed(ReadDenial::NoMajority)))) => {
                        Err(Denial::Failed(ReadError::NoMajority))
                    }
                    _ => Err(Denial::NotLeader(None)),
                }
            };
            match outcome {
                Ok(index) => break index,
                Err(Denial::Failed(ReadError::Stopped)) => return Err(ReadError::Stopped),
                Err(Denial::Failed(_) | Denial::NotLeader(_)) => denied = Some(leader),
            }
        };
        let Some(index) = index else { return Ok(()) };
        let mut metrics = self.raft.metrics();
        let reached = metrics.wait_for(|now| {
            now.running_state.is_err() || now.last_applied.is_some_and(|id| id.index >= index)
        });
        match timeout_at(deadline, reached).await {
            Ok(Ok(now)) if now.running_state.is_ok() => Ok(()),
            Ok(_) => Err(ReadError::Stopped),
            Err(_) => Err(ReadError::NoMajority),
        }
    }

    pub(super) async fn set_members_somewhere(
        &self,
        voters: BTreeSet<NodeId>,
        learners: BTreeSet<NodeId>,
    ) -> Result<(), MembersError> {
        let deadline = Instant::now() + self.settings.catch_up_limit;
        let ids = |nodes: BTreeSet<NodeId>| nodes.into_iter().map(|node| u64::from(node.0.get())).collect();
        let (voters, learners): (BTreeSet<u64>, BTreeSet<u64>) = (ids(voters), ids(learners));
        if voters.is_empty() || !voters.is_disjoint(&learners) {
            return Err(MembersError::Empty);
        }
        let leader = self.leader(None, deadline.min(Instant::now() + self.settings.call_limit)).await;
        let leader = leader.map_err(|stopped| match stopped {
            true => MembersError::Stopped,
            false => MembersError::Unfinished,
        })?;
        let outcome = if leader == self.id() {
            timeout_at(deadline, self.change_members(voters, learners))
                .await
                .map_err(|_| MembersError::Unfinished)?
        } else {
            match self.ask(leader, &Request::SetMembers { voters, learners }, deadline).await {
                Ok(Answer::Members(Ok(index))) => Ok(index),
                Ok(Answer::Members(Err(Denial::Failed(denial)))) => Err(match denial {
                    MembersDenial::Empty => MembersError::Empty,
                    MembersDenial::Busy => MembersError::Busy,
                    MembersDenial::Unfinished | MembersDenial::Stopped => MembersError::Unfinished,
                }),
                _ => Err(MembersError::Unfinished),
            }
        };
        outcome.map(drop)
    }

    /// On the leader: first who is new learns, then it votes, then whoever is in neither set goes. Gives the place in
    /// the log of the last step.
    pub(super) async fn change_members(
        &self,
        voters: BTreeSet<u64>,
        learners: BTreeSet<u64>,
    ) -> Result<u64, MembersError> {
        let wanted: BTreeSet<u64> = voters.union(&learners).copied().collect();
        if voters.is_empty() || voters.len() + learners.len() != wanted.len() {
            return Err(MembersError::Empty);
        }
        if wanted.iter().any(|&id| node_id(id).is_none()) {
            return Err(MembersError::Empty);
        }
        let nodes: BTreeMap<u64, EmptyNode> = wanted.iter().map(|&id| (id, EmptyNode {})).collect();
        let added = self.change(ChangeMembers::AddNodes(nodes)).await?;
        let mut metrics = self.raft.metrics();
        let caught_up = |id: &u64, now: &openraft::RaftMetrics<u64, EmptyNode>| {
            let replication = now.replication.as_ref();
            *id == self.id() || replication.and_then(|r| r.get(id)?.map(|id| id.index)) >= Some(added)
        };
        let reached = metrics.wait_for(|now| {
            now.running_state.is_err() || !now.state.is_leader() || voters.iter().all(|id| caught_up(id, now))
        });
        let leads = reached.await.is_ok_and(|now| now.running_state.is_ok() && now.state.is_leader());
        if !leads {
            return Err(MembersError::Unfinished);
        }
        let mut last = self.change(ChangeMembers::ReplaceAllVoters(voters)).await?;
        let nodes: BTreeSet<u64> = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow();
            metrics.membership_config.nodes().map(|(&id, _)| id).filter(|id| !wanted.contains(id)).collect()
        };
        if !nodes.is_empty() {
            last = self.change(ChangeMembers::RemoveNodes(nodes)).await?;
        }
        Ok(last)
    }

    async fn change(&self, change: ChangeMembers<u64, EmptyNode>) -> Result<u64, MembersError> {
        match self.raft.change_membership(change, true).await {
            Ok(response) => Ok(response.log_id.index),
            Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(
                ChangeMembershipError::InProgress(_),
            ))) => Err(MembersError::Busy),
            Err(RaftError::APIError(_)) => Err(MembersError::Unfinished),
            Err(RaftError::Fatal(_)) => Err(MembersError::Stopped),
        }
    }

    /// Who leads, waiting until somebody does; once `denied` said that it does not, somebody else or, after one
    /// heartbeat, the same again. The error tells whether this node's ledger has stopped.
    async fn leader(&self, denied: Option<u64>, deadline: Instant) -> Result<u64, bool> {
        let mut metrics = self.raft.metrics();
        if let Some(denied) = denied {
            let pause = tokio::time::Duration::from_millis(self.settings.heartbeat_ms);
            let until = deadline.min(Instant::now() + pause);
            let other = metrics.wait_for(|now| now.current_leader.is_some_and(|leader| leader != denied));
            let _ = timeout_at(until, other).await;
        }
        let known = metrics.wait_for(|now| now.running_state.is_err() || now.current_leader.is_some());
        match timeout_at(deadline, known).await {
            Ok(Ok(now)) if now.running_state.is_ok() => now.current_leader.ok_or(false),
            Ok(_) => Err(true),
            Err(_) => Err(false),
        }
        .and_then(|leader| if Instant::now() < deadline { Ok(leader) } else { Err(false) })
    }

    async fn ask(&self, to: u64, request: &Request, deadline: Instant) -> Result<Answer, Lost> {
        let Some(node) = node_id(to) else { return Err(Lost::No) };
        match timeout_at(deadline, self.carrier.call(node, encode(request))).await {
            Ok(Ok(bytes)) => decode(&bytes).ok_or(Lost::Maybe),
            Ok(Err(Unreachable::NotSent)) => Err(Lost::No),
            Ok(Err(Unreachable::NoAnswer)) | Err(_) => Err(Lost::Maybe),
        }
    }
}
