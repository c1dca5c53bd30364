//! What stays of an operation whose content was erased: `docs/format/event.md`, "Erasable payloads".
use super::ChannelOp;
use serde::{Deserialize, Serialize};
use terachat_event::EventRef;

/// First byte of the payload of an operation whose content can be erased; the operation follows. No operation begins so.
pub(super) const ERASABLE: u8 = 0x40;
/// First byte of what is left of such an operation: its variant's number.
pub(super) const ERASED: u8 = 10;
/// Longest [`Kept::write`]: two tags, an event (42), a flag, a tag and two numbers (20).
const LEN_MAX: usize = 72;

/// The part of an operation by which its event keeps its place in the conversation, and which is no text: the event's hash
/// binds it beside the content, so whoever has only the hash of the content knows for certain what it belonged to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kept {
    /// Of a message.
    Message {
        /// The message it answers.
        reply_to: Option<EventRef>,
        /// Whether it is a forum's post.
        is_post: bool,
        /// Fingerprint of the foreign log it is from, and its id there.
        imported: Option<(u64, u64)>,
    },
    /// Of another text for a message.
    Edit {
        /// The message.
        target: EventRef,
    },
    /// Of another heading for a forum's post.
    Heading {
        /// The post.
        target: EventRef,
        /// Whether it is somebody else's.
        moderates: bool,
    },
}

impl Kept {
    /// What stays of an operation; `None` for one that has no content to erase.
    pub fn of(op: &ChannelOp<'_>) -> Option<Self> {
        let message = |is_post| {
            let post = op.post()?;
            let imported = post.imported.as_ref().map(|imported| (imported.source, imported.id));
            Some(Self::Message { reply_to: post.reply_to, is_post, imported })
        };
        match op {
            ChannelOp::Post(_) => message(false),
            ChannelOp::PostWith(..) | ChannelOp::PostStored(..) => message(op.heading().is_some()),
            ChannelOp::Edit { target, .. } => Some(Self::Edit { target: *target }),
            ChannelOp::SetHeading { target, moderates, .. } => {
                Some(Self::Heading { target: *target, moderates: *moderates })
            }
            ChannelOp::Sealed(sealed) => Some(sealed.kept),
            _ => None,
        }
    }

    /// The message whose text or heading this was; `None` for a message itself.
    pub fn target(&self) -> Option<&EventRef> {
        match self {
            Self::Message { .. } => None,
            Self::Edit { target } | Self::Heading { target, .. } => Some(target),
        }
    }

    /// Whether an operation can have left it.
    pub(super) fn fits(&self) -> bool {
        // An answer stands below the heading of what it answers.
        !matches!(self, Self::Message { reply_to: Some(_), is_post: true, .. })
    }

    /// The bytes by which the event's hash binds it (postcard), in `room`.
    pub(super) fn write<'a>(&self, room: &'a mut [u8; LEN_MAX]) -> &'a [u8] {
        postcard::to_slice(self, room).expect("the longest one fits")
    }

    /// Room for [`Kept::write`].
    pub(super) fn room() -> [u8; LEN_MAX] {
        [0; LEN_MAX]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use terachat_event::DeviceId;

    #[test]
    fn the_longest_one_fits_its_room() {
        let event = EventRef { author: DeviceId([0xff; 32]), seq: u64::MAX };
        let imported = Some((u64::MAX, u64::MAX));
        let longest = Kept::Message { reply_to: Some(event), is_post: true, imported };
        assert!(longest.write(&mut Kept::room()).len() <= LEN_MAX);
        assert!(!longest.fits(), "an answer is no post");
        let heading = Kept::Heading { target: event, moderates: true };
        assert!(heading.write(&mut Kept::room()).len() < LEN_MAX && heading.fits());
        let left = ChannelOp::Erased { content: [7; 32], kept: heading }.encode();
        assert!(ChannelOp::is_erased(&left) && !ChannelOp::is_erasable(&left));
    }
}
