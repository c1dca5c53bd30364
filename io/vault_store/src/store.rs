//! The open vault as all its parts see it, and the reading of records.
use crate::audit::{Action, AuditKeys, Entry};
use crate::bytes::{Malformed, Plaintext};
use crate::collection::Collections;
use crate::commit::Writer;
use crate::digest::{Digest, DigestKey};
use crate::engine::{Engine, Id, Space, key};
use crate::entropy::ThreadEntropy;
use crate::gallery::Galleries;
use crate::group::Queue;
use crate::helpers::Helpers;
use crate::keyring_file::KeyringFile;
use crate::pages::{NoKey, Pages};
use crate::plain::{self, Encoded, PLAIN_LEN_MAX, Plain};
use crate::reads::Reads;
use crate::rotation::Rotations;
use crate::small::SmallKey;
use crate::stats::Counters;
use crate::time::Time;
use crate::{Config, Content, Error, Record};
use byteview::ByteView;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use terachat_vault::{
    Blinder, BoxedCounter, Keyring, RECORD_HEAD_LEN, RECORD_OVERHEAD, RecordAddress, RecordHeader,
    RecordKeyId, SecretBytes,
};

/// Hour in which a record expires that never does.
pub(crate) const NEVER: u32 = u32::MAX;
const HOUR_MS: u64 = 3_600_000;

/// Everything of one open vault.
pub(crate) struct Store {
    pub(crate) config: Config,
    pub(crate) engine: Engine,
    pub(crate) keyring_file: KeyringFile,
    pub(crate) keyring: RwLock<Keyring>,
    pub(crate) blinder: Blinder,
    pub(crate) audit: AuditKeys,
    pub(crate) small: SmallKey,
    pub(crate) digest_key: DigestKey,
    pub(crate) pages: Pages,
    pub(crate) collections: Collections,
    pub(crate) time: Time,
    /// Whoever changes anything holds it.
    pub(crate) writer: Mutex<Writer>,
    pub(crate) queue: Queue,
    pub(crate) helpers: Helpers,
    pub(crate) reads: Reads,
    pub(crate) galleries: Galleries,
    pub(crate) rotations: Rotations,
    /// What guards the vault against being set back as a whole, if there is such a thing.
    pub(crate) counter: Mutex<Option<BoxedCounter>>,
    /// Checkpoints that are to be completed before anything is changed: [`Store::before_changing`].
    pub(crate) due: AtomicU64,
    /// One sweep at a time; taken before `writer`.
    pub(crate) sweeping: Mutex<()>,
    /// Why nothing is written any more.
    pub(crate) read_only: OnceLock<Arc<str>>,
    pub(crate) closed: AtomicBool,
    pub(crate) counters: Counters,
    /// Last, so that it is released when all else is closed.
    pub(crate) _lock: crate::lock::Lock,
}

/// The row of a record's newest version.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) version: u64,
    /// The largest version that the record ever had.
    pub(crate) last: u64,
    /// In which hour since 1970 it expires; [`NEVER`].
    pub(crate) hour: u32,
    row: fjall::Slice,
}

const HEAD_LEN: usize = 20;

impl Head {
    pub(crate) fn read(row: fjall::Slice) -> Option<Self> {
        let (fixed, _) = row.split_first_chunk::<HEAD_LEN>()?;
        let number = |at: usize| u64::from_le_bytes(fixed[at..at + 8].try_into().expect("eight bytes"));
        let hour = u32::from_le_bytes(fixed[16..].try_into().expect("four bytes"));
        Some(Self { version: number(0), last: number(8), hour, row })
    }

    pub(crate) fn write(version: u64, last: u64, hour: u32, sealed: &[u8]) -> Vec<u8> {
        let mut row = Vec::with_capacity(HEAD_LEN + sealed.len());
        row.extend_from_slice(&Self::fixed(version, last, hour));
        row.extend_from_slice(sealed);
        row
    }

    fn fixed(version: u64, last: u64, hour: u32) -> [u8; HEAD_LEN] {
        let mut fixed = [0; HEAD_LEN];
        fixed[..8].copy_from_slice(&version.to_le_bytes());
        fixed[8..16].copy_from_slice(&last.to_le_bytes());
        fixed[16..].copy_from_slice(&hour.to_le_bytes());
        fixed
    }

    pub(crate) fn sealed(&self) -> &[u8] {
        &self.row[HEAD_LEN..]
    }
}

/// What a newest version's row says in the clear, for the digest.
pub(crate) fn mark(last: u64, hour: u32) -> u128 {
    u128::from(hour) << 64 | u128::from(last)
}

/// In which hour since 1970 this moment lies.
pub(crate) fn hour_of(keep_until_ms: Option<u64>) -> u32 {
    keep_until_ms.map_or(NEVER, |until| u32::try_from(until / HOUR_MS).unwrap_or(NEVER - 1))
}

/// One version, opened; [`Opened::plain`] reads it.
pub(crate) struct Opened {
    pub(crate) version: u64,
    bytes: SecretBytes,
}

impl Opened {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.expose_secret()
    }

    pub(crate) fn plain(&self) -> Plain<'_> {
        Plain::read(self.bytes.expose_secret()).expect("it was read once when it was opened")
    }

    /// The record. What it was opened into is what is given out: bytes are not copied.
    pub(crate) fn into_record(self) -> Result<Record, Malformed> {
        let plain = self.plain();
        let template = plain.template()?;
        let info = plain.info_of(self.version, template.as_ref());
        let front = self.bytes.expose_secret().len() - plain.body.len();
        let content = match template {
            Some(template) => Content::from(template),
            None => Content::Bytes(self.bytes.without_front(front)),
        };
        Ok(Record { info, content })
    }
}

impl Store {
    pub(crate) fn keyring(&self) -> RwLockReadGuard<'_, Keyring> {
        self.keyring.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn keyring_mut(&self) -> RwLockWriteGuard<'_, Keyring> {
        self.keyring.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }

    pub(crate) fn check_writable(&self) -> Result<(), Error> {
        self.check_open()?;
        self.read_only.get().map_or(Ok(()), |reason| Err(Error::ReadOnly(reason.clone())))
    }

    /// Takes no more writes.
    pub(crate) fn stop_writing(&self, reason: &dyn std::fmt::Display) -> Error {
        let reason: Arc<str> = reason.to_string().into();
        tracing::error!(%reason, "a write failed; the vault is read-only until it is opened again");
        Error::ReadOnly(self.read_only.get_or_init(|| reason).clone())
    }

    /// The blinded id of a record.
    pub(crate) fn record_id(&self, collection: &Id, id: &str) -> Id {
        let mut name = [0; 16 + crate::ID_LEN_MAX];
        name[..16].copy_from_slice(collection);
        let len = id.len().min(crate::ID_LEN_MAX);
        name[16..16 + len].copy_from_slice(&id.as_bytes()[..len]);
        self.blinder.blind(b"record", &name[..16 + len])
    }

    pub(crate) fn head(&self, collection: &Id, record: &Id) -> Result<Option<Head>, Error> {
        self.read_head(collection, record, self.engine.newest(collection, record)?)
    }

    /// [`Store::head`] for whoever is about to change the record.
    pub(crate) fn head_to_change(&self, collection: &Id, record: &Id) -> Result<Option<Head>, Error> {
        self.read_head(collection, record, self.engine.newest_to_change(collection, record)?)
    }

    fn read_head(
        &self,
        collection: &Id,
        record: &Id,
        row: Option<fjall::Slice>,
    ) -> Result<Option<Head>, Error> {
        let Some(row) = row else { return Ok(None) };
        match Head::read(row) {
            Some(head) => Ok(Some(head)),
            None => Err(self.damaged(collection, record, 0, "its row is cut short")),
        }
    }

    pub(crate) fn version_row(
        &self,
        collection: &Id,
        record: &Id,
        version: u64,
    ) -> Result<Option<fjall::Slice>, Error> {
        self.engine.get(Space::Versions, &key::version(collection, record, version))
    }

    /// Opens sealed bytes that stand at this address; `None` when its key is not there, because it was erased or moved to
    /// another key since the row was read.
    pub(crate) fn try_open(
        &self,
        collection: &Id,
        record: &Id,
        version: u64,
        sealed: &[u8],
    ) -> Result<Option<Opened>, Error> {
        let damaged = |reason| Err(self.damaged(collection, record, version, reason));
        let Ok(header) = RecordHeader::read(sealed) else { return damaged("its header is not one") };
        let page = match self.pages.page(&self.engine, &self.keyring, collection, header.key) {
            Ok(page) => page,
            Err(NoKey::Gone) => return Ok(None),
            Err(NoKey::Damaged) => return damaged("its key page does not open"),
            Err(NoKey::Storage(error)) => return Err(error),
        };
        let address = RecordAddress { collection: *collection, record: *record, version };
        let bytes = match page.keys.open_record(&header, &address, sealed) {
            Some(Ok(bytes)) => bytes,
            Some(Err(_)) => return damaged("it does not open at its address"),
            None => return Ok(None),
        };
        let bytes = if header.compressed {
            match decompress(bytes.expose_secret()) {
                Some(bytes) => bytes,
                None => return damaged("it does not decompress"),
            }
        } else {
            bytes
        };
        match Plain::read(bytes.expose_secret()) {
            Ok(_) => Ok(Some(Opened { version, bytes })),
            Err(_) => damaged("it opens and is not a record"),
        }
    }

    /// The newest version of a record, opened; `None` when there is none. Follows erasures and re-encryption that happen
    /// between the steps.
    pub(crate) fn open_newest(&self, collection: &Id, record: &Id) -> Result<Option<Opened>, Error> {
        let mut before: Option<Head> = None;
        loop {
            let Some(head) = self.head(collection, record)? else { return Ok(None) };
            if let Some(opened) = self.try_open(collection, record, head.version, head.sealed())? {
                return Ok(Some(opened));
            }
            if before.is_some_and(|before| before.row == head.row) {
                return Err(self.damaged(collection, record, head.version, "its key is gone"));
            }
            before = Some(head);
        }
    }

    /// One version of a record, opened, be it the newest or an older one.
    pub(crate) fn open_version(
        &self,
        collection: &Id,
        record: &Id,
        version: u64,
    ) -> Result<Option<Opened>, Error> {
        let mut before: Option<Vec<u8>> = None;
        loop {
            let sealed = match self.head(collection, record)? {
                Some(head) if head.version == version => head.sealed().to_vec(),
                Some(_) => match self.version_row(collection, record, version)? {
                    Some(row) => row.to_vec(),
                    // It may have become the newest in between.
                    None => match self.head(collection, record)? {
                        Some(head) if head.version == version => head.sealed().to_vec(),
                        _ => return Ok(None),
                    },
                },
                None => return Ok(None),
            };
            if let Some(opened) = self.try_open(collection, record, version, &sealed)? {
                return Ok(Some(opened));
            }
            if before.is_some_and(|before| before == sealed) {
                return Err(self.damaged(collection, record, version, "its key is gone"));
            }
            before = Some(sealed);
        }
    }

    /// Opens a row of a scan; reads it again when its key is gone meanwhile. `None`: the record is gone.
    pub(crate) fn open_scanned(
        &self,
        collection: &Id,
        record: &Id,
        version: u64,
        sealed: &[u8],
    ) -> Result<Option<Opened>, Error> {
        match self.try_open(collection, record, version, sealed)? {
            Some(opened) => Ok(Some(opened)),
            None => self.open_version(collection, record, version),
        }
    }

    /// Records an alarm and gives the error.
    pub(crate) fn damaged(&self, collection: &Id, record: &Id, version: u64, reason: &'static str) -> Error {
        self.counters.damaged.fetch_add(1, Ordering::Relaxed);
        // It may be whole again when it is mended on the disk.
        self.engine.forget(collection, record);
        tracing::error!(version, reason, "a record is damaged");
        self.reads.push(Entry {
            time_ms: self.time.now_ms(),
            actor: "vault".into(),
            action: Action::Damaged,
            collection: *collection,
            record: *record,
            version,
            note: reason.as_bytes().to_vec(),
        });
        Error::Damaged { collection: *collection, record: *record, version, reason }
    }

    /// Seals a plaintext in a fresh slot.
    pub(crate) fn seal(
        &self,
        collection: &crate::collection::Collection,
        record: &Id,
        version: u64,
        source: &Source<'_>,
        compress: bool,
    ) -> Result<Sealed, Error> {
        let slot = collection.slots.next(&self.engine, &self.pages, &self.keyring, &collection.id)?;
        let packed = if compress { pack(&source.plain()) } else { None };
        let header =
            RecordHeader { algorithm: collection.algorithm, compressed: packed.is_some(), key: slot.id };
        let address = RecordAddress { collection: collection.id, record: *record, version };
        let len = packed.as_ref().map_or_else(|| source.len(), |packed| packed.len());
        // The plaintext is written where it is sealed and where the engine keeps it afterwards.
        let mut row = ByteView::with_size(HEAD_LEN + RECORD_OVERHEAD + len);
        {
            let mut bytes = row.get_mut().expect("nobody else has it yet");
            let sealed = &mut bytes[HEAD_LEN..];
            let room = &mut sealed[RECORD_HEAD_LEN..RECORD_HEAD_LEN + len];
            match &packed {
                Some(packed) => room.copy_from_slice(packed),
                None => source.write(room),
            }
            if !slot.page.keys.seal_record(&header, &address, sealed, &mut ThreadEntropy) {
                unreachable!("a page whose slots are given out has all its keys");
            }
        }
        Ok(Sealed { version, key: slot.id, row, page: slot.page })
    }

    pub(crate) fn newest_digest(&self, collection: &Id, record: &Id, head: &Head) -> Digest {
        self.digest_key.version(collection, record, head.version, mark(head.last, head.hour), head.sealed())
    }
}

/// A plaintext to be sealed.
pub(crate) enum Source<'a> {
    /// As it was opened.
    Whole(&'a [u8]),
    /// To be put together.
    Parts(&'a plain::Head<'a>, &'a Encoded<'a>),
}

impl Source<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Whole(plain) => plain.len(),
            Self::Parts(head, content) => plain::len(head, content),
        }
    }

    fn write(&self, out: &mut [u8]) {
        match self {
            Self::Whole(plain) => out.copy_from_slice(plain),
            Self::Parts(head, content) => plain::write(head, content, out),
        }
    }

    fn plain(&self) -> Plaintext {
        let mut out = Plaintext::from(vec![0; self.len()]);
        self.write(&mut out);
        out
    }
}

/// Sealed bytes that are not stored yet.
pub(crate) struct Sealed {
    pub(crate) version: u64,
    pub(crate) key: RecordKeyId,
    /// Room for a row's beginning, then the sealed bytes.
    row: ByteView,
    pub(crate) page: Arc<crate::pages::Page>,
}

impl Sealed {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.row[HEAD_LEN..]
    }

    /// The row of the newest version, and the page it is sealed under.
    pub(crate) fn into_row(mut self, last: u64, hour: u32) -> (fjall::Slice, Arc<crate::pages::Page>) {
        let mut row = self.row.get_mut().expect("nobody else has it yet");
        row[..HEAD_LEN].copy_from_slice(&Head::fixed(self.version, last, hour));
        drop(row);
        (self.row.into(), self.page)
    }
}

/// Compressed, where that saves something.
fn pack(plain: &[u8]) -> Option<Plaintext> {
    let packed = Plaintext::from(zstd::bulk::compress(plain, 3).ok()?);
    (packed.len() < plain.len()).then_some(packed)
}

fn decompress(packed: &[u8]) -> Option<SecretBytes> {
    zstd::bulk::decompress(packed, PLAIN_LEN_MAX).ok().map(SecretBytes::take)
}
