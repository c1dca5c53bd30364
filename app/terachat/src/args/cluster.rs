use clap::{Args, Subcommand, value_parser};
use std::path::PathBuf;
use std::time::Duration;

/// The organisation's own storage: files cut into shards that stand on many nodes, none of which has enough to read one.
#[derive(Debug, Args)]
pub(crate) struct ClusterArgs {
    /// The cluster's folder on this machine; by default `terachat-cluster` in the system's folder for application data
    #[arg(long, global = true, env = "TERACHAT_CLUSTER", value_name = "DIR", hide_env_values = true)]
    pub(crate) folder: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: ClusterCommand,
}

/// One verb of the cluster's.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Run a whole cluster on this machine: each node a process of its own, until it is told to end
    ///
    /// Started again on the same folder it goes on. Node N is in the folder node-N with its key in keys/node-N.key, so that it can
    /// be stopped and started alone with `terachat node run`. How they work is said by TERACHAT_NODE_..., see `terachat node run --help`.
    Up(Box<UpArgs>),
    /// Become a client of a cluster elsewhere, with a ticket of `terachat node invite --client`
    Join {
        /// What `terachat node invite --client` printed
        ticket: String,
    },
    /// Show the nodes, how whole everything is, and what this size of cluster promises
    Status {
        /// Go on: show it again every second
        #[arg(long)]
        watch: bool,
    },
    /// Put a file; prints the reference by which it is found and opened, so keep it as you would the file
    Put {
        /// The file; `-` takes standard input
        file: PathBuf,
    },
    /// Get a file by its reference
    Get {
        /// What `terachat cluster put` printed
        reference: String,
        /// Where to; without it, standard output. A try that was broken off is gone on with
        #[arg(long, short, value_name = "FILE")]
        out: Option<PathBuf>,
        /// From a folder that `terachat node export` wrote, instead of the nodes
        #[arg(long, value_name = "DIR", requires = "out")]
        exported: Option<PathBuf>,
    },
    /// Print under which names a file is kept, one a line, for `terachat node hold`
    Items {
        /// What `terachat cluster put` printed
        reference: String,
    },
    /// Replay the cluster's history on every node and compare what comes out; fails if anything differs
    Audit,
    /// Show the cluster's history: who did what to it and when, what was given out, what the nodes run
    ///
    /// It is replayed here, so that no node's word is taken for it.
    History,
    /// Check a folder that `terachat node export` wrote: the deed's signature, and every file; needs no node
    Verify {
        /// The folder
        export: PathBuf,
    },
    /// Have every node read all its shards again now; fails if something has rotted, or a node does not answer
    ///
    /// Each node does so by itself all the time, at its --scrub-rate. What has rotted is made anew from the others by itself.
    Scrub,
}

/// How a cluster on this machine is run.
#[derive(Debug, Clone, Args)]
pub(crate) struct UpArgs {
    /// How many nodes, 1 to 32; by default as many as there are, or 7
    #[arg(long, value_name = "N", value_parser = value_parser!(u8).range(1..=32))]
    pub(crate) nodes: Option<u8>,
    // For nodes that are made now.
    #[command(flatten)]
    pub(crate) shards: super::node::ShardsArgs,
    // The same for all nodes there will be.
    #[command(flatten)]
    pub(crate) ledger: super::LedgerArgs,
    /// How long the nodes may take to come up together, 1s to 1h
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = super::vault::time)]
    pub(crate) patience: Duration,
}
