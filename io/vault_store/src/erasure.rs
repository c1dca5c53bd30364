//! Erasures: what is unlisted and whose keys are to be destroyed, and the sweep that destroys them.
use crate::audit::{Action, Entry};
use crate::bytes::{Malformed, Reader, count};
use crate::commit::{Staged, Writer};
use crate::engine::{Id, Space, key};
use crate::entropy::ThreadEntropy;
use crate::pages::{self, NoKey};
use crate::small::SmallKey;
use crate::store::Store;
use crate::{ErasedRecord, ErasureId, ErasureReceipt, Error};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use terachat_vault::{KeyPageAddress, rewrap_entry};

/// Erasures that one sweep takes at most; the next one takes the rest.
const SWEEP_MAX: usize = 20_000;

/// What was unlisted in one step, all of one collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Erasure {
    pub(crate) id: ErasureId,
    pub(crate) collection: Id,
    pub(crate) records: Vec<ErasedRecord>,
}

/// An erasure that waits for its sweep.
struct Pending {
    erasure: Erasure,
    audit_seq: u64,
    unlisted_ms: u64,
}

impl Erasure {
    pub(crate) fn versions(&self) -> u64 {
        self.records.iter().map(|record| record.versions.len() as u64).sum()
    }

    /// The row that keeps it until it is swept.
    pub(crate) fn row(&self, small: &SmallKey, audit_seq: u64, unlisted_ms: u64) -> ([u8; 9], Vec<u8>) {
        let row = key::numbered(key::PENDING, self.id.0);
        let mut plain = Vec::new();
        plain.extend_from_slice(&audit_seq.to_le_bytes());
        plain.extend_from_slice(&unlisted_ms.to_le_bytes());
        plain.extend_from_slice(&self.collection);
        write_records(&self.records, &mut plain);
        let sealed = small.seal(&row, &plain);
        (row, sealed)
    }
}

impl Pending {
    fn read(id: u64, plain: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(plain);
        let (audit_seq, unlisted_ms) = (reader.u64()?, reader.u64()?);
        let collection = reader.array()?;
        let records = read_records(&mut reader)?;
        reader.end()?;
        Ok(Self { erasure: Erasure { id: ErasureId(id), collection, records }, audit_seq, unlisted_ms })
    }
}

pub(crate) fn write_records(records: &[ErasedRecord], out: &mut Vec<u8>) {
    out.extend_from_slice(&count(records.len()));
    for record in records {
        out.extend_from_slice(&record.record);
        out.extend_from_slice(&record.id_hash);
        out.extend_from_slice(&count(record.versions.len()));
        for (version, generation, page, slot) in &record.versions {
            out.extend_from_slice(&version.to_le_bytes());
            out.extend_from_slice(&generation.to_le_bytes());
            out.extend_from_slice(&page.to_le_bytes());
            out.extend_from_slice(&slot.to_le_bytes());
        }
    }
}

pub(crate) fn read_records(reader: &mut Reader<'_>) -> Result<Vec<ErasedRecord>, Malformed> {
    let number = reader.u32()?;
    let record = |_| {
        let (record, id_hash) = (reader.array()?, reader.array()?);
        let versions = reader.u32()?;
        let version = |_| Ok((reader.u64()?, reader.u32()?, reader.u32()?, reader.u16()?));
        Ok(ErasedRecord {
            record,
            id_hash,
            versions: (0..versions).map(version).collect::<Result<_, Malformed>>()?,
        })
    };
    (0..number).map(record).collect()
}

/// Which slots of which pages of one generation.
type Slots = BTreeMap<u32, BTreeSet<u16>>;

impl Store {
    /// Destroys the keys of all that was erased before it began. Gives how many versions'.
    pub(crate) fn sweep(&self) -> Result<u64, Error> {
        let _one = self.sweeping.lock().unwrap_or_else(PoisonError::into_inner);
        self.sweep_alone()
    }

    /// Waits until the keys of this erasure are destroyed. Whoever comes while a sweep runs shares the next one.
    pub(crate) fn sweep_until(&self, erasure: ErasureId) -> Result<ErasureReceipt, Error> {
        loop {
            let _one = self.sweeping.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(receipt) = self.receipt(erasure)? {
                return Ok(receipt);
            }
            if self.sweep_alone()? == 0 {
                return Err(Error::Storage { doing: "sweep", reason: "the erasure is not on record".into() });
            }
        }
    }

    pub(crate) fn receipt(&self, erasure: ErasureId) -> Result<Option<ErasureReceipt>, Error> {
        let row = key::numbered(key::RECEIPT, erasure.0);
        let Some(sealed) = self.engine.get(Space::Index, &row)? else { return Ok(None) };
        let plain = self.small.open(&row, &sealed);
        plain
            .and_then(|plain| ErasureReceipt::decode(plain.expose_secret()).ok())
            .map(Some)
            .ok_or_else(damaged)
    }

    fn sweep_alone(&self) -> Result<u64, Error> {
        self.check_writable()?;
        if self.engine.rows(Space::Index, &[key::PENDING], &[key::PENDING]).next().is_none() {
            return Ok(0);
        }
        self.before_changing()?;
        let mut writer = self.writer();
        let pending = self.pending()?;
        if pending.is_empty() {
            return Ok(0);
        }
        let mut generations: BTreeMap<(Id, u32), Slots> = BTreeMap::new();
        for one in &pending {
            for (_, generation, page, slot) in one.erasure.records.iter().flat_map(|record| &record.versions)
            {
                let slots = generations.entry((one.erasure.collection, *generation)).or_default();
                slots.entry(*page).or_default().insert(*slot);
            }
        }
        let mut swept = BTreeMap::new();
        let mut renewed = Vec::new();
        let (mut rows, mut garbage) = (Staged::default(), Staged::default());
        for ((collection, generation), slots) in &generations {
            match self.renew(collection, *generation, slots, &mut rows, &mut garbage)? {
                Some(dek) => {
                    swept.insert((*collection, *generation), (dek.epoch - 1, dek.epoch));
                    renewed.push((*collection, *generation, dek));
                }
                // The whole generation, or collection, was destroyed before.
                None => drop(swept.insert((*collection, *generation), (0, 0))),
            }
        }
        self.point("sweep: before the pages are written")?;
        if !rows.is_empty() {
            self.write_rows(&mut writer, rows)?;
        }
        self.point("sweep: before the keyring is replaced")?;
        if !renewed.is_empty() {
            self.change_keyring(|keyring| {
                for (collection, generation, dek) in renewed {
                    keyring.collection_mut(&collection).and_then(|keys| keys.install(generation, dek));
                }
            })?;
        }
        self.point("sweep: after the keyring was replaced")?;
        self.pages.forget(|collection, generation, page| {
            generations.get(&(*collection, generation)).is_some_and(|slots| slots.contains_key(&page))
        });
        let versions = self.finish_sweep(&mut writer, pending, &swept, garbage)?;
        self.counters.sweeps.fetch_add(1, Ordering::Relaxed);
        Ok(versions)
    }

    /// Up to [`SWEEP_MAX`] erasures that wait, oldest first.
    fn pending(&self) -> Result<Vec<Pending>, Error> {
        let rows = self.engine.rows(Space::Index, &[key::PENDING], &[key::PENDING]).take(SWEEP_MAX);
        rows.map(|row| {
            let (row, sealed) = row?;
            let id = row.get(1..).and_then(|id| id.try_into().ok()).map(u64::from_be_bytes);
            let plain = self.small.open(&row, &sealed);
            id.zip(plain)
                .and_then(|(id, plain)| Pending::read(id, plain.expose_secret()).ok())
                .ok_or_else(damaged)
        })
        .collect()
    }

    /// Stages all pages of a generation under a new key, the touched ones without the erased slots, and, for after the
    /// keyring has changed, the removal of the old rows. `None` when the generation is gone.
    fn renew(
        &self,
        collection: &Id,
        generation: u32,
        slots: &Slots,
        rows: &mut Staged,
        garbage: &mut Staged,
    ) -> Result<Option<terachat_vault::Dek>, Error> {
        let keyring = self.keyring();
        let Some(keys) = keyring.collection(collection) else { return Ok(None) };
        let Some(old) = keys.dek(generation) else { return Ok(None) };
        let new = keys.renewed(generation, &mut ThreadEntropy).expect("the generation is there");
        if let Some(collection) = self.collections.by_id(collection) {
            collection.slots.retire();
        }
        let algorithm = keys.algorithm();
        let prefix = key::pages(collection, generation, old.epoch);
        for row in self.engine.rows(Space::Index, &prefix, &prefix) {
            let (row, value) = row?;
            let page = row[prefix.len()..].try_into().map(u32::from_be_bytes).map_err(|_| damaged())?;
            let address = KeyPageAddress { collection: *collection, generation, page };
            let (punctured, entry) = pages::read_row(&value).ok_or_else(damaged)?;
            let value = if let Some(erased) = slots.get(&page) {
                let page_keys =
                    pages::load(&self.engine, algorithm, old, &address).map_err(|error| match error {
                        NoKey::Storage(error) => error,
                        NoKey::Gone | NoKey::Damaged => damaged(),
                    })?;
                let erased: Vec<u16> = erased.iter().copied().collect();
                let left = page_keys.keys.puncture(&erased, &mut ThreadEntropy);
                let sealed = left.seal(algorithm, &new.root, &address, &mut ThreadEntropy);
                if punctured != 0 {
                    garbage.remove(Space::Index, &key::slots(collection, generation, page, punctured));
                }
                let slots = sealed.slots.expect("a punctured page lists its keys");
                rows.put(Space::Index, &key::slots(collection, generation, page, new.epoch), slots);
                pages::write_row(new.epoch, &sealed.entry)
            } else {
                let entry =
                    rewrap_entry(algorithm, &old.root, &new.root, &address, entry, &mut ThreadEntropy);
                pages::write_row(punctured, &entry.map_err(|_| damaged())?)
            };
            rows.put(Space::Index, &key::page(collection, generation, new.epoch, page), value);
            garbage.remove(Space::Index, &row);
        }
        Ok(Some(new))
    }

    /// Writes the receipts, and removes what the sweep made useless.
    fn finish_sweep(
        &self,
        writer: &mut Writer,
        pending: Vec<Pending>,
        swept: &BTreeMap<(Id, u32), (u64, u64)>,
        mut staged: Staged,
    ) -> Result<u64, Error> {
        let (vault, keyring_epoch) = {
            let keyring = self.keyring();
            (keyring.vault(), keyring.epoch())
        };
        let destroyed_ms = self.time.now_ms();
        let mut versions = 0;
        for Pending { erasure, audit_seq, unlisted_ms } in pending {
            versions += erasure.versions();
            let audit_hash = match self.engine.get(Space::Audit, &audit_seq.to_be_bytes())? {
                Some(row) => row.get(..32).and_then(|hash| hash.try_into().ok()).ok_or_else(damaged)?,
                None => return Err(damaged()),
            };
            let generations: BTreeSet<u32> =
                erasure.records.iter().flat_map(|record| &record.versions).map(|version| version.1).collect();
            let epochs = generations.into_iter().map(|generation| {
                let (before, after) =
                    swept.get(&(erasure.collection, generation)).copied().unwrap_or_default();
                (generation, before, after)
            });
            let receipt = ErasureReceipt {
                vault,
                erasure: erasure.id,
                collection: erasure.collection,
                records: erasure.records,
                unlisted_ms,
                destroyed_ms,
                epochs: epochs.collect(),
                keyring_epoch,
                audit_seq,
                audit_hash,
                signature: [0; 64],
            }
            .sign(self.audit.device());
            let row = key::numbered(key::RECEIPT, erasure.id.0);
            staged.put(Space::Index, &row, self.small.seal(&row, &receipt.encode()));
            staged.remove(Space::Index, &key::numbered(key::PENDING, erasure.id.0));
        }
        staged.entries.push(Entry {
            time_ms: destroyed_ms,
            actor: "vault".into(),
            action: Action::Sweep,
            collection: [0; 16],
            record: [0; 16],
            version: versions,
            note: Vec::new(),
        });
        self.commit(writer, staged, true)?;
        let left = &self.counters.pending_erasures;
        let _ = left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(versions)));
        Ok(versions)
    }
}

fn damaged() -> Error {
    Error::Storage {
        doing: "sweep",
        reason: "a key page or an erasure's row is damaged; restore a backup".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn erasures_read_what_they_wrote(id: u64, records in prop::collection::vec((any::<[u8; 16]>(), any::<[u8; 32]>(), prop::collection::vec(any::<(u64, u32, u32, u16)>(), 0..5)), 0..5)) {
            let records = records.into_iter().map(|(record, id_hash, versions)| ErasedRecord { record, id_hash, versions }).collect();
            let erasure = Erasure { id: ErasureId(id), collection: [3; 16], records };
            let small = SmallKey::new(&terachat_vault::Secret::take(&mut [1; 32]));
            let (row, sealed) = erasure.row(&small, 5, 6);
            let plain = small.open(&row, &sealed).unwrap();
            let read = Pending::read(id, plain.expose_secret()).unwrap();
            prop_assert_eq!((read.erasure, read.audit_seq, read.unlisted_ms), (erasure, 5, 6));
        }

        #[test]
        fn any_bytes_are_an_error_and_never_a_panic(bytes: Vec<u8>) {
            let _ = Pending::read(1, &bytes);
        }
    }
}
