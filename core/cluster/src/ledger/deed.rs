use super::PlacementMark;
use crate::{ClientKey, ClusterId, Error, ItemName, NodeKey, Signature, TicketFor};
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;
use terachat_event::DeviceKey;
use terachat_shard::{Domain, NodeId};

const CONTEXT: &str = "terachat 2026-11 cluster deed";
const CONSENT: &str = "terachat 2026-11 cluster join consent";
const HASH: &str = "terachat 2026-11 cluster deed hash";
const TICKET: &str = "terachat 2026-11 cluster ticket";

/// Items that one deed holds at most; a case may have more of them.
pub const HELD_ITEMS_MAX: usize = 4096;
/// Bytes of a case's name at most.
pub(super) const CASE_LEN_MAX: usize = 64;

/// Bytes in which it is said who gets an export, at most.
pub(super) const RECIPIENT_LEN_MAX: usize = 256;
/// Bytes of a program's version at most.
pub(super) const VERSION_LEN_MAX: usize = 64;

/// Bytes of a node's address at most.
pub(super) const ADDRESS_LEN_MAX: usize = 255;

/// What a node says of itself when it joins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeProfile {
    /// Its key.
    pub key: NodeKey,
    /// Where others dial it: at most 255 bytes.
    pub address: String,
    /// Where it stands.
    pub domain: Domain,
    /// How much it takes beside others, commonly its GiB.
    pub weight: NonZeroU32,
}

/// That the joining node wants to, in this cluster, as this: signed by its own key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinConsent {
    /// Which cluster.
    pub cluster: ClusterId,
    /// The ticket's secret. Used up by the deed that shows it.
    pub ticket: [u8; 32],
    /// As what.
    pub profile: NodeProfile,
    /// The joining node's signature.
    pub signature: Signature,
}

impl JoinConsent {
    /// The consent of the node that signs.
    pub fn sign(cluster: ClusterId, ticket: [u8; 32], profile: NodeProfile, key: &DeviceKey) -> Self {
        let signature = Signature(key.sign(CONSENT, &said(&(cluster, ticket, &profile))));
        Self { cluster, ticket, profile, signature }
    }

    pub(super) fn is_signed(&self) -> bool {
        let said = said(&(self.cluster, self.ticket, &self.profile));
        terachat_event::verify(&self.profile.key.0, CONSENT, &said, &self.signature.0)
    }
}

/// What stands in the ledger of a ticket: its hash.
pub(crate) fn ticket_hash(ticket: &[u8; 32]) -> [u8; 32] {
    blake3::derive_key(TICKET, ticket)
}

/// One thing that was done to the cluster itself. Who did it is in [`Deed::by`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum What {
    /// The first node began a cluster.
    Founded {
        /// Its name.
        cluster: ClusterId,
        /// The first node, which becomes node 1.
        profile: NodeProfile,
    },
    /// Whoever shows the secret of this hash may come in, once.
    Invited {
        /// [`JoinConsent::ticket`]'s hash.
        ticket: [u8; 32],
        /// As what.
        role: TicketFor,
        /// Until when, in milliseconds since 1970 by the clock of the node that takes it in.
        until_ms: u64,
    },
    /// A node came in.
    Joined(JoinConsent),
    /// A client may put and get.
    Admitted {
        /// Its key.
        client: ClientKey,
        /// The ticket's secret.
        ticket: [u8; 32],
    },
    /// A client may no more.
    Dismissed(ClientKey),
    /// A node is to be emptied.
    Draining(NodeId),
    /// A node takes shards again.
    Returned(NodeId),
    /// A node is out; what it has counts as lost.
    Left(NodeId),
    /// Another address for a node.
    Moved {
        /// Which.
        node: NodeId,
        /// Where others dial it now.
        address: String,
    },
    /// Items must not be forgotten, nor end: a legal hold, for the case of this name. More of a case are added to it.
    Held {
        /// The case: 1 to 64 bytes, nothing in them that is not shown.
        case: String,
        /// 1 to [`HELD_ITEMS_MAX`] items. They need not be there yet.
        items: Vec<ItemName>,
    },
    /// A case is over: what no other one holds may be forgotten.
    Released(String),
    /// What a case holds was given out: it stands here before the first byte of it left the cluster.
    Exported(Export),
    /// The node that signs runs this program from now on.
    Deployed(Program),
    /// By the node that signs, shards were to stand so after this entry.
    Placed(PlacementMark),
}

/// What was given out, and to whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// The case that holds it.
    pub case: String,
    /// Who gets it and why: 1 to 256 bytes, nothing in them that is not shown.
    pub to: String,
    /// Items that were there.
    pub items: u64,
    /// What exactly: [`Exhibit::digest`](super::Exhibit::digest) of them.
    pub digest: [u8; 32],
}

/// A program, as the node that runs it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its version: 1 to 64 bytes, nothing in them that is not shown.
    pub version: String,
    /// BLAKE3 of its file.
    pub hash: [u8; 32],
}

impl What {
    /// That whoever shows this secret may come in.
    pub fn invite(secret: &[u8; 32], role: TicketFor, until_ms: u64) -> Self {
        Self::Invited { ticket: ticket_hash(secret), role, until_ms }
    }
}

/// An event of the cluster's own history. Each names the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// Its number, from 0 on.
    pub seq: u64,
    /// The hash of the deed before; zeros for the first.
    pub previous: [u8; 32],
    /// When, in milliseconds since 1970, by the clock of the node that signs.
    pub at_ms: u64,
    /// The node that did it or let it be done.
    pub by: NodeId,
    /// What was done.
    pub what: What,
}

/// A deed and the signature of the node that did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedDeed {
    /// The deed.
    pub deed: Deed,
    /// By [`Deed::by`].
    pub signature: Signature,
}

impl SignedDeed {
    /// The deed, signed.
    pub fn sign(deed: Deed, key: &DeviceKey) -> Self {
        let signature = Signature(key.sign(CONTEXT, &said(&deed)));
        Self { deed, signature }
    }

    /// Whether it is signed by this key. Whose key [`Deed::by`] has, the roster says.
    pub fn is_signed_by(&self, key: &NodeKey) -> bool {
        terachat_event::verify(&key.0, CONTEXT, &said(&self.deed), &self.signature.0)
    }

    /// Its hash, which the next deed names: the signature is covered too.
    pub fn hash(&self) -> [u8; 32] {
        blake3::derive_key(HASH, &self.encode())
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        said(self)
    }

    /// Reads a whole deed; whether it is signed is not looked at.
    ///
    /// # Errors
    /// [`Error::Entry`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        match postcard::take_from_bytes(bytes) {
            Ok((deed, [])) => Ok(deed),
            _ => Err(Error::Entry),
        }
    }
}

/// The bytes that are signed or hashed: postcard, which writes a value in one way.
fn said(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect("a value in memory can be written")
}
