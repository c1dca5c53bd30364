//! What the cluster has agreed on: entries in one order, and the state they make. `docs/format/cluster-ledger.md`.
mod chronicle;
mod deed;
mod entry;
mod exhibit;
mod placement;
mod roster;
mod state;
#[cfg(test)]
mod tests;

pub use chronicle::{Chronicle, ChronicleError};
#[cfg(test)]
pub(crate) use deed::ticket_hash;
pub use deed::{Deed, Export, HELD_ITEMS_MAX, JoinConsent, NodeProfile, Program, SignedDeed, What};
pub use entry::{Entry, Fate, Item, ItemPlace, NewRecords, NewStripe, Outcome, Refusal, Renewal, SlotClaim};
pub use exhibit::{EXHIBITS_MAX, Exhibit};
pub use placement::{PLACEMENT_MARKS_MAX, PlacementClaim, PlacementMark, Verdict};
pub use roster::{NodeRecord, NodeStatus, Roster, TicketFor};
pub use state::{Applied, Claimed, State, Stripe};

/// Bytes of an entry at most: 1 MiB.
pub const ENTRY_LEN_MAX: usize = 1 << 20;
/// Items of a stripe at most.
pub const ITEMS_MAX: usize = 4096;
/// Items, and claims, that one entry lets end at most.
pub const EXPIRED_MAX: usize = 1024;
/// Slots that one client has claimed at once at most: some 3 MiB of each node's memory.
pub const CLAIMS_MAX: usize = 16_384;
