//! The shards that a node keeps in a bucket, as objects that are never changed: `docs/format/shard-object.md`, ADR 0035.
mod compact;
mod memory;
mod object;
pub(crate) mod objects;
mod open;
mod read;
#[cfg(test)]
mod tests;

use crate::shards::Key;
use crate::{Compacted, Error, Held, Scrubbed, ShardStore, Sound, Usage};
use object::{ENTRIES_MAX, Entry, Head, ObjectName, encode};
use objects::Objects;
use read::TOGETHER;
use std::collections::BTreeMap;
use terachat_shard::{Shard, ShardHash, StripeId};
use terachat_vault::Entropy;

pub use memory::{MemoryObjects, ObjectsFault};
pub use open::BucketOpened;

/// Before the first object.
const BEGINNING: (ObjectName, u32) = (ObjectName { number: 0, salt: [0; 16] }, 0);

/// How shards are kept in a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketOptions {
    /// Bytes of an object at most, unless a single shard is longer: 4 KiB to 64 MiB; default 8 MiB. Smaller ones are put together up
    /// to it, so that a node that starts has to ask for one head for each so many bytes.
    pub object_len: u32,
}

impl Default for BucketOptions {
    fn default() -> Self {
        Self { object_len: 8 << 20 }
    }
}

/// The copy of a shard that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Live {
    object: ObjectName,
    at: u32,
    len: u32,
    hash: ShardHash,
    sound: Sound,
}

/// All copies of a shard in all objects.
#[derive(Debug, Default)]
struct Copies {
    live: Option<Live>,
    /// Copies that were given up or have a later one. While there are any, a drop must not be forgotten.
    dead: u32,
    /// It was to be given up, and whether it is, is not known: it is not told of any more, and not yet told to be gone.
    leaving: bool,
}

/// An object that is there.
struct Kept {
    /// Bytes of the whole of it.
    len: u64,
    /// Bytes of shards in it that count, and how many these are.
    live_bytes: u64,
    live: u32,
    head: Head,
}

/// The shards of one node in a bucket. One value at a time over the same names; whoever uses it from several threads puts a lock
/// around it.
pub struct BucketStore {
    objects: Box<dyn Objects>,
    options: BucketOptions,
    kept: BTreeMap<ObjectName, Kept>,
    shards: BTreeMap<Key, Copies>,
    /// No object has or had this number or a larger one.
    next: u64,
    /// An object that may be there, since nobody answered when it was put. Nothing is done before it is gone.
    unsure: Option<ObjectName>,
    /// Where the scrub goes on: an object, and a position in it.
    scrubbed_to: (ObjectName, u32),
    usage: Usage,
}

impl ShardStore for BucketStore {
    fn put(&mut self, shards: &[Shard<'_>], entropy: &mut dyn Entropy) -> Result<(), Error> {
        let mut fresh: BTreeMap<Key, &Shard<'_>> = BTreeMap::new();
        for shard in shards {
            let key = (shard.stripe(), shard.index());
            let kept = self.live(&key).filter(|live| live.sound != Sound::Rotten).map(|live| live.hash);
            match kept.or_else(|| fresh.get(&key).map(|shard| shard.hash())) {
                Some(hash) if hash != shard.hash() => {
                    return Err(Error::Taken { stripe: key.0, index: key.1 });
                }
                Some(_) => {}
                None => drop(fresh.insert(key, shard)),
            }
        }
        self.settle()?;
        let fresh: Vec<&Shard<'_>> = fresh.into_values().collect();
        for together in self.portions(&fresh) {
            self.write(together, &[], entropy)?;
        }
        Ok(())
    }

    fn get_all(&self, shards: &[(StripeId, u8)]) -> Vec<Result<Option<Vec<u8>>, Error>> {
        let kept: Vec<(Key, Live)> = shards.iter().filter_map(|key| Some((*key, *self.live(key)?))).collect();
        let mut read = self.read(&kept).into_iter();
        let answer = |key| match self.live(key) {
            Some(_) => read.next().expect("an answer for each that is kept").map(Some),
            None => Ok(None),
        };
        shards.iter().map(answer).collect()
    }

    fn condemn(&mut self, stripe: StripeId, index: u8) {
        self.find(&(stripe, index), Sound::Rotten);
    }

    fn doubt(&mut self, stripe: StripeId, index: u8) {
        let key = (stripe, index);
        if self.live(&key).is_some_and(|live| live.sound == Sound::Yes) {
            self.find(&key, Sound::Unknown);
        }
    }

    fn give_up(&mut self, shards: &[(StripeId, u8)], entropy: &mut dyn Entropy) -> Result<usize, Error> {
        self.settle()?;
        let there =
            |key: &&Key| self.shards.get(key).is_some_and(|copies| copies.live.is_some() || copies.leaving);
        let mut gone: Vec<Key> = shards.iter().filter(there).copied().collect();
        gone.sort_unstable();
        gone.dedup();
        for key in &gone {
            self.leave(key);
        }
        for together in gone.chunks(ENTRIES_MAX) {
            self.write(&[], together, entropy)?;
        }
        Ok(gone.len())
    }

    fn places(&self, stripe: StripeId) -> Vec<u8> {
        let shards = self.shards.range((stripe, 0)..=(stripe, u8::MAX));
        let counts = |copies: &Copies| copies.live.is_some_and(|live| live.sound != Sound::Rotten);
        shards.filter(|(_, copies)| counts(copies)).map(|(&(_, index), _)| index).collect()
    }

    fn count(&self, first: StripeId, last: StripeId) -> Vec<Held> {
        if first > last {
            return Vec::new();
        }
        let range = self.shards.range((first, 0)..=(last, u8::MAX));
        range.filter_map(|(key, copies)| Some(held(*key, copies.live.as_ref()?))).collect()
    }

    fn verify(&mut self, first: StripeId, last: StripeId, budget: u64) -> Result<u64, Error> {
        if first > last {
            return Ok(0);
        }
        let range = self.shards.range((first, 0)..=(last, u8::MAX));
        let lives = range.filter_map(|(key, copies)| Some((*key, copies.live?)));
        let mut left = budget.max(TOGETHER);
        let unread = lives.filter(|(_, live)| live.sound == Sound::Unknown).take_while(|(_, live)| {
            let fits = left > 0;
            left = left.saturating_sub(u64::from(live.len));
            fits
        });
        let unread: Vec<(Key, Live)> = unread.collect();
        Ok(self.read_again(&unread)?.0)
    }

    fn scrub(&mut self, budget: u64) -> Result<Scrubbed, Error> {
        self.scrub_step(budget)
    }

    fn rewind(&mut self) {
        self.scrubbed_to = BEGINNING;
    }

    fn compact(
        &mut self,
        live_percent: u8,
        budget: u64,
        entropy: &mut dyn Entropy,
    ) -> Result<Compacted, Error> {
        self.compact_step(live_percent, budget, entropy)
    }

    fn usage(&self) -> Usage {
        self.usage
    }
}

impl BucketStore {
    /// All shards that are kept, in the order of their stripes.
    pub fn held(&self) -> impl Iterator<Item = Held> + '_ {
        self.shards.iter().filter_map(|(key, copies)| Some(held(*key, copies.live.as_ref()?)))
    }

    fn live(&self, key: &Key) -> Option<&Live> {
        self.shards.get(key)?.live.as_ref()
    }

    /// Notes what a shard was found to be.
    fn find(&mut self, key: &Key, sound: Sound) {
        if let Some(live) = self.shards.get_mut(key).and_then(|copies| copies.live.as_mut()) {
            self.usage.rotten -= u64::from(live.sound == Sound::Rotten);
            self.usage.rotten += u64::from(sound == Sound::Rotten);
            live.sound = sound;
        }
    }

    /// Cuts shards into objects' worth.
    fn portions<'s, 'b>(&self, shards: &'s [&'b Shard<'b>]) -> Vec<&'s [&'b Shard<'b>]> {
        let (mut portions, mut rest) = (Vec::new(), shards);
        while !rest.is_empty() {
            let mut len = 0;
            let fits = |shard: &&&Shard<'_>| {
                len += shard.payload().len();
                len <= self.options.object_len as usize
            };
            let count = rest.iter().take_while(fits).take(ENTRIES_MAX).count().max(1);
            let (together, later) = rest.split_at(count);
            portions.push(together);
            rest = later;
        }
        portions
    }

    /// Sees to it that an object of which nobody knows whether it is there is not.
    fn settle(&mut self) -> Result<(), Error> {
        if let Some(name) = self.unsure {
            self.objects.remove(&[name.to_string()])?;
            self.unsure = None;
        }
        Ok(())
    }

    /// Puts one object, and notes what it says.
    fn write(
        &mut self,
        shards: &[&Shard<'_>],
        drops: &[Key],
        entropy: &mut dyn Entropy,
    ) -> Result<(), Error> {
        let mut name = ObjectName { number: self.next, salt: [0; 16] };
        entropy.fill(&mut name.salt);
        // Also when it fails: what comes late must not be behind what is put next.
        self.next = self.next.saturating_add(1);
        let (head, bytes) = encode(&name, shards, drops);
        self.unsure = Some(name);
        self.objects.put(&name.to_string(), bytes)?;
        self.unsure = None;
        let len = head.object_len();
        self.note(name, head, len, |_| Sound::Yes);
        Ok(())
    }

    /// What one more object changes. Objects come in the order of their names.
    fn note(&mut self, name: ObjectName, head: Head, len: u64, sound: impl Fn(&Entry) -> Sound) {
        self.usage.segments += 1;
        self.usage.disk_bytes += len;
        for key in &head.drops {
            self.end(key);
            if let Some(copies) = self.shards.get_mut(key) {
                copies.leaving = false;
            }
        }
        self.kept.insert(name, Kept { len, live_bytes: 0, live: 0, head: Head::default() });
        for entry in &head.shards {
            let sound = sound(entry);
            let before = self.live(&entry.key).filter(|_| sound == Sound::Rotten);
            if before.is_some_and(|before| before.hash == entry.hash && before.sound != Sound::Rotten) {
                // A copy that is not whole does not take the place of the shard that it was made of.
                self.shards.entry(entry.key).or_default().dead += 1;
                continue;
            }
            self.end(&entry.key);
            let copies = self.shards.entry(entry.key).or_default();
            copies.leaving = false;
            copies.live = Some(Live { object: name, at: entry.at, len: entry.len, hash: entry.hash, sound });
            if let Some(kept) = self.kept.get_mut(&name) {
                kept.live += 1;
                kept.live_bytes += u64::from(entry.len);
            }
            self.usage.shards += 1;
            self.usage.live_bytes += u64::from(entry.len);
            self.usage.rotten += u64::from(sound == Sound::Rotten);
        }
        if let Some(kept) = self.kept.get_mut(&name) {
            kept.head = head;
        }
    }

    /// The copy that counts does no longer.
    fn end(&mut self, key: &Key) {
        let Some(copies) = self.shards.get_mut(key) else { return };
        let Some(live) = copies.live.take() else { return };
        copies.dead += 1;
        if let Some(kept) = self.kept.get_mut(&live.object) {
            kept.live -= 1;
            kept.live_bytes -= u64::from(live.len);
        }
        self.usage.shards -= 1;
        self.usage.live_bytes -= u64::from(live.len);
        self.usage.rotten -= u64::from(live.sound == Sound::Rotten);
    }

    /// A shard is about to be given up.
    fn leave(&mut self, key: &Key) {
        self.end(key);
        if let Some(copies) = self.shards.get_mut(key) {
            copies.leaving = true;
        }
    }
}

fn held(key: Key, live: &Live) -> Held {
    Held { stripe: key.0, index: key.1, hash: live.hash, len: live.len, sound: live.sound }
}
