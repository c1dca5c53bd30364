//! Having the space back of what was given up.
use super::SegmentStore;
use super::frame::Kind;
use super::manifest::file;
use super::segment::Entry;
use crate::shards::Key;
use crate::{Compacted, Error, Sound};
use std::collections::BTreeMap;
use terachat_shard::Shard;
use terachat_vault::Entropy;

impl SegmentStore {
    /// One step: of the closed segment with the smallest share of shards that count, if that is at most `live_percent` and something
    /// in it does not, copies shards until `budget` bytes are read, and removes it once none is left in it.
    ///
    /// # Errors
    /// [`Error::Storage`]: everything that is kept still is.
    pub fn compact(
        &mut self,
        live_percent: u8,
        budget: u64,
        entropy: &mut dyn Entropy,
    ) -> Result<Compacted, Error> {
        let mut step = Compacted::default();
        let Some(victim) = self.victim(live_percent) else { return Ok(step) };
        let mut shards = Vec::new();
        for key in self.live_in(victim) {
            if step.copied >= budget {
                break;
            }
            match self.get(key.0, key.1) {
                Ok(bytes) => {
                    let bytes = bytes.unwrap_or_default();
                    step.copied += bytes.len() as u64;
                    shards.push(bytes);
                }
                Err(Error::Rotten { stripe, index }) => {
                    self.condemn(stripe, index);
                    step.rotten.push(key);
                }
                Err(error) => return Err(error),
            }
        }
        let bodies = shards.iter().filter_map(|bytes| {
            let shard = Shard::decode(bytes).ok()?;
            Some((shard.header(), shard.payload()))
        });
        self.write(Kind::Shard, bodies, entropy)?;
        if self.live_in(victim).is_empty() {
            step.freed = self.remove(victim, entropy)?;
        }
        Ok(step)
    }

    /// The closed segment that is worth most: no rotten shard counts in it, for a copy would pass for a sound one.
    fn victim(&self, live_percent: u8) -> Option<u32> {
        let closed = self.segments.iter().filter(|(number, _)| self.open != Some(**number));
        let worth = closed.filter(|(number, segment)| {
            segment.live_bytes.saturating_mul(100) <= segment.len.saturating_mul(u64::from(live_percent))
                && self.has_waste(**number)
                && self
                    .live_in(**number)
                    .iter()
                    .all(|key| self.live(key).is_some_and(|live| live.sound != Sound::Rotten))
        });
        // Shares, compared crosswise.
        let least = worth.min_by(|(_, a), (_, b)| {
            (u128::from(a.live_bytes) * u128::from(b.len))
                .cmp(&(u128::from(b.live_bytes) * u128::from(a.len)))
        });
        least.map(|(number, _)| *number)
    }

    /// The shards that count in a segment, in the order of their positions.
    fn live_in(&self, number: u32) -> Vec<Key> {
        let counts = |entry: &Entry| match *entry {
            Entry::Shard { key, at, .. } => {
                self.live(&key).filter(|live| (live.segment, live.at) == (number, at)).map(|_| key)
            }
            Entry::Drop { .. } => None,
        };
        let entries = self.segments.get(&number).map_or(&[][..], |segment| &segment.entries);
        entries.iter().filter_map(counts).collect()
    }

    /// Whether something would be gone with it.
    fn has_waste(&self, number: u32) -> bool {
        let own = self.own(number);
        own.values().map(|count| *count as usize).sum::<usize>() > self.live_in(number).len()
            || self.drops(number).any(|key| !self.needed(&key, &own))
    }

    /// How many copies of each shard a segment has.
    fn own(&self, number: u32) -> BTreeMap<Key, u32> {
        let mut own = BTreeMap::new();
        for entry in self.segments.get(&number).map_or(&[][..], |segment| &segment.entries) {
            if let Entry::Shard { key, .. } = entry {
                *own.entry(*key).or_default() += 1;
            }
        }
        own
    }

    fn drops(&self, number: u32) -> impl Iterator<Item = Key> + '_ {
        let entries = self.segments.get(&number).map_or(&[][..], |segment| &segment.entries);
        entries.iter().filter(|entry| matches!(entry, Entry::Drop { .. })).map(Entry::key)
    }

    /// Whether it has to be said that a shard was given up: as long as an older copy of it is in a segment that is not `own`'s.
    fn needed(&self, key: &Key, own: &BTreeMap<Key, u32>) -> bool {
        let here = own.get(key).copied().unwrap_or(0);
        self.shards.get(key).is_some_and(|copies| copies.live.is_none() && copies.dead > here)
    }

    /// Removes a segment in which nothing counts, and gives its length.
    fn remove(&mut self, number: u32, entropy: &mut dyn Entropy) -> Result<u64, Error> {
        let len = self.segments.get(&number).map_or(0, |segment| segment.len);
        let own = self.own(number);
        let mut dropped: Vec<Key> = self.drops(number).filter(|key| self.needed(key, &own)).collect();
        dropped.sort_unstable();
        dropped.dedup();
        self.forget(&dropped, entropy)?;

        let mut manifest = self.manifest.clone();
        manifest.segments.remove(&number);
        manifest.save(self.storage.as_mut())?;
        self.manifest = manifest;
        self.segments.remove(&number);
        for (key, count) in own {
            if let Some(copies) = self.shards.get_mut(&key) {
                copies.dead = copies.dead.saturating_sub(count);
                if copies.live.is_none() && copies.dead == 0 {
                    self.shards.remove(&key);
                }
            }
        }
        // The manifest does not name it any more, so a file that stays is removed when the store is opened.
        let _ = self.storage.remove(&file(number));
        Ok(len)
    }
}
