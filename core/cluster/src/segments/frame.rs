//! One frame of a segment: `docs/format/shard-segment.md`.
use super::Key;
use terachat_shard::{SHARD_HEADER_LEN, SHARD_LEN_MAX, StripeId};

/// Where frames may begin.
pub(super) const ALIGN: usize = 16;
/// Bytes before a body.
pub(super) const HEAD_LEN: usize = 32;
/// Bytes of a trailer.
pub(super) const TRAILER_LEN: usize = 32;
const CHECK_LEN: usize = 16;
/// Bytes of a shard that is given up.
const DROP_LEN: usize = 17;
/// Most shards that are given up in one frame.
pub(super) const DROPS_MAX: usize = 4096;
const CONTEXT: &str = "terachat 2026-11 shard frames";

/// Random bytes that make a segment's key its own.
pub(super) type Salt = [u8; 16];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Shard = 1,
    Drop = 2,
    Index = 3,
}

/// What tells a segment's frames from everything else.
pub(super) struct FrameKey([u8; 32]);

/// What the beginning of a frame says; not yet compared with its check.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) kind: Kind,
    /// Bytes of the body.
    pub(super) len: usize,
    check: [u8; CHECK_LEN],
}

impl Head {
    /// The frame that may begin at this position with these bytes.
    pub(super) fn read(bytes: &[u8; HEAD_LEN], position: u64) -> Option<Self> {
        let kind = match bytes[..4] {
            [1, 0, 0, 0] => Kind::Shard,
            [2, 0, 0, 0] => Kind::Drop,
            [3, 0, 0, 0] => Kind::Index,
            _ => return None,
        };
        if bytes[8..16] != position.to_le_bytes() {
            return None;
        }
        let len = usize::try_from(u32_at(bytes, 4)).ok()?;
        let fits = match kind {
            Kind::Shard => (SHARD_HEADER_LEN..=SHARD_HEADER_LEN + SHARD_LEN_MAX).contains(&len),
            Kind::Drop => len <= DROPS_MAX * DROP_LEN,
            Kind::Index => true,
        };
        let mut check = [0; CHECK_LEN];
        check.copy_from_slice(&bytes[16..]);
        fits.then_some(Self { kind, len, check })
    }

    /// Bytes of the body that the check covers.
    pub(super) fn covered(&self) -> usize {
        match self.kind {
            Kind::Shard => SHARD_HEADER_LEN,
            Kind::Drop | Kind::Index => self.len,
        }
    }
}

impl FrameKey {
    pub(super) fn new(number: u32, salt: &Salt) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&number.to_le_bytes()).update(salt);
        Self(*hasher.finalize().as_bytes())
    }

    fn check(&self, said: &[u8], covered: &[u8]) -> [u8; CHECK_LEN] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(said).update(covered);
        let mut check = [0; CHECK_LEN];
        check.copy_from_slice(&hasher.finalize().as_bytes()[..CHECK_LEN]);
        check
    }

    /// Whether a frame whose body begins so is one.
    pub(super) fn fits(&self, head: &Head, position: u64, body: &[u8]) -> bool {
        let said = said(head.kind, head.len, position);
        body.get(..head.covered()).is_some_and(|covered| self.check(&said, covered) == head.check)
    }

    /// Adds a frame to what will stand at `base` in the file, and zeros up to where the next may begin. The body comes in two parts.
    pub(super) fn write(&self, out: &mut Vec<u8>, base: u64, kind: Kind, [start, rest]: [&[u8]; 2]) {
        let len = start.len() + rest.len();
        let position = base + out.len() as u64;
        let said = said(kind, len, position);
        let check = match kind {
            Kind::Shard => self.check(&said, start),
            Kind::Drop | Kind::Index => self.check(&said, &[start, rest].concat()),
        };
        for part in [&said[..], &check, start, rest] {
            out.extend_from_slice(part);
        }
        out.resize(out.len().next_multiple_of(ALIGN), 0);
    }

    /// The end of a file that has its index at `position` and, with these bytes, this length.
    pub(super) fn trailer(&self, position: u64, len: u64) -> [u8; TRAILER_LEN] {
        let mut trailer = [0; TRAILER_LEN];
        trailer[..8].copy_from_slice(&position.to_le_bytes());
        trailer[8..16].copy_from_slice(&len.to_le_bytes());
        let check = self.check(&trailer[..16], &[]);
        trailer[16..].copy_from_slice(&check);
        trailer
    }

    /// Where the index of a file of this length is, if it ends so.
    pub(super) fn index_at(&self, trailer: &[u8], len: u64) -> Option<u64> {
        let position = u64::from_le_bytes(trailer.get(..8)?.try_into().ok()?);
        (self.trailer(position, len) == trailer).then_some(position)
    }
}

/// The first 16 bytes of a frame. No caller makes a body of 4 GiB.
fn said(kind: Kind, len: usize, position: u64) -> [u8; 16] {
    let mut said = [0; 16];
    said[0] = kind as u8;
    said[4..8].copy_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
    said[8..].copy_from_slice(&position.to_le_bytes());
    said
}

/// The body of a drop.
pub(super) fn write_drops(keys: &[Key]) -> Vec<u8> {
    keys.iter().flat_map(|(stripe, index)| stripe.0.into_iter().chain([*index])).collect()
}

/// What [`write_drops`] wrote.
pub(super) fn read_drops(body: &[u8]) -> Option<Vec<Key>> {
    let (entries, rest) = body.as_chunks::<DROP_LEN>();
    let key = |entry: &[u8; DROP_LEN]| {
        let (stripe, index) = entry.split_at(16);
        (StripeId(stripe.try_into().expect("16 of 17 bytes")), index[0])
    };
    rest.is_empty().then(|| entries.iter().map(key).collect())
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}
