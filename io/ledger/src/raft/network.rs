use super::message::{Answer, Appended, Meta, Request, decode, encode};
use super::types::{LogId, Types, Vote};
use crate::{Carrier, Unreachable};
use openraft::error::{
    InstallSnapshotError, RPCError, RaftError, RemoteError, SnapshotMismatch,
    Unreachable as OpenraftUnreachable,
};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use openraft::{EmptyNode, SnapshotSegmentId};
use std::io::Error;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use terachat_shard::NodeId;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Makes [`Peer`]s.
pub(crate) struct Network {
    pub(crate) carrier: Arc<dyn Carrier>,
    /// How long to wait before the next try after a node could not be reached.
    pub(crate) pause: Duration,
    /// How long entries may take to arrive and be written there.
    pub(crate) append_limit: Duration,
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, _: &EmptyNode) -> Peer {
        let (pause, append_limit) = (self.pause, self.append_limit);
        Peer {
            carrier: Arc::clone(&self.carrier),
            target,
            pause,
            append_limit,
            under_way: None,
            sign_of_life: None,
        }
    }
}

/// openraft's way to one other node.
pub(crate) struct Peer {
    carrier: Arc<dyn Carrier>,
    target: u64,
    pause: Duration,
    append_limit: Duration,
    under_way: Option<UnderWay>,
    sign_of_life: Option<SignOfLife>,
}

/// A leader's sign of life that openraft gave up waiting for, likewise: to a node that is further away than one heartbeat no answer would
/// ever come back, and the leader would think that it is alone. What it says of the log is part of it: an answer is to the same question.
struct SignOfLife {
    vote: Vote,
    previous: Option<LogId>,
    call: JoinHandle<Result<Answer, Failure>>,
}

impl Drop for SignOfLife {
    fn drop(&mut self) {
        self.call.abort();
    }
}

/// Entries that openraft gave up waiting for, after one heartbeat: a disk or a line may be slower than that. They are
/// waited for when it asks for the same again; sent anew each time they might never arrive.
struct UnderWay {
    vote: Vote,
    previous: Option<LogId>,
    last: LogId,
    call: JoinHandle<Result<Answer, Failure>>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.call.abort();
    }
}

enum Failure {
    Unreachable(Unreachable),
    /// The node answered with something else, or refused.
    Answer,
}

/// Either is one to openraft, which waits a little before it asks an unreachable node again, but asks at once after
/// any other error: a node whose ledger has stopped refuses as fast as it is asked.
impl<E: std::error::Error> From<Failure> for RPCError<u64, EmptyNode, E> {
    fn from(failure: Failure) -> Self {
        Self::Unreachable(match failure {
            Failure::Unreachable(error) => OpenraftUnreachable::new(&error),
            Failure::Answer => {
                OpenraftUnreachable::new(&Error::other("the node did not answer the question"))
            }
        })
    }
}

impl Peer {
    async fn call(carrier: Arc<dyn Carrier>, target: u64, request: Request) -> Result<Answer, Failure> {
        let node = u32::try_from(target).ok().and_then(NonZeroU32::new).map(NodeId);
        let node = node.ok_or(Failure::Unreachable(Unreachable::NotSent))?;
        let bytes = encode(&request);
        let answer = carrier.call(node, bytes).await.map_err(Failure::Unreachable)?;
        decode(&answer).ok_or(Failure::Answer)
    }

    async fn ask(&self, request: Request) -> Result<Answer, Failure> {
        Self::call(Arc::clone(&self.carrier), self.target, request).await
    }

    /// Whether entries behind `previous` are under way already, not more of them than up to `last`.
    fn is_under_way(&self, vote: Vote, previous: Option<LogId>, last: LogId) -> bool {
        self.under_way
            .as_ref()
            .is_some_and(|call| call.vote == vote && call.previous == previous && call.last <= last)
    }

    async fn append(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
    ) -> Result<AppendEntriesResponse<u64>, Failure> {
        let (vote, previous) = (rpc.vote, rpc.prev_log_id);
        let last = rpc.entries.last().map(|entry| entry.log_id);
        let request = Request::Append {
            ballot: vote.into(),
            previous: previous.map(Into::into),
            entries: rpc.entries.into_iter().map(Into::into).collect(),
            committed: rpc.leader_commit.map(Into::into),
        };
        let Some(last) = last else { return self.give_sign_of_life(vote, previous, request).await };
        if !self.is_under_way(vote, previous, last) {
            let call = self.begin(request);
            self.under_way = Some(UnderWay { vote, previous, last, call });
        }
        let under_way = self.under_way.as_mut().expect("set just now");
        let answer = (&mut under_way.call).await;
        let sent = under_way.last;
        self.under_way = None;
        let answer = answer.unwrap_or(Err(Failure::Unreachable(Unreachable::NoAnswer)))?;
        match appended(answer, vote)? {
            AppendEntriesResponse::Success if sent != last => {
                Ok(AppendEntriesResponse::PartialSuccess(Some(sent)))
            }
            answer => Ok(answer),
        }
    }

    /// Calls the node, for so long as entries may take.
    fn begin(&self, request: Request) -> JoinHandle<Result<Answer, Failure>> {
        let call = timeout(self.append_limit, Self::call(Arc::clone(&self.carrier), self.target, request));
        tokio::spawn(async { call.await.unwrap_or(Err(Failure::Unreachable(Unreachable::NoAnswer))) })
    }

    async fn give_sign_of_life(
        &mut self,
        vote: Vote,
        previous: Option<LogId>,
        request: Request,
    ) -> Result<AppendEntriesResponse<u64>, Failure> {
        let is_same = |sign: &SignOfLife| sign.vote == vote && sign.previous == previous;
        if !self.sign_of_life.as_ref().is_some_and(is_same) {
            self.sign_of_life = Some(SignOfLife { vote, previous, call: self.begin(request) });
        }
        let sign = self.sign_of_life.as_mut().expect("set just now");
        let answer = (&mut sign.call).await;
        self.sign_of_life = None;
        appended(answer.unwrap_or(Err(Failure::Unreachable(Unreachable::NoAnswer)))?, vote)
    }
}

fn appended(answer: Answer, vote: Vote) -> Result<AppendEntriesResponse<u64>, Failure> {
    match answer {
        Answer::Append(Appended::All) => Ok(AppendEntriesResponse::Success),
        Answer::Append(Appended::Conflict) => Ok(AppendEntriesResponse::Conflict),
        Answer::Append(Appended::Higher(ballot)) if Vote::from(ballot) > vote => {
            Ok(AppendEntriesResponse::HigherVote(ballot.into()))
        }
        _ => Err(Failure::Answer),
    }
}

impl RaftNetwork<Types> for Peer {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, RPCError<u64, EmptyNode, RaftError<u64>>> {
        let nothing_before = rpc.prev_log_id.is_none();
        match self.append(rpc).await? {
            // Nothing precedes the first entry, so nothing can conflict with that.
            AppendEntriesResponse::Conflict if nothing_before => Err(Failure::Answer.into()),
            answer => Ok(answer),
        }
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<Types>,
        _: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, RPCError<u64, EmptyNode, RaftError<u64, InstallSnapshotError>>>
    {
        let offset = rpc.offset;
        let id = rpc.meta.snapshot_id.clone();
        let request = Request::Snapshot {
            ballot: rpc.vote.into(),
            meta: Meta {
                last: rpc.meta.last_log_id.map(Into::into),
                members: (&rpc.meta.last_membership).into(),
                id: rpc.meta.snapshot_id,
            },
            offset,
            data: super::message::Bytes(rpc.data),
            done: rpc.done,
        };
        match self.ask(request).await? {
            Answer::Snapshot { ballot } => Ok(InstallSnapshotResponse { vote: ballot.into() }),
            Answer::SnapshotMismatch => {
                let segment = |offset| SnapshotSegmentId { id: id.clone(), offset };
                let mismatch = SnapshotMismatch { expect: segment(0), got: segment(offset) };
                Err(RPCError::RemoteError(RemoteError::new(
                    self.target,
                    RaftError::APIError(InstallSnapshotError::SnapshotMismatch(mismatch)),
                )))
            }
            _ => Err(Failure::Answer.into()),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<u64>,
        _: RPCOption,
    ) -> Result<VoteResponse<u64>, RPCError<u64, EmptyNode, RaftError<u64>>> {
        let request = Request::Vote { ballot: rpc.vote.into(), last: rpc.last_log_id.map(Into::into) };
        match self.ask(request).await? {
            Answer::Vote { ballot, granted, last } => {
                Ok(VoteResponse::new(Vote::from(ballot), last.map(Into::into), granted))
            }
            _ => Err(Failure::Answer.into()),
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(self.pause))
    }
}
