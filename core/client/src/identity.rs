use crate::Error;
use terachat_core_store::model::Card;
use terachat_core_store::store::Storage;
use terachat_event::{DeviceId, DeviceKey, UserId};
use terachat_group::DeviceSigner;
use terachat_vault::{
    Entropy, PassphraseCost, Secret, SecretBytes, open_with_passphrase, seal_with_passphrase,
};

/// The file that holds the profile's keys, sealed under the passphrase: `docs/format/profile.md`.
const FILE: &str = "identity";
const VERSION: u8 = 1;
const SEEDS_LEN: usize = 1 + 3 * 32;

/// Who this device is: the user's identity key, the device's own key, and the key of everything on disk.
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) user: DeviceKey,
    pub(crate) device: DeviceKey,
    pub(crate) signer: DeviceSigner,
    device_seed: Secret<32>,
    pub(crate) store_key: Secret<32>,
}

impl Identity {
    /// Makes fresh keys and puts them, sealed, into an empty storage.
    pub(crate) fn create(
        storage: &mut dyn Storage,
        name: &str,
        passphrase: &[u8],
        cost: PassphraseCost,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, Error> {
        if !storage.list()?.is_empty() {
            return Err(Error::ProfileExists);
        }
        if name.trim().is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
            return Err(Error::Input("a name is 1 to 100 characters without control characters"));
        }
        if passphrase.is_empty() {
            return Err(Error::Input("an empty passphrase protects nothing; choose a longer one"));
        }
        // With room for the name from the start: a buffer that grows leaves the seeds where it was.
        let mut plain = Vec::with_capacity(SEEDS_LEN + name.len());
        plain.resize(SEEDS_LEN, 0);
        plain[0] = VERSION;
        entropy.fill(&mut plain[1..]);
        plain.extend_from_slice(name.as_bytes());
        let plain = SecretBytes::take(plain);
        let sealed = seal_with_passphrase(passphrase, cost, plain.expose_secret(), entropy)?;
        storage.replace(FILE, &sealed)?;
        Self::parse(&plain)
    }

    /// Opens the keys with the passphrase.
    pub(crate) fn open(storage: &dyn Storage, passphrase: &[u8]) -> Result<Self, Error> {
        let len = storage.size(FILE)?.ok_or(Error::NoProfile)?;
        let len =
            usize::try_from(len).ok().filter(|len| *len <= 4096).ok_or(Error::Profile("it is too long"))?;
        let sealed = storage.read(FILE, 0, len)?;
        let opened = open_with_passphrase(passphrase, &sealed).map_err(|error| match error {
            terachat_vault::Error::Envelope(what) => Error::Profile(what),
            error => error.into(),
        });
        Self::parse(&opened?)
    }

    fn parse(plain: &SecretBytes) -> Result<Self, Error> {
        let (seeds, name) =
            plain.expose_secret().split_at_checked(SEEDS_LEN).ok_or(Error::Profile("it is too short"))?;
        if seeds[0] != VERSION {
            return Err(Error::Profile("it is of another version"));
        }
        let seed = |at: usize| Secret::generate(|out| out.copy_from_slice(&seeds[1 + 32 * at..33 + 32 * at]));
        let (user_seed, device_seed, store_key) = (seed(0), seed(1), seed(2));
        Ok(Self {
            name: String::from_utf8(name.to_vec()).map_err(|_| Error::Profile("its name is not text"))?,
            user: DeviceKey::from_seed(&user_seed),
            device: DeviceKey::from_seed(&device_seed),
            signer: DeviceSigner::new(&device_seed),
            device_seed,
            store_key,
        })
    }

    pub(crate) fn device_id(&self) -> DeviceId {
        self.device.id()
    }

    pub(crate) fn user_id(&self) -> UserId {
        UserId(self.user.id().0)
    }

    pub(crate) fn card(&self) -> Card {
        Card::issue(&self.user, &self.name, self.device_id())
    }

    pub(crate) fn network_seed(&self) -> Secret<32> {
        self.device_seed.duplicate_secret()
    }
}
