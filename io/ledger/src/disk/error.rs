use terachat_shard::NodeId;
use terachat_storage::StorageError;

/// The files of a ledger that cannot be used.
///
/// A node whose files are lost or rotten must not begin anew under its number: it would forget for whom it voted and
/// what it promised to keep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// The storage failed; what was acknowledged before is there.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Bytes that were durable are not what was written.
    #[error(
        "the ledger's file {file:?} is not sound at byte {at} ({what}); take this node out of the ledger's members from \
         another node, empty its folder and let it join under a new number"
    )]
    Rot {
        /// Which file.
        file: String,
        /// Where in it.
        at: u64,
        /// What does not fit.
        what: &'static str,
    },
    /// A file that must be there is not.
    #[error(
        "the ledger's file {file:?} is missing; put the whole folder back, or take this node out of the ledger's members \
         from another node, empty its folder and let it join under a new number"
    )]
    Lost {
        /// Which file.
        file: String,
    },
    /// The file is of another version of the program; nothing was changed.
    #[error(
        "the ledger's file {file:?} has version {version}, which this program does not know; use a newer one"
    )]
    Version {
        /// Which file.
        file: String,
        /// Its version.
        version: u8,
    },
    /// The folder is another node's; nothing was changed.
    #[error("the folder is the ledger of {0}, not of this node; give this node its own")]
    OtherNode(NodeId),
}
