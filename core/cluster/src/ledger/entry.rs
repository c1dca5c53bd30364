use super::deed::SignedDeed;
use super::{ENTRY_LEN_MAX, ITEMS_MAX};
use crate::{ClientKey, Error, ItemKind, ItemName, PackageKey, Receipt, Signature, Slot, Standing};
use serde::{Deserialize, Serialize};
use terachat_shard::{NodeId, StripeId};

/// Version 1, which said more of each item than had to be said, was never published.
const VERSION: u8 = 2;

/// What the cluster agrees on, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// Something was done to the cluster itself.
    Deed(SignedDeed),
    /// A batch is durable on enough nodes.
    Stripe(NewStripe),
    /// A shard has another holder, after a repair or a move.
    Holder(Receipt),
    /// Items are forgotten. A stripe of which nothing is left loses its key.
    Forget(Vec<ItemName>),
    /// A batch with records of boards in it is durable on enough nodes.
    Records(NewRecords),
    /// A board's record that is there is kept longer.
    Renew(Renewal),
    /// What ends by then is forgotten: at most [`EXPIRED_MAX`] items and as many claims, the earliest ends first.
    Expire {
        /// Milliseconds since 1970, by most of the members' clocks.
        at_ms: u64,
    },
    /// A client wants its value to be the first in a slot.
    Claim(SlotClaim),
}

/// A client's wish that a value be the first in a slot. The first that the ledger takes wins and stays until it ends; everybody who
/// claims the slot meanwhile is told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotClaim {
    /// Which slot.
    pub slot: Slot,
    /// What is to stand there.
    pub value: [u8; 32],
    /// Until when, in milliseconds since 1970.
    pub until_ms: u64,
    /// Whose claim it is, as the node that proposes knows its client.
    pub client: ClientKey,
    /// As of [`NewRecords`]: what had ended by then is in nobody's way.
    pub at_ms: u64,
}

/// A batch, with what the ledger has to know of the records of boards in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewRecords {
    /// The batch. It replaces none.
    pub stripe: NewStripe,
    /// When it was brought before the ledger, in milliseconds since 1970: records that had ended by then are in nobody's way.
    pub at_ms: u64,
    /// One for each item that is a board's record, in their order.
    pub signatures: Vec<Signature>,
}

/// A longer life for a board's record: [`BoardRecord::lasting`](terachat_core_store::sync::board::BoardRecord::lasting) is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// The record's key.
    pub key: [u8; 32],
    /// BLAKE3 of what is kept of it as an item.
    pub digest: [u8; 32],
    /// Its new end, in milliseconds since 1970.
    pub expires_ms: u64,
    /// Its new signature.
    pub signature: Signature,
    /// As of [`NewRecords`].
    pub at_ms: u64,
}

/// A batch that enough nodes have made durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewStripe {
    /// A [`StripeRecord`](terachat_shard::StripeRecord): who is to hold each shard.
    #[serde(with = "serde_bytes")]
    pub record: Vec<u8>,
    /// What opens the batch, with k shards.
    pub key: PackageKey,
    /// What is in the batch, one behind the other.
    pub items: Vec<Item>,
    /// Of shards that are durable: place, [`Receipt::until`], and the signature of the holder that the record names.
    pub receipts: Vec<(u8, u64, Signature)>,
    /// Stripes whose items are all in this one now.
    pub replaces: Vec<StripeId>,
}

/// A part of a batch.
///
/// An entry does not say where its items begin, for they lie one behind the other, nor the digest of a blob, which is its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WrittenItem", into = "WrittenItem")]
pub struct Item {
    /// By what it is found.
    pub name: ItemName,
    /// BLAKE3 of its bytes: of a blob, the key in its name.
    pub digest: [u8; 32],
    /// Where it begins in the batch.
    pub at: u32,
    /// Its bytes.
    pub len: u32,
    /// When it may be forgotten, in milliseconds since 1970; 0 for never.
    pub expires_ms: u64,
}

/// What an entry says of an item, by its kind.
#[derive(Serialize, Deserialize)]
enum WrittenItem {
    Blob { digest: [u8; 32], len: u32, expires_ms: u64 },
    Board { key: [u8; 32], digest: [u8; 32], len: u32, expires_ms: u64 },
}

impl From<Item> for WrittenItem {
    fn from(item: Item) -> Self {
        let Item { name: ItemName { kind, key }, digest, len, expires_ms, .. } = item;
        match kind {
            ItemKind::Blob => Self::Blob { digest: key, len, expires_ms },
            ItemKind::Board => Self::Board { key, digest, len, expires_ms },
        }
    }
}

impl From<WrittenItem> for Item {
    /// Without its place, which those before it give.
    fn from(item: WrittenItem) -> Self {
        let (kind, key, digest, len, expires_ms) = match item {
            WrittenItem::Blob { digest, len, expires_ms } => {
                (ItemKind::Blob, digest, digest, len, expires_ms)
            }
            WrittenItem::Board { key, digest, len, expires_ms } => {
                (ItemKind::Board, key, digest, len, expires_ms)
            }
        };
        Self { name: ItemName { kind, key }, digest, at: 0, len, expires_ms }
    }
}

/// Where an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemPlace {
    /// In which stripe.
    pub stripe: StripeId,
    /// Its part of that.
    pub item: Item,
    /// Of a board's record, when it came: by the ledger's order, and its place in its batch.
    pub order: Option<(u64, u32)>,
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// It is new.
    Added,
    /// The same bytes were there under this name; they are kept at least as long now.
    Known,
    /// Other bytes are there under this name, and stay.
    Taken,
    /// It was there, and was forgotten before this was answered.
    Gone,
    /// A board's record whose content was there under its key, and is kept longer now.
    Renewed,
}

/// What the ledger answers to an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It was taken.
    Done,
    /// A node came in, and has this number.
    Joined(NodeId),
    /// The batch was taken: the fate of each of its items.
    Stripe(Vec<Fate>),
    /// It was not, and has changed nothing.
    Refused(Refusal),
    /// The fate of a record that was to be renewed; [`Fate::Gone`] if it is not there any more.
    Renewed(Fate),
    /// So much had ended.
    Expired {
        /// Items that are forgotten now.
        items: u32,
        /// How many of them were records of boards.
        records: u32,
        /// Claims that are forgotten now.
        claims: u32,
    },
    /// What stands in the slot that was claimed: the claim's own value, or another that was there before it.
    Claimed(Standing),
}

/// Why the ledger did not take an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The entry's bytes.
    #[error("the entry is not one that this version reads; update all nodes to the same version")]
    Malformed,
    /// Another deed came first.
    #[error("another change of the cluster came first; try again")]
    Stale,
    /// A signature does not verify.
    #[error("a signature does not verify; nothing was changed")]
    Signature,
    /// Whoever signed, or is meant, is no member.
    #[error("{0} is not a member of this cluster")]
    NoMember(NodeId),
    /// A second foundation.
    #[error("the cluster is founded already")]
    AlreadyFounded,
    /// Anything before the foundation.
    #[error("the cluster is not founded yet")]
    NotFounded,
    /// The ticket is used, unknown, for something else, or too old.
    #[error(
        "the ticket is used, expired or for something else; ask a member for a new one: terachat node invite"
    )]
    Ticket,
    /// A node that left does not come back as itself.
    #[error("a node of this key has left the cluster; join with a new folder, and so a new key")]
    KeyUsed,
    /// A limit of the cluster is reached.
    #[error("the cluster has as many as it takes")]
    TooMany,
    /// A node's address.
    #[error("the address is empty or longer than 255 bytes")]
    Address,
    /// The last node that takes shards.
    #[error("{0} is the last node that takes shards; add another first")]
    LastNode(NodeId),
    /// The stripe is cut for another number of nodes.
    #[error("the stripe is cut for {0} nodes, and the cluster has changed; it has to be cut anew")]
    Profile(u8),
    /// Too few nodes have their shard.
    #[error("{have} shards of the stripe are durable, and {need} have to be")]
    Receipts {
        /// Receipts that count.
        have: u8,
        /// How many have to.
        need: u8,
    },
    /// The stripe's name is used, or its items are not parts of it.
    #[error("the stripe or one of its items is not sound")]
    Stripe,
    /// There is no such stripe.
    #[error("the stripe is not in the ledger; it may have been forgotten")]
    NoStripe,
    /// A stripe that is replaced has an item that the new one has not.
    #[error("the stripes have changed since they were repacked")]
    Repack,
    /// The item must not be forgotten.
    #[error(
        "the item is under a legal hold; an operator sees the cases and ends one: terachat node holds, terachat node release"
    )]
    Held,
    /// A hold that is not one.
    #[error(
        "a case is named by 1 to 64 bytes that can be shown, and holds 1 to 4096 items by one deed; name it otherwise, or cut the list"
    )]
    Case,
    /// An export that is not one.
    #[error(
        "who gets an export is said in 1 to 256 bytes that can be shown, and it is of what its case holds; say it otherwise"
    )]
    Recipient,
    /// A program's version.
    #[error("the version of a node's program is 1 to 64 bytes that can be shown")]
    Version,
    /// What a node says of the placement, after it has said something of a later entry or before that entry is there.
    #[error(
        "the node has said already where shards stood later, or says it of an entry that is still to come"
    )]
    Placed,
    /// There is no such hold.
    #[error("no case of this name holds anything; see those that do: terachat node holds")]
    NoCase,
    /// A claim beyond those that a client may have, or one that has no life.
    #[error(
        "this client has claimed as many slots as one may at once, or the claim had ended before it was taken; wait until some end, and \
         check the clock of this machine"
    )]
    Claims,
}

impl Entry {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![VERSION]).expect("a value in memory can be written")
    }

    /// Reads a whole entry.
    ///
    /// # Errors
    /// [`Error::Entry`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let (VERSION, rest) = bytes.split_first().map(|(first, rest)| (*first, rest)).ok_or(Error::Entry)?
        else {
            return Err(Error::Entry);
        };
        if bytes.len() > ENTRY_LEN_MAX {
            return Err(Error::Entry);
        }
        let (mut entry, rest) = postcard::take_from_bytes::<Self>(rest).map_err(|_| Error::Entry)?;
        let fits = match &mut entry {
            Self::Stripe(stripe) | Self::Records(NewRecords { stripe, .. }) => {
                (1..=ITEMS_MAX).contains(&stripe.items.len()) && lay_out(&mut stripe.items)
            }
            Self::Forget(names) => names.len() <= ITEMS_MAX,
            _ => true,
        };
        if rest.is_empty() && fits { Ok(entry) } else { Err(Error::Entry) }
    }
}

/// Gives each item its place behind those before it. False if they are more than any batch.
fn lay_out(items: &mut [Item]) -> bool {
    let mut end = Some(0u32);
    for item in items {
        let Some(at) = end else { return false };
        item.at = at;
        end = at.checked_add(item.len);
    }
    end.is_some()
}

impl Outcome {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("a value in memory can be written")
    }

    /// Reads what another node's ledger answered.
    ///
    /// # Errors
    /// [`Error::Entry`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        postcard::from_bytes(bytes).map_err(|_| Error::Entry)
    }
}
