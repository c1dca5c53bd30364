//! The keys of a node or of a client, sealed in its folder in the one way: a keyring, `docs/format/keyring.md`.
use crate::Error;
use std::io::ErrorKind;
use std::path::Path;
use terachat_event::DeviceKey;
use terachat_host::Disk;
use terachat_storage::Storage;
use terachat_vault::{
    BoxedCounter, CounterError, CounterKind, Entropy, Keyring, MasterKeySource, Secret, VaultId, derive_key,
};

/// The keyring's file.
const FILE: &str = "keys";
/// Longest keyring that is read, in bytes.
const LEN_MAX: u64 = 1 << 20;
/// Name of the secret in the keyring.
const SEED: &str = "cluster key";
const OPERATOR: &str = "terachat 2026-11 cluster operator";
const HEAD: &str = "terachat 2026-11 cluster head";
const FILES: &str = "terachat 2026-11 cluster files";

/// What a node or a client proves itself with.
pub struct Keys {
    keyring: Keyring,
    counter: Option<BoxedCounter>,
}

impl Keys {
    /// Fresh keys, which nothing guards yet. `label` is for people.
    pub fn draw(label: &str, entropy: &mut dyn Entropy) -> Self {
        let mut keyring = Keyring::generate(label, entropy);
        keyring.keep_secret(SEED, Secret::generate(|seed| entropy.fill(seed)));
        Self { keyring, counter: None }
    }

    /// Which keyring it is: some sources are bound to it.
    pub fn owner(&self) -> VaultId {
        VaultId(self.keyring.vault())
    }

    /// Lets a source open them.
    ///
    /// # Errors
    /// [`Error::Source`].
    pub fn guard(
        &mut self,
        source: &mut dyn MasterKeySource,
        entropy: &mut dyn Entropy,
    ) -> Result<(), Error> {
        Ok(self.keyring.guard(source, entropy)?)
    }

    /// Binds a fresh counter that tells when the folder is an older copy.
    ///
    /// # Errors
    /// [`Error::Counter`].
    pub fn bind(
        &mut self,
        kind: CounterKind,
        entropy: &mut dyn Entropy,
        make: impl FnOnce(VaultId, &Secret<32>) -> Result<BoxedCounter, CounterError>,
    ) -> Result<(), Error> {
        let owner = self.owner();
        self.counter = Some(self.keyring.bind_counter(kind, 0, entropy, |secret| make(owner, secret))?);
        Ok(())
    }

    /// Whose keys are in this folder; `None` if there are none.
    ///
    /// # Errors
    /// [`Error::Host`], [`Error::Storage`], [`Error::Damaged`].
    pub fn owner_in(folder: &Path) -> Result<Option<VaultId>, Error> {
        let Some(bytes) = read(folder)? else { return Ok(None) };
        let owner = Keyring::vault_of(&bytes).map_err(|_| Error::Damaged(folder.join(FILE)))?;
        Ok(Some(VaultId(owner)))
    }

    /// Opens the keys of a folder, and the counter that they are bound to.
    ///
    /// # Errors
    /// [`Error::NotThere`], [`Error::Keys`], [`Error::Counter`].
    pub fn open(
        folder: &Path,
        source: &mut dyn MasterKeySource,
        open: impl FnOnce(CounterKind, VaultId, &Secret<32>) -> Result<BoxedCounter, CounterError>,
    ) -> Result<Self, Error> {
        let mut keys = Self::open_unguarded(folder, source)?;
        let owner = keys.owner();
        keys.counter = keys.keyring.bound_counter(|kind, secret| open(kind, owner, secret))?;
        Ok(keys)
    }

    /// Opens the keys of a folder without its counter: to speak to a node that runs there, not to be it.
    ///
    /// # Errors
    /// As [`Keys::open`].
    pub fn open_unguarded(folder: &Path, source: &mut dyn MasterKeySource) -> Result<Self, Error> {
        let none = || Error::NotThere {
            what: "node or client",
            folder: folder.to_owned(),
            how: "terachat node init, terachat node join or terachat cluster join",
        };
        let bytes = read(folder)?.ok_or_else(none)?;
        let keyring = Keyring::open(&bytes, source)?;
        if keyring.secret(SEED).is_none() {
            return Err(Error::Damaged(folder.join(FILE)));
        }
        Ok(Self { keyring, counter: None })
    }

    /// Seals them into the folder, durable on return.
    pub(crate) fn save(&mut self, disk: &mut Disk, entropy: &mut dyn Entropy) -> Result<(), Error> {
        let bytes = self.keyring.seal(entropy).map_err(terachat_vault::KeyringError::from)?;
        Ok(disk.replace(FILE, &bytes)?)
    }

    /// The seed of the key by which the cluster knows whose these are.
    pub(crate) fn seed(&self) -> &Secret<32> {
        self.keyring.secret(SEED).expect("checked when they were opened or drawn")
    }

    pub(crate) fn device_key(&self) -> DeviceKey {
        DeviceKey::from_seed(self.seed())
    }

    /// The key of whoever works on the node that has these keys.
    pub(crate) fn operator(&self) -> DeviceKey {
        DeviceKey::from_seed(&derive_key(OPERATOR, self.seed(), &[]))
    }

    /// What the remembered head is authenticated with.
    pub(crate) fn head_key(&self) -> Secret<32> {
        derive_key(HEAD, self.seed(), &[])
    }

    /// What the keys of this client's files come from.
    pub(crate) fn files(&self) -> Secret<32> {
        derive_key(FILES, self.seed(), &[])
    }

    pub(crate) fn take_counter(&mut self) -> Option<BoxedCounter> {
        self.counter.take()
    }
}

/// Reads the keyring without opening the folder as a disk, which is the running node's to do.
fn read(folder: &Path) -> Result<Option<Vec<u8>>, Error> {
    let path = folder.join(FILE);
    match std::fs::metadata(&path) {
        Ok(found) if found.len() > LEN_MAX => return Err(Error::Damaged(path)),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        _ => {}
    }
    let failed = |source| Error::Local { doing: format!("read {}", path.display()), source };
    std::fs::read(&path).map(Some).map_err(failed)
}
