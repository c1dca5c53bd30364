//! What a node of the organisation's storage decides.
//!
//! What all agree on is [`State`], made of [`Entry`]s in one order, which somebody else keeps. What one node does about it is
//! [`Node`]: batches are sealed, cut and sent, shards kept, read, counted and mended. What keeps its own shards is a [`ShardStore`]:
//! [`SegmentStore`] on a disk, [`BucketStore`] in a bucket.
//!
//! It opens no file, no socket and no clock: files come in through [`terachat_storage::Storage`], a bucket through [`Objects`],
//! randomness through [`terachat_vault::Entropy`], time and everything that happens through [`Input`], and what is to be done goes out
//! as [`Output`].
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests"))]

mod bucket;
mod error;
mod export;
mod file;
mod ids;
mod ledger;
mod node;
mod package;
mod receipt;
mod segments;
mod shards;
#[cfg(test)]
mod testing;
pub mod wire;

pub use bucket::objects::{
    Objects, ObjectsError, ObjectsErrorKind, ObjectsVerb, Part, suite as objects_suite,
};
pub use bucket::{BucketOpened, BucketOptions, BucketStore, MemoryObjects, ObjectsFault};
pub use error::Error;
pub use export::{ExportError, ExportManifest};
pub use file::{FileError, Manifest, PIECE_LEN, Piece, Reference};
pub use ids::{ClientKey, ClusterId, ItemKind, ItemName, ItemTag, NodeKey, Slot, Standing};
pub use ledger::{
    Applied, CLAIMS_MAX, Chronicle, ChronicleError, Claimed, Deed, ENTRY_LEN_MAX, EXHIBITS_MAX, EXPIRED_MAX,
    Entry, Exhibit, Export, Fate, HELD_ITEMS_MAX, ITEMS_MAX, Item, ItemPlace, JoinConsent, NewRecords,
    NewStripe, NodeProfile, NodeRecord, NodeStatus, Outcome, PLACEMENT_MARKS_MAX, PlacementClaim,
    PlacementMark, Program, Refusal, Renewal, Roster, SignedDeed, SlotClaim, State, Stripe, TicketFor,
    Verdict, What,
};
pub use node::{
    Call, Counted, DiskDone, DiskWork, HealthReport, ITEM_LEN_MAX, Input, Lack, Message, Moment, Node,
    NodeOptions, Output, Refused, Request, Response, Unproposed, Upkeep, perform,
};
pub use package::{PACKAGE_OVERHEAD, PackageKey};
pub use receipt::{RECEIPT_ENTRIES, Receipt, Signature};
pub use segments::{Opened, Options, SegmentStore};
pub use shards::{Compacted, Held, Scrubbed, ShardStore, Sound, Usage, suite as shards_suite};
