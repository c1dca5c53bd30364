//! A page of a channel's newest events, taken in ahead of its past: `docs/format/newest.md`.
use super::{Bundle, ChainHead, Limits, Reader, put};
use crate::Error;
use serde::{Deserialize, Serialize};
use terachat_event::{ChannelId, DeviceId, EventHash, LogId, PARENTS_MAX, SpaceId};

/// First byte of an encoded page.
const VERSION: u8 = 1;
/// What one page holds at most: 1,024 events with 256 KiB of payload, in 64 bundles.
pub const PAGE_LIMITS: Limits = Limits { events: 1 << 10, payload_len: 256 << 10 };
/// Longest encoded page in bytes.
const PAGE_LEN_MAX: usize = 1 << 20;
/// Most bundles of a page: one for each run of events of one epoch.
pub(super) const BUNDLES_MAX: usize = 64;
/// Most hashes of events before a page.
pub(super) const OUTSIDE_MAX: usize = 2 << 10;
/// Largest time that a page begins or ends at: as of an event (`docs/format/event.md`).
const TIME_MAX: u64 = 1 << 48;
/// Most chains that [`Want::Newer`] names.
const WANT_HEADS_MAX: usize = 2 << 10;

/// Which part of a channel somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Want {
    /// The newest messages, some more than that where they share a time.
    First {
        /// How many; less where they are long.
        messages: u16,
    },
    /// The messages right before a page.
    Older {
        /// How many; less where they are long.
        messages: u16,
        /// The Lamport time at which that page begins.
        below: u64,
    },
    /// What came since, of the times from that of the oldest page on.
    Newer {
        /// The Lamport time at which the oldest page begins.
        from: u64,
        /// Where each chain stands of which there is something in the pages.
        heads: Vec<(DeviceId, u64)>,
    },
}

impl Want {
    /// Whether it is small enough to be asked for.
    pub fn is_bounded(&self) -> bool {
        !matches!(self, Self::Newer { heads, .. } if heads.len() > WANT_HEADS_MAX)
    }
}

/// All events of a channel between two Lamport times, as the sender has them, but for those that were told not to be lacking.
/// Whoever reads it believes nothing of it before it was judged with the pages behind it.
pub struct NewestPage {
    /// The channel's log.
    pub log: LogId,
    /// The least Lamport time of its events: whatever is older is not here.
    pub from: u64,
    /// Its events are older than this: those from here on are in other pages.
    pub below: u64,
    /// Hashes of older events on which these stand, ascending by device and number.
    pub outside: Vec<ChainHead>,
    /// The events, each bundle of one epoch. Of each chain the last event in all pages is signed; other signatures may be zero.
    pub bundles: Vec<Bundle>,
    /// Bytes that it came in; 0 for one that was made here.
    pub(crate) wire_len: usize,
}

impl NewestPage {
    /// Its number of events.
    pub fn events(&self) -> usize {
        self.bundles.iter().map(|bundle| bundle.batch.events.len()).sum()
    }

    /// Bytes of all its payloads.
    pub(crate) fn payload_len(&self) -> usize {
        self.bundles.iter().map(|bundle| bundle.batch.payload_len()).sum()
    }

    /// The bytes that travel, and that a device keeps.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.log.space.0);
        out.extend_from_slice(&self.log.channel.map_or([0; 32], |channel| channel.0));
        put(&mut out, self.from);
        put(&mut out, self.below);
        put(&mut out, self.outside.len() as u64);
        for head in &self.outside {
            out.extend_from_slice(&head.device.0);
            put(&mut out, head.seq);
            out.extend_from_slice(&head.hash.0);
        }
        put(&mut out, self.bundles.len() as u64);
        for bundle in &self.bundles {
            let bytes = bundle.encode();
            put(&mut out, bytes.len() as u64);
            out.extend_from_slice(&bytes);
        }
        out
    }

    /// Reads a page; what is in it stays sealed.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > PAGE_LEN_MAX {
            return Err(Error::Malformed("a page that is too long"));
        }
        let mut reader = Reader::new(bytes);
        if reader.array()? != [VERSION] {
            return Err(Error::Malformed("another format version"));
        }
        let log = LogId::channel(SpaceId(reader.array()?), ChannelId(reader.array()?));
        let (from, below) = (reader.number()?, reader.number()?);
        if from == 0 || from >= below || below > TIME_MAX {
            return Err(Error::Malformed("a page's times are out of range"));
        }
        let count = reader.count(OUTSIDE_MAX.min(bytes.len() / 65))?;
        let outside = (0..count).map(|_| outside(&mut reader)).collect::<Result<Vec<_>, _>>()?;
        if !outside.is_sorted_by(|a, b| (a.device, a.seq) < (b.device, b.seq)) {
            return Err(Error::Malformed("hashes out of order"));
        }
        let count = reader.count(BUNDLES_MAX)?;
        let mut left = PAGE_LIMITS;
        let mut bundles = Vec::with_capacity(count);
        for _ in 0..count {
            let len = reader.count(bytes.len())?;
            let bundle = Bundle::decode(reader.bytes(len)?, left)?;
            let batch = &bundle.batch;
            if batch.log != log || batch.key.is_none() || batch.events.is_empty() {
                return Err(Error::Malformed("a page with something else than events of its channel"));
            }
            if !(batch.stubs.is_empty() && batch.skeletons.is_empty()) {
                return Err(Error::Malformed("a page that leads behind a fork"));
            }
            // Its events name no more than this: what else is in it would take memory for nothing.
            let count = batch.events.len();
            if batch.controls.len() > count || batch.authors.len() > count * (PARENTS_MAX + 1) {
                return Err(Error::Malformed("a page that names what no event of it does"));
            }
            left.events -= batch.events.len();
            left.payload_len -= batch.payload_len();
            bundles.push(bundle);
        }
        reader.end()?;
        Ok(Self { log, from, below, outside, bundles, wire_len: bytes.len() })
    }

    /// The time behind all events: of a page that ends with the newest.
    pub const fn end_of_time() -> u64 {
        TIME_MAX
    }
}

fn outside(reader: &mut Reader<'_>) -> Result<ChainHead, Error> {
    let (device, seq, hash) = (DeviceId(reader.array()?), reader.number()?, EventHash(reader.array()?));
    if seq == 0 || seq > 1 << 48 {
        return Err(Error::Malformed("a number is out of range"));
    }
    Ok(ChainHead { device, seq, hash })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bare(from: u64, below: u64, outside: Vec<ChainHead>) -> NewestPage {
        let log = LogId::channel(SpaceId([1; 32]), ChannelId([2; 32]));
        NewestPage { log, from, below, outside, bundles: Vec::new(), wire_len: 0 }
    }

    #[test]
    fn pages_without_order_or_time_are_refused() {
        let head = |device, seq| ChainHead { device: DeviceId([device; 32]), seq, hash: EventHash([3; 32]) };
        let read = |page: NewestPage| NewestPage::decode(&page.encode()).is_ok();
        assert!(read(bare(1, 2, vec![head(1, 1), head(1, 2), head(2, 1)])));
        assert!(!read(bare(0, 2, vec![])) && !read(bare(2, 2, vec![])));
        assert!(!read(bare(1, TIME_MAX + 1, vec![])));
        assert!(!read(bare(1, 2, vec![head(1, 2), head(1, 1)])), "not ascending");
        assert!(!read(bare(1, 2, vec![head(1, 2), head(1, 2)])), "one twice");
        assert!(!read(bare(1, 2, vec![head(1, 0)])));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(first) = bytes.first_mut() { *first = VERSION; }
            let _ = NewestPage::decode(&bytes);
        }
    }
}
