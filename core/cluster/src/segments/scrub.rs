//! Reading everything again, a little at a time, to find what has rotted.
use super::segment::Entry;
use super::{Live, SegmentStore};
use crate::shards::Key;
use crate::{Error, Held, Scrubbed, Sound};
use terachat_shard::StripeId;
use terachat_storage::StorageErrorKind;

/// Shards that are tried to see whether the disk gives any.
const OTHERS: usize = 8;

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
            let sound = self.look_again(&key)?;
            if sound == Sound::Rotten {
                step.rotten.push(key);
            }
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
            let key = (held.stripe, held.index);
            let sound = self.look_again(&key)?;
            self.set_sound(&key, sound);
            bytes += u64::from(held.len);
        }
        Ok(bytes)
    }

    /// Reads a shard. One that the disk does not give while it gives another is rotten: a sector that is gone stays gone, and whoever
    /// waited for it would count nothing any more.
    fn look_again(&self, key: &Key) -> Result<Sound, Error> {
        match self.get(key.0, key.1) {
            Ok(_) => Ok(Sound::Yes),
            Err(Error::Rotten { .. }) => Ok(Sound::Rotten),
            Err(Error::Storage(error)) if error.kind == StorageErrorKind::Io && self.gives_another(key) => {
                Ok(Sound::Rotten)
            }
            Err(error) => Err(error),
        }
    }

    fn gives_another(&self, than: &Key) -> bool {
        let others = self.shards.keys().filter(|key| *key != than).take(OTHERS);
        others.map(|key| self.get(key.0, key.1)).any(|read| !matches!(read, Err(Error::Storage(_))))
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
