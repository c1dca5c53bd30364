//! The database: its keyspaces, and where everything stands in them. `docs/format/vault-store.md`.
use crate::newest::Newest;
use crate::recent::Recent;
use crate::{Config, Error, journal, order};
use fjall::{
    AbstractTree as _, Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable,
    Slice, Snapshot,
};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The keyspaces. Few of them: each keeps journals alive until it is flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Space {
    /// Collection ‖ record → newest version.
    Records = 1,
    /// Collection ‖ record ‖ version → an older version.
    Versions = 2,
    /// Everything small; the first byte of the key says what.
    Index = 3,
    /// Number of an event → the event.
    Audit = 4,
}

impl Space {
    pub(crate) const ALL: [Self; 4] = [Self::Records, Self::Versions, Self::Index, Self::Audit];

    fn name(self) -> &'static str {
        match self {
            Self::Records => "records 2",
            Self::Versions => "versions 2",
            Self::Index => "index",
            Self::Audit => "audit",
        }
    }

    /// The keyspace that a vault of format 1 has in its place, with the keys in another order.
    fn before(self) -> Option<&'static str> {
        match self {
            Self::Records => Some("records"),
            Self::Versions => Some("versions"),
            Self::Index | Self::Audit => None,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|space| *space as u8 == number)
    }
}

/// A blinded id.
pub(crate) type Id = [u8; 16];

/// A keyspace, a key as it is stored there (`order.rs`), and its new value; `None` removes it.
pub(crate) type Row = (Space, Slice, Option<Slice>);

/// Of the cache's bytes, those for rows of newest versions; the rest is for blocks, of which those of key pages are hot.
const NEWEST_OF_EIGHT: u64 = 7;

/// Bytes of a table in memory before it is written out. Of 32 MiB, tables were written and merged so often that puts in groups had a tenth
/// less of their rate, and on a busy disk a quarter (ADR 0013).
const TABLE_SIZE: u64 = 64 << 20;

/// Bytes in such tables from which on closing writes them out: so many are read back from the journal in some 20 ms.
const SETTLE_FROM: u64 = 4 << 20;

/// How long that may take before it is given up; everything is in the journal all the same.
const WRITE_OUT_TIME: Duration = Duration::from_secs(30);

/// Bytes of one batch while the rows of format 1 are brought into order.
const REORDER_BYTES: usize = 4 << 20;

pub(crate) struct Engine {
    pub(crate) db: Database,
    spaces: [Keyspace; 4],
    newest: Newest,
    recent: Recent,
    table_size: u64,
}

impl Engine {
    /// Where the database is in the vault's folder.
    pub(crate) fn folder(vault: &Path) -> PathBuf {
        vault.join("db")
    }

    pub(crate) fn open(config: &Config, vault: &Path) -> Result<Self, Error> {
        let failed = Error::storage("open the database");
        let newest_size = config.cache_size / 8 * NEWEST_OF_EIGHT;
        let build = || {
            let builder = Database::builder(Self::folder(vault)).cache_size(config.cache_size - newest_size);
            // Of two workers one spins while the other compacts: it puts the order to compact back into the queue (fjall 3.1).
            builder.worker_threads(1).max_journaling_size(128 << 20).open()
        };
        let db = match build() {
            Err(fjall::Error::JournalRecovery(error)) if journal::cut_torn_batch(&Self::folder(vault))? => {
                tracing::warn!(%error, "the journal's last write was torn by a crash");
                build()
            }
            other => other,
        }
        .map_err(&failed)?;
        // Sealed bytes do not compress.
        let options = || {
            KeyspaceCreateOptions::default()
                .data_block_compression_policy(fjall::config::CompressionPolicy::disabled())
                // Blinded keys have no order, so every look-up asks every level: their filters, 10 bits a record, stay in
                // memory. (Of the levels from the third on, where filters are cut up, only the tables of contents do.)
                .filter_block_pinning_policy(fjall::config::PinningPolicy::all(true))
                // Full tables are seen to here (`make_room`). The engine asks its worker to at every write to a full one, by the
                // queue through which the worker tells itself what to do next: once a thousand such requests have come while it
                // was busy it waits for itself, and every writer and the closing for it, for ever (fjall 3.1, pull request 323).
                .max_memtable_size(u64::MAX)
        };
        let space = |space: Space| db.keyspace(space.name(), options).map_err(&failed);
        let spaces =
            [space(Space::Records)?, space(Space::Versions)?, space(Space::Index)?, space(Space::Audit)?];
        let (newest, recent) = (Newest::new(newest_size), Recent::default());
        let engine = Self { db, spaces, newest, recent, table_size: TABLE_SIZE };
        for space in Space::ALL {
            let Some(before) = space.before().filter(|name| engine.db.keyspace_exists(name)) else {
                continue;
            };
            let before = engine.db.keyspace(before, options).map_err(&failed)?;
            engine.reorder(before, space).map_err(Error::storage("bring the database to format 2"))?;
        }
        Ok(engine)
    }

    /// Brings the rows of a vault of format 1 into the order they have now. Until the old keyspace is removed, all of them
    /// are in it, and whatever interrupts this has it begin anew.
    fn reorder(&self, before: Keyspace, space: Space) -> Result<(), fjall::Error> {
        tracing::info!(?space, "the vault is brought to format 2");
        let (mut batch, mut len) = (self.db.batch(), 0);
        for row in before.iter() {
            let (key, value) = row.into_inner()?;
            len += key.len() + value.len();
            batch.insert(self.space(space), order::stored(space, &key), value);
            if len > REORDER_BYTES {
                len = 0;
                std::mem::replace(&mut batch, self.db.batch()).commit()?;
                self.make_room();
            }
        }
        batch.commit()?;
        self.make_room();
        self.db.persist(PersistMode::SyncAll)?;
        self.db.delete_keyspace(before)
    }

    pub(crate) fn space(&self, space: Space) -> &Keyspace {
        &self.spaces[space as usize - 1]
    }

    pub(crate) fn get(&self, space: Space, key: &[u8]) -> Result<Option<Slice>, Error> {
        order::with_stored(space, key, |key| self.get_stored(space, key))
    }

    fn get_stored(&self, space: Space, key: &[u8]) -> Result<Option<Slice>, Error> {
        #[cfg(test)]
        LOOK_UPS.set(LOOK_UPS.get() + 1);
        self.space(space).get(key).map_err(Error::storage("read the database"))
    }

    /// The row of a record's newest version, for a reader: kept in memory for the next one.
    pub(crate) fn newest(&self, collection: &Id, record: &Id) -> Result<Option<Slice>, Error> {
        let key = stored_record(collection, record);
        self.newest.get(&key, || self.get_stored(Space::Records, &key))
    }

    /// Has the row fetched from the disk again by whoever asks for it next.
    pub(crate) fn forget(&self, collection: &Id, record: &Id) {
        self.newest.change(&stored_record(collection, record), None);
    }

    /// [`Engine::newest`] for a writer, who is about to change it.
    pub(crate) fn newest_to_change(&self, collection: &Id, record: &Id) -> Result<Option<Slice>, Error> {
        let key = stored_record(collection, record);
        self.newest.peek(&key).map_or_else(|| self.get_stored(Space::Records, &key), |row| Ok(Some(row)))
    }

    /// How many writes there were: to be noted before rows are read that [`Engine::changed`] is asked about later.
    pub(crate) fn writes(&self) -> u64 {
        self.recent.now()
    }

    /// Whether the row of a record's newest version may be another one than `since` so many writes. For whoever holds the writer.
    pub(crate) fn changed(&self, since: u64, collection: &Id, record: &Id) -> bool {
        self.recent.changed(since, &stored_record(collection, record))
    }

    /// Before closing: writes out what the tables in memory have, if that is much, for whoever opens the vault next would read it
    /// from the journal. Nothing depends on it.
    pub(crate) fn settle(&self) {
        if self.db.write_buffer_size() >= SETTLE_FROM
            && let Err(error) = self.write_out()
        {
            tracing::warn!(%error, "the next opening reads the journal");
        }
    }

    /// Writes out what the tables in memory have.
    pub(crate) fn write_out(&self) -> Result<(), Error> {
        let failed = Error::storage("write out the tables in memory");
        for space in &self.spaces {
            space.rotate_memtable().map_err(&failed)?;
        }
        // The engine's own way to wait has no end where the disk is full.
        let over = Instant::now() + WRITE_OUT_TIME;
        while self.spaces.iter().any(|space| space.sealed_memtable_count() > 0) {
            if Instant::now() > over {
                return Err(failed(fjall::Error::Io(std::io::ErrorKind::TimedOut.into())));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// After a write, by whoever made it: has tables in memory that are full written out in the background.
    pub(crate) fn make_room(&self) {
        for space in &self.spaces {
            if space.tree.active_memtable().size() > self.table_size
                && let Err(error) = space.rotate_memtable()
            {
                tracing::warn!(%error, "a full table stays in memory until the next write");
            }
        }
    }

    /// An empty batch with room for so many rows.
    pub(crate) fn batch(&self, rows: usize) -> OwnedWriteBatch {
        OwnedWriteBatch::with_capacity(self.db.clone(), rows)
    }

    /// Writes the rows together with what is in the batch. With `asked_for` newest versions among them are kept in memory, since who
    /// writes a record often reads it soon; otherwise only where they take another one's place.
    pub(crate) fn write(
        &self,
        mut batch: OwnedWriteBatch,
        mut rows: Vec<Row>,
        mode: PersistMode,
        asked_for: bool,
    ) -> Result<(), fjall::Error> {
        // In the order of their keys, two rows that follow each other share most of their way through the table in memory. Only where
        // nothing stands between them: readers look for a version first where it comes from, then where it goes.
        let stored = |row: &Row| row.0 == Space::Records && row.2.is_some();
        for run in rows.chunk_by_mut(|a, b| stored(a) && stored(b)) {
            run.sort_unstable_by(|a, b| a.1.cmp(&b.1));
        }
        let changed = |(space, key, value): &Row| {
            let key = (*space == Space::Records).then(|| key[..].try_into().ok()).flatten()?;
            // A copy of the handle: what the engine's table in memory and the cache hold is one row.
            Some((key, value.clone()))
        };
        let changed: Vec<([u8; 32], Option<Slice>)> = rows.iter().filter_map(changed).collect();
        for (space, key, value) in rows {
            match value {
                Some(value) => batch.insert(self.space(space), key, value),
                None => batch.remove(self.space(space), key),
            }
        }
        let keys: Vec<[u8; 32]> = changed.iter().map(|(key, _)| *key).collect();
        let written = self.recent.during(&keys, || {
            let written = batch.durability(Some(mode)).commit();
            // After an error it is not known what the disk has.
            let known = written.is_ok();
            for (key, row) in changed {
                match row.filter(|_| known) {
                    Some(row) if !asked_for => self.newest.follow(&key, row),
                    row => self.newest.change(&key, row),
                }
            }
            written
        });
        self.make_room();
        written
    }

    /// Rows from `from` on (included) whose keys begin with `prefix`.
    pub(crate) fn rows(
        &self,
        space: Space,
        prefix: &[u8],
        from: &[u8],
    ) -> impl DoubleEndedIterator<Item = Result<(Slice, Slice), Error>> + use<> {
        debug_assert!(from.starts_with(prefix));
        let from = order::stored(space, from);
        let iter = match order::with_stored(space, prefix, after) {
            Some(end) => self.space(space).range(from..end.into()),
            None => self.space(space).range(from..),
        };
        let prefix = prefix.to_vec();
        iter.filter_map(move |row| read(row, space, &prefix))
    }

    /// Rows of an earlier moment whose keys begin with `prefix`.
    pub(crate) fn rows_at(
        &self,
        snapshot: &Snapshot,
        space: Space,
        prefix: &[u8],
    ) -> impl Iterator<Item = Result<(Slice, Slice), Error>> + use<> {
        let from = order::stored(space, prefix);
        let iter = match after(&from) {
            Some(end) => snapshot.range(self.space(space), from..end.into()),
            None => snapshot.range(self.space(space), from..),
        };
        let prefix = prefix.to_vec();
        iter.filter_map(move |row| read(row, space, &prefix))
    }

    /// The row with the largest key that begins with `prefix`.
    pub(crate) fn last(&self, space: Space, prefix: &[u8]) -> Result<Option<(Slice, Slice)>, Error> {
        self.rows(space, prefix, prefix).next_back().transpose()
    }
}

/// A row of a scan, unless it is of another collection whose id begins alike.
fn read(row: fjall::Guard, space: Space, prefix: &[u8]) -> Option<Result<(Slice, Slice), Error>> {
    match row.into_inner() {
        Ok((key, value)) => {
            let key = order::plain(space, key);
            key.starts_with(prefix).then_some(Ok((key, value)))
        }
        Err(error) => Some(Err(Error::storage("read the database")(error))),
    }
}

fn stored_record(collection: &Id, record: &Id) -> [u8; 32] {
    order::with_stored(Space::Records, &key::record(collection, record), |key| {
        key.try_into().expect("it is in another order and no longer or shorter")
    })
}

/// The first key that is larger than every key with this prefix.
pub(crate) fn after(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// The keys of the rows. Numbers are big-endian, so that their order is the keys' order.
pub(crate) mod key {
    use super::Id;

    pub(crate) const PAGE: u8 = b'P';
    pub(crate) const SLOTS: u8 = b'S';
    pub(crate) const GONE: u8 = b'E';
    pub(crate) const PENDING: u8 = b'X';
    pub(crate) const RECEIPT: u8 = b'R';
    pub(crate) const META: u8 = b'M';
    pub(crate) const IDEMPOTENT: u8 = b'I';
    pub(crate) const IDEMPOTENT_TIME: u8 = b'J';
    pub(crate) const EXPIRY: u8 = b'T';

    pub(crate) fn record(collection: &Id, record: &Id) -> [u8; 32] {
        let mut key = [0; 32];
        key[..16].copy_from_slice(collection);
        key[16..].copy_from_slice(record);
        key
    }

    pub(crate) fn version(collection: &Id, record: &Id, version: u64) -> [u8; 40] {
        let mut key = [0; 40];
        key[..32].copy_from_slice(&self::record(collection, record));
        key[32..].copy_from_slice(&version.to_be_bytes());
        key
    }

    /// Collection, record and version of a key that [`version`] made.
    pub(crate) fn read_version(key: &[u8]) -> Option<(Id, Id, u64)> {
        let key: &[u8; 40] = key.try_into().ok()?;
        let (collection, rest) = key.split_first_chunk::<16>()?;
        let (record, rest) = rest.split_first_chunk::<16>()?;
        Some((*collection, *record, u64::from_be_bytes(rest.try_into().ok()?)))
    }

    /// Collection and record of a key that [`record`] made.
    pub(crate) fn read_record(key: &[u8]) -> Option<(Id, Id)> {
        let key: &[u8; 32] = key.try_into().ok()?;
        Some((key[..16].try_into().ok()?, key[16..].try_into().ok()?))
    }

    pub(crate) fn gone(collection: &Id, record: &Id) -> Vec<u8> {
        [&[GONE][..], collection, record].concat()
    }

    /// Of all pages of one epoch of a DEK.
    pub(crate) fn pages(collection: &Id, generation: u32, epoch: u64) -> Vec<u8> {
        [&[PAGE][..], collection, &generation.to_be_bytes(), &epoch.to_be_bytes()].concat()
    }

    pub(crate) fn page(collection: &Id, generation: u32, epoch: u64, page: u32) -> Vec<u8> {
        [&pages(collection, generation, epoch)[..], &page.to_be_bytes()].concat()
    }

    /// The keys left in a page that was punctured in the sweep that made `epoch`.
    pub(crate) fn slots(collection: &Id, generation: u32, page: u32, epoch: u64) -> Vec<u8> {
        [&[SLOTS][..], collection, &generation.to_be_bytes(), &page.to_be_bytes(), &epoch.to_be_bytes()]
            .concat()
    }

    pub(crate) fn numbered(kind: u8, number: u64) -> [u8; 9] {
        let mut key = [kind; 9];
        key[1..].copy_from_slice(&number.to_be_bytes());
        key
    }

    pub(crate) fn meta(name: &[u8]) -> Vec<u8> {
        [&[META][..], name].concat()
    }

    pub(crate) fn expiry(hour: u64, collection: &Id, record: &Id) -> Vec<u8> {
        [&numbered(EXPIRY, hour)[..], collection, record].concat()
    }

    pub(crate) fn idempotent(id: &Id) -> Vec<u8> {
        [&[IDEMPOTENT][..], id].concat()
    }

    pub(crate) fn idempotent_time(until_ms: u64, id: &Id) -> Vec<u8> {
        [&numbered(IDEMPOTENT_TIME, until_ms)[..], id].concat()
    }
}

#[cfg(test)]
thread_local! {
    /// How often this thread has looked into the engine.
    pub(crate) static LOOK_UPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tables fill faster than they are written out. When the engine itself asked for that, the vault hung, sooner or later.
    #[test]
    fn full_tables_are_written_out_and_nobody_waits_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let vault = folder.path().to_owned();
        let (done, is_done) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut engine = Engine::open(&Config::new(&vault), &vault).unwrap();
            engine.table_size = 64 << 10;
            for number in 0..6_000_u32 {
                let record = u128::from(number).to_be_bytes();
                let key = stored_record(&[1; 16], &record);
                let row = (Space::Records, Slice::from(key), Some(Slice::from([7; 1_000])));
                engine.write(engine.batch(1), vec![row], PersistMode::Buffer, false).unwrap();
            }
            let in_memory = engine.space(Space::Records).tree.active_memtable().size();
            engine.write_out().unwrap();
            let rows = engine.rows(Space::Records, &[1; 16], &[1; 16]).count();
            drop(engine);
            done.send((in_memory, rows)).unwrap();
        });
        let minutes = Duration::from_secs(300);
        let (in_memory, rows) = is_done.recv_timeout(minutes).expect("the engine hangs");
        assert!(in_memory < 80 << 10, "{in_memory} bytes");
        assert_eq!(rows, 6_000);
    }

    #[test]
    fn the_end_of_a_prefix_is_just_behind_it() {
        assert_eq!(after(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(after(&[1, 0xff]), Some(vec![2]));
        assert_eq!(after(&[0xff, 0xff]), None);
    }

    #[test]
    fn keys_read_what_they_wrote() {
        let (c, r) = ([1; 16], [2; 16]);
        assert_eq!(key::read_version(&key::version(&c, &r, 7)), Some((c, r, 7)));
        assert_eq!(key::read_record(&key::record(&c, &r)), Some((c, r)));
        assert_eq!(key::read_version(&key::record(&c, &r)), None);
        assert!(key::page(&c, 1, 2, 3) < key::page(&c, 1, 2, 256));
        assert!(key::page(&c, 1, 2, u32::MAX) < key::page(&c, 1, 3, 0));
    }
}
