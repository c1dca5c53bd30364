//! The shards that a node keeps, in segments: files that are only appended to. `docs/format/shard-segment.md`.
mod compact;
mod frame;
mod index;
mod manifest;
mod open;
mod scan;
mod scrub;
mod segment;
#[cfg(test)]
mod tests;

use crate::shards::Key;
use crate::{Compacted, Error, Held, Scrubbed, ShardStore, Sound, Usage};
use frame::{ALIGN, DROPS_MAX, HEAD_LEN, Kind, write_drops};
use manifest::{Manifest, beginning, file};
use segment::{Entry, Segment};
use std::collections::BTreeMap;
use terachat_shard::{SHARD_HEADER_LEN, Shard, ShardHash, StripeId};
use terachat_storage::{Operation, Storage, StorageError, StorageErrorKind};
use terachat_vault::Entropy;

pub use open::Opened;

/// How shards are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Bytes from which on a segment is closed: 4 KiB to 1 GiB; default 128 MiB. As much is read when a node starts, and copied at
    /// most to have space back.
    pub segment_len: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_len: 128 << 20 }
    }
}

/// The copy of a shard that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Live {
    segment: u32,
    at: u32,
    len: u32,
    hash: ShardHash,
    sound: Sound,
}

/// All copies of a shard in all segments.
#[derive(Debug, Default)]
struct Copies {
    live: Option<Live>,
    /// Copies that were given up or have a later one. While there are any, a drop must not be forgotten.
    dead: u32,
}

/// Of the copies that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Counted {
    shards: u64,
    rotten: u64,
    bytes: u64,
}

impl Counted {
    fn add(&mut self, live: &Live) {
        self.shards += 1;
        self.rotten += u64::from(live.sound == Sound::Rotten);
        self.bytes += u64::from(live.len);
    }

    fn take(&mut self, live: &Live) {
        self.shards -= 1;
        self.rotten -= u64::from(live.sound == Sound::Rotten);
        self.bytes -= u64::from(live.len);
    }
}

/// The shards of one node. One value at a time over one storage; whoever uses it from several threads puts a lock around it.
///
/// What a call acknowledged survives a power cut, and what it gave up does not come back. After an error of the disk the store goes
/// on: what is written next cuts off what may be there in part.
pub struct SegmentStore {
    storage: Box<dyn Storage>,
    options: Options,
    manifest: Manifest,
    segments: BTreeMap<u32, Segment>,
    /// The segment that is written to.
    open: Option<u32>,
    /// Whether behind the open segment's end something may be that was never acknowledged.
    unsure: bool,
    shards: BTreeMap<Key, Copies>,
    /// What the copies that count come to: asked for with each shard that is written.
    counted: Counted,
    /// Where the scrub goes on: a segment, and a position in it.
    scrubbed_to: (u32, u32),
}

impl SegmentStore {
    /// Keeps shards, all of them durable on return. One that is kept already is not written again; one in the place of a rotten one is.
    /// Put many in one call: they share a sync.
    ///
    /// # Errors
    /// [`Error::Taken`]: none is kept. [`Error::Storage`]: of several segments' worth the first may be.
    pub fn put(&mut self, shards: &[Shard<'_>], entropy: &mut dyn Entropy) -> Result<(), Error> {
        let mut fresh: BTreeMap<Key, &Shard<'_>> = BTreeMap::new();
        for shard in shards {
            let key = (shard.stripe(), shard.index());
            let kept = self.live(&key).filter(|live| live.sound != Sound::Rotten).map(|live| live.hash);
            match kept.or_else(|| fresh.get(&key).map(|shard| shard.hash())) {
                Some(hash) if hash != shard.hash() => {
                    return Err(Error::Taken { stripe: key.0, index: key.1 });
                }
                Some(_) => {}
                None => {
                    fresh.insert(key, shard);
                }
            }
        }
        let bodies = fresh.values().map(|shard| (shard.header(), shard.payload()));
        self.write(Kind::Shard, bodies, entropy)
    }

    /// The whole shard, compared with its hash; `None` if it is not kept.
    ///
    /// # Errors
    /// [`Error::Rotten`]: nothing is noted of it, so tell [`SegmentStore::condemn`]. [`Error::Storage`].
    pub fn get(&self, stripe: StripeId, index: u8) -> Result<Option<Vec<u8>>, Error> {
        let Some(live) = self.live(&(stripe, index)) else { return Ok(None) };
        let read = self.storage.read(&file(live.segment), body_at(live.at), live.len as usize);
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) if error.kind == StorageErrorKind::Short => {
                return Err(Error::Rotten { stripe, index });
            }
            Err(error) => return Err(error.into()),
        };
        match Shard::decode(&bytes) {
            Ok(shard) if shard.hash() == live.hash => Ok(Some(bytes)),
            _ => Err(Error::Rotten { stripe, index }),
        }
    }

    /// Counts a shard as rotten: somebody read it, and it is not what was written. Not durable, for whoever reads it again finds it.
    pub fn condemn(&mut self, stripe: StripeId, index: u8) {
        self.set_sound(&(stripe, index), Sound::Rotten);
    }

    /// Gives shards up, durable on return, and says how many of them there were.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn give_up(&mut self, shards: &[(StripeId, u8)], entropy: &mut dyn Entropy) -> Result<usize, Error> {
        let mut kept: Vec<Key> = shards.iter().filter(|key| self.live(key).is_some()).copied().collect();
        kept.sort_unstable();
        kept.dedup();
        self.forget(&kept, entropy)?;
        Ok(kept.len())
    }

    /// All shards that are kept, in the order of their stripes.
    pub fn held(&self) -> impl Iterator<Item = Held> + '_ {
        self.shards.iter().filter_map(|(&(stripe, index), copies)| {
            let Live { hash, len, sound, .. } = copies.live?;
            Some(Held { stripe, index, hash, len, sound })
        })
    }

    /// Which shards of a stripe are kept and not known to be rotten.
    pub fn places(&self, stripe: StripeId) -> impl Iterator<Item = u8> + '_ {
        let shards = self.shards.range((stripe, 0)..=(stripe, u8::MAX));
        let counts = |live: &Live| live.sound != Sound::Rotten;
        shards
            .filter(move |(_, copies)| copies.live.as_ref().is_some_and(counts))
            .map(|(&(_, index), _)| index)
    }

    /// How much there is.
    pub fn usage(&self) -> Usage {
        let Counted { shards, rotten, bytes } = self.counted;
        Usage {
            segments: self.segments.len() as u64,
            disk_bytes: self.segments.values().map(|segment| segment.len).sum(),
            shards,
            rotten,
            live_bytes: bytes,
        }
    }

    /// Notes how sound the copy of a shard that counts is.
    fn set_sound(&mut self, key: &Key, sound: Sound) {
        if let Some(live) = self.shards.get_mut(key).and_then(|copies| copies.live.as_mut()) {
            self.counted.take(live);
            live.sound = sound;
            self.counted.add(live);
        }
    }

    fn live(&self, key: &Key) -> Option<&Live> {
        self.shards.get(key)?.live.as_ref()
    }

    /// Writes that these are given up.
    fn forget(&mut self, keys: &[Key], entropy: &mut dyn Entropy) -> Result<(), Error> {
        let bodies = keys.chunks(DROPS_MAX).map(|keys| ([], write_drops(keys)));
        self.write(Kind::Drop, bodies, entropy)
    }

    /// Appends frames and syncs them, in as few calls as there are segments for them.
    fn write<const N: usize>(
        &mut self,
        kind: Kind,
        bodies: impl Iterator<Item = ([u8; N], impl AsRef<[u8]>)>,
        entropy: &mut dyn Entropy,
    ) -> Result<(), Error> {
        let (mut frames, mut entries) = (Vec::new(), Vec::new());
        for (start, rest) in bodies {
            let rest = rest.as_ref();
            let room = (HEAD_LEN + start.len() + rest.len()).next_multiple_of(ALIGN);
            let full = |len: u64| len + (frames.len() + room) as u64 > u64::from(self.options.segment_len);
            let begun = self.open.map(|open| self.segments[&open].len);
            // A frame that is longer than a segment has one of its own.
            if begun.is_some_and(|len| full(len) && len + frames.len() as u64 > manifest::BEGIN as u64) {
                self.append(&std::mem::take(&mut frames), std::mem::take(&mut entries))?;
                self.close()?;
            }
            let open = self.begin(entropy)?;
            let Segment { len, key, .. } = &self.segments[&open];
            let at =
                u32::try_from(len + frames.len() as u64).expect("a segment has at most 1 GiB and a frame");
            key.write(&mut frames, *len, kind, [&start, rest]);
            entries.extend(Entry::of(kind, at, &start, rest));
        }
        self.append(&frames, entries)
    }

    /// The open segment; makes one if there is none.
    fn begin(&mut self, entropy: &mut dyn Entropy) -> Result<u32, Error> {
        if let Some(open) = self.open {
            return Ok(open);
        }
        let number = self.manifest.next;
        let mut salt = [0; 16];
        entropy.fill(&mut salt);
        let file = file(number);
        // It may be there in part, from a try that failed.
        self.storage.remove(&file)?;
        let beginning = beginning(number, &salt);
        self.storage.append(&file, &beginning)?;
        self.storage.sync(&file)?;
        let mut manifest = self.manifest.clone();
        manifest.next = number.saturating_add(1);
        manifest.segments.insert(number, salt);
        manifest.save(self.storage.as_mut())?;
        self.manifest = manifest;
        self.segments.insert(number, Segment::new(number, &salt));
        (self.open, self.unsure) = (Some(number), false);
        Ok(number)
    }

    /// Makes bytes durable behind the open segment's end, and what they say known.
    fn append(&mut self, bytes: &[u8], entries: Vec<Entry>) -> Result<(), Error> {
        let Some(open) = self.open.filter(|_| !bytes.is_empty()) else { return Ok(()) };
        let (file, len) = (file(open), self.segments[&open].len);
        if self.unsure {
            self.storage.truncate(&file, len)?;
            self.storage.sync(&file)?;
        }
        self.unsure = true;
        let at = self.storage.append(&file, bytes)?;
        if at != len {
            let error = StorageError::new(StorageErrorKind::Io, Operation::Append, &file);
            return Err(error.detail(format_args!("it had {at} bytes instead of {len}")).into());
        }
        self.storage.sync(&file)?;
        self.unsure = false;
        let segment = self.segments.get_mut(&open).expect("the open one is there");
        segment.len += bytes.len() as u64;
        for entry in entries {
            self.note(open, entry, Sound::Yes);
        }
        Ok(())
    }

    /// Closes the open segment.
    fn close(&mut self) -> Result<(), Error> {
        let Some(open) = self.open else { return Ok(()) };
        let segment = &self.segments[&open];
        let bytes = segment.ending();
        self.append(&bytes, Vec::new())?;
        self.open = None;
        Ok(())
    }

    /// What an entry of a segment changes. Entries come in the order of their positions.
    fn note(&mut self, number: u32, entry: Entry, sound: Sound) {
        let copies = self.shards.entry(entry.key()).or_default();
        if let (Entry::Shard { hash, .. }, Sound::Rotten, Some(before)) = (entry, sound, copies.live)
            && before.hash == hash
            && before.sound != Sound::Rotten
        {
            // A copy that a power cut left in part; the one that it was made of is still there.
            copies.dead += 1;
            self.segments.get_mut(&number).expect("whoever notes has the segment").entries.push(entry);
            return;
        }
        if let Some(before) = copies.live.take() {
            copies.dead += 1;
            self.counted.take(&before);
            if let Some(segment) = self.segments.get_mut(&before.segment) {
                segment.live_bytes -= u64::from(before.len);
            }
        }
        let segment = self.segments.get_mut(&number).expect("whoever notes has the segment");
        if let Entry::Shard { at, len, hash, .. } = entry {
            let live = Live { segment: number, at, len, hash, sound };
            self.counted.add(&live);
            copies.live = Some(live);
            segment.live_bytes += u64::from(len);
        } else if copies.dead == 0 {
            self.shards.remove(&entry.key());
        }
        segment.entries.push(entry);
    }
}

impl ShardStore for SegmentStore {
    fn put(&mut self, shards: &[Shard<'_>], entropy: &mut dyn Entropy) -> Result<(), Error> {
        self.put(shards, entropy)
    }

    fn get_all(&self, shards: &[(StripeId, u8)]) -> Vec<Result<Option<Vec<u8>>, Error>> {
        shards.iter().map(|(stripe, index)| self.get(*stripe, *index)).collect()
    }

    fn condemn(&mut self, stripe: StripeId, index: u8) {
        self.condemn(stripe, index);
    }

    fn doubt(&mut self, stripe: StripeId, index: u8) {
        let key = (stripe, index);
        if self.live(&key).is_some_and(|live| live.sound == Sound::Yes) {
            self.set_sound(&key, Sound::Unknown);
        }
    }

    fn give_up(&mut self, shards: &[(StripeId, u8)], entropy: &mut dyn Entropy) -> Result<usize, Error> {
        self.give_up(shards, entropy)
    }

    fn places(&self, stripe: StripeId) -> Vec<u8> {
        self.places(stripe).collect()
    }

    fn count(&self, first: StripeId, last: StripeId) -> Vec<Held> {
        self.count(first, last)
    }

    fn verify(&mut self, first: StripeId, last: StripeId, budget: u64) -> Result<u64, Error> {
        self.verify(first, last, budget)
    }

    fn scrub(&mut self, budget: u64) -> Result<Scrubbed, Error> {
        self.scrub(budget)
    }

    fn rewind(&mut self) {
        self.scrubbed_to = (0, 0);
    }

    fn compact(
        &mut self,
        live_percent: u8,
        budget: u64,
        entropy: &mut dyn Entropy,
    ) -> Result<Compacted, Error> {
        self.compact(live_percent, budget, entropy)
    }

    fn usage(&self) -> Usage {
        self.usage()
    }
}

/// Where the body of a frame begins.
fn body_at(at: u32) -> u64 {
    u64::from(at) + HEAD_LEN as u64
}

/// What the first bytes of a shard say.
fn peek(body: &[u8]) -> Option<(Key, ShardHash)> {
    let (stripe, index, hash) = Shard::peek(body.first_chunk::<SHARD_HEADER_LEN>()?);
    Some(((stripe, index), hash))
}
