//! Having the space back of what was given up, and putting small objects together.
use super::object::{ENTRIES_MAX, ObjectName};
use super::{BucketStore, Kept, Live};
use crate::shards::Key;
use crate::{Compacted, Error, Sound};
use std::collections::BTreeMap;
use terachat_shard::Shard;
use terachat_vault::Entropy;

/// So many objects of about one length are put together.
const ALIKE: usize = 8;
/// Objects that are put together or removed in one step at most.
const GROUP_MAX: usize = 256;

impl BucketStore {
    /// One step: puts what counts in some objects into one that is new, and removes them.
    pub(super) fn compact_step(
        &mut self,
        live_percent: u8,
        budget: u64,
        entropy: &mut dyn Entropy,
    ) -> Result<Compacted, Error> {
        self.settle()?;
        let mut step = Compacted::default();
        let mut group = self.group(live_percent, budget);
        let lives: Vec<(Key, Live)> = group.iter().flat_map(|name| self.live_in(name)).collect();
        let mut shards = Vec::with_capacity(lives.len());
        for ((key, live), read) in lives.iter().zip(self.read(&lives)) {
            match read {
                Ok(bytes) => shards.push((live.object, bytes)),
                Err(Error::Rotten { .. }) => {
                    self.find(key, Sound::Rotten);
                    step.rotten.push(*key);
                    group.retain(|name| *name != live.object);
                }
                Err(error) => return Err(error),
            }
        }
        shards.retain(|(object, _)| group.contains(object));
        step.copied = shards.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        let decoded: Vec<Shard<'_>> =
            shards.iter().filter_map(|(_, bytes)| Shard::decode(bytes).ok()).collect();
        let drops = self.needed(&group);
        if !decoded.is_empty() || !drops.is_empty() {
            self.write(&decoded.iter().collect::<Vec<_>>(), &drops, entropy)?;
        }
        self.remove(group, &mut step.freed)?;
        Ok(step)
    }

    /// Removes objects in which nothing counts. What says that a shard was given up goes after all copies of the shard: if the process
    /// ends in between, they must not be back.
    fn remove(&mut self, mut group: Vec<ObjectName>, freed: &mut u64) -> Result<(), Error> {
        group.sort_unstable();
        let has = |name: &ObjectName| {
            self.kept
                .get(name)
                .map_or((false, false), |kept| (!kept.head.shards.is_empty(), !kept.head.drops.is_empty()))
        };
        let (copies, drops): (Vec<_>, Vec<_>) = group.into_iter().partition(|name| !has(name).1);
        let (both, drops): (Vec<_>, Vec<_>) = drops.into_iter().partition(|name| has(name).0);
        // Each of those in the middle may end copies in the one before.
        let phases = [&copies[..]].into_iter().chain(both.chunks(1)).chain([&drops[..]]);
        for phase in phases.filter(|phase| !phase.is_empty()) {
            self.objects.remove(&phase.iter().map(ToString::to_string).collect::<Vec<_>>())?;
            phase.iter().for_each(|name| *freed += self.forget(name));
        }
        Ok(())
    }

    /// The objects of the next step: those with the smallest share that counts, or small ones that are alike.
    fn group(&self, live_percent: u8, budget: u64) -> Vec<ObjectName> {
        let target = budget.min(u64::from(self.options.object_len));
        let worn = |(name, kept): &(&ObjectName, &Kept)| {
            kept.live_bytes.saturating_mul(100) <= kept.len.saturating_mul(u64::from(live_percent))
                && self.has_waste(name, kept)
                && self.is_sound(name, kept)
        };
        let mut worn: Vec<(&ObjectName, &Kept)> = self.kept.iter().filter(worn).collect();
        if !worn.is_empty() {
            // Shares, compared crosswise.
            worn.sort_by(|(_, a), (_, b)| {
                (u128::from(a.live_bytes) * u128::from(b.len))
                    .cmp(&(u128::from(b.live_bytes) * u128::from(a.len)))
            });
            return fitting(worn.into_iter(), target, 1);
        }
        // What has been put together has several times the length, so that a shard is copied some few times and not again and again.
        let mut alike: BTreeMap<u32, Vec<(&ObjectName, &Kept)>> = BTreeMap::new();
        for (name, kept) in &self.kept {
            if kept.len * 2 < u64::from(self.options.object_len) && self.is_sound(name, kept) {
                alike.entry(kept.len.ilog2() / 3).or_default().push((name, kept));
            }
        }
        let many = alike.into_values().find(|alike| alike.len() >= ALIKE);
        many.map_or(Vec::new(), |many| fitting(many.into_iter(), target, 2))
    }

    /// The copies in an object that count.
    fn live_in(&self, name: &ObjectName) -> Vec<(Key, Live)> {
        let entries = self.kept.get(name).map_or(&[][..], |kept| &kept.head.shards);
        entries.iter().filter_map(|entry| Some((entry.key, self.counts(name, entry)?))).collect()
    }

    /// Whether no rotten shard counts in it: a copy of one would have to be made, or it would be forgotten that there was one.
    fn is_sound(&self, name: &ObjectName, kept: &Kept) -> bool {
        self.usage.rotten == 0
            || kept
                .head
                .shards
                .iter()
                .all(|entry| self.counts(name, entry).is_none_or(|live| live.sound != Sound::Rotten))
    }

    /// Whether something would be gone with it.
    fn has_waste(&self, name: &ObjectName, kept: &Kept) -> bool {
        let own = self.own(&[*name]);
        kept.head.shards.len() > kept.live as usize
            || kept.head.drops.iter().any(|key| !self.is_needed(key, &own))
    }

    /// How many copies of each shard these objects have.
    fn own(&self, group: &[ObjectName]) -> BTreeMap<Key, u32> {
        let mut own = BTreeMap::new();
        let kept = group.iter().filter_map(|name| self.kept.get(name));
        for entry in kept.flat_map(|kept| &kept.head.shards) {
            *own.entry(entry.key).or_default() += 1;
        }
        own
    }

    /// Whether it has to be said that a shard was given up: as long as an older copy of it is elsewhere.
    fn is_needed(&self, key: &Key, own: &BTreeMap<Key, u32>) -> bool {
        let here = own.get(key).copied().unwrap_or(0);
        self.shards.get(key).is_some_and(|copies| copies.live.is_none() && copies.dead > here)
    }

    /// What of the drops in these objects has to be said again.
    fn needed(&self, group: &[ObjectName]) -> Vec<Key> {
        let own = self.own(group);
        let kept = group.iter().filter_map(|name| self.kept.get(name));
        let drops = kept.flat_map(|kept| &kept.head.drops).filter(|key| self.is_needed(key, &own));
        let mut drops: Vec<Key> = drops.copied().collect();
        drops.sort_unstable();
        drops.dedup();
        drops
    }

    /// An object is gone in which nothing counts; its length.
    fn forget(&mut self, name: &ObjectName) -> u64 {
        let Some(kept) = self.kept.remove(name) else { return 0 };
        for entry in &kept.head.shards {
            if let Some(copies) = self.shards.get_mut(&entry.key) {
                copies.dead = copies.dead.saturating_sub(1);
                if copies.live.is_none() && copies.dead == 0 {
                    self.shards.remove(&entry.key);
                }
            }
        }
        self.usage.segments -= 1;
        self.usage.disk_bytes -= kept.len;
        kept.len
    }
}

/// The first of these whose shards are about so many bytes; at least so many of them, if there are.
fn fitting<'a>(
    objects: impl Iterator<Item = (&'a ObjectName, &'a Kept)>,
    target: u64,
    least: usize,
) -> Vec<ObjectName> {
    let (mut group, mut bytes, mut entries) = (Vec::new(), 0, 0);
    for (name, kept) in objects.take(GROUP_MAX) {
        bytes += kept.live_bytes;
        entries += kept.head.shards.len().max(kept.head.drops.len());
        if group.len() >= least && (bytes > target || entries > ENTRIES_MAX) {
            break;
        }
        group.push(*name);
    }
    group
}
