use crate::sync::ChainHead;
use terachat_event::{DeviceId, LogId};

/// What a chain is called in one conversation about one log: 6 bytes of a keyed hash of its device.
///
/// With 10,000 chains two have the same name once in five million conversations, which is seen when the set is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainName(pub [u8; 6]);

/// A chain's head in one conversation, as 16 bytes that can be added up without carry: the chain's name, the number of its
/// newest event (4 bytes, little-endian), 6 bytes of a keyed hash of the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeadItem(pub(super) u128);

/// Keys of one conversation about one log, of both sides' nonces: a member who makes devices and events cannot know under
/// which names and checksums they will appear, so it cannot make them collide.
#[derive(Clone)]
pub struct HeadKey {
    name: [u8; 32],
    head: [u8; 32],
    check: [u8; 32],
}

/// An item with what its symbols need.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hashed {
    pub(super) item: HeadItem,
    pub(super) check: u32,
    pub(super) seed: u64,
}

impl HeadKey {
    /// Of what both sides of a connection drew together, and of a log.
    pub fn new(session: &[u8; 32], log: &LogId) -> Self {
        let derive = |what: &str| {
            let mut hasher = blake3::Hasher::new_keyed(session);
            hasher.update(what.as_bytes()).update(&log.space.0);
            if let Some(channel) = &log.channel {
                hasher.update(&channel.0);
            }
            *hasher.finalize().as_bytes()
        };
        Self {
            name: derive("terachat 2026-11 heads name"),
            head: derive("terachat 2026-11 heads head"),
            check: derive("terachat 2026-11 heads check"),
        }
    }

    pub(super) fn name(&self, device: &DeviceId) -> ChainName {
        ChainName(start(&blake3::keyed_hash(&self.name, &device.0)))
    }

    /// A head under the name its chain has. Nothing for numbers that no index holds: 0, and from 2^32 on.
    pub(super) fn item(&self, name: ChainName, head: &ChainHead) -> Option<HeadItem> {
        let seq = u32::try_from(head.seq).ok().filter(|seq| *seq > 0)?;
        // The name stands for the device, which makes it one block.
        let mut bytes = [0; 42];
        bytes[..6].copy_from_slice(&name.0);
        bytes[6..10].copy_from_slice(&seq.to_le_bytes());
        bytes[10..].copy_from_slice(&head.hash.0);
        let tag: [u8; 6] = start(&blake3::keyed_hash(&self.head, &bytes));
        let mut item = [0; 16];
        item[..6].copy_from_slice(&name.0);
        item[6..10].copy_from_slice(&seq.to_le_bytes());
        item[10..].copy_from_slice(&tag);
        Some(HeadItem(u128::from_le_bytes(item)))
    }

    pub(super) fn hashed(&self, item: HeadItem) -> Hashed {
        let hash = blake3::keyed_hash(&self.check, &item.0.to_le_bytes());
        let bytes: [u8; 12] = start(&hash);
        let (check, seed) = bytes.split_at(4);
        Hashed {
            item,
            check: check.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte)),
            seed: seed.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        }
    }
}

impl HeadItem {
    /// The chain.
    pub fn chain(self) -> ChainName {
        let bytes = self.0.to_le_bytes();
        ChainName(std::array::from_fn(|at| bytes[at]))
    }

    /// Number of its newest event.
    pub fn seq(self) -> u32 {
        let bytes = self.0.to_le_bytes();
        u32::from_le_bytes(std::array::from_fn(|at| bytes[6 + at]))
    }
}

fn start<const LEN: usize>(hash: &blake3::Hash) -> [u8; LEN] {
    std::array::from_fn(|at| hash.as_bytes()[at])
}
