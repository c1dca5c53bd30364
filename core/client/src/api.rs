//! What a device can be asked and what it answers: the one list of verbs behind the command line, the local
//! socket and every binding. Plain values, all serialisable; names select by exact name, id or unique id prefix.
use serde::{Deserialize, Serialize};

/// A channel, named by space and channel; either may be left out where there is exactly one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Space: its name, id or unique id prefix.
    pub space: Option<String>,
    /// Channel: its name, id or unique id prefix.
    pub channel: Option<String>,
}

/// A change of a space's layout. Channels and categories are named by name, id or unique id prefix; names are 1 to 100
/// characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arrangement {
    /// Creates a category.
    CreateCategory {
        /// Its name.
        name: String,
    },
    /// Renames the space: takes rank 80, all else rank 50.
    RenameSpace {
        /// The new name.
        name: String,
    },
    /// Renames a category.
    RenameCategory {
        /// Which.
        category: String,
        /// The new name.
        name: String,
    },
    /// Renames a channel.
    RenameChannel {
        /// Which.
        channel: String,
        /// The new name.
        name: String,
    },
    /// Says what a channel is about.
    Topic {
        /// Which.
        channel: String,
        /// Up to 1,000 characters; empty takes the old one away.
        topic: String,
    },
    /// Puts a channel elsewhere.
    Place {
        /// Which.
        channel: String,
        /// The category it stands in from now on; in none when absent.
        category: Option<String>,
        /// The channel behind which it stands; before all others when absent.
        after: Option<String>,
    },
}

/// Conditions on the messages of a page; all that are set must be met. A deleted message meets those on its author and
/// time only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MessageFilter {
    /// Signed by this user, present or former: name, id or unique id prefix.
    pub from: Option<String>,
    /// Signed by a present member who has at least this rank today: 0 to 100.
    pub min_rank: Option<u8>,
    /// Written at this time or later: a day, or a minute or second of it, in UTC (2004-12-25T09:14). For an imported
    /// message this is when it was imported.
    pub since: Option<String>,
    /// Written before this time; as above.
    pub until: Option<String>,
    /// With an attachment.
    pub has_attachment: bool,
    /// Mentions this user, by name or with everyone: name, id or unique id prefix, or `me`. `everyone`: what mentions
    /// all.
    pub mentions: Option<String>,
}

/// One verb with its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// This device's card, to be handed to whoever invites it. Answer: [`Answer::Card`].
    WhoAmI,
    /// Creates a space owned by this user. Answer: [`Answer::Space`].
    SpaceCreate {
        /// 1 to 100 characters.
        name: String,
    },
    /// Creates a channel. Answer: [`Answer::Channel`].
    ChannelCreate {
        /// The space, as in [`Place`].
        space: Option<String>,
        /// 1 to 100 characters, unique among what the caller sees.
        name: String,
        /// Whether it is for posts with titles.
        forum: bool,
    },
    /// Changes how a space is laid out. Answer: [`Answer::Done`].
    Arrange {
        /// The space, as in [`Place`].
        space: Option<String>,
        /// How.
        change: Arrangement,
    },
    /// Spaces, channels and members that this device knows, with state hashes and sizes. Answer: [`Answer::Status`].
    Status,
    /// Admits the user of a card. Answer: [`Answer::Invitation`].
    Invite {
        /// The space, as in [`Place`].
        space: Option<String>,
        /// What [`Request::WhoAmI`] gave the newcomer.
        card: String,
        /// Rank 0 to 100, below the caller's own; 10 (member) when absent.
        rank: Option<u8>,
    },
    /// Accepts an invitation; the space fills at the next sync with a member. Answer: [`Answer::Joined`].
    Join {
        /// What [`Request::Invite`] gave.
        invitation: String,
    },
    /// Removes a user with all devices. Answer: [`Answer::Done`].
    MemberRemove {
        /// The space, as in [`Place`].
        space: Option<String>,
        /// User name, id or unique id prefix.
        member: String,
    },
    /// Sets a user's rank. Answer: [`Answer::Done`].
    RoleSet {
        /// The space, as in [`Place`].
        space: Option<String>,
        /// User name, id or unique id prefix.
        member: String,
        /// 0 (may read) to 100 (owner).
        rank: u8,
    },
    /// Posts a message, or a reply when `reply_to` is given. Answer: [`Answer::Sent`].
    Send {
        /// The channel.
        place: Place,
        /// 1 byte to 64 KiB of UTF-8.
        body: String,
        /// A message's id or unique id prefix.
        reply_to: Option<String>,
    },
    /// Posts a message that may carry more than text. Answer: [`Answer::Sent`].
    Post {
        /// The channel.
        place: Place,
        /// The message.
        post: NewPost,
    },
    /// Gives a forum's post another title and other tags; somebody else's takes rank 50. Answer: [`Answer::Sent`].
    Retitle {
        /// The channel.
        place: Place,
        /// The post: id or unique id prefix.
        message: String,
        /// A line of 1 to 200 characters.
        title: String,
        /// At most eight, each a line of 1 to 32 characters.
        tags: Vec<String>,
    },
    /// A forum's posts, those with the latest answers first. Answer: [`Answer::Posts`].
    Forum {
        /// The channel.
        place: Place,
        /// Only posts with all of these.
        tags: Vec<String>,
        /// The last post of the page before.
        after: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// Says that this user has read all up to a message, which the other members see. Answer: [`Answer::Sent`].
    Mark {
        /// The channel.
        place: Place,
        /// The message: id or unique id prefix; the newest when absent.
        message: Option<String>,
    },
    /// Replaces the body of one's own message. Answer: [`Answer::Sent`].
    Edit {
        /// The channel.
        place: Place,
        /// The message's id.
        message: String,
        /// The new body, as in [`Request::Send`].
        body: String,
    },
    /// Deletes a message, one's own or, from rank 50, anybody's: its place stays, its text is shown no more. Answer:
    /// [`Answer::Sent`].
    Delete {
        /// The channel.
        place: Place,
        /// The message's id.
        message: String,
    },
    /// Adds or takes back a reaction. Answer: [`Answer::Sent`].
    React {
        /// The channel.
        place: Place,
        /// The message's id.
        message: String,
        /// 1 to 32 bytes.
        emoji: String,
        /// Takes one's own reaction back.
        remove: bool,
    },
    /// Pins or unpins a message. Answer: [`Answer::Sent`].
    Pin {
        /// The channel.
        place: Place,
        /// The message's id.
        message: String,
        /// Unpins.
        remove: bool,
    },
    /// A page of messages, oldest first. Answer: [`Answer::Messages`].
    Read {
        /// The channel.
        place: Place,
        /// Most messages in the page.
        limit: usize,
        /// Ends before this message. At most one of `before`, `after` and `around`; the newest page without any.
        before: Option<String>,
        /// Starts after this message.
        after: Option<String>,
        /// Has this message in its middle, as far as there are enough on both sides.
        around: Option<String>,
        /// Only this message and what replies to it, directly or not.
        thread: Option<String>,
        /// Only pinned messages.
        pinned: bool,
        /// Only what meets these conditions; neither with `thread` nor with `pinned`.
        #[serde(default)]
        filter: Box<MessageFilter>,
    },
    /// Full-text search, best first. Answer: [`Answer::Hits`].
    Search {
        /// Where; all channels of all spaces when empty.
        place: Place,
        /// Words, "phrases", prefix*, -word, author:name, in:channel, after:2004-12-25, before:2004-12-25T09:14 (UTC),
        /// has:attachment, mentions:name (or me, everyone), rank:50 (that or more).
        query: String,
        /// Most hits.
        limit: usize,
    },
    /// How far an import has come. Answer: [`Answer::ImportPosition`].
    ImportPosition {
        /// The channel.
        place: Place,
        /// Fingerprint of the file that is imported.
        source: u64,
    },
    /// Appends records of a foreign log in one durable commit. Records up to the position are skipped, so a repeated
    /// call adds nothing twice. Answer: [`Answer::Imported`].
    Import {
        /// The channel.
        place: Place,
        /// Fingerprint of the file that is imported.
        source: u64,
        /// At most 4,096, ids ascending.
        records: Vec<ImportRecord>,
    },
    /// The signed event chain, newest last. Answer: [`Answer::Events`].
    Log {
        /// The channel, or only a space for its control log.
        place: Place,
        /// Most events.
        limit: usize,
    },
    /// Why an event counts or not, and which control events decide that. Answer: [`Answer::Why`].
    Why {
        /// The channel, or only a space for its control log.
        place: Place,
        /// The event's id as [`Request::Log`] gives it.
        event: String,
    },
    /// Replays everything from genesis, verifies every hash and signature and compares states. Answer: [`Answer::Audit`].
    Audit,
    /// Everything of a space as one file for those whom no network reaches. Answer: [`Answer::Bundle`].
    BundleExport {
        /// The space, as in [`Place`].
        space: Option<String>,
    },
    /// Applies such a file. Answer: [`Answer::BundleApplied`].
    BundleImport {
        /// What [`Request::BundleExport`] gave.
        bytes: Vec<u8>,
    },
    /// The hashes of everything in a space, for another member's device to compare. Answer: [`Answer::StateMap`].
    StateMap {
        /// The space, as in [`Place`].
        space: Option<String>,
    },
    /// Names what is not the same here and on the device whose map it is. Answer: [`Answer::Compared`].
    CompareStates {
        /// What [`Request::StateMap`] gave there.
        bytes: Vec<u8>,
    },
    /// Puts small commits together. Answer: [`Answer::Compacted`].
    Compact,
    /// Asks a question that stays: at most one of `thread`, `unread_after` and `search`; the whole channel without any.
    /// Answer: [`Answer::Live`].
    LiveOpen {
        /// The channel.
        place: Place,
        /// This message and what replies to it, directly or not.
        thread: Option<String>,
        /// What others wrote behind this message, in the order; with an empty text all they wrote.
        unread_after: Option<String>,
        /// As in [`Request::Search`].
        search: Option<String>,
        /// Only pinned messages.
        pinned: bool,
        /// Most messages in the first answer, the newest; what comes after is told whichever it is about.
        limit: usize,
    },
    /// What has come, changed and gone since the last answer. Answer: [`Answer::LiveChanges`].
    LiveChanges {
        /// What [`Request::LiveOpen`] gave.
        id: u64,
    },
    /// Forgets a question that stayed. Of more than 64 the oldest is forgotten. Answer: [`Answer::Done`].
    LiveClose {
        /// What [`Request::LiveOpen`] gave.
        id: u64,
    },
}

/// One record of a foreign chat log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportRecord {
    /// The record's id in the foreign log; ids ascend.
    pub id: u64,
    /// Original time in milliseconds since 1970.
    pub ts_ms: i64,
    /// What it is.
    pub style: Style,
    /// Original author's name.
    pub author: String,
    /// Text; the new name for a rename.
    pub body: String,
    /// The foreign id it answers.
    pub reply_to: Option<u64>,
}

pub use terachat_core_store::model::Style;

/// What a verb gives back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Done; nothing more to say.
    Done,
    /// This device.
    Card {
        /// The user's name, as chosen at `init`.
        name: String,
        /// User id, hexadecimal.
        user: String,
        /// Device id, hexadecimal.
        device: String,
        /// The card: one line of text.
        card: String,
    },
    /// A space that was created.
    Space {
        /// Its id, hexadecimal.
        id: String,
        /// Its name.
        name: String,
    },
    /// A channel that was created.
    Channel {
        /// Its id, hexadecimal.
        id: String,
        /// Its name.
        name: String,
    },
    /// An invitation: one line of text for the newcomer.
    Invitation {
        /// For [`Request::Join`].
        invitation: String,
    },
    /// An accepted invitation.
    Joined {
        /// The space's id, hexadecimal.
        space: String,
        /// Whether the space's content is already here.
        ready: bool,
    },
    /// A message, edit, reaction, pin or deletion that is durable on this device.
    Sent {
        /// The event's id, for replies, edits and reactions.
        id: String,
    },
    /// A forum's posts.
    Posts {
        /// Those with the latest answers first.
        posts: Vec<ForumPost>,
    },
    /// A page of messages.
    Messages {
        /// Oldest first.
        messages: Vec<Message>,
    },
    /// Search results.
    Hits {
        /// Best first.
        hits: Vec<Hit>,
    },
    /// How far an import has come.
    ImportPosition {
        /// The largest foreign id that is durable; 0 when none is.
        last_id: u64,
    },
    /// Imported records.
    Imported {
        /// Newly added.
        added: usize,
        /// Already there.
        skipped: usize,
    },
    /// Events of a chain.
    Events {
        /// In total order.
        events: Vec<EventLine>,
    },
    /// Why an event counts or not.
    Why(Box<Why>),
    /// What an audit found.
    Audit(AuditReport),
    /// What this device knows.
    Status(Status),
    /// A file for [`Request::BundleImport`].
    Bundle {
        /// Its bytes.
        bytes: Vec<u8>,
        /// Events inside.
        events: usize,
    },
    /// What a bundle file brought.
    BundleApplied {
        /// New events.
        added: usize,
        /// Events already here.
        known: usize,
        /// Events that wait (for a key, a parent, an author), with the reason.
        waiting: Vec<String>,
        /// Events that were refused, with the reason.
        refused: Vec<String>,
    },
    /// A file for [`Request::CompareStates`].
    StateMap {
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// What is not the same on two devices.
    Compared {
        /// The space's name.
        space: String,
        /// How many differences there are; 0 means equal states.
        count: usize,
        /// The first 1,000 of them.
        differences: Vec<StateDifference>,
    },
    /// A question that stays, with its answer so far.
    Live {
        /// For [`Request::LiveChanges`].
        id: u64,
        /// Oldest first.
        messages: Vec<Message>,
    },
    /// What happened to an answer, in the order in which it is to be applied.
    LiveChanges {
        /// One by one.
        changes: Vec<LiveChange>,
    },
    /// What was left on a board.
    BoardPublished(BoardPublished),
    /// What a board brought.
    BoardFetched(BoardFetched),
    /// What putting small commits together saved.
    Compacted {
        /// Bytes of the commit log before.
        before: u64,
        /// Bytes after.
        after: u64,
    },
}

/// What one call left on a board.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardPublished {
    /// Events.
    pub events: usize,
    /// Records that hold them, padded.
    pub records: usize,
    /// Their bytes.
    pub len: u64,
    /// Spaces and channels of which not everything was left, with the reason.
    pub skipped: Vec<String>,
    /// Whether there is more: call again.
    pub more: bool,
}

impl BoardPublished {
    /// Adds what the next call left.
    pub fn add(&mut self, next: Self) {
        self.events += next.events;
        self.records += next.records;
        self.len += next.len;
        (self.skipped, self.more) = (next.skipped, next.more);
    }
}

/// What one call took from a board.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardFetched {
    /// New events.
    pub added: usize,
    /// Events that were here already.
    pub known: usize,
    /// Parcels that were opened for the first time.
    pub parcels: usize,
    /// What waits (for a key, a parent, an author, a record), with the reason: the first 100. It is read again at each call.
    pub waiting: Vec<String>,
    /// How many records, parcels and parts of them were left aside: damaged, forged, or nothing a member would write.
    pub left: usize,
    /// Why, of the first 100.
    pub reasons: Vec<String>,
    /// Whether there is more: call again.
    pub more: bool,
}

impl BoardFetched {
    /// Adds what the next call took.
    pub fn add(&mut self, mut next: Self) {
        self.added += next.added;
        self.known += next.known;
        self.parcels += next.parcels;
        self.left += next.left;
        self.reasons.append(&mut next.reasons);
        self.reasons.truncate(Self::REASONS_MAX);
        (self.waiting, self.more) = (next.waiting, next.more);
    }

    /// Reasons that are told one by one.
    pub const REASONS_MAX: usize = 100;
}

/// One change of an answer that is followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LiveChange {
    /// A message that was not there.
    Insert {
        /// Id of the message it stands behind; absent at the beginning.
        after: Option<String>,
        /// The message.
        message: Message,
    },
    /// A message that reads otherwise now.
    Update {
        /// As it reads now.
        message: Message,
    },
    /// A message that is not there any more.
    Remove {
        /// Its id.
        id: String,
    },
}

/// Something that is not the same on two devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateDifference {
    /// `member`, `channel`, `message`, or `space` for what is none of them.
    pub what: String,
    /// Its id.
    pub id: String,
    /// The member's or channel's name as this device knows it; for a message its channel's.
    pub name: String,
    /// `differs`, `only here` or `only there`.
    pub side: String,
}

/// One message as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// Space id, hexadecimal.
    pub space: String,
    /// Channel name.
    pub channel: String,
    /// The name shown: the original author's for an imported record, else the user's.
    pub author: String,
    /// User id of who signed it, hexadecimal.
    pub user: String,
    /// Wall time in milliseconds since 1970, as its author claims; the original time for an imported record.
    pub ts_ms: i64,
    /// What it is.
    pub style: Style,
    /// Current text.
    pub body: String,
    /// Whether the text was edited.
    pub edited: bool,
    /// Id of the message it answers.
    pub reply_to: Option<String>,
    /// Emoji and how many users chose it, sorted by emoji.
    pub reactions: Vec<(String, usize)>,
    /// Whether it is pinned.
    pub pinned: bool,
    /// Whether it was deleted; then it has no text, reactions or pin.
    pub deleted: bool,
    /// Whether it came by import (then `user` is the importer).
    pub imported: bool,
    /// Depth below the thread's root; 0 outside thread views.
    pub depth: usize,
    /// Its title, if it is a forum's post.
    pub title: Option<String>,
    /// The title's tags, ascending.
    pub tags: Vec<String>,
    /// Names of those it mentions; `everyone` for all.
    pub mentions: Vec<String>,
    /// Files that belong to it.
    pub attachments: Vec<AttachedFile>,
    /// Names of those who have read up to here, and not further.
    pub read_by: Vec<String>,
}

/// A message to be posted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPost {
    /// Its text, 0 to 64 KiB; `@` and a member's name or `everyone` mention somebody.
    pub body: String,
    /// The message it answers: id or unique id prefix.
    pub reply_to: Option<String>,
    /// Its title; what begins a thread of a forum must have one.
    pub title: Option<String>,
    /// The title's tags.
    pub tags: Vec<String>,
    /// Files that belong to it, at most 16.
    pub attachments: Vec<AttachedFile>,
}

/// A file that belongs to a message: what it is, not its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedFile {
    /// Its name, 1 to 255 bytes.
    pub name: String,
    /// Its media type; empty when nobody knows.
    pub media_type: String,
    /// Its length in bytes.
    pub len: u64,
    /// BLAKE3 of its bytes, hexadecimal.
    pub hash: String,
}

/// A forum's post with what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForumPost {
    /// The post.
    pub message: Message,
    /// Answers below it, direct or not.
    pub replies: u32,
    /// Id of the last of the post and its answers.
    pub last: String,
    /// Who wrote that.
    pub last_by: String,
    /// When, in milliseconds since 1970, as its author claims.
    pub last_ts_ms: i64,
}

/// One search result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// The message.
    pub message: Message,
    /// Relevance and recency in one number, larger is better.
    pub score: u64,
    /// Byte ranges of the body that matched.
    pub highlights: Vec<(usize, usize)>,
}

/// One event of a chain, readable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventLine {
    /// Its id.
    pub id: String,
    /// Chain hash, hexadecimal.
    pub hash: String,
    /// Device that signed it, hexadecimal.
    pub device: String,
    /// The user's name.
    pub author: String,
    /// Number in the device's chain.
    pub seq: u64,
    /// Lamport time.
    pub lamport: u64,
    /// Wall time in milliseconds since 1970, as claimed.
    pub wall_ms: u64,
    /// MLS epoch, for sealed events.
    pub epoch: Option<u64>,
    /// Parents' ids other than the predecessor.
    pub parents: Vec<String>,
    /// What it did, in words.
    pub what: String,
    /// Whether it counts; if not, why.
    pub void: Option<String>,
    /// Whether this very event carries a signature (later ones of the chain cover it otherwise).
    pub signed: bool,
}

/// Why an event counts or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The event.
    pub event: EventLine,
    /// Whether it counts.
    pub counts: bool,
    /// `counts`, `unreadable`, `forbidden`, `no_channel`, `cut_off`, `beyond_pin`, `admission_void` or `equivocated`.
    pub reason: String,
    /// The same in words.
    pub because: String,
    /// The author's rank under the heads that it cites, where that decides.
    pub rank: Option<u8>,
    /// For `beyond_pin` the last number of the author's chain that counts.
    pub last: Option<u64>,
    /// For `equivocated` the hashes of the two events with one number, hexadecimal.
    pub signed: Vec<String>,
    /// The control events that decide, the weightiest first.
    pub deciding: Vec<DecidingEvent>,
    /// The control heads under which it was made.
    pub cited: Vec<CitedHead>,
}

/// A control event that decides about another event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecidingEvent {
    /// `admits`, `ranks`, `removes`, `admits_in_vain`, `admits_target`, `ranks_target`, `removes_target`, `founds`, `creates`,
    /// `cuts_off`, `pins` or `gives_way`.
    pub role: String,
    /// The same in words.
    pub because: String,
    /// The event.
    pub event: EventLine,
    /// Why it counts for nothing, where the other event falls with it.
    pub why: Option<Box<Why>>,
}

/// A control head that an event cites.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CitedHead {
    /// The control event's id; absent for one behind a fork that is not here.
    pub id: Option<String>,
    /// Its hash, hexadecimal.
    pub hash: String,
}

/// What an audit found; `alarm` empty means that everything holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditReport {
    /// Events replayed.
    pub events: usize,
    /// Chains followed.
    pub chains: usize,
    /// Signatures verified.
    pub signatures: usize,
    /// State hash kept and recomputed, per log.
    pub logs: Vec<AuditLine>,
    /// Every mismatch, in words. Not empty: the red alarm.
    pub alarm: Vec<String>,
    /// Devices caught signing two events with one number.
    pub equivocations: Vec<String>,
}

/// One log of an audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditLine {
    /// `space` or `space/channel`.
    pub log: String,
    /// Events in it.
    pub events: usize,
    /// Hash of the state in memory, hexadecimal.
    pub kept: String,
    /// Hash of the replayed state, hexadecimal.
    pub replayed: String,
}

/// What this device knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// This device's id, hexadecimal.
    pub device: String,
    /// Spaces by name.
    pub spaces: Vec<SpaceStatus>,
    /// Bytes on disk.
    pub disk_len: u64,
}

/// One space of a [`Status`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceStatus {
    /// Id, hexadecimal.
    pub id: String,
    /// Name.
    pub name: String,
    /// MLS epoch this device is in, if it is a member.
    pub epoch: Option<u64>,
    /// This user's rank; absent after removal.
    pub rank: Option<u8>,
    /// Hash over the whole state: equal on all devices that have the same events.
    pub state_hash: String,
    /// Names of the categories, the oldest first.
    pub categories: Vec<String>,
    /// Channels: those without a category, then category by category, in the order people gave them.
    pub channels: Vec<ChannelStatus>,
    /// Members by name.
    pub members: Vec<MemberStatus>,
    /// Events that wait, with the reason.
    pub waiting: Vec<String>,
}

/// One channel of a [`SpaceStatus`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelStatus {
    /// Id, hexadecimal.
    pub id: String,
    /// Name.
    pub name: String,
    /// Whether it is for posts with titles.
    pub forum: bool,
    /// What it is about; empty when nobody said.
    pub topic: String,
    /// Name of the category it stands in.
    pub category: Option<String>,
    /// Events in its log.
    pub events: usize,
    /// Messages that count.
    pub messages: usize,
    /// Messages of others that this user has not read, counted up to 1,000.
    pub unread: usize,
    /// Those of them that mention this user or everyone.
    pub mentions: usize,
    /// Hash over the channel's state.
    pub state_hash: String,
}

/// One member of a [`SpaceStatus`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberStatus {
    /// User id, hexadecimal.
    pub user: String,
    /// Name.
    pub name: String,
    /// Rank 0 to 100.
    pub rank: u8,
    /// Devices, hexadecimal.
    pub devices: Vec<String>,
}

/// Something that happened on its own, for those who follow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// A message arrived, or one's own was sent.
    Message(Message),
    /// A message's text, reactions or pin changed, or it was deleted.
    Changed(Message),
    /// A space's members, roles or channels changed.
    Space {
        /// Space id, hexadecimal.
        space: String,
        /// In words.
        what: String,
    },
    /// A peer and this device have the same events in all common spaces.
    InSync {
        /// Device id, hexadecimal.
        peer: String,
    },
    /// A peer says that this device is no member (any more) of a space that it knows.
    NotMember {
        /// Device id of the peer, hexadecimal.
        peer: String,
        /// Space id, hexadecimal.
        space: String,
    },
    /// A peer speaks of a space of which it is no member (any more); it was told so and gets nothing.
    Stranger {
        /// Device id of the peer, hexadecimal.
        peer: String,
        /// Space id, hexadecimal.
        space: String,
    },
    /// A peer sent something that was refused, or a device equivocated.
    Alarm {
        /// In words.
        what: String,
    },
    /// An audit in the background ended.
    Audited {
        /// Events that were checked.
        events: usize,
        /// Whether everything was replayed, or only what was new was checked.
        everything: bool,
        /// Every mismatch, in words. Not empty: the red alarm; nothing is written any more.
        alarm: Vec<String>,
    },
}
