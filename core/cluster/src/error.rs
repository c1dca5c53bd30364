use crate::ObjectsError;
use terachat_shard::StripeId;
use terachat_storage::StorageError;

/// Why a node did not keep or give a shard. Unless a variant says otherwise, nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk's. What was to be written may be there in part; the store cuts it off before it writes again.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The bucket's, or the way to it. What was to be put may be there; it is removed before anything else is put.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// The sender's: another shard is kept under this name. Names are drawn at random, so one of the two was forged, or a node was
    /// set back.
    #[error(
        "another shard {index} of stripe {stripe} is kept here; ask the stripe's record which is the right one, and drop the other"
    )]
    Taken {
        /// Its stripe.
        stripe: StripeId,
        /// Its place in it.
        index: u8,
    },
    /// The disk's: the shard is not what was written. It counts as lost until it is put again.
    #[error(
        "shard {index} of stripe {stripe} is rotten here; it counts as lost, and a sound one may be put in its place"
    )]
    Rotten {
        /// Its stripe.
        stripe: StripeId,
        /// Its place in it.
        index: u8,
    },
    /// A newer program's folder.
    #[error("{file:?} is of version {found}; this program reads version 1, so update it")]
    Version {
        /// The file.
        file: String,
        /// What its first byte says.
        found: u8,
    },
    /// The caller's.
    #[error("a segment of {0} bytes; it has 4 KiB to 1 GiB")]
    SegmentLen(u32),
    /// The caller's.
    #[error("objects of {0} bytes; they have 4 KiB to 64 MiB")]
    ObjectLen(u32),
    /// Two leaders, each of which had another shard of the stripe made here: the second comes too late.
    #[error("shard {index} of stripe {stripe} is kept here already, and a node has one shard of a stripe")]
    HasAnother {
        /// Its stripe.
        stripe: StripeId,
        /// The place of the shard that is kept.
        index: u8,
    },
    /// The sender's: what it sent is no shard.
    #[error(transparent)]
    Shard(#[from] terachat_shard::Error),
    /// The shards' or the metadata's: a batch does not open.
    #[error(
        "the package of stripe {stripe} does not open; its shards or its key are not those that were written"
    )]
    Package {
        /// Its stripe.
        stripe: StripeId,
    },
    /// A peer's, or a newer program's.
    #[error("this is no entry of a ledger that this version reads; update all nodes to the same version")]
    Entry,
    /// The disk's, or a newer program's.
    #[error(
        "this is no snapshot of a ledger that this version reads; update the node, or let it fetch the ledger anew"
    )]
    Snapshot,
    /// A peer's.
    #[error("this is no message that this version reads; update all nodes to the same version")]
    Message,
    /// The user's.
    #[error(
        "this names no item; copy it as `terachat cluster items` printed it: blob: or board: and 64 hexadecimal digits"
    )]
    Tag,
    /// The caller's: no key of a client.
    #[error("this is no client's key; copy it as `terachat node clients` printed it: 64 hexadecimal digits")]
    ClientKey,
}
