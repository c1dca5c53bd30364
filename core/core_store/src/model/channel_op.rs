use super::kept::{ERASABLE, ERASED};
use super::sealed::{OPENED, Opened, SEALED, SEALED_MESSAGE_LEN_MAX};
use super::{Extras, Heading, Kept, Sealed, StoredFile, Style};
use crate::Error;
use serde::{Deserialize, Serialize};
use terachat_event::EventRef;

/// Largest body of a message in bytes.
pub const BODY_LEN_MAX: usize = 64 * 1024;
/// Largest reaction in bytes.
pub const EMOJI_LEN_MAX: usize = 32;

/// One change of a channel: the payload of a sealed event, before it is sealed. Borrowed from its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChannelOp<'a> {
    /// A new message.
    #[serde(borrow)]
    Post(Post<'a>),
    /// A new body for one's own message.
    Edit {
        /// The message.
        target: EventRef,
        /// The body.
        body: &'a str,
    },
    /// Adds a reaction.
    React {
        /// The message.
        target: EventRef,
        /// The reaction.
        emoji: &'a str,
    },
    /// Takes one's own reaction back.
    Unreact {
        /// The message.
        target: EventRef,
        /// The reaction.
        emoji: &'a str,
        /// The reactions that were seen.
        seen: Vec<EventRef>,
    },
    /// Pins a message.
    Pin {
        /// The message.
        target: EventRef,
    },
    /// Unpins a message.
    Unpin {
        /// The message.
        target: EventRef,
        /// The pins that were seen.
        seen: Vec<EventRef>,
    },
    /// Takes a message away for good: its place stays, its text does not.
    Delete {
        /// The message.
        target: EventRef,
        /// By the right to delete what others wrote; otherwise it counts for a message of one's own only. Said here, so
        /// that the right it takes follows from the operation alone.
        moderates: bool,
    },
    /// A new message with more than text.
    PostWith(#[serde(borrow)] Post<'a>, #[serde(borrow)] Extras<'a>),
    /// Another heading for a forum's post: one's own, or somebody else's by the right to moderate.
    SetHeading {
        /// The post.
        target: EventRef,
        /// The heading.
        #[serde(borrow)]
        heading: Heading<'a>,
        /// Whether it is somebody else's.
        moderates: bool,
    },
    /// All up to this message was read by the author's user.
    Read {
        /// The message.
        target: EventRef,
    },
    /// What is left of a message, an edit or a heading whose content was erased. It stands in its event's place and proves
    /// itself like the whole.
    Erased {
        /// The hash by which the content stood in its event.
        content: [u8; 32],
        /// What stays.
        kept: Kept,
    },
    /// A message, an edit or a heading that was not opened here.
    Sealed(#[serde(borrow)] Sealed<'a>),
    /// A new message whose attachments' bytes are kept in the organisation's cluster: where, for each of them, in their order.
    PostStored(#[serde(borrow)] Post<'a>, #[serde(borrow)] Extras<'a>, Vec<StoredFile>),
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Post<'a> {
    /// How it is to be read.
    pub style: Style,
    /// Its text; 0 to 64 KiB.
    pub body: &'a str,
    /// The message it answers.
    pub reply_to: Option<EventRef>,
    /// Where it came from, for a record of a foreign log.
    #[serde(borrow)]
    pub imported: Option<Imported<'a>>,
}

/// The origin of an imported record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported<'a> {
    /// Fingerprint of the foreign log.
    pub source: u64,
    /// The record's id there.
    pub id: u64,
    /// The original time in milliseconds since 1970.
    pub ts_ms: i64,
    /// The original author.
    pub author: &'a str,
}

impl<'a> ChannelOp<'a> {
    /// The bytes to be sealed (postcard, behind a mark if the content can be erased).
    pub fn encode(&self) -> Vec<u8> {
        let is_plain = !matches!(self, Self::Sealed(_)) && Kept::of(self).is_some();
        let start = if is_plain { vec![ERASABLE] } else { Vec::new() };
        postcard::to_extend(self, start).expect("plain values encode into a growing buffer")
    }

    /// Whether these bytes are those of an operation whose content can be erased, if they are any operation's. What was
    /// written before there were such can not.
    pub(crate) fn is_erasable(bytes: &[u8]) -> bool {
        matches!(bytes.first(), Some(&ERASABLE | &OPENED | &SEALED))
    }

    /// The same of those that are in clear.
    pub(super) fn is_marked(bytes: &[u8]) -> bool {
        bytes.first() == Some(&ERASABLE)
    }

    /// Whether these bytes are an operation that came sealed and was opened here. They are nobody else's business.
    pub(crate) fn is_opened(bytes: &[u8]) -> bool {
        bytes.first() == Some(&OPENED)
    }

    /// Whether these bytes are what is left of an operation whose content was erased, if they are any operation's.
    pub(crate) fn is_erased(bytes: &[u8]) -> bool {
        bytes.first() == Some(&ERASED)
    }

    /// The message that it changes; a post changes none but makes one.
    pub fn target(&self) -> Option<&EventRef> {
        match self {
            ChannelOp::Post(_) | ChannelOp::PostWith(..) | ChannelOp::PostStored(..) => None,
            ChannelOp::Erased { kept, .. } | ChannelOp::Sealed(Sealed { kept, .. }) => kept.target(),
            ChannelOp::Edit { target, .. }
            | ChannelOp::React { target, .. }
            | ChannelOp::Unreact { target, .. }
            | ChannelOp::Pin { target }
            | ChannelOp::Unpin { target, .. }
            | ChannelOp::Delete { target, .. }
            | ChannelOp::SetHeading { target, .. }
            | ChannelOp::Read { target } => Some(target),
        }
    }

    /// The message that it makes, without what it carries beside its text.
    pub fn post(&self) -> Option<&Post<'a>> {
        match self {
            ChannelOp::Post(post) | ChannelOp::PostWith(post, _) | ChannelOp::PostStored(post, ..) => {
                Some(post)
            }
            _ => None,
        }
    }

    /// What the message that it makes carries besides its text.
    pub fn extras(&self) -> Option<&Extras<'a>> {
        match self {
            ChannelOp::PostWith(_, extras) | ChannelOp::PostStored(_, extras, _) => Some(extras),
            _ => None,
        }
    }

    /// The heading that it brings.
    pub fn heading(&self) -> Option<&Heading<'a>> {
        match self {
            ChannelOp::SetHeading { heading, .. } => Some(heading),
            _ => self.extras().and_then(|extras| extras.heading.as_ref()),
        }
    }

    /// The events that it says something about: those its author had before its eyes, so they belong to its causal past.
    pub(crate) fn names(&self) -> impl Iterator<Item = &EventRef> {
        let seen: &[EventRef] = match self {
            ChannelOp::Unreact { seen, .. } | ChannelOp::Unpin { seen, .. } => seen,
            _ => &[],
        };
        let answered = match self {
            ChannelOp::Erased { kept: Kept::Message { reply_to, .. }, .. }
            | ChannelOp::Sealed(Sealed { kept: Kept::Message { reply_to, .. }, .. }) => reply_to.as_ref(),
            _ => self.post().and_then(|post| post.reply_to.as_ref()),
        };
        self.target().into_iter().chain(answered).chain(seen)
    }

    /// Reads what was sealed.
    ///
    /// # Errors
    /// [`Error::Payload`] for bytes that are no operation, or one out of bounds.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
        if Self::is_opened(bytes) {
            return Self::decode(Opened::read(bytes)?.op);
        }
        let (is_erasable, body) = if Self::is_marked(bytes) { (true, &bytes[1..]) } else { (false, bytes) };
        let (op, rest) =
            postcard::take_from_bytes::<Self>(body).map_err(|_| Error::Payload("not a channel operation"))?;
        let fits = match &op {
            ChannelOp::Post(Post { body, .. }) | ChannelOp::Edit { body, .. } => body.len() <= BODY_LEN_MAX,
            ChannelOp::PostWith(post, extras) => carries(post, extras),
            // A file's key can always be erased.
            ChannelOp::PostStored(post, extras, stored) => {
                let one_for_each = !stored.is_empty() && stored.len() == extras.attachments.len();
                carries(post, extras) && one_for_each && is_erasable
            }
            ChannelOp::React { emoji, .. } | ChannelOp::Unreact { emoji, .. } => {
                (1..=EMOJI_LEN_MAX).contains(&emoji.len())
            }
            ChannelOp::SetHeading { heading, .. } => heading.fits(),
            ChannelOp::Pin { .. }
            | ChannelOp::Unpin { .. }
            | ChannelOp::Delete { .. }
            | ChannelOp::Read { .. } => true,
            ChannelOp::Erased { kept, .. } => kept.fits(),
            ChannelOp::Sealed(sealed) => {
                sealed.kept.fits() && !is_erasable && sealed.message.len() <= SEALED_MESSAGE_LEN_MAX
            }
        };
        let fits = fits && (!is_erasable || Kept::of(&op).is_some());
        (fits && rest.is_empty()).then_some(op).ok_or(Error::Payload("a channel operation out of bounds"))
    }
}

/// Whether a message may carry this.
fn carries(post: &Post<'_>, extras: &Extras<'_>) -> bool {
    // An answer stands below the heading of what it answers.
    let headed_once = extras.heading.is_none() || post.reply_to.is_none();
    post.body.len() <= BODY_LEN_MAX && extras.fits() && headed_once
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Attachment, Mention};
    use proptest::prelude::*;
    use terachat_event::{DeviceId, UserId};

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            let _ = ChannelOp::decode(&bytes);
            let _ = crate::model::ControlTransaction::decode(&bytes);
        }

        #[test]
        fn posts_read_what_they_wrote(body: String, source: u64, id: u64, ts_ms: i64, author: String) {
            let post = ChannelOp::Post(Post { style: Style::Action, body: &body, reply_to: None, imported: Some(Imported { source, id, ts_ms, author: &author }) });
            let bytes = post.encode();
            prop_assert_eq!(ChannelOp::decode(&bytes), Ok(post));
            prop_assert!(ChannelOp::decode(&bytes[..bytes.len() - 1]).is_err());
        }

        #[test]
        fn posts_that_carry_more_read_what_they_wrote(title in "[a-z]{1,9}", tags in prop::collection::btree_set("[a-z]{1,9}", 0..4), name in "[a-z]{1,9}", len: u64, hash: [u8; 32], users in prop::collection::btree_set(any::<[u8; 32]>(), 0..4), everyone: bool) {
            let mentions = everyone.then_some(Mention::Everyone).into_iter().chain(users.into_iter().map(|id| Mention::User(UserId(id)))).collect();
            let heading = Heading { title: &title, tags: tags.iter().map(String::as_str).collect() };
            let attachments = vec![Attachment { name: &name, media_type: "text/plain", len, hash }];
            let extras = Extras { heading: Some(heading.clone()), mentions, attachments };
            let post = Post { style: Style::Message, body: "text", reply_to: None, imported: None };
            let target = EventRef { author: DeviceId([1; 32]), seq: 1 };
            let below = ChannelOp::PostWith(Post { reply_to: Some(target), ..post.clone() }, extras.clone());
            prop_assert!(ChannelOp::decode(&below.encode()).is_err(), "an answer with a heading");
            let stored = vec![StoredFile { address: hash, key: [5; 32] }];
            for stored in [vec![], vec![stored[0].clone(); 2]] {
                let uneven = ChannelOp::PostStored(post.clone(), extras.clone(), stored);
                prop_assert!(ChannelOp::decode(&uneven.encode()).is_err(), "not one for each attachment");
            }
            let stored = ChannelOp::PostStored(post.clone(), extras.clone(), stored);
            prop_assert!(ChannelOp::decode(&stored.encode()[1..]).is_err(), "one that cannot be erased");
            for op in [stored, ChannelOp::PostWith(post, extras), ChannelOp::SetHeading { target, heading, moderates: true }] {
                let bytes = op.encode();
                prop_assert_eq!(ChannelOp::decode(&bytes), Ok(op));
                prop_assert!(ChannelOp::decode(&bytes[..bytes.len() - 1]).is_err());
            }
        }
    }
}
