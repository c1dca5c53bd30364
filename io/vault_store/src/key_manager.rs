use crate::audit::Action;
use crate::commit::{Staged, Writer};
use crate::entropy::ThreadEntropy;
use crate::{Error, TemplateVault};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use terachat_vault::{Guards, Keyring, KeyringError, MasterKeySource, SourceKind};

/// The vault's keys: who may open it, and the rotation of each level. From [`TemplateVault::keys`].
///
/// Each change is durable when its function returns, and stands in the audit log under the operator's name.
pub struct KeyManager<'a> {
    pub(crate) vault: &'a TemplateVault,
    pub(crate) operator: Arc<str>,
}

/// How far the re-encryption of a collection is.
#[derive(Debug, Clone, PartialEq)]
pub struct RotationProgress {
    /// The collection's name.
    pub collection: String,
    /// The generation everything goes to.
    pub generation: u32,
    /// The older generations that are still there.
    pub older: Vec<u32>,
    /// Versions looked at so far.
    pub done: u64,
    /// Versions to look at, as counted when it began.
    pub total: u64,
    /// Sealed bytes written so far.
    pub bytes: u64,
    /// Sealed bytes a second since the vault was opened or the rotation began.
    pub bytes_per_s: u64,
    /// How long it will take from here; `None` while there is nothing to tell it from.
    pub remaining: Option<Duration>,
    /// When it began, in milliseconds since 1970.
    pub started_ms: u64,
}

impl KeyManager<'_> {
    /// A new KEK. Rewraps keys only; takes one write of the keyring. Needs no source.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::File`].
    pub fn rotate_kek(&self) -> Result<u32, Error> {
        let store = &self.vault.store;
        store.before_changing()?;
        let mut writer = store.writer();
        let version = store.change_keyring(|keyring| {
            keyring.rotate_kek(&mut ThreadEntropy);
            keyring.kek_version()
        })?;
        self.record(&mut writer, Action::RotateKek, u64::from(version))?;
        Ok(version)
    }

    /// A new master key and a new KEK, wrapped by exactly these sources. Sources that are not named no longer open the
    /// vault.
    ///
    /// # Errors
    /// [`Error::Source`] of the first source that failed; then nothing changed.
    pub fn rotate_master(&self, sources: &mut [&mut dyn MasterKeySource]) -> Result<(), Error> {
        if sources.is_empty() {
            let kind = self.sources().first().copied().unwrap_or(SourceKind::Passphrase);
            return Err(KeyringError::LastSource(kind).into());
        }
        // A passphrase takes its time; nobody waits for it but the next change of keys.
        let _one = self.vault.store.sweeping.lock().unwrap_or_else(PoisonError::into_inner);
        let guards = Guards::generate(sources, &mut ThreadEntropy)?;
        self.change(Action::RotateMaster, |keyring| {
            keyring.install(guards);
            keyring.rotate_kek(&mut ThreadEntropy);
        })
    }

    /// Lets one more source open the vault, or replaces the one of its kind.
    ///
    /// # Errors
    /// [`Error::Source`].
    pub fn add_source(&self, source: &mut dyn MasterKeySource) -> Result<(), Error> {
        let store = &self.vault.store;
        let _one = store.sweeping.lock().unwrap_or_else(PoisonError::into_inner);
        let guards = store.keyring().guarded_by(source, &mut ThreadEntropy)?;
        self.change(Action::ChangeSources, |keyring| keyring.install(guards))
    }

    /// No longer lets this kind of source open the vault. Who has a copy of the older keyring file and that source still
    /// opens that copy: rotate the master key to end it for what comes.
    ///
    /// # Errors
    /// [`Error::Keyring`] when there is no such source, or it is the last.
    pub fn remove_source(&self, kind: SourceKind) -> Result<(), Error> {
        let store = &self.vault.store;
        let _one = store.sweeping.lock().unwrap_or_else(PoisonError::into_inner);
        store.check_writable()?;
        store.before_changing()?;
        store.keyring_mut().unguard(kind)?;
        self.change(Action::ChangeSources, |_| ())
    }

    /// The kinds of sources that open the vault.
    pub fn sources(&self) -> Vec<SourceKind> {
        self.vault.store.keyring().sources()
    }

    /// Version of the KEK, from 1.
    pub fn kek_version(&self) -> u32 {
        self.vault.store.keyring().kek_version()
    }

    /// A new generation of a collection's DEK. New writes use it at once; what is there is re-encrypted in the background
    /// at [`Config::reencrypt_per_s`](crate::Config::reencrypt_per_s), across restarts, without making readers or writers
    /// wait. Once a full scan found nothing under the older generations, they are destroyed. Gives the new generation.
    /// While a rotation is running, another generation is added and the work begins anew.
    ///
    /// # Errors
    /// [`Error::NoCollection`], [`Error::ReadOnly`], [`Error::File`].
    pub fn rotate_dek(&self, collection: &str) -> Result<u32, Error> {
        let store = &self.vault.store;
        let collection = store.collections.get(collection).ok_or(Error::NoCollection)?;
        store.rotate_dek(&self.operator, &collection)
    }

    /// The rotations that are running.
    pub fn rotations(&self) -> Vec<RotationProgress> {
        self.vault.store.rotations.progress(&self.vault.store)
    }

    /// Waits until nothing is left under the older generations of a collection and they are destroyed. Does the work
    /// itself when the vault has no threads ([`Config::background`](crate::Config::background)).
    ///
    /// # Errors
    /// [`Error::NoCollection`]; [`Error::Damaged`] when a record does not open and so cannot be re-encrypted: the older
    /// generation is then kept; [`Error::ReadOnly`].
    pub fn wait(&self, collection: &str) -> Result<(), Error> {
        let store = &self.vault.store;
        let collection = store.collections.get(collection).ok_or(Error::NoCollection)?;
        store.wait_for_rotation(&collection)
    }

    /// Changes how many records a second are re-encrypted, from now on: 1 to 10,000,000.
    pub fn set_rate(&self, records_per_s: u32) {
        self.vault.store.rotations.set_rate(records_per_s);
    }

    fn change(&self, action: Action, change: impl FnOnce(&mut Keyring)) -> Result<(), Error> {
        self.vault.store.before_changing()?;
        let mut writer = self.vault.store.writer();
        self.vault.store.change_keyring(change)?;
        self.record(&mut writer, action, 0)
    }

    fn record(&self, writer: &mut Writer, action: Action, number: u64) -> Result<(), Error> {
        let store = &self.vault.store;
        let mut staged = Staged::default();
        staged.entries.push(store.vault_entry(&self.operator, action, number));
        store.commit(writer, staged, true)?;
        Ok(())
    }
}
