use crate::Head;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The names of a ledger's keys, all below one prefix.
pub(super) struct Keys(String);

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self(prefix.to_owned())
    }

    /// Where an entry is. The names have the order of the entries.
    pub(super) fn entry(&self, index: u64) -> Vec<u8> {
        format!("{}entry/{index:016x}", self.0).into_bytes()
    }

    /// What all nodes watch, from the first key to before the second.
    pub(super) fn watched(&self) -> (Vec<u8>, Vec<u8>) {
        (format!("{}now/", self.0).into_bytes(), format!("{}now0", self.0).into_bytes())
    }

    /// The head of all entries.
    pub(super) fn tail(&self) -> Vec<u8> {
        format!("{}now/tail", self.0).into_bytes()
    }

    pub(super) fn members(&self) -> Vec<u8> {
        format!("{}now/members", self.0).into_bytes()
    }

    /// Which node leads: it goes when that one is not heard of.
    pub(super) fn leader(&self) -> Vec<u8> {
        format!("{}now/leader", self.0).into_bytes()
    }

    /// Which snapshot counts.
    pub(super) fn snapshot(&self) -> Vec<u8> {
        format!("{}snapshot", self.0).into_bytes()
    }

    /// A part of a snapshot; `u32::MAX` is behind all of them.
    pub(super) fn part(&self, snapshot: &SnapshotRecord, number: u32) -> Vec<u8> {
        format!("{}part/{:016x}-{:08x}/{number:08x}", self.0, snapshot.index, snapshot.node).into_bytes()
    }
}

/// Which snapshot counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SnapshotRecord {
    /// The last entry it has, and the hash of the head there.
    pub(super) index: u64,
    pub(super) head: [u8; 32],
    /// Who made it: two that are made at once have keys of their own.
    pub(super) node: u32,
    pub(super) parts: u32,
    pub(super) hash: [u8; 32],
}

impl SnapshotRecord {
    pub(super) fn head(&self) -> Head {
        Head { index: self.index, hash: self.head }
    }
}

/// The members that were set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MemberList {
    pub(super) voters: BTreeSet<u32>,
    pub(super) learners: BTreeSet<u32>,
}

/// A number as its key's value has it.
pub(super) fn number(value: u64) -> Vec<u8> {
    format!("{value:016x}").into_bytes()
}

/// A head as the tail has it: its index, and its hash.
pub(super) fn head(head: &Head) -> Vec<u8> {
    let mut text = number(head.index);
    text.extend(head.hash.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()));
    text
}

pub(super) fn parse_head(value: &[u8]) -> Option<Head> {
    let (index, hash) = value.split_at_checked(16)?;
    let mut head = Head { index: parse_number(index)?, ..Head::START };
    if hash.len() != 2 * head.hash.len() {
        return None;
    }
    for (byte, digits) in head.hash.iter_mut().zip(hash.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(head)
}

/// An entry as its key's value has it: the hash of the chain that it ends, and its bytes.
pub(super) fn entry(head: &Head, entry: &[u8]) -> Vec<u8> {
    [&head.hash[..], entry].concat()
}

pub(super) fn parse_entry(value: &[u8]) -> Option<([u8; 32], &[u8])> {
    let (hash, entry) = value.split_first_chunk::<32>()?;
    Some((*hash, entry))
}

pub(super) fn parse_number(value: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(value).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let two = Head::START.after(b"one").after(b"two");
        assert_eq!(parse_head(&head(&two)), Some(two));
        assert_eq!(parse_head(&head(&Head::START)), Some(Head::START));
        let value = entry(&two, b"two");
        assert_eq!(parse_entry(&value), Some((two.hash, &b"two"[..])));
        for bad in [
            &b""[..],
            b"0000000000000001",
            &head(&two)[..79],
            &[head(&two), vec![b'0']].concat(),
            &[b'x'; 80],
            &[0xff; 80],
        ] {
            assert_eq!(parse_head(bad), None, "{bad:?}");
        }
        assert_eq!(parse_entry(&value[..31]), None);
    }
}
