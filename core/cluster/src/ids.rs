use crate::Error;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A cluster's name: 16 bytes drawn when it was founded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClusterId(pub [u8; 16]);

/// A node's Ed25519 key, by which its connections are known and its receipts checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeKey(pub [u8; 32]);

/// A client's Ed25519 key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClientKey(pub [u8; 32]);

/// A place in which the first value that is claimed for it stands: 32 bytes that clients agree on and that say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot(pub [u8; 32]);

/// What stands in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The value that was claimed first.
    pub value: [u8; 32],
    /// Until when no other takes its place, in milliseconds since 1970 by most of the members' clocks.
    pub until_ms: u64,
}

/// What an item is for. Names of different kinds never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ItemKind {
    /// Bytes under their own BLAKE3 hash: chunks of attachments, backups.
    Blob,
    /// A board's record under its key.
    Board,
}

/// By what an item is found: its kind and 32 bytes that say nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ItemName {
    /// What it is for.
    pub kind: ItemKind,
    /// A hash, or a board's key.
    pub key: [u8; 32],
}

impl ItemName {
    /// The name of these bytes as a blob.
    pub fn of_blob(bytes: &[u8]) -> Self {
        Self { kind: ItemKind::Blob, key: *blake3::hash(bytes).as_bytes() }
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Display for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Display for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl FromStr for ClientKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        digits(text).map(Self).ok_or(Error::ClientKey)
    }
}

impl fmt::Display for ItemName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ItemKind::Blob => "blob",
            ItemKind::Board => "board record",
        };
        write!(f, "{kind} ")?;
        hex(&self.key, f)
    }
}

/// `blob:` or `board:` and 64 hexadecimal digits, for people and programs to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemTag(pub ItemName);

impl fmt::Display for ItemTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0.kind {
            ItemKind::Blob => "blob",
            ItemKind::Board => "board",
        };
        write!(f, "{kind}:")?;
        hex(&self.0.key, f)
    }
}

impl FromStr for ItemTag {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (kind, digits) = text.split_once(':').ok_or(Error::Tag)?;
        let kind = match kind {
            "blob" => ItemKind::Blob,
            "board" => ItemKind::Board,
            _ => return Err(Error::Tag),
        };
        let key = self::digits(digits).ok_or(Error::Tag)?;
        Ok(Self(ItemName { kind, key }))
    }
}

/// Exactly 64 hexadecimal digits.
fn digits(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 2 * bytes.len() || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}

impl fmt::Debug for ItemName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_key_is_read_as_it_was_written() {
        let key = ClientKey(std::array::from_fn(|at| at as u8 * 7));
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!(key.to_string()[1..].parse::<ClientKey>(), Err(Error::ClientKey));
    }

    #[test]
    fn a_tag_is_read_as_it_was_written_and_nothing_else_is() {
        for kind in [ItemKind::Blob, ItemKind::Board] {
            let tag = ItemTag(ItemName { kind, key: std::array::from_fn(|at| at as u8 * 7) });
            assert_eq!(tag.to_string().parse(), Ok(tag));
        }
        let whole = ItemTag(ItemName { kind: ItemKind::Blob, key: [0xab; 32] }).to_string();
        let cases =
            ["", "blob", "blob:", "bolb:00", &whole[1..], &whole[..whole.len() - 1], &format!("{whole}0")];
        for text in cases
            .into_iter()
            .map(str::to_owned)
            .chain([whole.replacen("ab", "+b", 1), whole.replacen("ab", "é", 1)])
        {
            assert_eq!(text.parse::<ItemTag>(), Err(Error::Tag), "{text}");
        }
    }
}
