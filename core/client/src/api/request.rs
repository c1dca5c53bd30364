//! What a device can be asked.
#[expect(unused_imports, reason = "the documentation names them")]
use super::Answer;
use super::{Arrangement, ImportRecord, MessageFilter, NewPost, Place, Selection};
use serde::{Deserialize, Serialize};

/// One verb with its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// This device's card, to be handed to whoever invites it. Answer: [`Answer::Card`].
    WhoAmI {
        /// Whether it is for post-quantum spaces too, and some 3,600 characters longer.
        post_quantum: bool,
    },
    /// Creates a space owned by this user. Answer: [`Answer::Space`].
    SpaceCreate {
        /// 1 to 100 characters.
        name: String,
        /// Whether its keys are agreed on by X-Wing (X25519 and ML-KEM-768), instead of X25519 alone. It stays so.
        post_quantum: bool,
    },
    /// Creates a channel. Answer: [`Answer::Channel`].
    ChannelCreate {
        /// The space, as in [`Place`].
        space: Option<String>,
        /// 1 to 100 characters, unique among what the caller sees.
        name: String,
        /// Whether it is for posts with titles.
        forum: bool,
        /// Whether members read what was written since they joined, instead of everything. It stays so.
        since_join: bool,
    },
    /// Changes how a space is laid out. Answer: [`Answer::Done`].
    Arrange {
        /// The space, as in [`Place`].
        space: Option<String>,
        /// How.
        change: Arrangement,
    },
    /// Changes which channels of a space this device keeps: no other is asked for, answered or written in. What is here of one
    /// that is left out stays until it is dropped. Answer: [`Answer::Done`].
    ChannelsKeep {
        /// The space, as in [`Place`].
        space: Option<String>,
        /// How.
        change: Selection,
    },
    /// Removes what is here of a channel that this device does not keep, from the disk too. Answer: [`Answer::Dropped`].
    ChannelDrop {
        /// The space, as in [`Place`].
        space: Option<String>,
        /// The channel: name, id or unique id prefix.
        channel: String,
        /// Also if no other device is known to have all of it. What only this device has is gone then, and if it wrote
        /// some of that itself, it can never write in the channel again.
        last_copy: bool,
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
    /// Admits the users of many cards, hundreds by one commit. All cards are looked at before anybody is admitted. Answer:
    /// [`Answer::Invitations`], in the order of the cards.
    InviteAll {
        /// The space, as in [`Place`].
        space: Option<String>,
        /// What [`Request::WhoAmI`] gave each newcomer; at most 10,000.
        cards: Vec<String>,
        /// As in [`Request::Invite`].
        rank: Option<u8>,
    },
    /// Accepts an invitation; the space fills at the next sync with a member. Answer: [`Answer::Joined`].
    Join {
        /// What [`Request::Invite`] gave; or, of an invitation that came by a board, the space's name or the beginning of its id.
        invitation: String,
    },
    /// What this device offers on boards, so that others can invite it without a card, and which invitations came by that. Answer:
    /// [`Answer::Supply`].
    CardStatus,
    /// Offers nothing any more: what stands on boards can be used until it expires. Answer: [`Answer::Done`].
    CardWithdraw,
    /// Renews this device's keys in the space's group, as it does by itself now and then: whoever copied them before cannot
    /// read what is sealed from now on. Answer: [`Answer::Done`].
    Renew {
        /// The space, as in [`Place`].
        space: Option<String>,
    },
    /// When a space's keys are renewed by themselves: tells it, or sets it, which takes the permission manage-suite. Answer:
    /// [`Answer::Renewal`].
    Renewal {
        /// The space, as in [`Place`].
        space: Option<String>,
        /// How old a device's keys get, in days, 1 to 365; as it is when absent.
        days: Option<u16>,
        /// How many messages an epoch gets, 100 to 1,000,000; as it is when absent.
        messages: Option<u32>,
    },
    /// Moves a space's group to another ciphersuite, with history, members and rights: asks for it, and makes the new group once
    /// the devices in the group have offered keys for it. Takes the permission manage-suite. Answer: [`Answer::Moved`].
    Reinit {
        /// The space, as in [`Place`].
        space: Option<String>,
        /// Whether to the suite with X-Wing; otherwise to the ordinary one.
        post_quantum: bool,
        /// Makes it at once with the devices that have offered keys; the others enter by themselves when they meet a member.
        now: bool,
    },
    /// Takes this device's place in the space's group again after its keys were lost or damaged, with the next member that it
    /// talks to. Of what was written so far it reads what it has the keys of, and the rest as a newcomer does. Answer:
    /// [`Answer::Done`].
    Rejoin {
        /// The space, as in [`Place`].
        space: Option<String>,
    },
    /// Removes a user with all devices. Answer: [`Answer::Done`].
    MemberRemove {
        /// The space, as in [`Place`].
        space: Option<String>,
        /// User name, id or unique id prefix.
        member: String,
    },
    /// The devices of a user with what is known of their revocation. Answer: [`Answer::Devices`].
    DeviceList {
        /// The space in which `member` is looked for, as in [`Place`].
        space: Option<String>,
        /// User name, id or unique id prefix; this user when absent.
        member: Option<String>,
    },
    /// Admits a further device of this user to every space that this device is in. Answer: [`Answer::Invitations`].
    DeviceAdd {
        /// What [`Request::WhoAmI`] gave there.
        card: String,
    },
    /// Takes a device of this user back, for good, in every space. What it writes beyond what this device has of it counts for
    /// nothing. Answer: [`Answer::Revoked`].
    DeviceRevoke {
        /// Id or unique id prefix of at least four digits.
        device: String,
    },
    /// What the roles of a space permit and who has them. Answer: [`Answer::Roles`].
    Roles {
        /// The space, as in [`Place`].
        space: Option<String>,
    },
    /// Changes what a role permits, for all who have it. Answer: [`Answer::Done`].
    RoleChange {
        /// The space, as in [`Place`].
        space: Option<String>,
        /// The role, by its rank: 0 to 99, below the caller's own.
        rank: u8,
        /// Names of permissions that it gets; the caller's role has them.
        give: Vec<String>,
        /// Names of permissions that it loses.
        take: Vec<String>,
    },
    /// Gives a user another rank, and so another role. Answer: [`Answer::Done`].
    RoleSet {
        /// The space, as in [`Place`].
        space: Option<String>,
        /// User name, id or unique id prefix.
        member: String,
        /// 0 (may read) to 100 (owner).
        rank: u8,
    },
    /// Requires that a member's device stays in the space as its archive and reads along in all channels, or requires it no
    /// longer. Takes the permission manage-archive. Answer: [`Answer::Done`].
    ArchiveRequire {
        /// The space, as in [`Place`].
        space: Option<String>,
        /// The device's id or unique id prefix, or the name of a member who has one.
        device: String,
        /// Whether it is required from now on.
        required: bool,
    },
    /// Puts a legal hold on a channel or on what a member writes, or ends it: archives erase what was deleted there only after
    /// it has ended. Takes the permission manage-archive. Answer: [`Answer::Done`].
    Hold {
        /// The space, as in [`Place`].
        space: Option<String>,
        /// The channel: name, id or unique id prefix. Either this or `member`.
        channel: Option<String>,
        /// The member, present or former: name, id or unique id prefix.
        member: Option<String>,
        /// Whether the hold stands from now on.
        stands: bool,
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
        post: Box<NewPost>,
    },
    /// Asks for keys under which the attachments of a message are to be stored in the organisation's cluster, before it is posted. The
    /// keys are the same until then, or for 30 days, so that what was interrupted can be gone on with. Answer: [`Answer::Upload`].
    Upload {
        /// The channel.
        place: Place,
        /// The message as it will be; what is not known yet of its attachments is not looked at.
        post: Box<NewPost>,
        /// For each attachment what tells it from others here: the path of its file.
        paths: Vec<String>,
    },
    /// The files of a message with what opens them. Answer: [`Answer::Attachments`].
    Attachments {
        /// The channel.
        place: Place,
        /// The message's id.
        message: String,
    },
    /// Gives a forum's post another title and other tags; somebody else's takes the permission
    /// `moderate`. Answer: [`Answer::Sent`].
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
    /// Deletes a message, one's own or, with the permission `moderate`, anybody's: its place stays, its text is shown no more. Answer:
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
    /// What [`Request::Read`], [`Request::Forum`], [`Request::Search`] or [`Request::Log`] would have answered at an earlier
    /// moment: the store is replayed up to there. Answer: that of the request.
    At {
        /// A time in UTC (a day, or a moment like 2004-12-25T09:14): all that claims this time or an earlier one and builds on
        /// nothing that claims a later one. Or the id of an event: that and all it builds on.
        moment: String,
        /// The question.
        request: Box<Request>,
    },
    /// Replays everything from genesis, verifies every hash and signature and compares states. Answer: [`Answer::Audit`].
    Audit,
    /// Goes on for a slice with a check of all that is on disk: each block, the snapshot, the indexes, and all of it replayed. Other
    /// requests are carried out between two slices. Answer: [`Answer::StoreChecked`].
    StoreCheck {
        /// The number that the last answer named; without one a check is begun, or the one that is under way is joined.
        number: Option<u64>,
    },
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
    /// Puts small commits together and erases the texts of deleted messages. Answer: [`Answer::Compacted`].
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
