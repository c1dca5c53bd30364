use super::{
    AttachmentCommand, BoardCommand, BundleCommand, CardCommand, CategoryCommand, ChannelCommand, DemoArgs,
    DeviceCommand, ImportArgs, KeysCommand, ListenArgs, MemberCommand, OrderArgs, ReadArgs, RoleCommand,
    SendArgs, SpaceCommand, SyncArgs,
};
use clap::{Subcommand, value_parser};
use std::path::PathBuf;

/// One verb.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a new profile: a user and this device, sealed under a passphrase
    Init {
        /// Your name, as others will see it
        #[arg(long)]
        name: String,
    },
    /// Show this device's card, to be handed to whoever invites you
    Whoami {
        /// Also for post-quantum spaces; the card is some 3,600 characters longer then
        #[arg(long)]
        post_quantum: bool,
    },
    /// Leave key packages on a board, so that whoever knows you can invite you without a card; show what is left of them, and who
    /// invited you by that
    #[command(subcommand)]
    Card(CardCommand),
    /// Create spaces
    #[command(subcommand)]
    Space(SpaceCommand),
    /// Create channels, name and describe them, put them where they belong; choose which of them this device keeps
    #[command(subcommand)]
    Channel(ChannelCommand),
    /// Create and rename the categories that channels stand in
    #[command(subcommand)]
    Category(CategoryCommand),
    /// Admit the owner of a card to a space, or of many cards at once; prints the invitations to hand back
    Invite {
        /// What `terachat whoami` showed to the newcomer
        #[arg(required_unless_present_any = ["cards", "person"])]
        card: Option<String>,
        /// A file with cards, one a line; `-` takes them from standard input. All are looked at before anybody is admitted,
        /// and hundreds are by one commit. The invitations come in the same order
        #[arg(long, value_name = "FILE", conflicts_with = "card")]
        cards: Option<PathBuf>,
        /// Instead of a card: a person whose devices left key packages on a board (`terachat card publish`), all of which are
        /// admitted. A user's id as `terachat whoami --json` shows it, an old card, or the name of a member of any space here
        #[arg(long, value_name = "WHO", conflicts_with_all = ["card", "cards"])]
        person: Option<String>,
        /// The folder that is the board on which the person is looked up; or name a cluster
        #[arg(long, value_name = "DIR", requires = "person", conflicts_with = "cluster")]
        folder: Option<PathBuf>,
        /// Rank 0 (may read) to 100 (owner), below your own; 10 (member) by default
        #[arg(long, value_parser = value_parser!(u8).range(0..=100))]
        rank: Option<u8>,
        #[command(flatten)]
        order: OrderArgs,
    },
    /// Accept an invitation; the space fills at the next sync with a member
    Join {
        /// What `terachat invite` gave; or, of an invitation that came by a board, the space's name or the beginning of its id
        invitation: String,
    },
    /// List or remove members
    #[command(subcommand)]
    Member(MemberCommand),
    /// List your devices, admit a further one, take one back
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Show roles, give them to members, change what they permit
    #[command(subcommand)]
    Role(RoleCommand),
    /// Require an archive that members see, put legal holds, export what the archive keeps, verify an export
    #[command(subcommand)]
    Archive(super::ArchiveCommand),
    /// Post a message; `@NAME` mentions a member, `@everyone` all
    Send(SendArgs),
    /// Show which files messages carry, and fetch them from the organisation's cluster
    #[command(subcommand)]
    Attachment(AttachmentCommand),
    /// List a forum's posts, those with the latest answers first
    Forum {
        /// Only posts with this tag; several times: with all of them
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
        /// Go on behind this post, the last of the page before
        #[arg(long, value_name = "POST")]
        after: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 25)]
        limit: u32,
    },
    /// Give a forum's post another title and other tags
    Retitle {
        /// Id of the post, or its beginning
        message: String,
        /// 1 to 200 characters
        title: String,
        /// A tag; several times for up to eight
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
    },
    /// Say that you have read up to a message; the other members see it
    Mark {
        /// Id of the message, or its beginning; the newest when left out
        message: Option<String>,
    },
    /// Answer a message
    Reply {
        /// Its id, as `terachat read` shows it
        message: String,
        /// The text; `-` takes it from standard input
        body: String,
    },
    /// Replace the text of a message of your own
    Edit {
        /// Its id, as `terachat read` shows it
        message: String,
        /// The new text; `-` takes it from standard input
        body: String,
    },
    /// Delete a message of your own or, with the permission moderate, anybody's
    ///
    /// Its place stays, and so do its answers. It is shown no more, but not erased: `terachat log`, backups and
    /// devices that have not heard of it keep the text.
    Delete {
        /// Its id, as `terachat read` shows it
        message: String,
    },
    /// React to a message
    React {
        /// Its id, as `terachat read` shows it
        message: String,
        /// The reaction, as one emoji or a short word
        emoji: String,
        /// Take your reaction back
        #[arg(long)]
        remove: bool,
    },
    /// Pin a message
    Pin {
        /// Its id, as `terachat read` shows it
        message: String,
        /// Unpin it
        #[arg(long)]
        remove: bool,
    },
    /// Show messages, the newest by default
    Read(ReadArgs),
    /// Find messages by their words
    ///
    /// Words must all occur. "quoted words" stand side by side, word* matches the beginning, -word excludes,
    /// author:name narrows to one author, in:channel to one channel, after:2004-12-25 and before:2005-01-01 to a time
    /// (UTC, a day or a moment like 2004-12-25T09:14), has:attachment to files, mentions:name to who is mentioned, by
    /// name or with everyone (mentions:me, mentions:everyone), rank:50 to authors who have that rank today, or a higher
    /// one.
    Search {
        /// What to look for
        query: String,
        /// As it was at a time (UTC): a day or a moment like 2004-12-25T09:14
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
        /// Most hits to show
        #[arg(long, default_value_t = 20, value_parser = value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Bring a chat log in; can be stopped and restarted at any time
    Import(ImportArgs),
    /// Show the signed chain of events: the space's own, or a channel's with --channel
    Log {
        /// As it was at a time (UTC): a day or a moment like 2004-12-25T09:14; or at an event, by its id
        #[arg(long, value_name = "TIME", conflicts_with = "why")]
        at: Option<String>,
        /// Most events to show
        #[arg(long, default_value_t = 50, value_parser = value_parser!(u32).range(1..=1_000_000))]
        limit: u32,
        /// Instead of the chain, say why this event counts or not, and by which events
        #[arg(long, value_name = "EVENT", conflicts_with = "limit")]
        why: Option<String>,
    },
    /// Replay everything from the first event on and compare; fails with an alarm if anything differs
    ///
    /// With --map and --compare two devices find out where they differ, down to the message.
    Audit(super::AuditArgs),
    /// Show spaces, channels, members and the hashes of their states
    Status,
    /// Stay connected: deliver what is written here, show what arrives, serve the other commands
    Listen(ListenArgs),
    /// Exchange everything with peers, then end
    Sync(SyncArgs),
    /// Carry a space by file where no network reaches
    #[command(subcommand)]
    Bundle(BundleCommand),
    /// Exchange with devices that are online at other times, by a folder that all can reach or by the organisation's cluster
    #[command(subcommand)]
    Board(BoardCommand),
    /// Check, compact, back up or restore everything that is kept
    #[command(subcommand)]
    Store(super::StoreCommand),
    /// What opens this profile: its passphrase, a key file; and its keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Keep secrets and biometric templates, sealed, and serve them over HTTP
    Vault(Box<super::VaultArgs>),
    /// Make and run one node of the organisation's own storage
    Node(Box<super::NodeArgs>),
    /// Use the organisation's own storage, or run all of it on this machine
    Cluster(Box<super::ClusterArgs>),
    /// Show all of it at work: several devices, a crash, a removal, and what held
    Demo(DemoArgs),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages
    Man {
        /// Folder to write them to
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}
