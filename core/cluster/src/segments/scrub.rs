//! Reading everything again, a little at a time, to find what has rotted.
use super::segment::Entry;
use super::{Live, SegmentStore};
use crate::shards::Key;
use crate::{Error, Held, Scrubbed, Sound};
use terachat_shard::StripeId;

impl SegmentStore {
    /// Reads the next shards, as they stand on the disk, until `budget` bytes are read or all were. Each is then known to be sound or
    /// rotten. Begins where the step before ended; a store that is opened begins anew.
    ///
    /// # Errors
    /// [`Error::Storage`]: the disk cannot be read; what was found until then is known.
    pub fn scrub(&mut self, budget: u64) -> Result<Scrubbed, Error> {
        let mut step = Scrubbed::default();
        while step.bytes < budget {
            let Some((segment, at, key, len)) = self.next_live() else {
                self.scrubbed_to = (0, 0);
                step.through = true;
                break;
            };
            let sound = match self.get(key.0, key.1) {
                Ok(_) => Sound::Yes,
                Err(Error::Rotten { .. }) => {
                    step.rotten.push(key);
                    Sound::Rotten
                }
                Err(error) => return Err(error),
            };
            self.set_sound(&key, sound);
            step.bytes += u64::from(len);
            self.scrubbed_to = (segment, at + 1);
        }
        Ok(step)
    }

    /// What is kept of these stripes, first and last with them.
    pub fn count(&self, first: StripeId, last: StripeId) -> Vec<Held> {
        if first > last {
            return Vec::new();
        }
        let held =
            self.shards.range((first, 0)..=(last, u8::MAX)).filter_map(|(&(stripe, index), copies)| {
                let Live { hash, len, sound, .. } = copies.live?;
                Some(Held { stripe, index, hash, len, sound })
            });
        held.collect()
    }

    /// Reads what nobody has read since the store was opened of these stripes, first and last with them, until `budget` bytes are read
    /// or all is, and says how many bytes that were.
    ///
    /// # Errors
    /// [`Error::Storage`]: the disk cannot be read; what was found until then is known.
    pub fn verify(&mut self, first: StripeId, last: StripeId, budget: u64) -> Result<u64, Error> {
        let unread: Vec<Held> =
            self.count(first, last).into_iter().filter(|held| held.sound == Sound::Unknown).collect();
        let mut bytes = 0;
        for held in unread {
            if bytes >= budget {
                break;
            }
            let sound = match self.get(held.stripe, held.index) {
                Ok(_) => Sound::Yes,
                Err(Error::Rotten { .. }) => Sound::Rotten,
                Err(error) => return Err(error),
            };
            self.set_sound(&(held.stripe, held.index), sound);
            bytes += u64::from(held.len);
        }
        Ok(bytes)
    }

    /// The first shard that counts, from where the scrub is on.
    fn next_live(&self) -> Option<(u32, u32, Key, u32)> {
        let (from, from_at) = self.scrubbed_to;
        for (&number, segment) in self.segments.range(from..) {
            let begin = match number == from {
                true => segment.entries.partition_point(|entry| entry.at() < from_at),
                false => 0,
            };
            for entry in &segment.entries[begin..] {
                if let Entry::Shard { key, at, len, .. } = *entry
                    && self.live(&key).is_some_and(|live| (live.segment, live.at) == (number, at))
                {
                    return Some((number, at, key, len));
                }
            }
        }
        None
    }
}
