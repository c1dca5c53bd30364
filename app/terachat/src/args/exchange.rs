//! How devices come by what others have said: from each other, by files, by boards, by a cluster.
use clap::{Args, Subcommand, value_parser};
use std::path::PathBuf;

/// The cluster that says whose change comes first.
#[derive(Debug, Args)]
pub(crate) struct OrderArgs {
    /// Have this cluster put the change in order with those that other members make at the same time, so that none has to be made twice:
    /// the folder of `terachat cluster join` or `terachat cluster up` on this machine. What others left there is fetched before, and the
    /// change is left there at once
    #[arg(long, value_name = "DIR")]
    pub(crate) cluster: Option<PathBuf>,
    /// Key file of the cluster's client; by default the one in that folder
    #[arg(long, value_name = "FILE", requires = "cluster")]
    pub(crate) cluster_key: Option<PathBuf>,
}

/// The cluster that has the bytes of files.
#[derive(Debug, Args)]
pub(crate) struct ClusterClientArgs {
    /// The cluster that keeps the files' bytes: the folder of `terachat cluster join` or `terachat cluster up` on this machine
    #[arg(long, value_name = "DIR")]
    pub(crate) cluster: Option<PathBuf>,
    /// Key file of the cluster's client; by default the one in that folder
    #[arg(long, value_name = "FILE", requires = "cluster")]
    pub(crate) cluster_key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ListenArgs {
    /// Where others can reach this device: 127.0.0.1:4001, [::]:4001, or port 0 for any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) listen: String,
    /// A device to stay connected to; may be given several times
    #[arg(long = "peer", value_name = "ADDR")]
    pub(crate) peers: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct SyncArgs {
    /// A device to exchange with; may be given several times
    #[arg(long = "peer", value_name = "ADDR", required = true)]
    pub(crate) peers: Vec<String>,
    /// Be reachable meanwhile, as with `terachat listen`
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// End when both sides have the same (the default)
    #[arg(long, conflicts_with = "follow")]
    pub(crate) until_idle: bool,
    /// Stay connected, as `terachat listen` does
    #[arg(long)]
    pub(crate) follow: bool,
    /// Give up after so many seconds in which nothing arrives
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = value_parser!(u32).range(1..=86_400))]
    pub(crate) patience: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BundleCommand {
    /// Write everything of a space to a file
    Export {
        /// Where to
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Apply such a file
    Import {
        /// The file
        file: PathBuf,
    },
}

/// The folder is a board: on a common disk, kept in step by any program, or on a stick that is carried around. It holds
/// sealed records and is trusted with nothing.
#[derive(Debug, Subcommand)]
pub(crate) enum BoardCommand {
    /// Leave there what is not there yet, without looking at what others left
    Publish(BoardArgs),
    /// Take in what others left there
    Fetch(BoardArgs),
    /// Both: fetch, then publish
    Sync(BoardArgs),
}

/// Which board.
#[derive(Debug, Args)]
pub(crate) struct BoardArgs {
    /// The board's folder; to publish, one that is empty or not there becomes a board
    #[arg(long, value_name = "DIR", required_unless_present = "cluster", conflicts_with = "cluster")]
    pub(crate) folder: Option<PathBuf>,
    /// The cluster that is the board: the folder of `terachat cluster join` or `terachat cluster up` on this machine
    #[arg(long, value_name = "DIR")]
    pub(crate) cluster: Option<PathBuf>,
    /// Key file of the cluster's client; by default the one in that folder
    #[arg(long, value_name = "FILE", conflicts_with = "folder")]
    pub(crate) cluster_key: Option<PathBuf>,
}

/// Being invited without a card.
#[derive(Debug, Subcommand)]
pub(crate) enum CardCommand {
    /// Leave key packages there, and keep leaving them with every `terachat board publish` and `sync` on the same board
    ///
    /// Whoever knows your user id and can read the board can invite you by them, once by each; one of last resort is for when all
    /// are used. Whoever keeps the board learns neither whose they are nor who invites whom.
    Publish {
        #[command(flatten)]
        board: BoardArgs,
        /// Also for post-quantum spaces
        #[arg(long)]
        post_quantum: bool,
    },
    /// Show what is left of them, and the invitations that came, which `terachat join` accepts
    Status,
    /// Leave no more anywhere; those that stand on boards can be used until they expire
    Withdraw,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// A log to import instead of the small sample
    #[arg(long, value_name = "FILE")]
    pub(crate) import: Option<PathBuf>,
    /// How many devices take part
    #[arg(long, default_value_t = 4, value_parser = value_parser!(u8).range(3..=16))]
    pub(crate) devices: u8,
    /// Keep the profiles and logs in this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
}
