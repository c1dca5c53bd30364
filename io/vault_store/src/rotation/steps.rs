//! The steps of a rotation: some rows each, sealed anew and put where the old ones are still in place.
use super::place::{Place, place_row};
use super::{STEP_ROWS, State};
use crate::Error;
use crate::audit::{Action, Entry};
use crate::collection::Collection;
use crate::commit::Staged;
use crate::engine::{Id, Space};
use crate::row::read_row;
use crate::store::{Head, Sealed, Source, Store, mark};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use terachat_vault::RecordHeader;

/// A version under a new key, and the row it may take the place of.
struct Moved {
    row: fjall::Slice,
    old: fjall::Slice,
    record: Id,
    version: u64,
    sealed: Sealed,
}

impl Store {
    /// Takes up the rotations that were running when the vault was closed.
    pub(crate) fn resume_rotations(&self) -> Result<(), Error> {
        for collection in self.collections.all() {
            let (current, generations) = {
                let keyring = self.keyring();
                let Some(keys) = keyring.collection(&collection.id) else { continue };
                (keys.current(), keys.generations().count())
            };
            if generations < 2 {
                continue;
            }
            let row = place_row(&collection.id);
            let stored =
                self.engine.get(Space::Index, &row)?.and_then(|sealed| self.small.open(&row, &sealed));
            let place = stored.and_then(|plain| Place::read(plain.expose_secret()).ok());
            let place = place.filter(|place| place.generation == current);
            let total = self.writer().collections.get(&collection.id).map_or(0, |totals| totals.versions);
            let place = place.unwrap_or_else(|| Place::start(current, self.time.now_ms(), total));
            self.rotations.begin(collection.id, place);
        }
        Ok(())
    }

    /// Makes a new generation and begins to move everything to it.
    pub(crate) fn rotate_dek(&self, operator: &Arc<str>, collection: &Collection) -> Result<u32, Error> {
        self.before_changing()?;
        let mut writer = self.writer();
        let now_ms = self.time.now_ms();
        let generation = self.change_keyring(|keyring| {
            let keys = keyring.collection_mut(&collection.id)?;
            Some(keys.add_generation(now_ms, &mut crate::entropy::ThreadEntropy))
        })?;
        let generation = generation.ok_or(Error::NoCollection)?;
        self.point("rotate: after the generation was made")?;
        let total = writer.collections.get(&collection.id).map_or(0, |totals| totals.versions);
        let place = Place::start(generation, now_ms, total);
        let mut staged = Staged::default();
        self.stage_place(&mut staged, &collection.id, &place);
        staged.entries.push(Entry {
            time_ms: now_ms,
            actor: operator.clone(),
            action: Action::RotateDek,
            collection: collection.id,
            record: [0; 16],
            version: u64::from(generation),
            note: Vec::new(),
        });
        self.commit(&mut writer, staged, true)?;
        drop(writer);
        self.rotations.begin(collection.id, place);
        Ok(generation)
    }

    fn stage_place(&self, staged: &mut Staged, collection: &Id, place: &Place) {
        let row = place_row(collection);
        staged.put(Space::Index, &row, self.small.seal(&row, &place.write()));
    }

    /// One step of each rotation that can go on. Gives how many rows were looked at; `None` when there is nothing to do.
    pub(crate) fn rotation_step(&self) -> Result<Option<usize>, Error> {
        let ready = self.rotations.ready();
        if ready.is_empty() {
            return Ok(None);
        }
        self.before_changing()?;
        let mut rows = 0;
        for id in ready {
            let Some(collection) = self.collections.by_id(&id) else {
                self.rotations.end(&id);
                continue;
            };
            match self.rotate_some(&collection) {
                Ok(some) => rows += some,
                Err(error @ (Error::ReadOnly(_) | Error::Closed)) => return Err(error),
                Err(error) => self.rotations.block(&id, error),
            }
        }
        Ok(Some(rows))
    }

    fn rotate_some(&self, collection: &Collection) -> Result<usize, Error> {
        let Some(mut place) = self.rotations.place(&collection.id) else { return Ok(0) };
        let Some(space) = place.space else { return self.prove(collection, place) };
        let from =
            if place.after.is_empty() { collection.id.to_vec() } else { [&place.after[..], &[0]].concat() };
        let rows: Vec<_> =
            self.engine.rows(space, &collection.id, &from).take(STEP_ROWS).collect::<Result<_, _>>()?;
        let seen = rows.len();
        match rows.last() {
            Some((row, _)) if seen == STEP_ROWS => place.after = row.to_vec(),
            _ => {
                place.after = Vec::new();
                place.space = (space == Space::Records).then_some(Space::Versions);
            }
        }
        place.done += seen as u64;
        let mut moved = Vec::new();
        for (row, old) in rows {
            // A damaged version is left where it is; the proof will say so.
            if let Ok(Some(one)) = self.move_one(collection, space, row, old, place.generation) {
                moved.push(one);
            }
        }
        self.point("rotate: before a step is written")?;
        let mut writer = self.writer();
        let current = self.keyring().collection(&collection.id).map(terachat_vault::CollectionKeys::current);
        if current != Some(place.generation) {
            return Ok(seen);
        }
        let mut staged = Staged::unasked();
        for one in moved {
            self.stage_move(&mut staged, collection, space, one, &mut place)?;
        }
        self.stage_place(&mut staged, &collection.id, &place);
        self.commit(&mut writer, staged, false)?;
        drop(writer);
        self.rotations.advance(&collection.id, place);
        Ok(seen)
    }

    /// Seals a version anew, unless it is under the current generation already.
    fn move_one(
        &self,
        collection: &Collection,
        space: Space,
        row: fjall::Slice,
        old: fjall::Slice,
        generation: u32,
    ) -> Result<Option<Moved>, Error> {
        let Some((record, version, sealed)) = read_row(space, &row, &old) else { return Ok(None) };
        let compressed = match RecordHeader::read(&sealed) {
            Ok(header) if header.key.generation == generation => return Ok(None),
            Ok(header) => header.compressed,
            Err(_) => return Ok(None),
        };
        let Some(opened) = self.try_open(&collection.id, &record, version, &sealed)? else { return Ok(None) };
        let sealed = self.seal(collection, &record, version, &Source::Whole(opened.bytes()), compressed)?;
        Ok(Some(Moved { row, old, record, version, sealed }))
    }

    /// Stages the new row where the old one is still in place.
    fn stage_move(
        &self,
        staged: &mut Staged,
        collection: &Collection,
        space: Space,
        one: Moved,
        place: &mut Place,
    ) -> Result<(), Error> {
        let Moved { row, old, record, version, sealed } = one;
        if sealed.key.generation != place.generation || self.engine.get(space, &row)?.as_ref() != Some(&old) {
            return Ok(());
        }
        let digest =
            |mark, bytes: &[u8]| self.digest_key.version(&collection.id, &record, version, mark, bytes);
        let written = sealed.bytes().len() as u64;
        let (value, page) = match space {
            Space::Records => {
                let Some(head) = Head::read(old.clone()) else { return Ok(()) };
                staged.minus(self.newest_digest(&collection.id, &record, &head));
                staged.plus(digest(mark(head.last, head.hour), sealed.bytes()));
                sealed.into_row(head.last, head.hour)
            }
            _ => {
                staged.minus(digest(0, &old));
                staged.plus(digest(0, sealed.bytes()));
                (sealed.bytes().into(), sealed.page)
            }
        };
        let grown = i64::try_from(value.len()).unwrap_or(0) - i64::try_from(old.len()).unwrap_or(0);
        staged.count(&collection.id, 0, 0, grown);
        place.bytes += written;
        staged.put(space, &row, value);
        staged.under(page);
        self.counters.reencrypted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Works on the rotations until the vault closes.
    pub(crate) fn rotate_in_background(&self) {
        loop {
            let pause = match self.rotation_step() {
                Ok(Some(rows)) => Some(self.rotations.pause(rows as f64, self.counters.calls())),
                Ok(None) => None,
                Err(_) => Some(Duration::from_secs(1)),
            };
            let state = self.rotations.state();
            let (state, _) = match pause {
                Some(pause) => self
                    .rotations
                    .wake
                    .wait_timeout_while(state, pause, |state| !state.stop)
                    .unwrap_or_else(PoisonError::into_inner),
                None => {
                    let idle = |state: &mut State| {
                        !state.stop && state.running.values().all(|running| running.blocked.is_some())
                    };
                    let long = Duration::from_secs(3600);
                    self.rotations
                        .wake
                        .wait_timeout_while(state, long, idle)
                        .unwrap_or_else(PoisonError::into_inner)
                }
            };
            if state.stop {
                return;
            }
        }
    }

    /// Waits until a collection's rotation is through.
    pub(crate) fn wait_for_rotation(&self, collection: &Collection) -> Result<(), Error> {
        if let Some(Some(_)) = self.rotations.blocked(&collection.id)
            && let Some(place) = self.rotations.place(&collection.id)
        {
            // Perhaps the damaged record was erased since.
            self.rotations.begin(
                collection.id,
                Place { space: Some(Space::Records), done: 0, after: Vec::new(), ..place },
            );
        }
        loop {
            self.check_writable()?;
            match self.rotations.blocked(&collection.id) {
                None => return Ok(()),
                Some(Some(error)) => return Err(error),
                Some(None) if self.config.background => {
                    let state = self.rotations.state();
                    let pause = Duration::from_millis(100);
                    drop(
                        self.rotations
                            .wake
                            .wait_timeout(state, pause)
                            .unwrap_or_else(PoisonError::into_inner),
                    );
                }
                Some(None) => drop(self.rotation_step()?),
            }
        }
    }
}
