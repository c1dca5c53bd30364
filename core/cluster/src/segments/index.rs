//! The list of what is in a closed segment: `docs/format/shard-segment.md`.
use super::frame::{Kind, u32_at};
use super::segment::Entry;
use terachat_shard::{ShardHash, StripeId};

const LEN: usize = 60;

pub(super) fn write(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(entries.len() * LEN);
    for entry in entries {
        let (kind, at, len, hash) = match entry {
            Entry::Shard { at, len, hash, .. } => (Kind::Shard, *at, *len, hash.0),
            Entry::Drop { at, .. } => (Kind::Drop, *at, 0, [0; 32]),
        };
        let (stripe, index) = entry.key();
        out.extend_from_slice(&[kind as u8, index, 0, 0]);
        out.extend_from_slice(&at.to_le_bytes());
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&stripe.0);
        out.extend_from_slice(&hash);
    }
    out
}

/// `None`: the program that wrote it is not this one's like.
pub(super) fn read(body: &[u8]) -> Option<Vec<Entry>> {
    let (entries, rest) = body.as_chunks::<LEN>();
    let entry = |entry: &[u8; LEN]| {
        let key = (StripeId(entry[12..28].try_into().ok()?), entry[1]);
        match entry[0] {
            1 => {
                let hash = ShardHash(entry[28..].try_into().ok()?);
                Some(Entry::Shard { key, at: u32_at(entry, 4), len: u32_at(entry, 8), hash })
            }
            2 => Some(Entry::Drop { key, at: u32_at(entry, 4) }),
            _ => None,
        }
    };
    entries.iter().map(entry).collect::<Option<_>>().filter(|_| rest.is_empty())
}
