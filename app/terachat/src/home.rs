use crate::args::{CounterSpec, Global, SourceArgs};
use crate::failure::{Failure, Result};
use crate::shown_disk::ShownDisk;
use crate::{counter, master_key, memory};
use etcetera::BaseStrategy;
use indicatif::ProgressBar;
use std::path::{Path, PathBuf};
use terachat_client::{
    Client, NewCounter, adopt_profile_counter, change_profile_keys, check_profile, profile_sources,
    profile_vault,
};
use terachat_core_store::store::{CheckReport, Storage};
use terachat_host::{Disk, Lock, OsEntropy, clock};
use terachat_vault::{
    CounterKind, Entropy, Keyring, KeyringError, MasterKeySource, RollbackError, SourceKind, VaultId,
};

/// The folder in which one profile lives, and where its passphrase comes from.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    folder: PathBuf,
    sources: SourceArgs,
    counter: Option<CounterSpec>,
    allow_unpinned_keys: bool,
    /// Shows what is read and written, if somebody waits for it.
    bar: ProgressBar,
}

/// An open profile: as long as it lives no other process works in its folder.
pub(crate) struct Profile {
    pub(crate) client: Client,
    pub(crate) lock: Lock,
}

impl Profile {
    /// Ends the work in the folder. Only the snapshot is written then, which makes the next opening quicker: that it
    /// could not be, on a full disk say, takes nothing from what was answered.
    pub(crate) fn close(self) {
        let Self { client, lock } = self;
        if let Err(error) = client.close() {
            tracing::warn!(%error, "the last checkpoint or snapshot was not written; nothing said is lost");
        }
        drop(lock);
    }
}

/// A profile's keys, apart from the conversation.
pub(crate) struct Keys<'a> {
    home: &'a Home,
    disk: Disk,
    vault: [u8; 16],
    _lock: Lock,
}

impl Keys<'_> {
    /// Which keyring it is.
    pub(crate) fn vault(&self) -> [u8; 16] {
        self.vault
    }

    /// The kinds of sources that open it.
    ///
    /// # Errors
    /// [`Failure::Told`].
    pub(crate) fn sources(&self) -> Result<Vec<SourceKind>> {
        profile_sources(&self.disk).map_err(Failure::from_text)
    }

    /// Opens the keyring, has `change` do something to it, and puts it back.
    ///
    /// # Errors
    /// [`Failure::Told`]; the profile is then as it was.
    pub(crate) fn change(
        &mut self,
        change: impl FnOnce(&mut Keyring, &mut dyn Entropy) -> std::result::Result<(), KeyringError>,
    ) -> Result<()> {
        let mut source = self.home.source(&self.disk)?;
        let mut entropy = OsEntropy::new().map_err(Failure::from_text)?;
        change_profile_keys(&mut self.disk, source.as_mut(), &mut entropy, change).map_err(Failure::from_text)
    }
}

impl Home {
    /// The folder that `--home`, `TERACHAT_HOME` or the platform's custom names.
    ///
    /// # Errors
    /// [`Failure::Told`] where the platform names none.
    pub(crate) fn find(global: &Global) -> Result<Self> {
        let folder = match &global.home {
            Some(folder) => folder.clone(),
            None => etcetera::base_strategy::choose_native_strategy()
                .map_err(|_| {
                    Failure::new("there is no home folder to keep the profile in", "name one with --home DIR")
                })?
                .data_dir()
                .join("terachat"),
        };
        Ok(Self {
            folder,
            sources: global.sources.clone(),
            counter: global.counter.clone(),
            allow_unpinned_keys: global.allow_unpinned_keys,
            bar: ProgressBar::hidden(),
        })
    }

    /// The same, of which this bar shows what is read and written.
    pub(crate) fn shown_by(&self, bar: ProgressBar) -> Self {
        Self { bar, ..self.clone() }
    }

    /// Does what speaks with the user, with nothing shown meanwhile.
    pub(crate) fn aside<T>(&self, speak: impl FnOnce() -> T) -> T {
        self.bar.suspend(speak)
    }

    fn disk(&self) -> Result<ShownDisk> {
        Ok(ShownDisk::new(Disk::open(&self.folder).map_err(Failure::from_text)?, self.bar.clone()))
    }

    /// What says how hardware is reached.
    pub(crate) fn sources(&self) -> &SourceArgs {
        &self.sources
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a running `terachat listen` serves the other commands. The dot keeps it out of the store's names.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join(".socket")
    }

    /// Makes a new profile in an empty or missing folder.
    ///
    /// # Errors
    /// [`Failure::Told`] when the folder holds anything, and what the system or the client refuses. Nothing was changed then.
    pub(crate) fn create(&self, name: &str) -> Result<Profile> {
        self.refuse_used()?;
        memory::pin(self.allow_unpinned_keys)?;
        self.made(|disk, source, entropy, counter| {
            Client::create(disk, name, source, entropy, clock::now_ms(), counter)
        })
    }

    /// Makes a new profile in an empty or missing folder from a backup. `source` gives what opens the backup; it is asked once
    /// it is sure that the folder can be used.
    ///
    /// # Errors
    /// As [`Home::create`], and what is wrong with the backup. Nothing was changed then.
    pub(crate) fn restore(
        &self,
        backup: &[u8],
        source: impl FnOnce(Result<()>) -> Result<Box<dyn MasterKeySource>>,
    ) -> Result<Profile> {
        let usable = self.refuse_used().and_then(|()| memory::pin(self.allow_unpinned_keys));
        let mut backup_source = source(usable)?;
        self.made(|disk, source, entropy, counter| {
            let now_ms = clock::now_ms();
            Client::restore(disk, backup, backup_source.as_mut(), source, entropy, now_ms, counter)
        })
    }

    /// Has `make` make a profile that the sources and the counter of the flags guard.
    ///
    /// A source but a passphrase may be bound to the keyring, which is drawn when the profile is made. So that is made under a
    /// passphrase that nobody knows, and handed over to its source before anybody is told of it.
    fn made(
        &self,
        make: impl FnOnce(
            Box<ShownDisk>,
            &mut dyn MasterKeySource,
            Box<OsEntropy>,
            Option<NewCounter<'_>>,
        ) -> std::result::Result<Client, terachat_client::Error>,
    ) -> Result<Profile> {
        let by_words = self.sources.master_key.is_none() && self.sources.key_file.is_none();
        let mut source = match by_words {
            true => master_key::new_passphrase(self.sources.passphrase_file.as_deref())?,
            false => master_key::nobody()?,
        };
        let lock = Lock::acquire(&self.folder).map_err(Failure::from_text)?;
        self.refuse_used()?;
        let entropy = || OsEntropy::new().map_err(Failure::from_text);
        let spec = self.counter.clone().unwrap_or(CounterSpec::File(None));
        let mut counter = |owner, secret: &_| counter::make(&spec, owner, secret);
        let counter = counter::kind(&spec).map(|kind| NewCounter { kind, make: &mut counter });
        let made = make(Box::new(self.disk()?), &mut source, Box::new(entropy()?), counter);
        let undone = |failure| {
            self.clear();
            failure
        };
        let client = made.map_err(|error| undone(Failure::from_text(error)))?;
        if by_words {
            return Ok(Profile { client, lock });
        }
        Profile { client, lock }.close();
        let lock = Lock::acquire(&self.folder).map_err(Failure::from_text)?;
        let handed_over = (|| {
            let mut disk = self.disk()?;
            let vault = VaultId(profile_vault(&disk).map_err(Failure::from_text)?);
            let mut own = master_key::first(&self.sources, vault)?;
            change_profile_keys(&mut disk, &mut source, &mut entropy()?, |keyring, entropy| {
                Ok(keyring.rotate_master(&mut [own.as_mut()], entropy)?)
            })
            .map_err(Failure::from_text)
        })();
        handed_over.map_err(undone)?;
        self.open(lock)
    }

    /// Gives the profile the counter that the flags name, a file if they name none.
    ///
    /// # Errors
    /// [`Failure::Told`]; as [`adopt_profile_counter`].
    pub(crate) fn adopt_counter(&self) -> Result<CounterKind> {
        self.require()?;
        memory::pin(self.allow_unpinned_keys)?;
        let _lock = Lock::acquire(&self.folder).map_err(Failure::from_text)?;
        let disk = || Disk::open(&self.folder).map_err(Failure::from_text);
        let spec = self.counter.clone().unwrap_or(CounterSpec::File(None));
        let none = || {
            Failure::new("no counter is named to be adopted", "name one with --counter file or --counter tpm")
        };
        let kind = counter::kind(&spec).ok_or_else(none)?;
        let (mut keys, store) = (disk()?, disk()?);
        let mut source = self.source(&keys)?;
        let entropy = OsEntropy::new().map_err(Failure::from_text)?;
        let counter = NewCounter { kind, make: &mut |owner, secret: &_| counter::make(&spec, owner, secret) };
        adopt_profile_counter(&mut keys, Box::new(store), source.as_mut(), Box::new(entropy), counter)
            .map_err(Failure::from_text)?;
        Ok(kind)
    }

    /// Reads and checks everything that is kept, also where the profile no longer opens.
    ///
    /// # Errors
    /// [`Failure::Told`]: no profile there, or it is in use, a wrong passphrase. Damage is none.
    pub(crate) fn check(&self) -> Result<CheckReport> {
        self.require()?;
        memory::pin(self.allow_unpinned_keys)?;
        let _lock = Lock::acquire(&self.folder).map_err(Failure::from_text)?;
        let disk = self.disk()?;
        let mut source = self.source(&disk)?;
        let entropy = OsEntropy::new().map_err(Failure::from_text)?;
        check_profile(Box::new(disk), source.as_mut(), Box::new(entropy)).map_err(Failure::from_text)
    }

    /// Removes what a profile that could not be finished left in the folder, which was empty before: keys without a log, on
    /// a full disk say, would pass for a profile and stand in the way of the next attempt.
    fn clear(&self) {
        for path in self.entries() {
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::warn!(%error, path = %path.display(), "what was begun could not be removed");
            }
        }
    }

    /// Opens the profile with a lock that is held already.
    ///
    /// # Errors
    /// [`Failure::Told`]: no profile there, a wrong passphrase, damage.
    pub(crate) fn open(&self, lock: Lock) -> Result<Profile> {
        memory::pin(self.allow_unpinned_keys)?;
        let disk = self.disk()?;
        let mut source = self.source(&disk)?;
        let entropy = OsEntropy::new().map_err(Failure::from_text)?;
        let client = Client::open_guarded(
            Box::new(disk),
            source.as_mut(),
            Box::new(entropy),
            |kind, owner, secret| counter::open(self.counter.as_ref(), kind, owner, secret),
        )
        .map_err(|error| told(&error))?;
        Ok(Profile { client, lock })
    }

    /// The profile's keys, closed, with nobody else at them.
    ///
    /// # Errors
    /// [`Failure::Told`]: no profile there, or it is in use.
    pub(crate) fn keys(&self) -> Result<Keys<'_>> {
        self.require()?;
        memory::pin(self.allow_unpinned_keys)?;
        let lock = Lock::acquire(&self.folder).map_err(Failure::from_text)?;
        let disk = Disk::open(&self.folder).map_err(Failure::from_text)?;
        let vault = profile_vault(&disk).map_err(Failure::from_text)?;
        Ok(Keys { home: self, disk, vault, _lock: lock })
    }

    /// What the flags name as the guard of the profile on this disk.
    fn source(&self, disk: &dyn Storage) -> Result<Box<dyn MasterKeySource>> {
        let vault = VaultId(profile_vault(disk).map_err(Failure::from_text)?);
        master_key::given(&self.sources, vault)
    }

    /// Fails where there is no profile, without making a folder.
    ///
    /// # Errors
    /// [`Failure::Told`].
    pub(crate) fn require(&self) -> Result<()> {
        if self.entries().is_empty() {
            let what = format_args!("there is no profile in {}", self.folder.display());
            return Err(Failure::new(
                what,
                "make one with `terachat init --name NAME`, or name another with --home",
            ));
        }
        Ok(())
    }

    fn refuse_used(&self) -> Result<()> {
        if self.entries().is_empty() {
            return Ok(());
        }
        let what = format_args!("{} is not empty", self.folder.display());
        Err(Failure::new(
            what,
            "`terachat status` shows a profile that is there; name an empty folder with --home",
        ))
    }

    /// What the folder holds, apart from the lock that every visit leaves.
    fn entries(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return Vec::new() };
        let paths = entries.flatten().map(|entry| entry.path());
        paths.filter(|path| path.file_name().is_none_or(|name| name != ".lock")).collect()
    }
}

/// What to tell of a profile that does not open; of an older copy, more than its error says.
fn told(error: &terachat_client::Error) -> Failure {
    use terachat_client::Error;
    match error {
        Error::Rollback(RollbackError::RolledBack { by }) => Failure::new(
            format_args!(
                "this is an older copy of the profile: {by} later checkpoints are missing; it would sign numbers twice"
            ),
            "put the newest copy back; if it is lost, make a new profile and have a member admit it",
        ),
        Error::Rollback(RollbackError::CounterSetBack { .. } | RollbackError::Counter(_)) => Failure::new(
            error,
            "name its counter with --counter; an older copy is not to be used any more: make a new profile; only if this is \
             the newest copy, moved here on purpose or with its counter lost: `terachat keys adopt`",
        ),
        _ => Failure::from_text(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(folder: &Path) -> Home {
        Home {
            folder: folder.to_owned(),
            sources: SourceArgs::default(),
            counter: None,
            allow_unpinned_keys: true,
            bar: ProgressBar::hidden(),
        }
    }

    #[test]
    fn a_profile_is_made_only_where_nothing_is() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        home(&missing).refuse_used().unwrap();
        home(&missing).require().unwrap_err();
        std::fs::write(folder.path().join(".lock"), "").unwrap();
        home(folder.path()).refuse_used().unwrap();
        std::fs::write(folder.path().join("letter.txt"), "dear").unwrap();
        home(folder.path()).refuse_used().unwrap_err();
        home(folder.path()).require().unwrap();
    }

    /// On a full disk `init` failed behind the keys and before the log; the next attempt met a folder that was not empty.
    #[test]
    fn what_could_not_be_finished_stands_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        for file in [".lock", "identity", "log-0000000001.seg"] {
            std::fs::write(folder.path().join(file), "begun").unwrap();
        }
        home(folder.path()).clear();
        home(folder.path()).refuse_used().unwrap();
        assert!(folder.path().join(".lock").exists(), "it is held");
    }
}
