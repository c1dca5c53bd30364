//! What one audit event says: the accesses of one commit, and the state of the vault after it.
use super::{Action, AuditEntry};
use crate::bytes::{Malformed, Reader, count, put_text};
use crate::digest::Digest;
use crate::engine::Id;
use std::collections::HashMap;
use std::sync::Arc;

const VERSION: u8 = 1;
/// Longest note of an entry.
const NOTE_LEN_MAX: usize = 255;

/// What is in the vault, or in one collection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) records: u64,
    pub(crate) versions: u64,
    pub(crate) sealed_bytes: u64,
}

impl Totals {
    /// Adds a change, whose numbers wrap around where they are negative.
    pub(crate) fn add(&mut self, change: &Self) {
        self.records = self.records.wrapping_add(change.records);
        self.versions = self.versions.wrapping_add(change.versions);
        self.sealed_bytes = self.sealed_bytes.wrapping_add(change.sealed_bytes);
    }

    pub(crate) fn bytes(&self) -> [u8; 24] {
        let mut out = [0; 24];
        for (chunk, number) in out.chunks_exact_mut(8).zip([self.records, self.versions, self.sealed_bytes]) {
            chunk.copy_from_slice(&number.to_le_bytes());
        }
        out
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { records: reader.u64()?, versions: reader.u64()?, sealed_bytes: reader.u64()? })
    }
}

/// One access, before it has an event.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) time_ms: u64,
    pub(crate) actor: Arc<str>,
    pub(crate) action: Action,
    pub(crate) collection: Id,
    pub(crate) record: Id,
    pub(crate) version: u64,
    pub(crate) note: Vec<u8>,
}

/// The plaintext of an event.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) time_ms: u64,
    pub(crate) keyring_epoch: u64,
    /// What the rollback counter has to say; 0 without one.
    pub(crate) counter: u64,
    pub(crate) digest: Digest,
    pub(crate) totals: Totals,
    pub(crate) entries: Vec<Entry>,
}

impl Event {
    pub(crate) fn write(&self) -> Vec<u8> {
        let (mut actors, mut collections) = (Table::default(), Table::default());
        let mut body = Vec::with_capacity(self.entries.len() * 40);
        for entry in &self.entries {
            debug_assert!(entry.note.len() <= NOTE_LEN_MAX);
            body.push(entry.action as u8);
            body.extend_from_slice(&actors.number(&entry.actor));
            body.extend_from_slice(&collections.number(&entry.collection));
            body.extend_from_slice(&entry.record);
            body.extend_from_slice(&entry.version.to_le_bytes());
            // Reads are older than the event that takes them along, by a flush interval at most in the normal run.
            let age = u32::try_from(self.time_ms.saturating_sub(entry.time_ms)).unwrap_or(u32::MAX);
            body.extend_from_slice(&age.to_le_bytes());
            body.push(u8::try_from(entry.note.len()).unwrap_or(u8::MAX));
            body.extend_from_slice(&entry.note[..entry.note.len().min(NOTE_LEN_MAX)]);
        }
        let mut out = Vec::with_capacity(128 + body.len());
        out.push(VERSION);
        out.extend_from_slice(&self.time_ms.to_le_bytes());
        out.extend_from_slice(&self.keyring_epoch.to_le_bytes());
        out.extend_from_slice(&self.counter.to_le_bytes());
        out.extend_from_slice(&self.digest.bytes());
        out.extend_from_slice(&self.totals.bytes());
        out.extend_from_slice(&count(actors.list.len()));
        actors.list.iter().for_each(|actor| put_text(&mut out, actor));
        out.extend_from_slice(&count(collections.list.len()));
        collections.list.iter().for_each(|id| out.extend_from_slice(&id[..]));
        out.extend_from_slice(&count(self.entries.len()));
        out.extend_from_slice(&body);
        out
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        if reader.u8()? != VERSION {
            return Err(Malformed);
        }
        let time_ms = reader.u64()?;
        let (keyring_epoch, counter) = (reader.u64()?, reader.u64()?);
        let digest = Digest::from_bytes(&reader.array()?);
        let totals = Totals::read(&mut reader)?;
        let actors: Vec<Arc<str>> =
            (0..reader.u32()?).map(|_| Ok(Arc::from(reader.text()?))).collect::<Result<_, Malformed>>()?;
        let collections: Vec<Id> = (0..reader.u32()?).map(|_| reader.array()).collect::<Result<_, _>>()?;
        let number = reader.u32()?;
        let entry = |_| {
            let action = Action::from_number(reader.u8()?).ok_or(Malformed)?;
            let actor = actors.get(usize::from(reader.u16()?)).ok_or(Malformed)?.clone();
            let collection = *collections.get(usize::from(reader.u16()?)).ok_or(Malformed)?;
            let (record, version, age) = (reader.array()?, reader.u64()?, reader.u32()?);
            let note = usize::from(reader.u8()?);
            let note = reader.take(note)?.to_vec();
            let time_ms = time_ms.saturating_sub(u64::from(age));
            Ok(Entry { time_ms, actor, action, collection, record, version, note })
        };
        let entries = (0..number).map(entry).collect::<Result<_, Malformed>>()?;
        reader.end()?;
        Ok(Self { time_ms, keyring_epoch, counter, digest, totals, entries })
    }
}

impl Entry {
    pub(crate) fn shown(self, seq: u64) -> AuditEntry {
        let Self { time_ms, actor, action, collection, record, version, note } = self;
        AuditEntry { seq, time_ms, actor: actor.to_string(), action, collection, record, version, note }
    }
}

/// Gives each different value a number of two bytes.
struct Table<'a, T: ?Sized> {
    list: Vec<&'a T>,
    /// Made once there are too many values to go through them.
    numbers: Option<HashMap<&'a T, u16>>,
}

/// So many values are faster found by going through them.
const LIST_MAX: usize = 8;

impl<T: ?Sized> Default for Table<'_, T> {
    fn default() -> Self {
        Self { list: Vec::new(), numbers: None }
    }
}

impl<'a, T: ?Sized + std::hash::Hash + Eq> Table<'a, T> {
    fn number(&mut self, value: &'a T) -> [u8; 2] {
        let next = u16::try_from(self.list.len()).expect("a commit has fewer operations");
        if self.list.len() < LIST_MAX {
            let known = (0..).zip(&self.list).find(|(_, known)| **known == value).map(|(number, _)| number);
            if known.is_none() {
                self.list.push(value);
            }
            return known.unwrap_or(next).to_le_bytes();
        }
        let numbers = self.numbers.get_or_insert_with(|| self.list.iter().copied().zip(0..).collect());
        let number = *numbers.entry(value).or_insert_with(|| {
            self.list.push(value);
            next
        });
        number.to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn events_read_what_they_wrote(time_ms in 1u64 << 33..1 << 40, entries in prop::collection::vec((any::<u32>(), 0..12u8, any::<[u8; 16]>(), any::<u64>(), prop::collection::vec(any::<u8>(), 0..40)), 0..40), cut: prop::sample::Index) {
            let entries: Vec<_> = entries.into_iter().map(|(age, actor, id, version, note)| Entry {
                time_ms: time_ms - u64::from(age), actor: format!("actor {actor}").into(), action: Action::Put,
                collection: [id[0] % 4; 16], record: id, version, note,
            }).collect();
            let shown: Vec<_> = entries.iter().cloned().map(|entry| entry.shown(1)).collect();
            let event = Event { time_ms, keyring_epoch: 3, counter: 4, digest: Digest([1, 2, 3, 4]), totals: Totals { records: 5, versions: 6, sealed_bytes: 7 }, entries };
            let bytes = event.write();
            let read = Event::read(&bytes).unwrap();
            prop_assert_eq!((read.time_ms, read.keyring_epoch, read.digest, read.totals), (time_ms, 3, event.digest, event.totals));
            prop_assert_eq!(read.entries.into_iter().map(|entry| entry.shown(1)).collect::<Vec<_>>(), shown);
            prop_assert!(Event::read(&bytes[..cut.index(bytes.len())]).is_err());
        }

        #[test]
        fn any_bytes_are_an_error_or_an_event_and_never_a_panic(bytes: Vec<u8>) {
            let _ = Event::read(&bytes);
        }
    }
}
