//! Reading shards, many at once, and reading everything again to find what is lost or has rotted.
use super::object::{Entry, ObjectName};
use super::objects::{ObjectsErrorKind, ObjectsVerb, Part};
use super::{BEGINNING, BucketStore, Live};
use crate::shards::Key;
use crate::{Error, Scrubbed, Sound};
use std::collections::BTreeSet;
use std::ops::Range;
use terachat_shard::Shard;

/// Objects that are tried to see whether the service gives any.
const OTHERS: usize = 8;

/// Bytes that lie one behind the other and are read as one part at most, and bytes that are read at once when nobody waits for them.
pub(super) const TOGETHER: u64 = 8 << 20;

impl BucketStore {
    /// Reads these copies and compares each with its hash; the answers are in their order.
    pub(super) fn read(&self, lives: &[(Key, Live)]) -> Vec<Result<Vec<u8>, Error>> {
        let mut order: Vec<usize> = (0..lives.len()).collect();
        order.sort_unstable_by_key(|at| (lives[*at].1.object, lives[*at].1.at));
        let mut answers: Vec<Option<Result<Vec<u8>, Error>>> = vec![None; lives.len()];
        let mut alone = Vec::new();
        let runs = runs(lives, &order);
        let parts: Vec<Part> = runs.iter().map(|run| part(lives, &order[run.clone()])).collect();
        for (run, read) in runs.into_iter().zip(self.objects.read(&parts)) {
            let run = &order[run];
            match read {
                Ok(bytes) => {
                    let mut rest = &bytes[..];
                    for at in run {
                        let (shard, behind) =
                            rest.split_at_checked(lives[*at].1.len as usize).unwrap_or((rest, &[]));
                        answers[*at] = Some(verified(&lives[*at], shard));
                        rest = behind;
                    }
                }
                // The object is not as long as it was: what is left of it is still there.
                Err(error) if error.is_loss() && run.len() > 1 => alone.extend_from_slice(run),
                Err(error) => run.iter().for_each(|at| {
                    let lost = Error::Rotten { stripe: lives[*at].0.0, index: lives[*at].0.1 };
                    let error = if error.is_loss() { lost } else { error.clone().into() };
                    answers[*at] = Some(Err(error));
                }),
            }
        }
        let parts: Vec<Part> = alone.iter().map(|at| part(lives, &[*at])).collect();
        for (at, read) in alone.into_iter().zip(self.objects.read(&parts)) {
            answers[at] = Some(match read {
                Ok(bytes) => verified(&lives[at], &bytes),
                Err(error) if error.is_loss() => {
                    Err(Error::Rotten { stripe: lives[at].0.0, index: lives[at].0.1 })
                }
                Err(error) => Err(error.into()),
            });
        }
        let unanswered = || {
            let error = super::objects::ObjectsError::new(ObjectsErrorKind::Failed, ObjectsVerb::Read, "");
            Err(error.detail("a part was not answered").into())
        };
        answers.into_iter().map(|answer| answer.unwrap_or_else(unanswered)).collect()
    }

    /// Reads these copies, if not all at once, and notes what each is found to be. Says how many bytes that were, and which are rotten.
    ///
    /// A copy whose object the service does not give while it gives others is rotten: whoever waited for it would count nothing any more.
    pub(super) fn read_again(&mut self, lives: &[(Key, Live)]) -> Result<(u64, Vec<Key>), Error> {
        let (mut bytes, mut rotten, mut unread, mut rest) = (0, Vec::new(), Vec::new(), lives);
        while !rest.is_empty() {
            let mut len = 0;
            let fits = |(_, live): &&(Key, Live)| {
                len += u64::from(live.len);
                len <= TOGETHER
            };
            let (now, later) = rest.split_at(rest.iter().take_while(fits).count().max(1));
            for (copy, read) in now.iter().zip(self.read(now)) {
                bytes += u64::from(copy.1.len);
                match read {
                    Ok(_) => self.find(&copy.0, Sound::Yes),
                    Err(Error::Rotten { .. }) => rotten.push(copy.0),
                    Err(_) => unread.push(*copy),
                }
            }
            rest = later;
        }
        rotten.extend(self.never_given(unread)?);
        rotten.iter().for_each(|key| self.find(key, Sound::Rotten));
        Ok((bytes, rotten))
    }

    /// Which of these copies, none of which could be read just now, are lost: those that cannot be read once more, if the service then gives
    /// something else.
    fn never_given(&mut self, unread: Vec<(Key, Live)>) -> Result<Vec<Key>, Error> {
        let (mut lost, mut objects, mut why) = (Vec::new(), BTreeSet::new(), None);
        for ((key, live), read) in unread.iter().zip(self.read(&unread)) {
            match read {
                Ok(_) => self.find(key, Sound::Yes),
                Err(Error::Rotten { .. }) => lost.push(*key),
                Err(error) => {
                    lost.push(*key);
                    objects.insert(live.object);
                    why = Some(error);
                }
            }
        }
        match why {
            Some(error) if !self.gives_another(&objects) => Err(error),
            _ => Ok(lost),
        }
    }

    fn gives_another(&self, than: &BTreeSet<ObjectName>) -> bool {
        let others = self.kept.iter().filter(|(name, _)| !than.contains(name)).take(OTHERS);
        let copies = others.filter_map(|(name, kept)| {
            kept.head.shards.iter().find_map(|entry| Some((entry.key, self.counts(name, entry)?)))
        });
        let copies: Vec<(Key, Live)> = copies.collect();
        self.read(&copies).iter().any(|read| matches!(read, Ok(_) | Err(Error::Rotten { .. })))
    }

    pub(super) fn scrub_step(&mut self, budget: u64) -> Result<Scrubbed, Error> {
        let mut step = Scrubbed::default();
        while step.bytes < budget {
            let next = self.next_lives((budget - step.bytes).min(TOGETHER));
            let Some((_, last)) = next.last() else {
                self.scrubbed_to = BEGINNING;
                step.through = true;
                break;
            };
            let reached = (last.object, last.at + 1);
            let (bytes, rotten) = self.read_again(&next)?;
            step.bytes += bytes;
            step.rotten.extend(rotten);
            self.scrubbed_to = reached;
        }
        Ok(step)
    }

    /// The next shards that count, from where the scrub is on, until these are so many bytes.
    fn next_lives(&self, budget: u64) -> Vec<(Key, Live)> {
        let (from, from_at) = self.scrubbed_to;
        let (mut next, mut bytes) = (Vec::new(), 0);
        for (&name, kept) in self.kept.range(from..) {
            let begin = match name == from {
                true => kept.head.shards.partition_point(|entry| entry.at < from_at),
                false => 0,
            };
            for entry in &kept.head.shards[begin..] {
                if bytes >= budget {
                    return next;
                }
                if let Some(live) = self.counts(&name, entry) {
                    bytes += u64::from(live.len);
                    next.push((entry.key, live));
                }
            }
        }
        next
    }

    /// The copy at this place, if it is the one that counts.
    pub(super) fn counts(&self, name: &ObjectName, entry: &Entry) -> Option<Live> {
        self.live(&entry.key).filter(|live| (live.object, live.at) == (*name, entry.at)).copied()
    }
}

/// What lies one behind the other, in the order of the places.
fn runs(lives: &[(Key, Live)], order: &[usize]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let mut len = 0;
    for (place, at) in order.iter().enumerate() {
        let live = &lives[*at].1;
        let before = place.checked_sub(1).map(|place| &lives[order[place]].1);
        let follows = before.is_some_and(|before| {
            before.object == live.object && before.at.checked_add(before.len) == Some(live.at)
        });
        len += u64::from(live.len);
        match runs.last_mut().filter(|_| follows && len <= TOGETHER) {
            Some(run) => run.end = place + 1,
            None => {
                len = u64::from(live.len);
                runs.push(place..place + 1);
            }
        }
    }
    runs
}

/// The part of an object that these copies are, which lie one behind the other.
fn part(lives: &[(Key, Live)], run: &[usize]) -> Part {
    let first = &lives[run[0]].1;
    let len = run.iter().map(|at| lives[*at].1.len as usize).sum();
    Part { name: first.object.to_string(), from: u64::from(first.at), len }
}

/// The shard, if it is the one of this name with its hash.
fn verified((key, live): &(Key, Live), bytes: &[u8]) -> Result<Vec<u8>, Error> {
    match Shard::decode(bytes) {
        Ok(shard) if shard.hash() == live.hash && (shard.stripe(), shard.index()) == *key => {
            Ok(bytes.to_vec())
        }
        _ => Err(Error::Rotten { stripe: key.0, index: key.1 }),
    }
}
