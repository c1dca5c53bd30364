use crate::Error;
use crate::blocks::{Lazy, Places, Stored, Values};
use crate::wire::{Reader, put, unzigzag, zigzag};
use std::cmp::Ordering;

/// Positions per chunk before it is split: small enough to shift quickly, large enough to be few. Fewer in tests, so that
/// their stories fill several.
const CHUNK_LEN_MAX: usize = if cfg!(test) { 16 } else { 1024 };

/// A list that only grows: event positions in the total order, which the caller hands in. Appending at the end is the common
/// case. What is deleted keeps its place. Chunks of a snapshot that are not asked for are not read.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    /// No chunk is empty.
    chunks: Vec<Chunk>,
    len: usize,
}

#[derive(Debug, Clone)]
struct Chunk {
    /// The last of them, and how many they are.
    last: u32,
    len: usize,
    items: Lazy<Items>,
}

#[derive(Debug, Clone)]
struct Items(Vec<u32>);

impl Chunk {
    fn new(items: Vec<u32>) -> Self {
        let last = items.last().copied().expect("no chunk is empty");
        Self { last, len: items.len(), items: Lazy::new(Items(items)) }
    }

    fn items(&self) -> &[u32] {
        &self.items.get().0
    }
}

impl Timeline {
    /// Number of positions.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no positions.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Inserts `item` at its place; the caller inserts each once.
    pub fn insert(&mut self, item: u32, order: impl Fn(u32, u32) -> Ordering) {
        self.len += 1;
        let at = match self.chunks.last() {
            None => {
                self.chunks.push(Chunk::new(vec![item]));
                return;
            }
            Some(chunk) if order(chunk.last, item).is_lt() => self.chunks.len() - 1,
            Some(_) => self.chunks.partition_point(|chunk| order(chunk.last, item).is_lt()),
        };
        let chunk = &mut self.chunks[at];
        let is_last = order(chunk.last, item).is_lt();
        if is_last && chunk.len >= CHUNK_LEN_MAX {
            // An append leaves a full chunk behind instead of two half ones.
            self.chunks.insert(at + 1, Chunk::new(vec![item]));
            return;
        }
        let items = &mut chunk.items.get_mut().0;
        let place =
            if is_last { items.len() } else { items.partition_point(|other| order(*other, item).is_lt()) };
        items.insert(place, item);
        let rest = (items.len() > CHUNK_LEN_MAX).then(|| items.split_off(items.len() / 2));
        (chunk.len, chunk.last) = (items.len(), items.last().copied().unwrap_or(item));
        if let Some(rest) = rest {
            self.chunks.insert(at + 1, Chunk::new(rest));
        }
    }

    /// The rank of `item` in the order: how many positions precede it.
    pub fn rank(&self, item: u32, order: impl Fn(u32, u32) -> Ordering) -> usize {
        self.rank_where(|other| order(other, item).is_lt())
    }

    /// How many positions there are before the first one that is not before something.
    pub(crate) fn rank_where(&self, is_before: impl Fn(u32) -> bool) -> usize {
        let at = self.chunks.partition_point(|chunk| is_before(chunk.last));
        let before: usize = self.chunks[..at].iter().map(|chunk| chunk.len).sum();
        let within = |chunk: &Chunk| chunk.items().partition_point(|other| is_before(*other));
        before + self.chunks.get(at).map_or(0, within)
    }

    /// Whether `item` was inserted.
    pub fn contains(&self, item: u32, order: impl Fn(u32, u32) -> Ordering) -> bool {
        let at = self.chunks.partition_point(|chunk| order(chunk.last, item).is_lt());
        let found = |chunk: &Chunk| chunk.items().binary_search_by(|other| order(*other, item)).is_ok();
        self.chunks.get(at).is_some_and(found)
    }

    /// The positions from rank `from` (inclusive) on, in order.
    pub fn iter_from(&self, from: usize) -> impl Iterator<Item = u32> + '_ {
        let mut skip = from;
        let at = self.chunks.iter().position(|chunk| {
            let here = skip < chunk.len;
            skip -= if here { 0 } else { chunk.len };
            here
        });
        let chunks = &self.chunks[at.unwrap_or(self.chunks.len())..];
        chunks.iter().flat_map(Chunk::items).copied().skip(skip)
    }

    /// The positions below rank `end` (exclusive), the last first.
    pub fn iter_before(&self, end: usize) -> impl Iterator<Item = u32> + '_ {
        let mut left = end;
        let at = self.chunks.iter().position(|chunk| {
            let here = left < chunk.len;
            left -= if here { 0 } else { chunk.len };
            here
        });
        let part = at.filter(|_| left > 0).map_or(&[][..], |at| &self.chunks[at].items()[..left]);
        let whole = self.chunks[..at.unwrap_or(self.chunks.len())].iter().rev();
        part.iter().rev().chain(whole.flat_map(|chunk| chunk.items().iter().rev())).copied()
    }

    /// Appends the timeline, with its chunks among the values.
    pub(crate) fn put(&self, out: &mut Vec<u8>, values: &mut Values) {
        put(out, self.chunks.len() as u64);
        for chunk in &self.chunks {
            put(out, chunk.last.into());
            put(out, chunk.len as u64);
            values.put(out, &chunk.items);
        }
    }

    /// Reads what [`Timeline::put`] wrote for a log of `events` events.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub(crate) fn read(reader: &mut Reader<'_>, places: &mut Places<'_>, events: u32) -> Result<Self, Error> {
        let mut timeline = Self::default();
        for _ in 0..reader.count(events as usize)? {
            let last = reader.index(events as usize)?;
            let len = reader.count(events as usize)?;
            if len == 0 {
                return Err(Error::Malformed("an empty part of a timeline"));
            }
            let items = places.next(reader, Expected { events, last, len })?;
            timeline.chunks.push(Chunk { last, len, items });
            timeline.len += len;
        }
        if timeline.len > events as usize { Err(Error::Malformed("a timeline")) } else { Ok(timeline) }
    }
}

/// What is known of a chunk before it is read.
#[derive(Debug, Clone, Copy)]
struct Expected {
    events: u32,
    last: u32,
    len: usize,
}

impl Stored for Items {
    type Context = Expected;

    fn pack(&self, out: &mut Vec<u8>) {
        let mut next = 0;
        for at in &self.0 {
            put(out, zigzag(next, u64::from(*at)));
            next = u64::from(*at) + 1;
        }
    }

    fn unpack(bytes: &[u8], expected: Expected) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let mut next = 0;
        let items = (0..expected.len).map(|_| {
            let at = u32::try_from(unzigzag(next, reader.number()?)).ok().filter(|at| *at < expected.events);
            let at = at.ok_or(Error::Malformed("a message that is no event"))?;
            next = u64::from(at) + 1;
            Ok(at)
        });
        let items: Vec<u32> = items.collect::<Result<_, Error>>()?;
        reader.end()?;
        let is_whole = items.last() == Some(&expected.last);
        if is_whole { Ok(Self(items)) } else { Err(Error::Malformed("a part of a timeline")) }
    }

    fn blank(expected: Expected) -> Self {
        Self(vec![expected.last; expected.len])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::Source;
    use crate::crdt::laws::{Lawful, hold, steps};
    use crate::crdt::{Crdt, Stamp};
    use proptest::prelude::*;
    use std::sync::Arc;

    /// A timeline with the log it is of: positions are the order in which events came to this replica.
    #[derive(Debug, Clone, Default)]
    struct Replica {
        log: Vec<Stamp>,
        timeline: Timeline,
    }

    impl PartialEq for Replica {
        fn eq(&self, other: &Self) -> bool {
            self.view() == other.view()
        }
    }

    impl Crdt for Replica {
        type Op = Stamp;

        fn apply(&mut self, stamp: Stamp) {
            if !self.log.contains(&stamp) {
                self.log.push(stamp);
                let order = |a: u32, b: u32| self.log[a as usize].cmp(&self.log[b as usize]);
                self.timeline.insert(self.log.len() as u32 - 1, order);
            }
        }

        fn merge(&mut self, other: &Self) {
            other.log.iter().for_each(|stamp| self.apply(*stamp));
        }
    }

    impl Lawful for Replica {
        type View = Vec<Stamp>;

        fn act(&self, stamp: &Stamp, _: u8) -> Stamp {
            *stamp
        }

        fn view(&self) -> Self::View {
            self.timeline.iter_from(0).map(|at| self.log[at as usize]).collect()
        }

        fn naive(ops: &[Stamp]) -> Self::View {
            let mut all = ops.to_vec();
            all.sort_unstable();
            all
        }
    }

    proptest! {
        #[test]
        fn the_laws_hold(steps in steps()) {
            hold::<Replica>(&steps)?;
        }

        #[test]
        fn equals_a_sorted_list(keys in prop::collection::btree_set(any::<u32>(), 0..5000), sorted: bool, lazily: bool, from: prop::sample::Index) {
            // Items are positions into `keys`, so that order and arrival differ as they do for events.
            let mut keys: Vec<u32> = keys.into_iter().collect();
            if !sorted { keys.sort_by_key(|key| key.wrapping_mul(0x9e37_79b9)); }
            let order = |a: u32, b: u32| keys[a as usize].cmp(&keys[b as usize]);
            let mut timeline = Timeline::default();
            for item in 0..keys.len() as u32 {
                prop_assert!(!timeline.contains(item, order));
                timeline.insert(item, order);
                prop_assert!(timeline.contains(item, order));
            }
            let mut naive: Vec<u32> = (0..keys.len() as u32).collect();
            naive.sort_by(|a, b| order(*a, *b));
            prop_assert_eq!(timeline.len(), naive.len());
            prop_assert_eq!(timeline.iter_from(0).collect::<Vec<_>>(), naive.clone());
            let (mut list, mut values) = (Vec::new(), Values::default());
            timeline.put(&mut list, &mut values);
            let source = Source::new(values.into_bytes(), &Arc::default());
            let (mut reader, mut places) = (Reader::new(&list), Places::new(&source));
            let read = Timeline::read(&mut reader, &mut places, keys.len() as u32).unwrap();
            reader.end().and(places.end()).unwrap();
            let timeline = if lazily { read } else { timeline };
            let from = from.index(keys.len() + 1);
            prop_assert_eq!(timeline.iter_from(from).collect::<Vec<_>>(), &naive[from..]);
            let mut before: Vec<u32> = timeline.iter_before(from).collect();
            before.reverse();
            prop_assert_eq!(before, &naive[..from]);
            for (rank, item) in naive.iter().enumerate().step_by(97) { prop_assert_eq!(timeline.rank(*item, order), rank); }
            prop_assert!(timeline.chunks.iter().all(|chunk| chunk.len > 0 && chunk.len == chunk.items().len() && chunk.items().last() == Some(&chunk.last) && chunk.len <= CHUNK_LEN_MAX));
        }
    }
}
