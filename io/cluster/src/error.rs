use crate::Unwelcome;
use std::path::PathBuf;
use terachat_cluster::Refused;
use terachat_storage::StorageError;
use terachat_vault::{CounterError, KeyringError, RollbackError, SourceError};

/// Why a node or a client does not start, or did not get what it asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The machine's. Nothing was changed.
    #[error(transparent)]
    Host(#[from] terachat_host::Error),
    /// The disk's.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The keys do not open, or cannot be sealed.
    #[error(transparent)]
    Keys(#[from] KeyringError),
    /// What guards the keys.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The counter that guards against an older copy cannot be used. Nothing was changed.
    #[error(transparent)]
    Counter(#[from] CounterError),
    /// The folder is an older copy. Nothing was changed.
    #[error(
        "{} is an older copy of this node: {why}. It has forgotten votes and entries that it once gave its word for, so it is not \
         started; put the newest copy back, or join with a new folder (terachat node join) and count this node out (terachat node leave)",
        folder.display()
    )]
    OlderCopy {
        /// The folder.
        folder: PathBuf,
        /// How that is known.
        why: String,
    },
    /// The caller's: nothing is there.
    #[error("there is no {what} in {}; make one with {how}, or name another with --folder", folder.display())]
    NotThere {
        /// Of a node, or of a client.
        what: &'static str,
        /// The folder.
        folder: PathBuf,
        /// The command that makes one.
        how: &'static str,
    },
    /// The caller's: something is there.
    #[error("{} is not empty; name an empty folder with --folder", .0.display())]
    Used(PathBuf),
    /// The disk's: a file of the folder is not what this version wrote.
    #[error("{} is damaged, or of a newer version; update the program, or put a copy of the file back", .0.display())]
    Damaged(PathBuf),
    /// The network does not start.
    #[error(transparent)]
    Net(#[from] terachat_net::Error),
    /// The caller's: this build knows no S3.
    #[error("this program was built without S3 and does not reach {0}; build it with --features s3")]
    NoS3(String),
    /// The caller's: nothing to be known by to the service.
    #[error(
        "there are no credentials for {bucket} in {place}; name a file with --s3-credentials, or set AWS_ACCESS_KEY_ID and \
         AWS_SECRET_ACCESS_KEY"
    )]
    NoCredentials {
        /// What they are for.
        bucket: String,
        /// Where they were looked for.
        place: String,
    },
    /// The caller's: what was said of the bucket cannot be.
    #[error("{bucket} cannot be used: {why}; check --shards, --s3-endpoint and --s3-region")]
    Bucket {
        /// Which.
        bucket: String,
        /// Why.
        why: String,
    },
    /// The shards' folder or bucket does not open.
    #[error(transparent)]
    Shards(#[from] terachat_cluster::Error),
    /// The caller's, or the service's: the etcd that has the cluster's ledger cannot be used.
    #[error(
        "the etcd at {etcd} cannot be used: {why}; check that it runs, and --etcd, --etcd-ca, --etcd-cert and --etcd-credentials"
    )]
    Etcd {
        /// Its endpoints.
        etcd: String,
        /// Why.
        why: String,
    },
    /// The caller's: a cluster's ledger is in etcd, and the node is not told so. Nothing was changed; a ticket is as good as before.
    #[error(
        "the ledger of this cluster is in etcd, below the prefix {0}, and stays there; say where that etcd is with --etcd, and the same \
         prefix or none"
    )]
    LedgerInEtcd(String),
    /// The caller's: a cluster's ledger is on its nodes, and the node is told of an etcd. Nothing was changed; a ticket is as good as
    /// before.
    #[error(
        "the ledger of this cluster is on its nodes, and does not move into etcd; leave --etcd and TERACHAT_NODE_ETCD out, or found a new \
         cluster there"
    )]
    LedgerOnNodes,
    /// The caller's, or the service's: another etcd than the cluster's, or one that has lost everything.
    #[error(
        "the etcd at {etcd} has no ledger of cluster {cluster} below the prefix {prefix}; name the cluster's etcd with --etcd, or have its \
         newest data put back"
    )]
    NoLedger {
        /// Its endpoints.
        etcd: String,
        /// Where it was looked for.
        prefix: String,
        /// Whose.
        cluster: terachat_cluster::ClusterId,
    },
    /// The service's: what was applied on this node once is not in etcd any more.
    #[error(
        "the ledger in the etcd at {etcd} is not the one that was applied on this node: {why}. It was set back to an older copy, or \
         emptied, or is another etcd; what was acknowledged since would be lost, so the node is not started; have etcd's newest data put \
         back, or name the cluster's etcd with --etcd"
    )]
    OlderLedger {
        /// Its endpoints.
        etcd: String,
        /// How that is known.
        why: String,
    },
    /// The ledger does not open.
    #[error(transparent)]
    Ledger(#[from] terachat_ledger::raft::OpenError),
    /// The nodes do not let in or do.
    #[error(transparent)]
    Unwelcome(#[from] Unwelcome),
    /// A request was not met, by any node that was asked.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// No node answered in time.
    #[error(
        "none of the {nodes} nodes that are known answered within {seconds} s ({last}); check that they run: terachat node run"
    )]
    NoNode {
        /// Nodes that were tried.
        nodes: usize,
        /// How long.
        seconds: u64,
        /// What the last one failed with.
        last: String,
    },
    /// A peer's bytes.
    #[error("a node answered something else; update all nodes and clients to the same version")]
    Answer,
    /// The ticket is for the other kind.
    #[error("this ticket is for a {0}; use it with terachat {1}")]
    Role(&'static str, &'static str),
    /// The ledger gave up; the node cannot go on without it.
    #[error("the ledger of this node stopped: {0}; look at its disk, or at etcd, then start the node again")]
    LedgerStopped(String),
    /// The caller's: nobody can dial what a node listens on.
    #[error("others cannot dial {0}; say where they reach this node with --address")]
    Address(String),
    /// The runtime is being stopped.
    #[error("the node is stopping; start it again")]
    Stopped,
    /// The caller's: a file, or a reference to one.
    #[error(transparent)]
    File(#[from] terachat_cluster::FileError),
    /// An attachment that cannot be sealed, or what came is not it.
    #[error(transparent)]
    Attachment(#[from] terachat_attachment::Error),
    /// The author's: the file is another one than the message says.
    #[error(
        "the file in the cluster is not the one that its message speaks of; have its author send it again"
    )]
    Unlike,
    /// A node's: other bytes than the name stands for.
    #[error("a node gave other bytes than were asked for; have the nodes look: terachat cluster scrub")]
    Forged,
    /// A file that is read or written here.
    #[error("cannot {doing}: {source}; check the path and the disk, then try again")]
    Local {
        /// What was tried.
        doing: String,
        /// The system's word.
        source: std::io::Error,
    },
    /// A case of which nothing can be given out.
    #[error(
        "the case {0} holds nothing that is in the cluster; see the cases: terachat node holds, and add to it: terachat node hold"
    )]
    NothingHeld(String),
    /// The connection over which items were given out ended. What came is there.
    #[error(
        "the connection to the node broke off; export again to the same folder: what came is kept, and that is in the history too"
    )]
    BrokenOff,
    /// What was given out is not what its deed says.
    #[error(transparent)]
    Export(#[from] terachat_cluster::ExportError),
    /// A file of an export.
    #[error("{} is not what the export's deed says; ask for the export again", .0.display())]
    NotExported(PathBuf),
    /// The history that a node told.
    #[error(transparent)]
    History(#[from] terachat_cluster::ChronicleError),
    /// A file is not there.
    #[error("there is no such file in the cluster; check the reference, or put the file again")]
    NoFile,
    /// A piece of a file is not there.
    #[error("piece {0} of the file is not in the cluster; it was forgotten, or the file was never put whole")]
    Missing(u64),
}

impl Error {
    /// The rollback guard's word on the folder.
    pub(crate) fn rollback(folder: &std::path::Path, error: RollbackError) -> Self {
        match error {
            RollbackError::RolledBack { by } => Self::OlderCopy {
                folder: folder.to_owned(),
                why: format!("{by} later checkpoints of it were made"),
            },
            RollbackError::Counter(error) => Self::Counter(error),
            other => Self::OlderCopy { folder: folder.to_owned(), why: other.to_string() },
        }
    }
}
