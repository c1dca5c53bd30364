//! What a message may carry besides its text.
use serde::{Deserialize, Serialize};
use std::fmt;
use terachat_event::UserId;

/// Most characters of a title.
pub const TITLE_CHARS_MAX: usize = 200;
/// Most tags of a post.
pub const TAGS_MAX: usize = 8;
/// Most characters of a tag.
pub const TAG_CHARS_MAX: usize = 32;
/// Most mentions in a message.
pub const MENTIONS_MAX: usize = 32;
/// Most attachments of a message.
pub const ATTACHMENTS_MAX: usize = 16;
/// Longest name of an attached file in bytes.
const FILE_NAME_LEN_MAX: usize = 255;
/// Longest media type in bytes (RFC 6838, section 4.2: 127 for type and subtype each).
const MEDIA_TYPE_LEN_MAX: usize = 255;

/// What a message carries besides its text. Borrowed from the payload's bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extras<'a> {
    /// Title and tags, for a forum's post; without an answered message only.
    #[serde(borrow)]
    pub heading: Option<Heading<'a>>,
    /// Whom it wants to notice it.
    pub mentions: Vec<Mention>,
    /// Files that belong to it.
    #[serde(borrow)]
    pub attachments: Vec<Attachment<'a>>,
}

/// What stands above a forum's post.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heading<'a> {
    /// 1 to 200 characters.
    pub title: &'a str,
    /// At most eight, each of 1 to 32 characters, ascending.
    #[serde(borrow)]
    pub tags: Vec<&'a str>,
}

/// Who is to notice a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Mention {
    /// All members.
    Everyone,
    /// One member.
    User(UserId),
}

/// A file beside a message: what it is, not its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment<'a> {
    /// Its name; 1 to 255 bytes without path separators and control characters.
    pub name: &'a str,
    /// Its media type, such as `image/png`; empty when nobody knows.
    pub media_type: &'a str,
    /// Its length in bytes.
    pub len: u64,
    /// BLAKE3 of its bytes.
    pub hash: [u8; 32],
}

/// Where the bytes of an attachment are kept, and what opens them: `docs/format/attachment.md`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// Its address in the organisation's cluster.
    pub address: [u8; 32],
    /// The file's key. It is nowhere but in messages: where they are erased, the file is.
    pub key: [u8; 32],
}

/// Without the key.
impl fmt::Debug for StoredFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredFile").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Extras<'_> {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.heading.is_none() && self.mentions.is_empty() && self.attachments.is_empty()
    }

    /// Whether all is within bounds.
    pub(super) fn fits(&self) -> bool {
        self.mentions.len() <= MENTIONS_MAX
            && ascends(&self.mentions)
            && self.attachments.len() <= ATTACHMENTS_MAX
            && self.attachments.iter().all(Attachment::fits)
            && self.heading.as_ref().is_none_or(Heading::fits)
    }
}

impl Heading<'_> {
    /// Whether it is within bounds.
    pub fn fits(&self) -> bool {
        is_line(self.title, TITLE_CHARS_MAX)
            && self.tags.len() <= TAGS_MAX
            && ascends(&self.tags)
            && self.tags.iter().all(|tag| is_line(tag, TAG_CHARS_MAX))
    }
}

impl Attachment<'_> {
    /// Whether it is within bounds, and its name one that can be written into a folder.
    pub fn fits(&self) -> bool {
        let named = !matches!(self.name, "" | "." | "..") && self.name.len() <= FILE_NAME_LEN_MAX;
        named
            && !self.name.chars().any(|c| c.is_control() || matches!(c, '/' | '\\'))
            && self.media_type.len() <= MEDIA_TYPE_LEN_MAX
            && self.media_type.bytes().all(|byte| byte.is_ascii_graphic())
    }
}

fn ascends<T: Ord>(list: &[T]) -> bool {
    list.windows(2).all(|pair| pair[0] < pair[1])
}

fn is_line(text: &str, chars_max: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= chars_max && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Attachment<'_> {
        Attachment { name, media_type: "image/png", len: 1, hash: [0; 32] }
    }

    #[test]
    fn a_file_is_named_so_that_it_stays_in_its_folder() {
        assert!(file("plan of the house.png").fits() && file(&"é".repeat(127)).fits());
        for name in ["", ".", "..", "a/b", "..\\x", "a\0b", "a\nb", &"é".repeat(128)] {
            assert!(!file(name).fits(), "{name:?}");
        }
        assert!(!Attachment { media_type: "image/png ", ..file("a") }.fits());
    }

    #[test]
    fn a_key_is_not_shown() {
        let shown = format!("{:?}", StoredFile { address: [1; 32], key: [77; 32] });
        assert!(shown.contains("[1, 1") && !shown.contains("77"), "{shown}");
    }

    #[test]
    fn headings_are_lines_and_lists_ascend() {
        let heading = |title, tags: &[&'static str]| Heading { title, tags: tags.to_vec() }.fits();
        assert!(heading("Which way?", &["help", "maps"]));
        assert!(!heading(" ", &[]) && !heading("two\nlines", &[]) && !heading("t", &["b", "a"]));
        assert!(!heading("t", &["a", "a"]) && !heading("t", &[""]));
        let users = [Mention::Everyone, Mention::User(UserId([1; 32])), Mention::User(UserId([2; 32]))];
        let extras = |mentions: &[Mention]| Extras { mentions: mentions.to_vec(), ..Extras::default() };
        assert!(extras(&users).fits() && !extras(&[users[1], users[0]]).fits());
        assert!(extras(&[]).is_empty() && !extras(&users).is_empty());
    }
}
