//! Re-encryption under a new generation of a collection's DEK: in the background, in small steps, across restarts.
use crate::audit::{Action, Entry};
use crate::bytes::{Malformed, Reader};
use crate::collection::Collection;
use crate::commit::Staged;
use crate::engine::{Id, Space, key};
use crate::store::{Head, Sealed, Source, Store, mark};
use crate::{Error, RotationProgress};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use terachat_vault::RecordHeader;

/// Rows of the proof between two pauses.
const PROOF_ROWS: u64 = 1024;
/// How many times as fast as it re-encrypts a rotation looks at rows for its proof: it opens none of them.
const PROOF_PACE: f64 = 8.0;

/// How many times as slow a rotation is while others read or write: what it writes has to be merged by the engine, which does not step
/// back behind anybody.
const BUSY_PACE: f64 = 16.0;

/// Rows of one step: few, since writers wait for its commit.
pub(crate) const STEP_ROWS: usize = 64;

pub(crate) struct Rotations {
    state: Mutex<State>,
    wake: Condvar,
    rate_per_s: AtomicU32,
    /// How many calls of others there had been at the last pause.
    calls: AtomicU64,
}

#[derive(Default)]
struct State {
    running: BTreeMap<Id, Running>,
    stop: bool,
}

/// One collection's re-encryption.
struct Running {
    place: Place,
    /// Bytes written before `since`.
    bytes_before: u64,
    since: Instant,
    /// Why it does not go on.
    blocked: Option<Error>,
}

/// Where it is; stored with each step.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    generation: u32,
    started_ms: u64,
    /// The keyspace it works in; `None` once both are through and the proof is due.
    space: Option<Space>,
    /// The last key that was looked at.
    after: Vec<u8>,
    done: u64,
    total: u64,
    bytes: u64,
}

impl Place {
    fn start(generation: u32, started_ms: u64, total: u64) -> Self {
        Self {
            generation,
            started_ms,
            space: Some(Space::Records),
            after: Vec::new(),
            done: 0,
            total,
            bytes: 0,
        }
    }

    fn write(&self) -> Vec<u8> {
        let mut out = self.generation.to_le_bytes().to_vec();
        out.push(self.space.map_or(0, |space| space as u8));
        for number in [self.started_ms, self.done, self.total, self.bytes] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.after);
        out
    }

    fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        let generation = reader.u32()?;
        let space = match reader.u8()? {
            0 => None,
            number => Some(Space::from_number(number).ok_or(Malformed)?),
        };
        let (started_ms, done, total, bytes) = (reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?);
        Ok(Self { generation, started_ms, space, after: reader.0.to_vec(), done, total, bytes })
    }
}

/// A version under a new key, and the row it may take the place of.
struct Moved {
    row: fjall::Slice,
    old: fjall::Slice,
    record: Id,
    version: u64,
    sealed: Sealed,
}

impl Rotations {
    pub(crate) fn new(rate_per_s: u32) -> Self {
        Self {
            state: Mutex::default(),
            wake: Condvar::new(),
            rate_per_s: rate_per_s.into(),
            calls: AtomicU64::new(0),
        }
    }

    pub(crate) fn set_rate(&self, per_s: u32) {
        self.rate_per_s.store(per_s.clamp(1, 10_000_000), Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stop(&self) {
        self.state().stop = true;
        self.wake.notify_all();
    }

    /// How long so many rows take at the bounded rate, after calls of others up to this number.
    fn pause(&self, rows: f64, calls: u64) -> Duration {
        let busy = self.calls.swap(calls, Ordering::Relaxed) != calls;
        let rate = f64::from(self.rate_per_s.load(Ordering::Relaxed));
        Duration::from_secs_f64(rows / rate * if busy { BUSY_PACE } else { 1.0 })
    }

    /// Pauses the proof; says whether it goes on.
    fn breathe(&self, calls: u64) -> bool {
        let pause = self.pause(PROOF_ROWS as f64 / PROOF_PACE, calls);
        let state = self.state();
        let (state, _) = self
            .wake
            .wait_timeout_while(state, pause, |state| !state.stop)
            .unwrap_or_else(PoisonError::into_inner);
        !state.stop
    }

    /// Those that can go on.
    fn ready(&self) -> Vec<Id> {
        let state = self.state();
        state.running.iter().filter(|(_, running)| running.blocked.is_none()).map(|(id, _)| *id).collect()
    }

    fn begin(&self, collection: Id, place: Place) {
        let running = Running { bytes_before: place.bytes, place, since: Instant::now(), blocked: None };
        self.state().running.insert(collection, running);
        self.wake.notify_all();
    }

    fn place(&self, collection: &Id) -> Option<Place> {
        self.state().running.get(collection).map(|running| running.place.clone())
    }

    fn advance(&self, collection: &Id, place: Place) {
        if let Some(running) = self.state().running.get_mut(collection)
            && running.place.generation == place.generation
        {
            running.place = place;
        }
    }

    fn block(&self, collection: &Id, error: Error) {
        if let Some(running) = self.state().running.get_mut(collection) {
            running.blocked = Some(error);
        }
        self.wake.notify_all();
    }

    fn blocked(&self, collection: &Id) -> Option<Option<Error>> {
        self.state().running.get(collection).map(|running| running.blocked.clone())
    }

    pub(crate) fn end(&self, collection: &Id) {
        self.state().running.remove(collection);
        self.wake.notify_all();
    }

    pub(crate) fn progress(&self, store: &Store) -> Vec<RotationProgress> {
        let state = self.state();
        let keyring = store.keyring();
        let show = |(id, running): (&Id, &Running)| {
            let keys = keyring.collection(id)?;
            let Running { place, bytes_before, since, .. } = running;
            let written = place.bytes - bytes_before;
            let elapsed = since.elapsed();
            let elapsed_ms = elapsed.as_millis().max(1);
            let bytes_per_s = u64::try_from(u128::from(written) * 1000 / elapsed_ms).unwrap_or(u64::MAX);
            let left = place.total.saturating_sub(place.done);
            let remaining = (place.done > 0)
                .then(|| Duration::from_secs_f64(elapsed.as_secs_f64() * left as f64 / place.done as f64));
            Some(RotationProgress {
                collection: keys.name().to_owned(),
                generation: place.generation,
                older: keys
                    .generations()
                    .map(|(number, _)| number)
                    .filter(|n| *n != keys.current())
                    .collect(),
                done: place.done,
                total: place.total,
                bytes: place.bytes,
                bytes_per_s,
                remaining,
                started_ms: place.started_ms,
            })
        };
        state.running.iter().filter_map(show).collect()
    }
}

fn place_row(collection: &Id) -> Vec<u8> {
    key::meta(&[&b"rotation "[..], collection].concat())
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

    /// Looks at every version of one moment: when none is under an older generation then, none is any more, since nothing
    /// is sealed under one. Then the older generations are destroyed.
    fn prove(&self, collection: &Collection, place: Place) -> Result<usize, Error> {
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

/// Record, version and sealed bytes of a row of either keyspace.
pub(crate) fn read_row(space: Space, row: &[u8], value: &fjall::Slice) -> Option<(Id, u64, fjall::Slice)> {
    match space {
        Space::Records => {
            let (_, record) = key::read_record(row)?;
            let head = Head::read(value.clone())?;
            Some((record, head.version, head.sealed().into()))
        }
        _ => {
            let (_, record, version) = key::read_version(row)?;
            Some((record, version, value.clone()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_what_they_wrote() {
        for space in [None, Some(Space::Records), Some(Space::Versions)] {
            let place = Place { space, after: vec![1, 2], done: 3, bytes: 4, ..Place::start(5, 6, 7) };
            assert_eq!(Place::read(&place.write()), Ok(place));
        }
        assert_eq!(Place::read(&[1, 2]), Err(Malformed));
    }
}
