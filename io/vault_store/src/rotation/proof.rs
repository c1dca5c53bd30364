//! The end of a rotation: a scan proves that nothing is left under an older key, then these keys are destroyed.
use super::PROOF_ROWS;
use super::place::{Place, place_row};
use crate::Error;
use crate::audit::{Action, Entry};
use crate::collection::Collection;
use crate::commit::Staged;
use crate::engine::{Id, Space, key};
use crate::row::read_row;
use crate::store::Store;
use terachat_vault::RecordHeader;

impl Store {
    /// Looks at every version of one moment: when none is under an older generation then, none is any more, since nothing
    /// is sealed under one. Then the older generations are destroyed.
    pub(super) fn prove(&self, collection: &Collection, place: Place) -> Result<usize, Error> {
        let snapshot = self.engine.db.snapshot();
        let (mut seen, mut hasher) = (0u64, blake3::Hasher::new());
        let mut left = None;
        for space in [Space::Records, Space::Versions] {
            for row in self.engine.rows_at(&snapshot, space, &collection.id) {
                let (row, value) = row?;
                let Some((record, version, sealed)) = read_row(space, &row, &value) else { continue };
                let header = RecordHeader::read(&sealed).ok();
                if header.is_none_or(|header| header.key.generation != place.generation) {
                    left = Some((record, version));
                }
                hasher.update(&row).update(&sealed[..sealed.len().min(16)]);
                seen += 1;
                if seen.is_multiple_of(PROOF_ROWS)
                    && self.config.background
                    && !self.rotations.breathe(self.counters.calls())
                {
                    return Ok(0);
                }
            }
        }
        drop(snapshot);
        if let Some((record, version)) = left {
            // Moved between the keyspaces behind the scan's back: once more. Damaged: it cannot be moved at all.
            self.open_version(&collection.id, &record, version)?;
            self.rotations.advance(&collection.id, Place { space: Some(Space::Records), done: 0, ..place });
            return Ok(0);
        }
        let older: Vec<u32> = {
            let keyring = self.keyring();
            let keys = keyring.collection(&collection.id).ok_or(Error::NoCollection)?;
            if keys.current() != place.generation {
                return Ok(0);
            }
            keys.generations().map(|(number, _)| number).filter(|number| *number != keys.current()).collect()
        };
        let mut writer = self.writer();
        let entry = |action, version, note| Entry {
            time_ms: self.time.now_ms(),
            actor: "vault".into(),
            action,
            collection: collection.id,
            record: [0; 16],
            version,
            note,
        };
        let mut staged = Staged::default();
        let proof = hasher.finalize().as_bytes().to_vec();
        staged.entries.push(entry(Action::RotationProved, seen, proof));
        self.commit(&mut writer, staged, true)?;
        self.point("rotate: after the proof")?;
        self.change_keyring(|keyring| {
            let keys = keyring.collection_mut(&collection.id);
            keys.is_some_and(|keys| older.iter().all(|number| keys.destroy(*number)))
        })?;
        self.point("rotate: after the old generation was destroyed")?;
        let mut staged = Staged::default();
        for generation in &older {
            self.stage_generation_removal(&mut staged, &collection.id, *generation)?;
            staged.entries.push(entry(Action::DestroyDek, u64::from(*generation), Vec::new()));
        }
        staged.remove(Space::Index, &place_row(&collection.id));
        self.commit(&mut writer, staged, true)?;
        drop(writer);
        self.pages.forget(|id, generation, _| *id == collection.id && older.contains(&generation));
        self.rotations.end(&collection.id);
        Ok(usize::try_from(seen).unwrap_or(usize::MAX))
    }

    /// Stages the removal of all pages of a generation whose key is destroyed.
    pub(crate) fn stage_generation_removal(
        &self,
        staged: &mut Staged,
        collection: &Id,
        generation: u32,
    ) -> Result<(), Error> {
        for kind in [key::PAGE, key::SLOTS] {
            let prefix = [&[kind][..], collection, &generation.to_be_bytes()].concat();
            for row in self.engine.rows(Space::Index, &prefix, &prefix) {
                staged.remove(Space::Index, &row?.0);
            }
        }
        Ok(())
    }
}
