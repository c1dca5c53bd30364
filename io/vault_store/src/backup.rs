//! One sealed stream with everything: `docs/format/vault-backup.md`.
mod stream;

use crate::audit::{Action, Entry, Head};
use crate::bytes::{Malformed, Reader};
use crate::commit::Staged;
use crate::digest::Digest;
use crate::disk::{self, Kind};
use crate::engine::{Engine, Space};
use crate::entropy::ThreadEntropy;
use crate::keyring_file::{KeyringFile, sync_folder};
use crate::store::Store;
use crate::{Config, Error};
use crate::{opening, order};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use stream::{StreamReader, StreamWriter};
use terachat_vault::{Entropy, Guards, Keyring, KeyringError, MasterKeySource, Secret, derive_key};

const MAGIC: &[u8; 8] = b"TCbkup\0\x01";
const SALT_LEN: usize = 32;
/// Longest keyring that a backup may bring.
const KEYRING_LEN_MAX: usize = 256 << 20;
/// Where a backup is unpacked and checked, in the vault's folder.
pub(crate) const RESTORING: &str = "restoring";
const BATCH_BYTES: usize = 4 << 20;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupReport {
    /// The vault.
    pub vault: [u8; 16],
    /// Rows of the database.
    pub rows: u64,
    /// Bytes of the stream.
    pub bytes: u64,
    /// Number of the newest audit event in it.
    pub audit_seq: u64,
    /// Records in it.
    pub records: u64,
    /// When it was made, in milliseconds since 1970.
    pub made_ms: u64,
}

/// What stands at the end of a stream: what all of it has to add up to.
struct Trailer {
    rows: u64,
    records: u64,
    head: Head,
    digest: Digest,
}

impl Trailer {
    fn write(&self) -> Vec<u8> {
        let mut out = vec![0];
        for number in [self.rows, self.records, self.head.seq] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.head.hash.0);
        out.extend_from_slice(&self.digest.bytes());
        out
    }
}

/// What comes before the chunks. Everything in it is bound to them.
struct Header {
    made_ms: u64,
    keyring: Vec<u8>,
    bytes: Vec<u8>,
}

impl Header {
    fn write(made_ms: u64, keyring: Vec<u8>) -> Self {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&made_ms.to_le_bytes());
        let mut salt = [0; SALT_LEN];
        ThreadEntropy.fill(&mut salt);
        bytes.extend_from_slice(&salt);
        bytes.extend_from_slice(&crate::bytes::count(keyring.len()));
        bytes.extend_from_slice(&keyring);
        Self { made_ms, keyring, bytes }
    }

    fn read(input: &mut dyn Read) -> Result<Self, Error> {
        let mut bytes = vec![0; MAGIC.len() + 8 + SALT_LEN + 4];
        read_exact(input, &mut bytes)?;
        let malformed = |Malformed| Error::Backup("its header is cut short");
        let mut reader = Reader(&bytes);
        if reader.take(MAGIC.len()).map_err(malformed)? != MAGIC {
            return Err(Error::Backup("it is no backup of a vault, or of a newer version"));
        }
        let made_ms = reader.u64().map_err(malformed)?;
        reader.take(SALT_LEN).map_err(malformed)?;
        let len = reader.u32().map_err(malformed)? as usize;
        if len > KEYRING_LEN_MAX {
            return Err(Error::Backup("its header has an impossible length"));
        }
        // Grows with what is really there, not with what is claimed.
        let mut keyring = Vec::new();
        input.take(len as u64).read_to_end(&mut keyring).map_err(|_| Error::Backup("it cannot be read"))?;
        if keyring.len() != len {
            return Err(Error::Backup("it is cut short"));
        }
        bytes.extend_from_slice(&keyring);
        Ok(Self { made_ms, keyring, bytes })
    }

    /// The key of the chunks. Only who opened the keyring has it.
    fn key(&self, keyring: &Keyring) -> Secret<32> {
        let hash = blake3::hash(&self.bytes);
        derive_key("terachat 2026-11 vault backup key", keyring.audit_seed(), &[hash.as_bytes()])
    }
}

impl Store {
    pub(crate) fn backup(
        &self,
        operator: &Arc<str>,
        source: &mut dyn MasterKeySource,
        out: &mut dyn Write,
    ) -> Result<BackupReport, Error> {
        // A passphrase takes its time; nobody waits for it.
        let guards = Guards::generate(&mut [source], &mut ThreadEntropy)?;
        let (snapshot, head, digest, totals, keyring, made_ms) = {
            let mut writer = self.writer();
            let mut staged = Staged::default();
            staged.entries.push(self.vault_entry(operator, Action::Backup, 0));
            self.commit(&mut writer, staged, false)?;
            let keyring = self.keyring().export(&guards, &mut ThreadEntropy).map_err(KeyringError::from)?;
            (
                self.engine.db.snapshot(),
                writer.head,
                writer.digest,
                writer.totals,
                keyring,
                self.time.now_ms(),
            )
        };
        let header = Header::write(made_ms, keyring);
        let mut stream = StreamWriter::new(out, header.key(&self.keyring()));
        stream.plain(&header.bytes)?;
        let mut rows = 0;
        for space in Space::ALL {
            for row in self.engine.rows_at(&snapshot, space, &[]) {
                let (key, value) = row?;
                stream.row(space, &key, &value)?;
                rows += 1;
            }
        }
        stream.write(&Trailer { rows, records: totals.records, head, digest }.write())?;
        let bytes = stream.finish()?;
        let vault = self.keyring().vault();
        Ok(BackupReport { vault, rows, bytes, audit_seq: head.seq, records: totals.records, made_ms })
    }
}

/// Unpacks a backup beside the place of the vault, checks it, and puts it there.
pub(crate) fn restore(
    config: &Config,
    input: &mut dyn Read,
    source: &mut dyn MasterKeySource,
    sources: &mut [&mut dyn MasterKeySource],
) -> Result<BackupReport, Error> {
    if sources.is_empty() {
        return Err(KeyringError::LastSource(source.kind()).into());
    }
    let aside = Config { path: config.path.join(RESTORING), background: false, ..config.clone() };
    let database = Engine::folder(&config.path);
    // A restoration that was cut off may have moved its database already. There is no vault before the keyring is in its place.
    let cut_off = aside.path.exists() && !KeyringFile::new(&config.path).exists();
    opening::check_empty(&config.path, if cut_off { &[RESTORING, "db"] } else { &[] })?;
    let lock = crate::lock::Lock::acquire(&config.path)?;
    if cut_off {
        remove_folder(&database).map_err(Error::file("remove", &database))?;
        clean(&config.path)?;
    }
    let result = unpack(&aside, input, source).and_then(|report| {
        put_in_place(config, &aside, source, sources)?;
        Ok(report)
    });
    if result.is_err() && !KeyringFile::new(&config.path).exists() {
        disk::write(&config.path, Kind::Beside, || remove_folder(&database))
            .map_err(Error::file("remove", &database))?;
    }
    clean(&config.path)?;
    drop(lock);
    result
}

fn unpack(
    aside: &Config,
    input: &mut dyn Read,
    source: &mut dyn MasterKeySource,
) -> Result<BackupReport, Error> {
    let mut counted = Counted { input, bytes: 0 };
    let header = Header::read(&mut counted)?;
    let keyring = Keyring::open(&header.keyring, source)?;
    let key = header.key(&keyring);
    let trailer = {
        let lock = crate::lock::Lock::acquire(&aside.path)?;
        let engine = Engine::open(aside, &aside.path)?;
        let trailer = fill(&engine, StreamReader::new(&mut counted, key))?;
        engine.db.persist(fjall::PersistMode::SyncAll).map_err(Error::storage("write the database"))?;
        drop(lock);
        trailer
    };
    // Kept for `put_in_place`, which opens it once more.
    KeyringFile::new(&aside.path).replace(&header.keyring)?;
    let vault = keyring.vault();
    let lock = crate::lock::Lock::acquire(&aside.path)?;
    let store = opening::open(aside, keyring, None, lock)?;
    let found = store.audit.open(trailer.head.seq, &audit_row(&store, trailer.head.seq)?)?.1;
    if found != trailer.head {
        return Err(Error::Backup("its audit log is not the one it was made with"));
    }
    store.audit_all()?;
    let report = store.check()?;
    if !report.complete || store.writer().digest != trailer.digest || report.records != trailer.records {
        return Err(Error::Backup("its records are not those it was made with"));
    }
    if let Some(error) = report.damaged.into_iter().next() {
        return Err(error);
    }
    let entry = Entry {
        time_ms: store.time.now_ms(),
        ..store.vault_entry(&"vault".into(), Action::RestoreBackup, trailer.head.seq)
    };
    let mut staged = Staged::default();
    staged.entries.push(entry);
    store.commit(&mut store.writer(), staged, true)?;
    store.flush()?;
    Ok(BackupReport {
        vault,
        rows: trailer.rows,
        bytes: counted.bytes,
        audit_seq: trailer.head.seq,
        records: trailer.records,
        made_ms: header.made_ms,
    })
}

fn audit_row(store: &Store, seq: u64) -> Result<fjall::Slice, Error> {
    let row = store.engine.get(Space::Audit, &seq.to_be_bytes())?;
    row.ok_or(Error::Backup("its audit log is cut short"))
}

/// Writes all rows of a stream into an empty database.
fn fill(engine: &Engine, stream: StreamReader<'_>) -> Result<Trailer, Error> {
    let failed = Error::storage("write the database");
    let (mut batch, mut len) = (engine.db.batch(), 0);
    let trailer = read_rows(stream, |space, key, value| {
        len += key.len() + value.len();
        batch.insert(engine.space(space), order::stored(space, &key), value);
        if len > BATCH_BYTES {
            len = 0;
            std::mem::replace(&mut batch, engine.db.batch()).commit().map_err(&failed)?;
            engine.make_room();
        }
        Ok(())
    })?;
    batch.commit().map_err(&failed)?;
    engine.make_room();
    Ok(trailer)
}

fn read_rows(
    mut stream: StreamReader<'_>,
    mut each: impl FnMut(Space, Vec<u8>, Vec<u8>) -> Result<(), Error>,
) -> Result<Trailer, Error> {
    let mut rows = 0;
    loop {
        let space = stream.u8()?;
        if space == 0 {
            break;
        }
        let space = Space::from_number(space).ok_or(Error::Backup("it has rows of an unknown kind"))?;
        let (key, value) = stream.row()?;
        rows += 1;
        each(space, key, value)?;
    }
    let trailer = Trailer {
        rows: stream.u64()?,
        records: stream.u64()?,
        head: Head { seq: stream.u64()?, hash: terachat_event::EventHash(stream.array()?) },
        digest: Digest::from_bytes(&stream.array()?),
    };
    stream.end()?;
    if trailer.rows != rows {
        return Err(Error::Backup("rows are missing in it"));
    }
    Ok(trailer)
}

/// For the fuzzer: takes the bytes for a whole backup, for sealed chunks, and for what is in them. Says whether the last was
/// a whole stream.
#[doc(hidden)]
pub fn fuzz_backup(bytes: &[u8]) -> bool {
    let key = || Secret::take(&mut [7; 32]);
    let _ = Header::read(&mut &bytes[..]);
    let _ = read_rows(StreamReader::new(&mut &bytes[..], key()), |_, _, _| Ok(()));
    let mut sealed = Vec::new();
    let mut writer = StreamWriter::new(&mut sealed, key());
    let written = writer.write(bytes).and_then(|()| writer.finish());
    written.is_ok() && read_rows(StreamReader::new(&mut &sealed[..], key()), |_, _, _| Ok(())).is_ok()
}

/// Gives the vault its new guards and its place. It is there once the keyring's file is.
fn put_in_place(
    config: &Config,
    aside: &Config,
    source: &mut dyn MasterKeySource,
    sources: &mut [&mut dyn MasterKeySource],
) -> Result<(), Error> {
    let mut keyring = Keyring::open(&KeyringFile::new(&aside.path).read()?, source)?;
    keyring.rotate_master(sources, &mut ThreadEntropy)?;
    // It stayed where the backup was made, and knows that this is an older copy.
    keyring.unbind_counter();
    let bytes = keyring.seal(&mut ThreadEntropy).map_err(KeyringError::from)?;
    let (from, to) = (Engine::folder(&aside.path), Engine::folder(&config.path));
    disk::write(&config.path, Kind::Beside, || std::fs::rename(&from, &to))
        .map_err(Error::file("move", &from))?;
    sync_folder(&config.path)?;
    KeyringFile::new(&config.path).replace(&bytes)
}

/// Removes what a restoration left beside the vault.
pub(crate) fn clean(vault: &Path) -> Result<(), Error> {
    let aside = vault.join(RESTORING);
    if !aside.exists() {
        return Ok(());
    }
    disk::write(vault, Kind::Beside, || remove_folder(&aside)).map_err(Error::file("remove", &aside))
}

fn remove_folder(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn read_exact(input: &mut dyn Read, out: &mut [u8]) -> Result<(), Error> {
    input.read_exact(out).map_err(|_| Error::Backup("it is cut short"))
}

struct Counted<'a> {
    input: &'a mut dyn Read,
    bytes: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let len = self.input.read(out)?;
        self.bytes += len as u64;
        Ok(len)
    }
}
