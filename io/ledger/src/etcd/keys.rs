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

    /// The number of entries.
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

pub(super) fn parse_number(value: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(value).ok()?, 16).ok()
}
