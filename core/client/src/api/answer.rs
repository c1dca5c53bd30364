//! What it answers.
#[expect(unused_imports, reason = "the documentation names them")]
use super::Request;
use super::{
    AuditReport, BoardFetched, BoardPublished, DeviceStatus, EventLine, FileKey, ForumPost, Hit, Invited,
    KeyedFile, LiveChange, Message, PendingInvitation, RenewalStatus, RoleStatus, StateDifference, Status,
    StoreChecked, SupplyStatus, Why,
};
use serde::{Deserialize, Serialize};

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
    /// When a space's keys are renewed by themselves.
    Renewal(RenewalStatus),
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
        /// Whose devices read along in it because the space requires them as its archive.
        archives: Vec<String>,
    },
    /// A space that was asked to move to another ciphersuite.
    Moved {
        /// Whether it has, as far as this device knows.
        moved: bool,
        /// The suite's name.
        suite: String,
        /// Whose devices have not offered keys for it yet, by name.
        waits_for: Vec<String>,
    },
    /// An invitation: one line of text for the newcomer.
    Invitation {
        /// For [`Request::Join`].
        invitation: String,
    },
    /// An invitation for each card, or to each space for a further device: one line of text each.
    Invitations {
        /// For [`Request::Join`] there.
        invitations: Vec<String>,
    },
    /// Who was invited by what their devices left on a board.
    Invited(Invited),
    /// What this device offers on boards.
    Supply {
        /// By board.
        boards: Vec<SupplyStatus>,
        /// Invitations that wait, the newest first.
        invitations: Vec<PendingInvitation>,
    },
    /// A user's devices.
    Devices {
        /// User id, hexadecimal.
        user: String,
        /// By id.
        devices: Vec<DeviceStatus>,
        /// Revocations by this user that others speak of and that are not here.
        missing: usize,
    },
    /// Roles of a space.
    Roles {
        /// The highest first.
        roles: Vec<RoleStatus>,
    },
    /// A device of this user was taken back.
    Revoked {
        /// In how many spaces at once; others follow when somebody there hears of it.
        spaces: usize,
    },
    /// An accepted invitation.
    Joined {
        /// The space's id, hexadecimal.
        space: String,
        /// Whether the space's content is already here.
        ready: bool,
        /// Whose devices read along in it because the space requires them as its archive, as far as it is here.
        archives: Vec<String>,
    },
    /// A message, edit, reaction, pin or deletion that is durable on this device.
    Sent {
        /// The event's id, for replies, edits and reactions.
        id: String,
    },
    /// Keys for the attachments of a message that is to be posted.
    Upload {
        /// One for each, for [`NewPost::keys`](super::NewPost::keys).
        keys: Vec<FileKey>,
    },
    /// A message's files with what opens them: for the program that fetches them, not to be shown.
    Attachments {
        /// In their order.
        files: Vec<KeyedFile>,
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
    /// How far a check is, and at its end what it found.
    StoreChecked(StoreChecked),
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
        /// Names of the channels that were compared: those that both devices keep.
        channels: Vec<String>,
        /// Names of the others that are known here.
        left_out: Vec<String>,
        /// How many differences there are; 0 means equal states of members, roles and those channels.
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
    /// Another member's change comes first and is not on the board yet: nothing changed; ask again in a moment.
    Behind {
        /// In which space.
        space: String,
    },
    /// What a board brought.
    BoardFetched(BoardFetched),
    /// A channel that was dropped.
    Dropped {
        /// Events of it that were here.
        events: usize,
        /// Bytes of the commit log before.
        before: u64,
        /// Bytes after.
        after: u64,
    },
    /// What putting small commits together saved, and what was erased.
    Compacted {
        /// Bytes of the commit log before.
        before: u64,
        /// Bytes after.
        after: u64,
        /// Texts and headings of deleted messages that were erased from disk.
        erased: u64,
        /// Those that are still to be erased.
        pending: u64,
        /// Those that this device keeps as an archive until a legal hold ends.
        held: u64,
    },
}
