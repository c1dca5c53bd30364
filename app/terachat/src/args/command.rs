use clap::{Args, Subcommand, value_parser};
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

/// A ciphersuite as people choose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SuiteName {
    /// X-Wing.
    PostQuantum,
    /// X25519.
    Classic,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SpaceCommand {
    /// Create a space that you own
    Create {
        /// 1 to 100 characters
        name: String,
        /// Agree on keys by X-Wing (X25519 and ML-KEM-768), so that what is recorded today stays closed to the quantum
        /// computers of later. Commits are some ten times as long, messages as short as ever. `terachat space reinit` changes it
        #[arg(long)]
        post_quantum: bool,
    },
    /// Move the space to another ciphersuite, with history, members and roles. Each device offers keys for it when it hears of
    /// this, and whoever asked moves the space once all have; `terachat status` shows for whom it waits. Takes the permission
    /// manage-suite, which is the owner's until it is given
    Reinit {
        /// `post-quantum` agrees on keys by X-Wing (X25519 and ML-KEM-768), `classic` by X25519 alone
        #[arg(long, value_name = "SUITE")]
        suite: SuiteName,
        /// Move it now, without the devices that have offered no keys: they enter by themselves once they meet a member
        #[arg(long)]
        now: bool,
        #[command(flatten)]
        order: OrderArgs,
    },
    /// Give the space another name
    Rename {
        /// 1 to 100 characters
        name: String,
    },
    /// Renew this device's keys now: whoever copied them reads nothing that is written from now on. A device does so by
    /// itself when it writes and they are as old as the space lets them get, see `terachat space renewal`
    Renew {
        #[command(flatten)]
        order: OrderArgs,
    },
    /// Show when the space's keys are renewed by themselves, or say so: by whoever writes once one of both has come. To say it
    /// takes the permission manage-suite, which is the owner's until it is given. Every change of who is a member renews them, too
    Renewal {
        /// How old a device's keys get: 1 to 365 days. With more than 64 times as many devices it is later, so that there are at
        /// most 64 renewals a day
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..=365))]
        days: Option<u16>,
        /// How many messages, edits and reactions are sealed with the same keys: 100 to 1,000,000
        #[arg(long, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
        messages: Option<u32>,
    },
    /// Take this device's place among the holders of the keys again, after they were lost or damaged: with the next member that
    /// it talks to (`terachat sync`). For a member's device only
    Rejoin,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CategoryCommand {
    /// Create a category
    Create {
        /// 1 to 100 characters
        name: String,
    },
    /// Give a category another name
    Rename {
        /// Category name, id or the beginning of the id
        category: String,
        /// 1 to 100 characters
        name: String,
    },
}

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

#[derive(Debug, Subcommand)]
pub(crate) enum MemberCommand {
    /// Remove a user with all devices
    Remove {
        /// User name, id or the beginning of the id
        member: String,
        #[command(flatten)]
        order: OrderArgs,
    },
    /// List the members
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// List your devices, or a member's, with the spaces they are in
    List {
        /// Whose: user name, id or the beginning of the id; yours when left out
        member: Option<String>,
    },
    /// Admit a further device of yours to every space that this one is in; prints an invitation to each
    ///
    /// The device is made from a backup: `terachat store export` here, `terachat store import` there, and there
    /// `terachat whoami` shows its card.
    Add {
        /// What `terachat whoami` showed on the new device
        card: String,
        #[command(flatten)]
        order: OrderArgs,
    },
    /// Take a device of yours back, for good, in every space
    ///
    /// What it wrote up to now stays as far as this device has it; everything beyond counts for nothing, however it is
    /// dated. Whoever has the device keeps what it could read.
    Revoke {
        /// Id of the device, or its beginning, as `terachat device list` shows it
        device: String,
        #[command(flatten)]
        order: OrderArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RoleCommand {
    /// Show what roles permit and who has them
    Show,
    /// Give a member another rank, and so another role
    Set {
        /// User name, id or the beginning of the id
        member: String,
        /// 0 (may read) to 100 (owner)
        #[arg(value_parser = value_parser!(u8).range(0..=100))]
        rank: u8,
    },
    /// Give a role permissions, for all who have it
    ///
    /// Takes the permission manage-roles and a higher rank; nobody gives what their own role lacks.
    Give {
        /// The role, by its rank: 0 to 99
        #[arg(value_parser = value_parser!(u8).range(0..=99))]
        role: u8,
        /// What its members may do from now on
        #[arg(required = true, value_parser = permissions())]
        permissions: Vec<String>,
    },
    /// Take permissions from a role, from all who have it
    ///
    /// What they did by them up to now stays as far as this device has it; everything beyond counts for nothing, however it is
    /// dated. Takes the permission manage-roles and a higher rank.
    Take {
        /// The role, by its rank: 0 to 99
        #[arg(value_parser = value_parser!(u8).range(0..=99))]
        role: u8,
        /// What its members may not do any more
        #[arg(required = true, value_parser = permissions())]
        permissions: Vec<String>,
    },
}

/// What permissions are called; the client knows no others.
fn permissions() -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(terachat_client::api::permission_names())
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

/// What guards a profile's keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Show which kinds of sources open the profile
    Sources,
    /// Let one more source open the profile, or replace the one of its kind
    Guard {
        #[command(flatten)]
        source: super::NewSource,
    },
    /// No longer let a kind of source open the profile
    Unguard {
        /// passphrase, file, keychain, tpm, pkcs11 or recovery
        kind: String,
    },
    /// A new master key: from now on only this source opens the profile
    Master {
        #[command(flatten)]
        source: super::NewSource,
    },
    /// A new key-encrypting key; what opens the profile stays as it is
    Rotate,
    /// Make a recovery key that opens the profile, and split it: any M of N shares join
    ///
    /// Each keeper gets one share. A new key makes the shares of the one before worthless. To open with shares: --master-key
    /// recovery:FILE,FILE
    Recovery(super::RecoveryArgs),
    /// Give the profile another counter, where it moved to another machine on purpose or its counter is lost
    ///
    /// The counter tells when the folder is an older copy, which would sign numbers twice. Adopt one only for the newest copy
    /// there is, and use no other copy any more. The counter is the one that --counter names, a file by default.
    Adopt,
}
