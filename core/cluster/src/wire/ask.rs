use super::{Admission, Hello};
use crate::{ClientKey, Export, ItemName, JoinConsent, TicketFor};
use serde::{Deserialize, Serialize};
use terachat_shard::NodeId;

/// Bytes of a question at most: 256 KiB, of which the longest, a hold, takes 136.
pub const ASK_LEN_MAX: usize = 256 << 10;

/// What can be asked of a node, beside a client's requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// Who speaks here. Anybody.
    Hello(Hello),
    /// A node wants to join. Anybody with a ticket.
    Join(JoinConsent),
    /// A client wants to be admitted. Anybody with a ticket.
    Admit(Admission),
    /// How things are. Clients and operators.
    Status,
    /// Replay the cluster's history and say what comes out. Clients and operators.
    Audit,
    /// A ticket. Operators.
    Invite {
        /// As what it lets in.
        role: TicketFor,
        /// For how long, in milliseconds.
        lifetime_ms: u64,
    },
    /// Empty a node. Operators.
    Drain(NodeId),
    /// Let a node take shards again. Operators.
    Return(NodeId),
    /// Count a node out for ever. Operators.
    Leave {
        /// Which.
        node: NodeId,
        /// Though it still has shards, which then count as lost.
        force: bool,
    },
    /// Let a client no longer put and get. Operators.
    Dismiss(ClientKey),
    /// Read some of the node's shards again, in the order in which they lie, and say what was found. Clients and operators.
    Scrub {
        /// From the beginning on, not where the step before ended.
        anew: bool,
    },
    /// Items must not be forgotten: a legal hold. Operators.
    Hold {
        /// For which case.
        case: String,
        /// At most [`crate::HELD_ITEMS_MAX`].
        items: Vec<ItemName>,
    },
    /// A case is over. Operators.
    Release(String),
    /// Which cases hold how much. Clients and operators.
    Holds,
    /// What a case holds, in the order of names. Operators.
    Exhibits {
        /// Which case.
        case: String,
        /// From behind this one on.
        after: Option<ItemName>,
    },
    /// What a case holds is to be given out: once that is in the cluster's history, whoever asked may get these items over this
    /// connection. Operators.
    Export(Export),
    /// The cluster's history from this deed on. Clients and operators.
    History(u64),
}

impl Ask {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        super::encode(self)
    }

    /// Reads a whole question; `None` if the bytes are something else, or more than [`ASK_LEN_MAX`].
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > ASK_LEN_MAX { None } else { super::decode(bytes) }
    }
}
