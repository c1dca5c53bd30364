use crate::{NodeId, StripeId};

/// Why something is no shard or stripe, or cannot be computed. No variant changed any state unless it says so, and none
/// carries what a shard holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's: there is no such code.
    #[error("a code of {data} + {parity} shards; 1 to 255 data shards, at most 256 shards in all")]
    Counts {
        /// Data shards asked for.
        data: usize,
        /// Parity shards asked for.
        parity: usize,
    },
    /// The caller's: too many or too few shards were handed in.
    #[error("{found} {what} where the code has {expected}; hand in one for each")]
    ShardCount {
        /// Which.
        what: &'static str,
        /// As many as there must be.
        expected: usize,
        /// As many as there were.
        found: usize,
    },
    /// The caller's: shards of one stripe are of one length.
    #[error("a shard of {found} bytes among shards of {expected}; it is not of this stripe, or cut short")]
    ShardLen {
        /// The other shards' length.
        expected: usize,
        /// This one's.
        found: usize,
    },
    /// The caller's: a shard that the code does not have, or has twice.
    #[error("shard {0} is not one of the code's, or named twice")]
    Index(u8),
    /// Nobody's: too many shards are lost. Bring others back, and try again.
    #[error("{have} shards are there and {need} are needed; bring back {missing} more", missing = need - have)]
    TooFew {
        /// Shards that are there.
        have: usize,
        /// Shards needed.
        need: usize,
    },
    /// The caller's: a cluster of no node, or of too many.
    #[error("a stripe over {0} nodes; it stands on 1 to 255")]
    Nodes(usize),
    /// The caller's: nothing, or more than a stripe takes.
    #[error("a stripe of {len} bytes; it has 1 to {max}, so cut it into several", max = crate::STRIPE_LEN_MAX)]
    StripeLen {
        /// The bytes' number.
        len: u64,
    },
    /// The sender's: it ends too early.
    #[error("a {what} cut short: {len} bytes, {expected} are needed; fetch it again")]
    Truncated {
        /// What was read.
        what: &'static str,
        /// Bytes there.
        len: usize,
        /// Bytes it says it has, or has at least.
        expected: usize,
    },
    /// The sender's: something follows it.
    #[error("a {what} with {extra} bytes behind it; they are not its own")]
    Trailing {
        /// What was read.
        what: &'static str,
        /// Bytes too many.
        extra: usize,
    },
    /// The sender's: longer than anybody makes one.
    #[error("a shard of {len} bytes; at most {max} are taken", max = crate::SHARD_LEN_MAX)]
    Oversized {
        /// Its length, as it says.
        len: u64,
    },
    /// A newer program's, or no such thing.
    #[error("a {what} of version {found}; this program reads version 1, so update it")]
    Version {
        /// What was read.
        what: &'static str,
        /// What its first byte says.
        found: u8,
    },
    /// The disk's, the network's or a liar's: the bytes are not those that were hashed. The shard counts as lost:
    /// reconstruct it.
    #[error("shard {index} does not match its hash; it is rotten and counts as lost")]
    Rotten {
        /// Its place in the stripe.
        index: u8,
    },
    /// The sender's: a sound shard, but of another stripe.
    #[error("a shard of stripe {found} where one of {expected} was asked for")]
    WrongStripe {
        /// Asked for.
        expected: StripeId,
        /// Found.
        found: StripeId,
    },
    /// The sender's: a sound shard of this stripe at another place, or cut by another code.
    #[error("shard {found} where shard {expected} was asked for, or one cut by another code")]
    WrongShard {
        /// Asked for.
        expected: u8,
        /// Found.
        found: u8,
    },
    /// The sender's: a shard with a sound header that is not the one that the stripe's record names. Somebody made it.
    #[error(
        "shard {index} is not the one that its stripe's record names; it was forged, or the record is another's"
    )]
    Forged {
        /// Its place in the stripe.
        index: u8,
    },
    /// A writer's bug: what fills the last shards up is not zeros.
    #[error(
        "the bytes that fill the stripe up are not zeros; whoever cut it was at fault, its bytes are not used"
    )]
    Padding,
    /// The sender's: one node holds two shards of a stripe.
    #[error("{0} holds two shards of a stripe; each shard stands on a node of its own")]
    HoldsTwo(NodeId),
    /// The sender's: two members of one number.
    #[error("{0} stands twice among the members; a number is given once")]
    MemberTwice(NodeId),
    /// Nobody's: fewer nodes take shards than the stripe has.
    #[error("{have} nodes take shards and the stripe has {need}; bring nodes back, or cut by a smaller code")]
    TooFewNodes {
        /// Nodes that take shards.
        have: usize,
        /// Shards of the stripe.
        need: usize,
    },
}
