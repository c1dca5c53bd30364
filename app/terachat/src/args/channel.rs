//! Channels.
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum ChannelCommand {
    /// Create a channel
    Create {
        /// 1 to 100 characters
        name: String,
        /// For posts with titles and tags, each with a conversation of its own
        #[arg(long)]
        forum: bool,
        /// Who reads what was said before: `shared`, every member; `since-join`, nobody who came later. It stays so
        #[arg(long, default_value = "shared", value_parser = ["shared", "since-join"])]
        history: String,
    },
    /// Give a channel another name
    Rename {
        /// Channel name, id or the beginning of the id
        channel: String,
        /// 1 to 100 characters
        name: String,
    },
    /// Say what a channel is about
    Topic {
        /// Channel name, id or the beginning of the id
        channel: String,
        /// Up to 1,000 characters; empty takes the old one away
        topic: String,
    },
    /// Put a channel into a category and behind another channel
    Place {
        /// Channel name, id or the beginning of the id
        channel: String,
        /// The category; without it the channel stands in none
        #[arg(long)]
        category: Option<String>,
        /// The channel behind which it stands; without it before all others
        #[arg(long)]
        after: Option<String>,
    },
    /// List the channels and whether this device keeps them
    List {
        /// Only those that this device keeps
        #[arg(long)]
        kept: bool,
    },
    /// Have this device keep these channels too; what it lacks of them comes at the next sync
    ///
    /// At first a device keeps all channels.
    Keep {
        /// Channel names, ids or beginnings of ids
        #[arg(required_unless_present = "all", value_name = "CHANNEL")]
        channels: Vec<String>,
        /// Keep these and no other, also none that others create later
        #[arg(long, conflicts_with = "all")]
        only: bool,
        /// Keep all channels there are and will be
        #[arg(long, conflicts_with = "channels")]
        all: bool,
    },
    /// Have this device read the newest messages of these channels, and older ones when somebody reads back to where they begin
    ///
    /// For a device with little room or a thin line. It does not write in them, nor pass them on; `terachat channel keep` brings
    /// all that was said there.
    Newest {
        /// Channel names, ids or beginnings of ids
        #[arg(required = true, value_name = "CHANNEL")]
        channels: Vec<String>,
    },
    /// Have this device keep these channels no more: it neither asks for them nor passes them on
    ///
    /// What it has of them stays readable until `terachat channel drop`. A device that lacks channels removes and demotes
    /// nobody: it cannot say where somebody's messages end there.
    LeaveOut {
        /// Channel names, ids or beginnings of ids
        #[arg(required = true, value_name = "CHANNEL")]
        channels: Vec<String>,
    },
    /// Remove from the disk what this device has of a channel that it left out
    ///
    /// It can be taken back with `terachat channel keep`, from any device that has it.
    Drop {
        /// Channel name, id or the beginning of the id
        channel: String,
        /// Also if no other device is known to have all of it; what nobody else has is gone then
        #[arg(long)]
        last_copy: bool,
    },
}
