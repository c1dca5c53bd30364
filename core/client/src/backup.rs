//! A profile's conversations as one sealed file, and a new device made of it: `docs/format/store-backup.md`, ADR 0016.
mod file;

use crate::bundle_file::take;
use crate::guard::NewCounter;
use crate::identity::Identity;
use crate::protocol::Frame;
use crate::{Client, Error};
use file::Content;
use terachat_core_store::Wait;
use terachat_core_store::sync::{Bundle, Limits, Outcome};
use terachat_event::{DeviceId, Equivocation, SpaceId};
use terachat_vault::{Entropy, Keyring, KeyringError, MasterKeySource, Secret};

/// Names of the secrets in a backup's keyring. The device's own is not among them.
const USER: &str = "user";
const BACKUP: &str = "backup";

/// The keys of a backup that is about to be made.
pub struct BackupKeys(Keyring);

impl BackupKeys {
    /// Which keyring it is: some sources are bound to it.
    pub fn vault(&self) -> [u8; 16] {
        self.0.vault()
    }
}

/// What an export holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exported {
    /// Spaces.
    pub spaces: usize,
    /// Events of all of them.
    pub events: usize,
}

/// Which keyring guards a backup: some sources are bound to it.
///
/// # Errors
/// [`Error::Backup`] for a file that is none, [`Error::Keyring`].
pub fn backup_vault(backup: &[u8]) -> Result<[u8; 16], Error> {
    Ok(Keyring::vault_of(file::keyring_of(backup)?).map_err(KeyringError::from)?)
}

/// Reads a backup's content: for the fuzzer, who has no keyring that opens.
#[doc(hidden)]
pub fn fuzz_backup(bytes: &[u8]) {
    let _ = file::keyring_of(bytes);
    let key = Secret::take(&mut [7; 32]);
    let _ = file::open(bytes, &key);
    let _ =
        Content { secrets: terachat_vault::SecretBytes::take(Vec::new()), frames: bytes.to_vec() }.check();
}

impl Client {
    /// Fresh keys for an export of this profile.
    pub fn begin_export(&mut self) -> BackupKeys {
        let entropy = self.store.entropy();
        let mut keyring = Keyring::generate(&self.identity.name, entropy);
        keyring.keep_secret(BACKUP, Secret::generate(|key| entropy.fill(key)));
        keyring.keep_secret(USER, self.identity.user_seed());
        BackupKeys(keyring)
    }

    /// All conversations with the keys to read them, and the user's key, but not this device's: whoever opens it is another
    /// device of the same user. Guarded by `source`. Takes memory for all of it.
    ///
    /// # Errors
    /// [`Error::Keyring`], [`Error::Store`]; nothing changed.
    pub fn export(
        &mut self,
        keys: BackupKeys,
        source: &mut dyn MasterKeySource,
    ) -> Result<(Vec<u8>, Exported), Error> {
        let BackupKeys(mut keyring) = keys;
        let mut frames = Vec::new();
        let mut exported = Exported { spaces: 0, events: 0 };
        // What was opened once and for all is in no other form any more.
        self.store.bare_opened(true);
        let spaces: Vec<SpaceId> = self.store.spaces().collect();
        let events =
            spaces.iter().map(|space| self.put_space(*space, &mut frames)).sum::<Result<usize, Error>>();
        self.store.bare_opened(false);
        exported.events += events?;
        exported.spaces += spaces.len();
        let content = Content { secrets: self.store.epoch_secrets(), frames };
        let entropy = self.store.entropy();
        keyring.guard(source, entropy).map_err(KeyringError::from)?;
        let sealed = keyring.seal(entropy).map_err(KeyringError::from)?;
        let key = keyring.secret(BACKUP).ok_or(Error::Backup("it has no key"))?;
        Ok((file::seal(&sealed, key, content), exported))
    }

    /// Makes a new profile in an empty storage from a backup: the same user and conversations, a device of its own, which
    /// the spaces' members admit as any other. Until then it reads.
    ///
    /// The whole backup is opened and read before anything is written.
    ///
    /// # Errors
    /// [`Error::Backup`] for a file that is cut short, changed, or none; [`Error::Keyring`] for a wrong passphrase or key
    /// file; else as [`Client::create`]. What was begun in the storage then is the caller's to remove.
    pub fn restore(
        mut storage: Box<dyn terachat_core_store::store::Storage>,
        backup: &[u8],
        backup_source: &mut dyn MasterKeySource,
        source: &mut dyn MasterKeySource,
        mut entropy: Box<dyn Entropy + Send>,
        now_ms: u64,
        counter: Option<NewCounter<'_>>,
    ) -> Result<Self, Error> {
        let keyring = Keyring::open(file::keyring_of(backup)?, backup_source)?;
        let secret = |name| keyring.secret(name).ok_or(Error::Backup("it lacks a key"));
        let content = file::open(backup, secret(BACKUP)?)?;
        content.check()?;
        let (label, user) = (keyring.label(), secret(USER)?);
        let made = Identity::restore(&mut *storage, label, user, source, &mut *entropy, counter)?;
        let mut client = Self::over(made.0, storage, entropy, made.1, now_ms)?;
        client.store.defer();
        client.store.keep_epoch_secrets(content.secrets.expose_secret())?;
        client.store.bare_opened(true);
        let mut rest = content.frames.as_slice();
        while !rest.is_empty() {
            client.restore_frame(take(&mut rest)?)?;
        }
        client.store.bare_opened(false);
        client.store.flush()?;
        for space in client.store.spaces().collect::<Vec<_>>() {
            client.settle(space)?;
        }
        client.notices.clear();
        Ok(client)
    }

    fn restore_frame(&mut self, frame: Frame) -> Result<(), Error> {
        match frame {
            Frame::Bundle { bytes, .. } => {
                let bundle = Bundle::decode(&bytes, Limits::PEER)?;
                let mut outcome = self.store.apply_remote(&bundle)?;
                if matches!(outcome, Outcome::Equivocated { .. }) {
                    outcome = self.store.apply_remote(&bundle)?;
                }
                let is_by = |device: &DeviceId| {
                    let mut authors = bundle.batch.authors.iter().filter(|author| author.count > 0);
                    authors.all(|author| author.device == *device)
                };
                match outcome {
                    Outcome::Applied { .. } => Ok(()),
                    // It begins behind a fork of which the backup has the proof: nobody needs it, and peers do not take it either.
                    // Older backups hold such bundles.
                    Outcome::Waits(Wait::Frozen(device)) if is_by(&device) => Ok(()),
                    _ => Err(Error::Backup("its events do not follow from each other")),
                }
            }
            Frame::Proof { bytes } => {
                let proof = Equivocation::decode(&bytes).map_err(terachat_core_store::Error::from)?;
                self.store.apply_proof(&proof)?;
                Ok(())
            }
            Frame::Tree { space, bytes } => self.take_tree(space, bytes).map(drop),
            _ => Err(Error::Backup("it holds something that no backup holds")),
        }
    }
}
