//! What happens on its own.
use super::Message;
use serde::{Deserialize, Serialize};

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
