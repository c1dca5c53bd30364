use super::disk::{DiskDone, DiskWork};
use super::message::Message;
use super::request::{Request, Response};
use crate::{ClientKey, Outcome};
use serde::{Deserialize, Serialize};
use std::ops::Add;
use terachat_shard::{NodeId, StripeId};

/// A time of the node's own clock, which never goes back: microseconds since some beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub u64);

impl Moment {
    /// Microseconds since another, 0 if that is later.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<u64> for Moment {
    type Output = Self;

    /// So many microseconds later.
    fn add(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }
}

/// The name of something that is under way: whoever asks gives it, and the answer has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Call(pub u64);

/// Why an entry was not acknowledged by the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unproposed {
    /// It is certain that it was not taken, and will not be.
    NotTaken,
    /// It may have been taken, or be taken later.
    Unknown,
}

/// What happens to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Time has passed. Comes every few milliseconds.
    Tick,
    /// A member sent this. Who it is the connection has proved.
    Peer(NodeId, Message),
    /// A member can be reached from now on, or no more.
    Reachable(NodeId, bool),
    /// The disk has done what [`Output::Disk`] asked for.
    Disk(Call, DiskDone),
    /// What became of [`Output::Propose`].
    Proposed(Call, Result<Outcome, Unproposed>),
    /// [`Output::Barrier`] is reached, or could not be.
    Barrier(Call, bool),
    /// This node, another one, or as far as this node knows nobody leads the ledger from now on.
    Leader(Option<NodeId>),
    /// The ledger has forgotten these stripes.
    Gone(Vec<StripeId>),
    /// Somebody asks: a client of this key, or an operator, who has none and claims nothing.
    Client(Call, Option<ClientKey>, Request),
    /// How late it is by this machine's clock, in milliseconds since 1970. Comes before each tick and each client's request.
    Clock(u64),
}

/// What a node wants to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// To be sent to a member; may be lost.
    Send(NodeId, Message),
    /// To be done by the disk, in any order; [`perform`](crate::perform) does it.
    Disk(Call, DiskWork),
    /// To be put into the ledger.
    Propose(Call, Vec<u8>),
    /// To be answered when what the ledger had taken before is applied here.
    Barrier(Call),
    /// The answer to a client.
    Reply(Call, Response),
}
