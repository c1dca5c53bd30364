//! One order of opaque entries for a cluster of nodes: what one node proposes and the cluster takes is applied by all
//! of them, in the same order, once.
//!
//! [`Ledger`] is what a node speaks to; behind it stands a driver. [`Machine`] is what the entries mean, and
//! [`Carrier`] how nodes reach each other. It does not know what is in an entry, does not authenticate nodes (the
//! carrier does) and keeps no entry for ever: what a snapshot of the machine covers is dropped.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests"))]

mod carrier;
mod disk;
mod error;
#[cfg(feature = "etcd")]
pub mod etcd;
mod head;
mod ledger;
mod machine;
pub mod raft;
pub mod suite;

pub use carrier::{Carrier, Unreachable};
pub use disk::DiskError;
pub use error::{FoundError, MembersError, ProposeError, ReadError};
#[cfg(feature = "etcd")]
pub use etcd::{EtcdLedger, EtcdSettings};
pub use head::Head;
pub use ledger::{Call, Committed, DiskCounters, Ledger, Remembered, Status};
pub use machine::{BadSnapshot, Machine};
pub use raft::RaftLedger;

/// Bytes of one entry at most: 1 MiB.
pub const ENTRY_LEN_MAX: usize = 1 << 20;
