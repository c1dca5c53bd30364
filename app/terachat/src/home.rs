use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::passphrase;
use etcetera::BaseStrategy;
use std::path::{Path, PathBuf};
use terachat_client::Client;
use terachat_host::{Disk, Lock, OsEntropy, clock};
use terachat_vault::PassphraseCost;

/// The folder in which one profile lives, and where its passphrase comes from.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    folder: PathBuf,
    passphrase_file: Option<PathBuf>,
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
            tracing::warn!(%error, "no snapshot was written; the next opening takes longer");
        }
        drop(lock);
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
        Ok(Self { folder, passphrase_file: global.passphrase_file.clone() })
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
        let passphrase = passphrase::chosen(self.passphrase_file.as_deref())?;
        let lock = Lock::acquire(&self.folder).map_err(Failure::from_text)?;
        self.refuse_used()?;
        let disk = Disk::open(&self.folder).map_err(Failure::from_text)?;
        let entropy = OsEntropy::new().map_err(Failure::from_text)?;
        let cost = PassphraseCost::RECOMMENDED;
        let client = Client::create(
            Box::new(disk),
            name,
            passphrase.expose_secret(),
            cost,
            Box::new(entropy),
            clock::now_ms(),
        )
        .map_err(Failure::from_text)?;
        Ok(Profile { client, lock })
    }

    /// Opens the profile with a lock that is held already.
    ///
    /// # Errors
    /// [`Failure::Told`]: no profile there, a wrong passphrase, damage.
    pub(crate) fn open(&self, lock: Lock) -> Result<Profile> {
        let passphrase = passphrase::given(self.passphrase_file.as_deref())?;
        let disk = Disk::open(&self.folder).map_err(Failure::from_text)?;
        let entropy = OsEntropy::new().map_err(Failure::from_text)?;
        let client = Client::open(Box::new(disk), passphrase.expose_secret(), Box::new(entropy))
            .map_err(Failure::from_text)?;
        Ok(Profile { client, lock })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn home(folder: &Path) -> Home {
        Home { folder: folder.to_owned(), passphrase_file: None }
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
}
