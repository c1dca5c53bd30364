//! What is stored of the keys to epochs' messages, and for how long: ADR 0028. Bytes: `docs/format/profile.md`, "Message keys".
use crate::{Client, Error};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use terachat_core_store::LocalStore;
use terachat_core_store::store::{MESSAGE_KEYS, Write};
use terachat_event::{EventHash, SpaceId};
use terachat_group::{Group, Messages, Part};
use terachat_vault::SecretBytes;

/// Records of the epochs that there are keys of: since when this device knows of a newer one, in milliseconds since 1970,
/// little-endian; zero while it knows of none.
const EPOCHS: &[u8] = b"message-epoch/";
/// Records of devices by their leaves, numbered, from which epochs' own differ little.
const DEVICES: &[u8] = b"message-devices/";
/// Names of the parts that every epoch has, as `terachat_group` writes them.
const EPOCH_PART: &[u8] = &[0];
const DEVICES_PART: &[u8] = &[4];
/// How an overtaken message's key begins.
const SKIPPED_PART: u8 = 3;

const HOUR_MS: u64 = 3_600_000;
/// How long the keys of an epoch are kept after this device heard of a newer one, in milliseconds: 90 days. What was sealed in
/// it and comes later stays sealed here.
pub(crate) const KEPT_MS: u64 = 90 * 24 * HOUR_MS;
/// Epochs of a space whose keys are kept, at most: 64 a day, as in the largest spaces, for 90 days and half as long again.
/// Beyond, those go that were left first.
pub(crate) const EPOCHS_MAX: usize = 10_000;
/// Overtaken messages of a space whose keys are kept, at most: 1,048,576, some 130 MB. Only somebody who leaves out
/// generations on purpose gets there, and of those of the sender who has the most in one epoch they are given up first.
const SKIPPED_MAX: usize = 1 << 20;

/// The keys to a new epoch's messages, to be stored under the event that makes it.
pub(crate) struct NewKeys {
    parts: Vec<Part>,
    /// The devices that the epoch's differ from, with their number, if they are not stored yet.
    base: Option<(u64, SecretBytes)>,
}

impl NewKeys {
    /// Takes them out of the group. What is stored already is in `store`, and in `pending` what is about to be.
    pub(crate) fn take(store: &LocalStore, pending: &[Write], space: &SpaceId, group: &mut Group) -> Self {
        let prefix = [DEVICES, &space.0].concat();
        let stored = store.records(&prefix).last();
        let coming = pending.iter().rev().find(|(name, value)| name.starts_with(&prefix) && value.is_some());
        let coming = coming.and_then(|(name, value)| Some((&name[..], value.as_ref()?.expose_secret())));
        let newest = coming.or(stored).and_then(|(name, devices)| Some((numbered(name)?, devices)));
        Self::beside(newest, group)
    }

    /// Those of a space that has none yet.
    pub(crate) fn first(group: &mut Group) -> Self {
        Self::beside(None, group)
    }

    fn beside(newest: Option<(u64, &[u8])>, group: &mut Group) -> Self {
        let parts = group.take_messages().map(|mut messages| messages.changes()).unwrap_or_default();
        let mut base = None;
        let part = |(name, value): Part| {
            let value = match value {
                Some(devices) if name == DEVICES_PART => {
                    let near =
                        newest.and_then(|(number, of)| difference(number, of, devices.expose_secret()));
                    Some(SecretBytes::take(near.unwrap_or_else(|| {
                        let number = newest.map_or(0, |(number, _)| number + 1);
                        let same = difference(number, devices.expose_secret(), devices.expose_secret());
                        base = Some((number, devices));
                        same.unwrap_or_default()
                    })))
                }
                value => value,
            };
            (name, value)
        };
        let parts = parts.into_iter().map(part).collect();
        Self { parts, base }
    }

    /// What is to be stored of them, beside what else is stored of the epoch that `commit` made.
    pub(crate) fn records(self, space: &SpaceId, commit: &EventHash) -> Vec<Write> {
        if self.parts.is_empty() {
            return Vec::new();
        }
        let mut writes: Vec<Write> = super::records(space, commit, self.parts).collect();
        writes.push((epoch_name(space, commit), Some(SecretBytes::take(vec![0; 8]))));
        writes.extend(self.base.map(|(number, devices)| (devices_name(space, number), Some(devices))));
        writes
    }
}

/// What is stored of the keys to an epoch's messages.
pub(crate) fn stored(store: &LocalStore, space: &SpaceId, commit: &EventHash) -> Option<Messages> {
    let prefix = super::name(space, commit, &[]);
    let devices = store.record(&super::name(space, commit, DEVICES_PART));
    let devices = devices.map(|value| whole(store, space, value)).unwrap_or(Some(Vec::new()))?;
    let parts = store.records(&prefix).map(|(name, value)| (&name[prefix.len()..], value));
    let parts = parts.map(|(name, value)| (name, if name == DEVICES_PART { &devices[..] } else { value }));
    Messages::from_parts(parts).ok()
}

/// How these devices differ from the numbered ones; `None` where that is so much that they are better stored anew.
fn difference(number: u64, base: &[u8], devices: &[u8]) -> Option<Vec<u8>> {
    let (base, devices) = (base.as_chunks::<32>().0, devices.as_chunks::<32>().0);
    let len = u32::try_from(devices.len()).ok()?;
    let mut out = [&number.to_le_bytes()[..], &len.to_le_bytes()].concat();
    let mut changes = 0;
    for (leaf, device) in (0u32..).zip(devices) {
        if base.get(leaf as usize).unwrap_or(&[0; 32]) != device {
            changes += 1;
            out.extend_from_slice(&leaf.to_le_bytes());
            out.extend_from_slice(device);
        }
    }
    // With one more change an epoch, as many bytes go into bases as into differences where a base serves the root of twice its
    // length.
    (changes * changes <= 2 * devices.len() + 64).then_some(out)
}

/// The devices that differ from numbered ones in this way.
fn whole(store: &LocalStore, space: &SpaceId, value: &[u8]) -> Option<Vec<u8>> {
    let (number, rest) = value.split_first_chunk::<8>()?;
    changed(store.record(&devices_name(space, u64::from_le_bytes(*number)))?, rest)
}

fn changed(base: &[u8], value: &[u8]) -> Option<Vec<u8>> {
    let (len, changes) = value.split_first_chunk::<4>()?;
    let mut devices = base.to_vec();
    devices.resize(32 * u32::from_le_bytes(*len) as usize, 0);
    let (changes, cut) = changes.as_chunks::<36>();
    for change in changes {
        let (leaf, device) = change.split_first_chunk::<4>()?;
        let at = 32 * u32::from_le_bytes(*leaf) as usize;
        devices.get_mut(at..at + 32)?.copy_from_slice(device);
    }
    cut.is_empty().then_some(devices)
}

impl Client {
    /// Whether keys to the messages of this epoch were written, be it long ago.
    pub(crate) fn has_message_keys(&self, space: &SpaceId, commit: &EventHash) -> bool {
        self.store.record(&super::name(space, commit, EPOCH_PART)).is_some()
    }

    /// Whether this device was in this epoch, in which messages may still be on their way.
    pub(crate) fn was_in(&self, space: &SpaceId, commit: &EventHash) -> bool {
        self.store.record(&epoch_name(space, commit)).is_some()
    }

    /// Destroys keys that have served their time, in all spaces: once an hour, for where nothing happens.
    pub(crate) fn prune_all_message_keys(&mut self) -> Result<(), Error> {
        if self.now_ms.abs_diff(self.keys.pruned_ms) < HOUR_MS {
            return Ok(());
        }
        self.keys.pruned_ms = self.now_ms;
        for space in self.store.spaces().collect::<Vec<_>>() {
            let chain = self.epochs(&space)?;
            self.prune_message_keys(space, &chain)?;
        }
        Ok(())
    }

    /// Notes which epochs were left for newer ones, and destroys the keys of those that were left long ago.
    pub(crate) fn prune_message_keys(&mut self, space: SpaceId, chain: &[EventHash]) -> Result<(), Error> {
        let now_ms = self.now_ms;
        if now_ms == 0 {
            // Nobody said yet what time it is.
            return Ok(());
        }
        let mut writes = self.unnoted(&space);
        let mut left: Vec<(u64, EventHash)> = Vec::new();
        let prefix = [EPOCHS, &space.0].concat();
        let mut note = |commit: EventHash, left_ms: u64| {
            let value = SecretBytes::take(left_ms.to_le_bytes().to_vec());
            writes.push((epoch_name(&space, &commit), Some(value)));
        };
        for (name, value) in self.store.records(&prefix) {
            let Ok(commit) = name[prefix.len()..].try_into().map(EventHash) else { continue };
            let left_ms = value.try_into().map_or(0, u64::from_le_bytes);
            if chain.last() == Some(&commit) {
                // Be it again, since another lost its race.
                if left_ms != 0 {
                    note(commit, 0);
                }
                continue;
            }
            // A time that is yet to come was taken from a clock that went wrong.
            let since_ms = if left_ms == 0 { now_ms } else { left_ms.min(now_ms) };
            if since_ms != left_ms {
                note(commit, since_ms);
            }
            left.push((since_ms, commit));
        }
        let news = !writes.is_empty();
        let mut gone: BTreeSet<EventHash> = BTreeSet::new();
        gone.extend(left.iter().filter(|(since_ms, _)| now_ms - since_ms >= KEPT_MS).map(|(_, it)| *it));
        if left.len() - gone.len() > EPOCHS_MAX {
            let places: BTreeMap<&EventHash, usize> = chain.iter().zip(0..).collect();
            left.sort_unstable_by_key(|(since_ms, commit)| (*since_ms, places.get(commit).copied(), *commit));
            gone.extend(left.iter().take(left.len() - EPOCHS_MAX).map(|(_, commit)| *commit));
        }
        writes.extend(self.gone(&space, &gone));
        if news {
            writes.extend(self.too_many_skipped(&space, SKIPPED_MAX));
        }
        Ok(self.store.write_records(writes)?)
    }

    /// Notes of epochs whose keys are from before there were notes.
    fn unnoted(&mut self, space: &SpaceId) -> Vec<Write> {
        if !self.keys.noted.insert(*space) {
            return Vec::new();
        }
        let prefix = [MESSAGE_KEYS, &space.0].concat();
        let commits: BTreeSet<EventHash> = self
            .store
            .records(&prefix)
            .filter_map(|(name, _)| name.get(prefix.len()..prefix.len() + 32)?.try_into().ok().map(EventHash))
            .collect();
        let unnoted = commits.iter().map(|commit| epoch_name(space, commit));
        let unnoted = unnoted.filter(|name| self.store.record(name).is_none());
        let now = || Some(SecretBytes::take(self.now_ms.to_le_bytes().to_vec()));
        unnoted.map(|name| (name, now())).collect()
    }

    /// Destroys the keys of these epochs, and the devices that no other epoch's differ from.
    fn gone(&mut self, space: &SpaceId, commits: &BTreeSet<EventHash>) -> Vec<Write> {
        if commits.is_empty() {
            return Vec::new();
        }
        let mut writes: Vec<Write> = Vec::new();
        for commit in commits {
            self.keys.held.remove(&(*space, *commit));
            let prefix = super::name(space, commit, &[]);
            writes.extend(self.store.records(&prefix).map(|(name, _)| (name.to_vec(), None)));
            writes.push((epoch_name(space, commit), None));
        }
        let prefix = [EPOCHS, &space.0].concat();
        let others = self.store.records(&prefix).filter_map(|(name, _)| {
            let commit = EventHash(name[prefix.len()..].try_into().ok()?);
            let devices = self.store.record(&super::name(space, &commit, DEVICES_PART))?;
            (!commits.contains(&commit)).then(|| devices.first_chunk().map(|at| u64::from_le_bytes(*at)))?
        });
        let needed: BTreeSet<u64> = others.collect();
        let prefix = [DEVICES, &space.0].concat();
        let stored = self.store.records(&prefix).map(|(name, _)| name);
        let unused = stored.filter(|name| numbered(name).is_none_or(|number| !needed.contains(&number)));
        writes.extend(unused.map(|name| (name.to_vec(), None)));
        writes
    }

    /// Gives up keys of overtaken messages where somebody made too many of them necessary.
    pub(crate) fn too_many_skipped(&mut self, space: &SpaceId, max: usize) -> Vec<Write> {
        let prefix = [MESSAGE_KEYS, &space.0].concat();
        let part = prefix.len() + 32;
        let mut senders: BTreeMap<&[u8], usize> = BTreeMap::new();
        for (name, _) in self.store.records(&prefix) {
            if name.get(part) == Some(&SKIPPED_PART) && name.len() == part + 9 {
                *senders.entry(&name[..part + 5]).or_default() += 1;
            }
        }
        let mut total: usize = senders.values().sum();
        let mut most: Vec<(usize, Cow<'_, [u8]>)> =
            senders.into_iter().map(|(sender, count)| (count, Cow::Borrowed(sender))).collect();
        most.sort_unstable();
        let mut writes: Vec<Write> = Vec::new();
        while let Some((count, sender)) = most.pop().filter(|_| total > max) {
            total -= count;
            writes.extend(self.store.records(&sender).map(|(name, _)| (name.to_vec(), None)));
            // What is held of it is read anew.
            let commit = sender[prefix.len()..part].try_into().map(EventHash);
            commit.into_iter().for_each(|commit| drop(self.keys.held.remove(&(*space, commit))));
        }
        writes
    }
}

fn epoch_name(space: &SpaceId, commit: &EventHash) -> Vec<u8> {
    [EPOCHS, &space.0, &commit.0].concat()
}

fn devices_name(space: &SpaceId, number: u64) -> Vec<u8> {
    [DEVICES, &space.0, &number.to_be_bytes()].concat()
}

fn numbered(name: &[u8]) -> Option<u64> {
    name.last_chunk().map(|number| u64::from_be_bytes(*number))
}

#[cfg(test)]
mod tests;
