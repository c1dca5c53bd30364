//! What is known of one segment while the store is open.
use super::frame::{ALIGN, FrameKey, Kind, Salt, read_drops};
use super::manifest::BEGIN;
use super::{Key, index, peek};
use terachat_shard::ShardHash;

pub(super) struct Segment {
    pub(super) key: FrameKey,
    /// Bytes of the file that are durable and count.
    pub(super) len: u64,
    /// Bytes of shards in it that count.
    pub(super) live_bytes: u64,
    /// What is in it, in the order of the positions.
    pub(super) entries: Vec<Entry>,
}

/// A shard that was written, or given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Shard { key: Key, at: u32, len: u32, hash: ShardHash },
    Drop { key: Key, at: u32 },
}

impl Entry {
    pub(super) fn key(&self) -> Key {
        match self {
            Self::Shard { key, .. } | Self::Drop { key, .. } => *key,
        }
    }

    pub(super) fn at(&self) -> u32 {
        match self {
            Self::Shard { at, .. } | Self::Drop { at, .. } => *at,
        }
    }

    /// What a frame at this position says, whose check fits.
    pub(super) fn of(kind: Kind, at: u32, start: &[u8], rest: &[u8]) -> Vec<Self> {
        match kind {
            Kind::Shard => {
                // The header is in the first part when a frame is made, and in the second when it is read.
                let body = if start.is_empty() { rest } else { start };
                let len = u32::try_from(start.len() + rest.len()).unwrap_or(u32::MAX);
                peek(body).map(|(key, hash)| Self::Shard { key, at, len, hash }).into_iter().collect()
            }
            Kind::Drop => {
                read_drops(rest).unwrap_or_default().into_iter().map(|key| Self::Drop { key, at }).collect()
            }
            Kind::Index => Vec::new(),
        }
    }
}

impl Segment {
    /// One that has nothing but its beginning.
    pub(super) fn new(number: u32, salt: &Salt) -> Self {
        Self { key: FrameKey::new(number, salt), len: BEGIN as u64, live_bytes: 0, entries: Vec::new() }
    }

    /// What closes it.
    pub(super) fn ending(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.key.write(&mut bytes, self.len, Kind::Index, [&index::write(&self.entries), &[]]);
        debug_assert_eq!(bytes.len() % ALIGN, 0);
        let len = self.len + (bytes.len() + super::frame::TRAILER_LEN) as u64;
        bytes.extend_from_slice(&self.key.trailer(self.len, len));
        bytes
    }
}
