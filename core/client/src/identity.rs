use crate::Error;
use crate::guard::NewCounter;
use terachat_core_store::model::Card;
use terachat_core_store::store::Storage;
use terachat_event::{DeviceId, DeviceKey, UserId};
use terachat_group::DeviceSigner;
use terachat_vault::{BoxedCounter, Entropy, Keyring, MasterKeySource, Secret, SourceKind};

/// The file that holds the profile's keys: a keyring, as any vault's (`docs/format/profile.md`).
const FILE: &str = "keyring";
/// Far above what a profile's keyring takes with a source of each kind.
const FILE_LEN_MAX: u64 = 256 * 1024;
/// Names of the keyring's secrets.
const USER: &str = "user";
const DEVICE: &str = "device";
const STORE: &str = "store";

/// Who this device is: the user's identity key, the device's own key, and the key of everything on disk.
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) user: DeviceKey,
    pub(crate) device: DeviceKey,
    pub(crate) signer: DeviceSigner,
    user_seed: Secret<32>,
    device_seed: Secret<32>,
    pub(crate) store_key: Secret<32>,
}

impl Identity {
    /// Makes fresh keys and puts them, guarded by `source`, into an empty storage.
    pub(crate) fn create(
        storage: &mut dyn Storage,
        name: &str,
        source: &mut dyn MasterKeySource,
        entropy: &mut dyn Entropy,
        counter: Option<NewCounter<'_>>,
    ) -> Result<(Self, Option<BoxedCounter>), Error> {
        if !storage.list()?.is_empty() {
            return Err(Error::ProfileExists);
        }
        if name.trim().is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
            return Err(Error::Input("a name is 1 to 100 characters without control characters"));
        }
        let user = Secret::generate(|key| entropy.fill(key));
        Self::write_new(storage, name, &user, source, entropy, counter)
    }

    /// Makes a further device of a user whose key came with a backup.
    pub(crate) fn restore(
        storage: &mut dyn Storage,
        name: &str,
        user: &Secret<32>,
        source: &mut dyn MasterKeySource,
        entropy: &mut dyn Entropy,
        counter: Option<NewCounter<'_>>,
    ) -> Result<(Self, Option<BoxedCounter>), Error> {
        if !storage.list()?.is_empty() {
            return Err(Error::ProfileExists);
        }
        Self::write_new(storage, name, user, source, entropy, counter)
    }

    fn write_new(
        storage: &mut dyn Storage,
        name: &str,
        user: &Secret<32>,
        source: &mut dyn MasterKeySource,
        entropy: &mut dyn Entropy,
        counter: Option<NewCounter<'_>>,
    ) -> Result<(Self, Option<BoxedCounter>), Error> {
        let mut keyring = Keyring::generate(name, entropy);
        keyring.keep_secret(USER, user.duplicate_secret());
        for secret in [DEVICE, STORE] {
            keyring.keep_secret(secret, Secret::generate(|key| entropy.fill(key)));
        }
        keyring.guard(source, entropy).map_err(terachat_vault::KeyringError::from)?;
        let counter = counter.map(|counter| counter.bind(&mut keyring, 0, entropy)).transpose()?;
        write(storage, &mut keyring, entropy)?;
        Ok((Self::of(&keyring)?, counter))
    }

    /// Opens the keys with one of the sources that guard them.
    pub(crate) fn open(
        storage: &dyn Storage,
        source: &mut dyn MasterKeySource,
    ) -> Result<(Self, Keyring), Error> {
        let keyring = Keyring::open(&read(storage)?, source)?;
        Ok((Self::of(&keyring)?, keyring))
    }

    fn of(keyring: &Keyring) -> Result<Self, Error> {
        let secret = |name: &str| keyring.secret(name).ok_or(Error::Profile("it is not a profile's keyring"));
        let (user_seed, device_seed) = (secret(USER)?, secret(DEVICE)?);
        Ok(Self {
            name: keyring.label().to_owned(),
            user: DeviceKey::from_seed(user_seed),
            device: DeviceKey::from_seed(device_seed),
            signer: DeviceSigner::new(device_seed),
            user_seed: user_seed.duplicate_secret(),
            device_seed: device_seed.duplicate_secret(),
            store_key: secret(STORE)?.duplicate_secret(),
        })
    }

    pub(crate) fn device_id(&self) -> DeviceId {
        self.device.id()
    }

    pub(crate) fn user_id(&self) -> UserId {
        UserId(self.user.id().0)
    }

    pub(crate) fn card(&self) -> Card {
        Card::issue(&self.user, &self.name, &self.device)
    }

    /// For a backup: with it another device can vouch that it is this user's.
    pub(crate) fn user_seed(&self) -> Secret<32> {
        self.user_seed.duplicate_secret()
    }

    pub(crate) fn network_seed(&self) -> Secret<32> {
        self.device_seed.duplicate_secret()
    }
}

/// Which kinds of sources open the profile in `storage`.
///
/// # Errors
/// [`Error::NoProfile`], [`Error::Profile`], [`Error::Keyring`].
pub fn profile_sources(storage: &dyn Storage) -> Result<Vec<SourceKind>, Error> {
    Ok(Keyring::sources_of(&read(storage)?).map_err(terachat_vault::KeyringError::from)?)
}

/// Which keyring the profile in `storage` has: random, made once. Some sources are bound to it.
///
/// # Errors
/// As [`profile_sources`].
pub fn profile_vault(storage: &dyn Storage) -> Result<[u8; 16], Error> {
    Ok(Keyring::vault_of(&read(storage)?).map_err(terachat_vault::KeyringError::from)?)
}

/// Opens a profile's keyring with one of its sources, lets `change` do something to it, and puts it back: another
/// passphrase, another source, a new KEK. Nobody else may have the profile open.
///
/// # Errors
/// [`Error::NoProfile`], [`Error::Profile`], [`Error::Keyring`], or the storage's. The profile is then as it was.
pub fn change_profile_keys(
    storage: &mut dyn Storage,
    source: &mut dyn MasterKeySource,
    entropy: &mut dyn Entropy,
    change: impl FnOnce(&mut Keyring, &mut dyn Entropy) -> Result<(), terachat_vault::KeyringError>,
) -> Result<(), Error> {
    let mut keyring = Keyring::open(&read(storage)?, source)?;
    Identity::of(&keyring)?;
    change(&mut keyring, entropy)?;
    write(storage, &mut keyring, entropy)
}

fn read(storage: &dyn Storage) -> Result<Vec<u8>, Error> {
    let len = storage.size(FILE)?.ok_or(Error::NoProfile)?;
    let len = usize::try_from(len.min(FILE_LEN_MAX + 1)).unwrap_or(usize::MAX);
    if len as u64 > FILE_LEN_MAX {
        return Err(Error::Profile("it is too long"));
    }
    Ok(storage.read(FILE, 0, len)?)
}

/// Puts a keyring in the place of the one that is there.
pub(crate) fn write(
    storage: &mut dyn Storage,
    keyring: &mut Keyring,
    entropy: &mut dyn Entropy,
) -> Result<(), Error> {
    let bytes = keyring.seal(entropy).map_err(terachat_vault::KeyringError::from)?;
    Ok(storage.replace(FILE, &bytes)?)
}
