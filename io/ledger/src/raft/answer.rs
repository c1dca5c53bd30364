use super::RaftLedger;
use super::message::{Answer, Appended, Bytes, Denial, Meta, Refusal, Request, decode, encode};
use super::types::{Ballot, Entry, Id, LogEntry, LogId, Vote};
use crate::ENTRY_LEN_MAX;
use openraft::SnapshotMeta;
use openraft::error::{Fatal, InstallSnapshotError, RaftError};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, VoteRequest};
use terachat_shard::NodeId;
use tokio::time::timeout;

impl RaftLedger {
    /// Answers `from`. What is not a request is refused; it costs nothing else.
    pub(super) async fn answer_request(&self, from: NodeId, request: &[u8]) -> Vec<u8> {
        let Some(request) = decode::<Request>(request).filter(Request::is_sound) else {
            return encode(&Answer::Refused(Refusal::Form));
        };
        if request.claims().is_some_and(|node| node != u64::from(from.0.get())) {
            return encode(&Answer::Refused(Refusal::Sender));
        }
        encode(&self.carry_out(from, request).await.unwrap_or(Answer::Refused(Refusal::Stopped)))
    }

    async fn carry_out(&self, from: NodeId, request: Request) -> Result<Answer, Fatal<u64>> {
        match request {
            Request::Append { ballot, previous, entries, committed } => {
                self.append(ballot, previous, entries, committed).await
            }
            Request::Vote { ballot, last } => {
                let request = VoteRequest::new(Vote::from(ballot), last.map(LogId::from));
                let answer = self.raft.vote(request).await.map_err(fatal)?;
                Ok(Answer::Vote {
                    ballot: answer.vote.into(),
                    granted: answer.vote_granted,
                    last: answer.last_log_id.map(Id::from),
                })
            }
            Request::Snapshot { ballot, meta, offset, data, done } => {
                self.snapshot(ballot, meta, offset, data, done).await
            }
            Request::Propose { entry: Bytes(entry) } if entry.len() > ENTRY_LEN_MAX => {
                Ok(Answer::Proposed(Err(Denial::Failed(super::message::ProposeDenial::TooLong))))
            }
            Request::Propose { entry: Bytes(entry) } => {
                let limit = self.settings.call_limit;
                let outcome = timeout(limit, self.proposer.propose(entry)).await;
                Ok(Answer::Proposed(match outcome {
                    Ok(outcome) => outcome.map_err(|denial| denial.map(Into::into)),
                    Err(_) => Err(Denial::Failed(super::message::ProposeDenial::Unknown)),
                }))
            }
            Request::ReadIndex => {
                let outcome = timeout(self.settings.call_limit, self.read_index()).await;
                Ok(Answer::ReadIndex(match outcome {
                    Ok(outcome) => outcome.map_err(|denial| denial.map(Into::into)),
                    Err(_) => Err(Denial::Failed(super::message::ReadDenial::NoMajority)),
                }))
            }
            Request::SetMembers { voters, learners } => {
                let outcome =
                    timeout(self.settings.catch_up_limit, self.change_members(voters, learners)).await;
                let outcome = outcome.unwrap_or(Err(crate::MembersError::Unfinished));
                Ok(Answer::Members(outcome.map_err(|error| Denial::Failed(error.into()))))
            }
            Request::PreVote { last } => {
                let now = self.raft.metrics().borrow().clone();
                let granted = self.elections.would_vote_for(u64::from(from.0.get()), last, &now);
                Ok(Answer::PreVote { granted })
            }
        }
    }

    async fn append(
        &self,
        ballot: Ballot,
        previous: Option<Id>,
        entries: Vec<LogEntry>,
        committed: Option<Id>,
    ) -> Result<Answer, Fatal<u64>> {
        let request = AppendEntriesRequest {
            vote: ballot.into(),
            prev_log_id: previous.map(LogId::from),
            entries: entries.into_iter().map(Entry::from).collect(),
            leader_commit: committed.map(LogId::from),
        };
        let appended = match self.raft.append_entries(request).await.map_err(fatal)? {
            AppendEntriesResponse::Success | AppendEntriesResponse::PartialSuccess(_) => Appended::All,
            AppendEntriesResponse::Conflict => Appended::Conflict,
            AppendEntriesResponse::HigherVote(vote) => {
                return Ok(Answer::Append(Appended::Higher(vote.into())));
            }
        };
        self.elections.heard(ballot.node);
        Ok(Answer::Append(appended))
    }

    async fn snapshot(
        &self,
        ballot: Ballot,
        meta: Meta,
        offset: u64,
        Bytes(data): Bytes,
        done: bool,
    ) -> Result<Answer, Fatal<u64>> {
        let (id, len) = (meta.id, data.len() as u64);
        if !self.incoming.follows(&id, offset) {
            return Ok(Answer::SnapshotMismatch);
        }
        let request = InstallSnapshotRequest {
            vote: ballot.into(),
            meta: SnapshotMeta {
                last_log_id: meta.last.map(LogId::from),
                last_membership: meta.members.into(),
                snapshot_id: id.clone(),
            },
            offset,
            data,
            done,
        };
        match self.raft.install_snapshot(request).await {
            Ok(answer) => {
                if Ballot::from(answer.vote) == ballot {
                    self.elections.heard(ballot.node);
                }
                // openraft passes over the parts of who was voted out.
                if Vote::from(ballot) >= answer.vote {
                    match done {
                        true => self.incoming.ended(),
                        false => self.incoming.took(id, offset.saturating_add(len)),
                    }
                }
                Ok(Answer::Snapshot { ballot: answer.vote.into() })
            }
            Err(RaftError::APIError(InstallSnapshotError::SnapshotMismatch(_))) => {
                self.incoming.ended();
                Ok(Answer::SnapshotMismatch)
            }
            Err(RaftError::Fatal(error)) => Err(error),
        }
    }
}

fn fatal(error: RaftError<u64>) -> Fatal<u64> {
    match error {
        RaftError::Fatal(error) => error,
        RaftError::APIError(never) => match never {},
    }
}

impl<T> Denial<T> {
    fn map<U>(self, change: impl FnOnce(T) -> U) -> Denial<U> {
        match self {
            Self::NotLeader(leader) => Denial::NotLeader(leader),
            Self::Failed(failure) => Denial::Failed(change(failure)),
        }
    }
}
