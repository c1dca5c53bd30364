use super::DiskError;
use crate::raft::types::{Ballot, Id};
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;
use terachat_shard::NodeId;
use terachat_storage::Storage;

/// The file's name.
pub(super) const MANIFEST: &str = "ledger";
const VERSION: u8 = 1;
const CONTEXT: &str = "terachat 2026-11 ledger manifest";

/// What must be changed at one instant: the vote, and which files count. Small, and replaced as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) node: u32,
    pub(super) ballot: Option<Ballot>,
    /// The last log entry that is given up because a snapshot has it.
    pub(super) purged: Option<Id>,
    /// In their order; the last may be written to.
    pub(super) segments: Vec<SegmentRecord>,
    pub(super) snapshot: Option<SnapshotRecord>,
    /// No segment or snapshot had this number or a larger one.
    pub(super) next: u32,
}

/// A segment that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SegmentRecord {
    pub(super) number: u32,
    pub(super) salt: [u8; 16],
    /// Number of its first frame.
    pub(super) first: u64,
    /// Its length once it is closed. What is behind is none of it.
    pub(super) len: Option<u64>,
}

/// The snapshot that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SnapshotRecord {
    pub(super) number: u32,
    /// The last log entry it has.
    pub(super) last: Option<Id>,
    pub(super) len: u64,
    pub(super) hash: [u8; 32],
}

impl Manifest {
    pub(super) fn new(node: NodeId) -> Self {
        Self { node: node.0.get(), ballot: None, purged: None, segments: Vec::new(), snapshot: None, next: 1 }
    }

    pub(super) fn write(&self, storage: &mut dyn Storage) -> Result<(), DiskError> {
        let mut bytes = vec![VERSION];
        bytes.extend(postcard::to_allocvec(self).expect("a vector takes everything"));
        let hash = blake3::derive_key(CONTEXT, &bytes);
        bytes.extend_from_slice(&hash);
        Ok(storage.replace(MANIFEST, &bytes)?)
    }

    /// `None` where there is none.
    pub(super) fn read(storage: &dyn Storage, node: NodeId) -> Result<Option<Self>, DiskError> {
        let Some(len) = storage.size(MANIFEST)? else { return Ok(None) };
        let rot = |what| DiskError::Rot { file: MANIFEST.to_owned(), at: 0, what };
        let len = usize::try_from(len).map_err(|_| rot("too long"))?;
        let bytes = storage.read(MANIFEST, 0, len)?;
        let (content, hash) = bytes.split_last_chunk::<32>().ok_or_else(|| rot("too short"))?;
        if blake3::derive_key(CONTEXT, content) != *hash {
            return Err(rot("its hash"));
        }
        match content {
            [VERSION, body @ ..] => {
                let manifest: Self = postcard::from_bytes(body).map_err(|_| rot("its form"))?;
                let owner = NonZeroU32::new(manifest.node).map(NodeId).ok_or_else(|| rot("its node"))?;
                if owner != node {
                    return Err(DiskError::OtherNode(owner));
                }
                Ok(Some(manifest))
            }
            [version, ..] => Err(DiskError::Version { file: MANIFEST.to_owned(), version: *version }),
            [] => Err(rot("too short")),
        }
    }
}
