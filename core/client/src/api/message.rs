//! Messages, as they are shown, posted, found and imported.
use super::Style;
use serde::{Deserialize, Serialize};
use std::fmt;

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
    /// Whether its text is missing here: a peer sent the event without it. Others are asked for it.
    pub missing: bool,
    /// Whether its text is not for this device: it was sealed for those who were members then.
    pub sealed: bool,
    /// Whether what was said before it is not here, and comes when it is asked for: the channel is read from here on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub begins: bool,
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
    /// What opens them, if they are stored in the organisation's cluster: one for each, as [`Answer::Upload`](super::Answer::Upload)
    /// gave them.
    #[serde(default)]
    pub keys: Vec<FileKey>,
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
    /// Its address in the organisation's cluster, hexadecimal; absent where its bytes were not stored.
    #[serde(default)]
    pub address: Option<String>,
}

/// What opens a stored file: 64 hexadecimal digits, to be used and not to be shown or kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileKey(pub String);

/// Without the key.
impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileKey")
    }
}

/// An attachment with what opens it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyedFile {
    /// The attachment.
    pub file: AttachedFile,
    /// Its key; absent where its bytes were not stored.
    pub key: Option<FileKey>,
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
