use super::message::Lack;
use crate::{Error, Fate, ItemName, Refusal, Slot, Standing};
use serde::{Deserialize, Serialize};
use terachat_shard::NodeId;

const VERSION: u8 = 1;

/// Bytes of an item at most: 4 MiB. Larger things are cut by their owner, and so are sent, kept and resumed piece by piece.
pub const ITEM_LEN_MAX: usize = 4 << 20;

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Keep these bytes under this name until then, in milliseconds since 1970; 0 for ever. They are sealed by the client already.
    /// A board's record is put whole under its key, with its own end.
    Put {
        /// The name; of a blob, the hash of its bytes.
        name: ItemName,
        /// 1 byte to 4 MiB.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
        /// When it may be forgotten.
        expires_ms: u64,
    },
    /// Give the bytes of this name; of a board's record all of it, as it was put last.
    Get(ItemName),
    /// Say whether there is something under this name.
    Has(ItemName),
    /// Names of board records that came after this place of the order.
    List {
        /// The place of the last one that is known.
        after: Option<(u64, u32)>,
        /// At most so many, up to 1,024.
        max: u16,
    },
    /// Forget these. Records of boards are forgotten when they end, and not before.
    Forget(Vec<ItemName>),
    /// Forget what has ended, as much as one entry of the ledger may.
    Collect,
    /// Let this value be the first in this slot, and say which one is. The same claim again is the same claim.
    Claim {
        /// Which slot: nobody but who knows its name can say anything of it.
        slot: Slot,
        /// What is to stand there.
        value: [u8; 32],
        /// For how long from now on, in milliseconds by the members' clocks: 1 to those of 90 days. If the value is there, the later
        /// end counts.
        life_ms: u64,
    },
}

/// The answer to a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// It is durable on as many nodes as have to be, and in the order.
    Put(Fate),
    /// The bytes; `None` if nothing is under this name, of all that was acknowledged before the request.
    Got(#[serde(with = "serde_bytes")] Option<Vec<u8>>),
    /// What is under the name: its length and its end.
    Has(Option<(u32, u64)>),
    /// Names, each with its place in the order.
    Listed(Vec<((u64, u32), ItemName)>),
    /// They are forgotten.
    Forgotten,
    /// It is not done.
    Refused(Refused),
    /// What had ended is forgotten.
    Collected {
        /// How many records of boards that were.
        records: u32,
        /// Whether there may be more.
        more: bool,
    },
    /// What stands in the slot: the value that was claimed, or another one that was first.
    Claimed(Standing),
}

/// Why a client's wish was not met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// An empty item, one that is too long, or a blob whose name is not its hash.
    #[error("an item has 1 byte to 4 MiB, and a blob's name is the BLAKE3 hash of its bytes")]
    Item,
    /// Too much is waiting at this node.
    #[error("the node has {bytes} bytes waiting to be written; try again a little later, or another node")]
    Busy {
        /// Bytes.
        bytes: u64,
    },
    /// Too few nodes took their shards. Nothing is kept.
    #[error(
        "{have} nodes made their part durable and {need} have to; nothing was kept. {}Bring them back, or make room on their disks \
         (terachat cluster status), then write again",
        told(without.iter().map(|(node, lack)| (Some(*node), *lack)))
    )]
    NotDurable {
        /// Nodes that did.
        have: u8,
        /// Nodes that have to.
        need: u8,
        /// Nodes that did not, and why.
        without: Vec<(NodeId, Lack)>,
    },
    /// The ledger has no leader. Nothing is kept.
    #[error(
        "the cluster has no majority that this node reaches, or no etcd if that has its ledger; nothing was kept. Bring nodes or etcd \
         back, then try again"
    )]
    NoMajority,
    /// It is not known whether it was taken.
    #[error(
        "the cluster did not answer in time, so it is not known whether this is kept; do it again: that is safe"
    )]
    Unknown,
    /// The ledger did not take it.
    #[error(transparent)]
    Ledger(Refusal),
    /// Too few shards can be read now.
    #[error(
        "of the {need} shards that are needed {have} can be read now. {}Bring those nodes back",
        told(lacking.iter().map(|(_, node, lack)| (*node, *lack)))
    )]
    Unreadable {
        /// Shards that can.
        have: u8,
        /// Shards that are needed.
        need: u8,
        /// Each shard that cannot: its place, who should have it, and why.
        lacking: Vec<(u8, Option<NodeId>, Lack)>,
    },
    /// The shards were read and are those that were written, but they do not open.
    #[error("the item's batch does not open; audit the cluster: terachat cluster audit")]
    Damaged,
    /// Not a member of this cluster, or not one of its clients.
    #[error("this cluster does not know your key; ask a member for a ticket: terachat node invite --client")]
    Stranger,
    /// What was to be kept as a board's record is none, or not of this key or with this end.
    #[error("this is no board record of that key and end; update the client, or look at who made it")]
    Record,
    /// A board's record that has ended, or ends later than boards keep anything; a claim that is to last for no time or for longer.
    #[error(
        "the end is past or further ahead than boards keep anything, which is 90 days; check the clock of this machine"
    )]
    Lifetime,
    /// A board's record was to be forgotten before its end.
    #[error(
        "a board's record stays until it ends, and nobody takes it down; forget the other items without it"
    )]
    Lasting,
}

impl Request {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![VERSION]).expect("a value in memory can be written")
    }

    /// Reads a whole request.
    ///
    /// # Errors
    /// [`Error::Message`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        read(bytes)
    }
}

impl Response {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![VERSION]).expect("a value in memory can be written")
    }

    /// Reads a whole response.
    ///
    /// # Errors
    /// [`Error::Message`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        read(bytes)
    }
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Error> {
    let Some((&VERSION, rest)) = bytes.split_first() else { return Err(Error::Message) };
    match postcard::take_from_bytes(rest) {
        Ok((value, [])) => Ok(value),
        _ => Err(Error::Message),
    }
}

/// Nodes and why they are no help, in sentences.
fn told(lacks: impl Iterator<Item = (Option<NodeId>, Lack)>) -> String {
    let told = |(node, lack): (Option<NodeId>, Lack)| match node {
        Some(node) => format!("Of {node}: {lack}. "),
        None => format!("Of nobody: {lack}. "),
    };
    lacks.map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::node;

    #[test]
    fn who_is_no_help_is_told_in_sentences() {
        let without = vec![(node(2), Lack::Disk), (node(3), Lack::Silent)];
        let text = Refused::NotDurable { have: 2, need: 3, without }.to_string();
        assert!(
            text.contains(
                "Of node 2: the disk there is full or fails. Of node 3: the node does not answer. Bring"
            ),
            "{text}"
        );
        let lacking = vec![(0, Some(node(4)), Lack::Forged), (1, None, Lack::Missing)];
        let text = Refused::Unreadable { have: 1, need: 2, lacking }.to_string();
        assert!(
            text.contains(
                "now. Of node 4: the node gave something else. Of nobody: it is not kept there. Bring"
            ),
            "{text}"
        );
    }
}
