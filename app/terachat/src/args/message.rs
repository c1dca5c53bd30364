//! Messages, what narrows them, and what they carry.
use super::ClusterClientArgs;
use clap::{Args, Subcommand, value_parser};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    /// The text; `-` takes it from standard input. May be left out where there are files
    #[arg(required_unless_present = "files")]
    pub(crate) body: Option<String>,
    /// A title, for a post in a forum
    #[arg(long)]
    pub(crate) title: Option<String>,
    /// A tag of the title; several times for up to eight
    #[arg(long = "tag", value_name = "TAG", requires = "title")]
    pub(crate) tags: Vec<String>,
    /// A file that belongs to the message; several times for up to 16
    ///
    /// With --cluster its bytes are stored there, sealed under a key that only the message has, and the message is posted when all of
    /// them are. Broken off, the same command goes on where it was. Without --cluster only name, type, length and hash are posted.
    #[arg(long = "attach", value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) cluster: ClusterClientArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    /// Go on showing what arrives; needs a running `terachat listen`
    #[arg(long, conflicts_with_all = ["before", "after", "around", "at", "FilterArgs"])]
    pub(crate) follow: bool,
    /// As it was at a time (UTC), by what its authors claim: a day or a moment like 2004-12-25T09:14; or at an event, by its id,
    /// with all that it builds on
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    /// Only this message and what answers it
    #[arg(long, value_name = "ID", conflicts_with = "FilterArgs")]
    pub(crate) thread: Option<String>,
    /// The page that ends before this message
    #[arg(long, value_name = "ID", conflicts_with_all = ["after", "around"])]
    pub(crate) before: Option<String>,
    /// The page that begins after this message
    #[arg(long, value_name = "ID", conflicts_with = "around")]
    pub(crate) after: Option<String>,
    /// The page with this message in its middle
    #[arg(long, value_name = "ID")]
    pub(crate) around: Option<String>,
    /// Only pinned messages
    #[arg(long, conflicts_with = "FilterArgs")]
    pub(crate) pinned: bool,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Most messages to show
    #[arg(long, default_value_t = 50, value_parser = value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct FilterArgs {
    /// Only what this member wrote or imported, present or former: name, id or the beginning of the id
    #[arg(long, value_name = "NAME")]
    pub(crate) from: Option<String>,
    /// Only from members who have this rank today, or a higher one
    #[arg(long, value_name = "N", value_parser = value_parser!(u8).range(0..=100))]
    pub(crate) min_rank: Option<u8>,
    /// Only from this time on (UTC): a day or a moment like 2004-12-25T09:14; what was imported, since its import
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only before this time, likewise
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Only messages that carry this
    #[arg(long, value_name = "WHAT")]
    pub(crate) has: Option<Carried>,
    /// Only messages that mention this member, by name or with everyone; `me` for you, `everyone` for all
    #[arg(long, value_name = "NAME")]
    pub(crate) mentions: Option<String>,
}

/// What a message may carry besides its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Carried {
    /// A file
    Attachment,
}

/// A log is one JSON object a line: id (ascending), ts (RFC 3339), type (message, action, join, leave, rename), author,
/// body, and reply_to where it answers.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The log, plain or gzipped; `-` takes it from standard input
    pub(crate) file: PathBuf,
    /// Pass over lines that cannot be read, and count them
    #[arg(long)]
    pub(crate) skip_bad: bool,
    /// Records in one durable commit
    #[arg(long, default_value_t = 1024, value_parser = value_parser!(u32).range(1..=1024))]
    pub(crate) batch: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AttachmentCommand {
    /// List the files that messages of a channel carry, those of the newest messages last
    List {
        /// Only those of this message: its id, as `terachat read` shows it
        message: Option<String>,
        /// Most messages to look at
        #[arg(long, default_value_t = 50, value_parser = value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Fetch the files of a message
    ///
    /// Each chunk is verified when it comes. Until a file is whole it is beside its place, with .part behind its name; broken off, the
    /// same command goes on where it was.
    Fetch(FetchArgs),
}

#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// Id of the message, as `terachat read` shows it
    pub(crate) message: String,
    /// Only the file with this name
    pub(crate) name: Option<String>,
    /// Where to: a file, or a folder that is there; by default the present folder, under the files' own names
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cluster: ClusterClientArgs,
}
