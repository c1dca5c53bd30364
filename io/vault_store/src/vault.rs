use crate::audit::Action;
use crate::keyring_file::KeyringFile;
use crate::opening;
use crate::record::check_text;
use crate::store::Store;
use crate::threads::Threads;
use crate::{
    ACTOR_LEN_MAX, Access, AuditEntry, AuditReport, BackupReport, COLLECTION_NAME_LEN_MAX, Config, ErasureId,
    ErasureReceipt, Error, Health, KeyManager, Session, Stats,
};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use terachat_event::DeviceId;
use terachat_vault::{
    Algorithm, BoxedCounter, CounterError, CounterKind, Keyring, KeyringError, MasterKeySource,
    RollbackError, Secret, SourceKind, VaultId,
};

/// Most entries of one page of the audit log.
const AUDIT_PAGE_MAX: usize = 10_000;

/// A vault on disk, open. Clones share it; it closes with the last one, or with [`TemplateVault::close`].
#[derive(Clone)]
pub struct TemplateVault {
    pub(crate) store: Arc<Store>,
    /// Closes the vault when the last clone goes.
    threads: Arc<Threads>,
}

/// How a collection keeps its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionOptions {
    /// The cipher; default AES-256-GCM, the faster one where the processor has AES instructions.
    pub algorithm: Algorithm,
    /// Versions kept of each record, the newest included: 1 to 1,000,000; default 16. Older ones are erased.
    pub versions_max: u32,
}

impl Default for CollectionOptions {
    fn default() -> Self {
        Self { algorithm: Algorithm::Aes256Gcm, versions_max: 16 }
    }
}

/// A collection, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionInfo {
    /// Its name.
    pub name: String,
    /// Its blinded id.
    pub id: [u8; 16],
    /// How it keeps its records.
    pub options: CollectionOptions,
    /// Its newest generation of the DEK.
    pub generation: u32,
    /// Records in it.
    pub records: u64,
    /// Versions of them.
    pub versions: u64,
    /// Sealed bytes of them.
    pub sealed_bytes: u64,
}

/// What a check of all records found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// Records that opened.
    pub records: u64,
    /// Versions that opened, the newest ones included.
    pub versions: u64,
    /// Whether the records are, all together, what the newest audit event says: none replaced by an older version, taken
    /// away or added by other means.
    pub complete: bool,
    /// Those that did not open: [`Error::Damaged`] with their addresses, at most 1,000.
    pub damaged: Vec<Error>,
}

impl TemplateVault {
    /// Makes a vault in an empty or absent folder, guarded by these sources, and opens it.
    ///
    /// # Errors
    /// [`Error::Folder`] when something is there already, [`Error::Source`], [`Error::Config`], [`Error::File`].
    pub fn create(config: &Config, sources: &mut [&mut dyn MasterKeySource]) -> Result<Self, Error> {
        config.check()?;
        if sources.is_empty() {
            return Err(KeyringError::LastSource(SourceKind::Passphrase).into());
        }
        opening::check_empty(&config.path, &[])?;
        let lock = crate::lock::Lock::acquire(&config.path)?;
        let keyring = opening::create(config, sources)?;
        Self::start(opening::open(config, keyring, None, lock)?)
    }

    /// Opens a vault with one of its sources, and finishes what a crash interrupted. Takes no longer for a million
    /// records than for one.
    ///
    /// # Errors
    /// [`Error::Folder`], [`Error::Keyring`] (wrong source), [`Error::Host`] when another process has it open,
    /// [`Error::AuditBroken`], [`Error::RolledBack`], [`Error::Storage`]; [`Error::Guarded`] for a vault with a counter.
    pub fn open(config: &Config, source: &mut dyn MasterKeySource) -> Result<Self, Error> {
        Self::open_with(config, source, |keyring| match keyring.counter_kind() {
            Some(kind) => Err(Error::Guarded(kind.name())),
            None => Ok(None),
        })
    }

    /// Opens a vault that may have a counter outside of the disk, which guards it against being set back as a whole; `open`
    /// is given the counter's kind and secret, and the vault's id. The counter is advanced twice before the first change, every
    /// [`Config::counter_interval`], and on closing after a change: what was written in between can be set back unnoticed, and so
    /// can the audit of reads by whoever changed nothing.
    ///
    /// # Errors
    /// As [`TemplateVault::open`]; [`Error::Counter`] when the vault is older than the counter, or the counter is not this
    /// vault's.
    pub fn open_guarded(
        config: &Config,
        source: &mut dyn MasterKeySource,
        open: impl FnOnce(CounterKind, VaultId, &Secret<32>) -> Result<BoxedCounter, CounterError>,
    ) -> Result<Self, Error> {
        Self::open_with(config, source, |keyring| {
            let vault = VaultId(keyring.vault());
            let counter = keyring.bound_counter(|kind, secret| open(kind, vault, secret));
            Ok(counter.map_err(RollbackError::from)?)
        })
    }

    /// Opens a vault whatever its counter says: to give it another one, where the old one is lost or stayed on another
    /// machine. Whether it was set back is not known.
    ///
    /// # Errors
    /// As [`TemplateVault::open`].
    pub fn open_to_adopt(config: &Config, source: &mut dyn MasterKeySource) -> Result<Self, Error> {
        Self::open_with(config, source, |_| Ok(None))
    }

    fn open_with(
        config: &Config,
        source: &mut dyn MasterKeySource,
        counter: impl FnOnce(&Keyring) -> Result<Option<BoxedCounter>, Error>,
    ) -> Result<Self, Error> {
        config.check()?;
        let file = KeyringFile::new(&config.path);
        if !file.exists() {
            return Err(Error::Folder { path: config.path.clone(), problem: "there is no vault here" });
        }
        let lock = crate::lock::Lock::acquire(&config.path)?;
        file.clean()?;
        crate::backup::clean(&config.path)?;
        let keyring = Keyring::open(&file.read()?, source)?;
        let counter = counter(&keyring)?;
        Self::start(opening::open(config, keyring, counter, lock)?)
    }

    /// Makes a counter guard this vault from now on, in the place of the one that did. `make` is given the vault's id and the
    /// counter's secret.
    ///
    /// # Errors
    /// [`Error::Counter`], [`Error::ReadOnly`]; the vault's keys are as they were, but the counter it had may be gone where the new
    /// one takes its place: adopt again.
    pub fn adopt_counter(
        &self,
        operator: &str,
        kind: CounterKind,
        make: impl FnOnce(VaultId, &Secret<32>) -> Result<BoxedCounter, CounterError>,
    ) -> Result<(), Error> {
        check_text("operator", operator, ACTOR_LEN_MAX)?;
        self.store.adopt_counter(&operator.into(), kind, make)
    }

    /// Which kinds of sources open the vault in this folder. Needs no key.
    ///
    /// # Errors
    /// [`Error::Folder`], [`Error::Keyring`].
    pub fn sources_of(path: &Path) -> Result<Vec<SourceKind>, Error> {
        Ok(Keyring::sources_of(&Self::keyring_of(path)?).map_err(KeyringError::from)?)
    }

    /// Which vault is in this folder: what sources that are bound to one ask for. Needs no key, and is to be believed as
    /// far as the file is.
    ///
    /// # Errors
    /// As [`TemplateVault::sources_of`].
    pub fn id_of(path: &Path) -> Result<[u8; 16], Error> {
        Ok(Keyring::vault_of(&Self::keyring_of(path)?).map_err(KeyringError::from)?)
    }

    fn keyring_of(path: &Path) -> Result<Vec<u8>, Error> {
        let file = KeyringFile::new(path);
        if !file.exists() {
            return Err(Error::Folder { path: path.to_owned(), problem: "there is no vault here" });
        }
        file.read()
    }

    /// Which vault this is: random, made once, kept by backups.
    pub fn id(&self) -> [u8; 16] {
        self.store.keyring().vault()
    }

    /// The public key that verifies the audit log and all receipts. Keep a copy outside of the vault.
    pub fn audit_key(&self) -> DeviceId {
        self.store.audit.id()
    }

    /// What one caller may do. `actor` names the caller in the audit log: 1 to
    /// [`ACTOR_LEN_MAX`](crate::ACTOR_LEN_MAX) bytes, no control characters.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn session(&self, actor: &str, access: Access) -> Result<Session, Error> {
        check_text("actor", actor, ACTOR_LEN_MAX)?;
        Ok(Session { vault: self.clone(), actor: actor.into(), access: Arc::new(access) })
    }

    /// The keys, to rotate them. `operator` is the name in the audit log.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn keys(&self, operator: &str) -> Result<KeyManager<'_>, Error> {
        check_text("operator", operator, ACTOR_LEN_MAX)?;
        Ok(KeyManager { vault: self, operator: operator.into() })
    }

    /// Makes a collection. One that exists with the same cipher is left as it is, but for `versions_max`.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::CollectionExists`], [`Error::Config`], [`Error::ReadOnly`].
    pub fn create_collection(
        &self,
        operator: &str,
        name: &str,
        options: &CollectionOptions,
    ) -> Result<(), Error> {
        check_text("operator", operator, ACTOR_LEN_MAX)?;
        check_text("collection's name", name, COLLECTION_NAME_LEN_MAX)?;
        if !(1..=1_000_000).contains(&options.versions_max) {
            return Err(Error::Config { setting: "versions_max", allowed: "1 to 1,000,000" });
        }
        self.store.create_collection(&operator.into(), name, options)
    }

    /// All collections, by name.
    pub fn collections(&self) -> Vec<CollectionInfo> {
        self.store.collection_infos()
    }

    /// Erases a collection with everything in it: its keys are destroyed at once. Gives how many records it had.
    ///
    /// # Errors
    /// [`Error::NoCollection`], [`Error::ReadOnly`], [`Error::File`].
    pub fn drop_collection(&self, operator: &str, name: &str) -> Result<u64, Error> {
        check_text("operator", operator, ACTOR_LEN_MAX)?;
        self.store.drop_collection(&operator.into(), name)
    }

    /// The blinded ids under which a collection and a record of it stand in the audit log and in receipts.
    pub fn blinded(&self, collection: &str, id: &str) -> ([u8; 16], [u8; 16]) {
        let collection = self.store.keyring().blind(b"collection", collection.as_bytes());
        (collection, self.store.record_id(&collection, id))
    }

    /// The receipt of an erasure; `None` while its keys are not destroyed, and for a number that is none.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn receipt(&self, erasure: ErasureId) -> Result<Option<ErasureReceipt>, Error> {
        self.store.receipt(erasure)
    }

    /// Destroys the keys of everything that was erased so far. Gives how many versions' keys.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::File`].
    pub fn sweep(&self) -> Result<u64, Error> {
        let mut versions = 0;
        loop {
            match self.store.sweep()? {
                0 => return Ok(versions),
                more => versions += more,
            }
        }
    }

    /// Erases what is expired now. Gives how many records.
    ///
    /// # Errors
    /// [`Error::ReadOnly`].
    pub fn expire(&self) -> Result<u64, Error> {
        self.store.expire()
    }

    /// Puts everything that was acknowledged, and the audit of reads, on the disk, and signs the audit log.
    ///
    /// # Errors
    /// [`Error::ReadOnly`].
    pub fn flush(&self) -> Result<(), Error> {
        self.store.flush()
    }

    /// Advances the rollback counter to what is in the vault now, where there is one.
    ///
    /// # Errors
    /// [`Error::Counter`], [`Error::ReadOnly`].
    pub fn checkpoint(&self) -> Result<(), Error> {
        self.store.checkpoint()
    }

    /// Does once what the vault's threads do: flush, expire, sweep, and a step of each rotation. For vaults without
    /// threads ([`Config::background`]).
    ///
    /// # Errors
    /// The first that occurred.
    pub fn tick(&self) -> Result<(), Error> {
        self.store.flush()?;
        self.store.expire()?;
        self.sweep()?;
        self.store.rotation_step()?;
        Ok(())
    }

    /// The vault's time in milliseconds since 1970: never goes back, not even across restarts.
    pub fn now_ms(&self) -> u64 {
        self.store.time.now_ms()
    }

    /// Says that the system's clock is right although it jumped ahead.
    ///
    /// # Errors
    /// [`Error::ReadOnly`].
    pub fn confirm_clock(&self, operator: &str) -> Result<(), Error> {
        check_text("operator", operator, ACTOR_LEN_MAX)?;
        self.store.check_writable()?;
        self.store.before_changing()?;
        self.store.time.confirm();
        self.store.record(&operator.into(), Action::ConfirmClock, 0)
    }

    /// Up to `limit` (at most 10,000) entries of the audit log from event `from_seq` on; whole events only, so that the next
    /// page starts at the last entry's `seq` + 1.
    ///
    /// # Errors
    /// [`Error::AuditBroken`], [`Error::Storage`].
    pub fn audit_entries(&self, from_seq: u64, limit: usize) -> Result<Vec<AuditEntry>, Error> {
        self.store.audit_entries(from_seq, limit.min(AUDIT_PAGE_MAX))
    }

    /// Checks the whole audit log: the chain, the signature on its head, that no event is missing, and that each opens.
    ///
    /// # Errors
    /// [`Error::AuditBroken`], [`Error::Storage`].
    pub fn audit(&self) -> Result<AuditReport, Error> {
        self.store.audit_all()
    }

    /// Opens every version of every record and compares all together with what the audit log says. Writes go on.
    ///
    /// # Errors
    /// [`Error::Storage`]. Damaged records are in the report.
    pub fn check(&self) -> Result<CheckReport, Error> {
        self.store.check()
    }

    /// Writes everything, as of one moment, as one sealed stream that `source` (a passphrase, a recovery key) opens on any
    /// machine. Reads and writes go on. What is erased later is still in it: backups have to be let expire too.
    ///
    /// # Errors
    /// [`Error::Source`], [`Error::File`] when `out` fails, [`Error::Storage`].
    pub fn backup(
        &self,
        operator: &str,
        source: &mut dyn MasterKeySource,
        out: &mut dyn Write,
    ) -> Result<BackupReport, Error> {
        check_text("operator", operator, ACTOR_LEN_MAX)?;
        self.store.backup(&operator.into(), source, out)
    }

    /// Makes the vault of a backup in an empty or absent folder, guarded by new sources. Everything is checked before the
    /// vault is put in its place. Open it afterwards.
    ///
    /// # Errors
    /// [`Error::Backup`], [`Error::Keyring`] (wrong source), [`Error::Folder`], [`Error::Source`], [`Error::Storage`].
    pub fn restore_backup(
        config: &Config,
        input: &mut dyn Read,
        source: &mut dyn MasterKeySource,
        sources: &mut [&mut dyn MasterKeySource],
    ) -> Result<BackupReport, Error> {
        config.check()?;
        crate::backup::restore(config, input, source, sources)
    }

    /// Rewrites the database without what was overwritten or erased. Reads and writes go on. Gives the bytes on disk before
    /// and after.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn compact(&self) -> Result<(u64, u64), Error> {
        self.store.compact()
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        self.store.stats()
    }

    /// Whether it can do its work.
    pub fn health(&self) -> Health {
        self.store.health()
    }

    /// Flushes, signs the audit log, stops the threads and closes. Later calls by other clones and by sessions answer
    /// [`Error::Closed`]; once they too are dropped, another process may open the folder.
    ///
    /// # Errors
    /// As [`TemplateVault::flush`]; it is closed nevertheless.
    pub fn close(self) -> Result<(), Error> {
        self.threads.close()
    }

    fn start(store: Store) -> Result<Self, Error> {
        let store = Arc::new(store);
        let open = Arc::new(Threads::start(store.clone())?);
        Ok(Self { store, threads: open })
    }
}
