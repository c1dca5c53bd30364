use keyring::v1::{Entry, Error};
use terachat_vault::{
    Entropy, MasterKeySource, Secret, SecretBytes, SourceError, SourceKind, VaultId, unwrap_key, wrap_key,
};

const SERVICE: &str = "terachat";

/// The operating system's keychain as the source of the master key: it keeps a random key of 32 bytes for the vault,
/// made at the first wrapping. Whoever is logged in as this user, and every program that runs as this user, can have it.
pub struct KeychainSource {
    vault: VaultId,
}

impl KeychainSource {
    /// The source for `vault`. Touches nothing yet.
    pub fn new(vault: VaultId) -> Self {
        Self { vault }
    }

    /// Removes the vault's key from the keychain; what it wrapped is lost then. Nothing happens if there is none.
    ///
    /// # Errors
    /// [`SourceError`].
    pub fn forget(self) -> Result<(), SourceError> {
        match self.entry()?.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(unavailable(&error)),
        }
    }

    fn entry(&self) -> Result<Entry, SourceError> {
        Entry::store_status().as_ref().map_err(unavailable)?;
        let id: String = self.vault.0.iter().map(|byte| format!("{byte:02x}")).collect();
        Entry::new(SERVICE, &format!("vault {id}")).map_err(|error| unavailable(&error))
    }

    fn key(&self) -> Result<Option<Secret<32>>, SourceError> {
        let bytes = match self.entry()?.get_secret() {
            Ok(bytes) => SecretBytes::take(bytes),
            Err(Error::NoEntry) => return Ok(None),
            Err(error) => return Err(unavailable(&error)),
        };
        let bytes: &[u8; 32] = bytes
            .expose_secret()
            .try_into()
            .map_err(|_| refused("its entry for this vault is not a key; was it edited by hand?"))?;
        Ok(Some(Secret::generate(|key| key.copy_from_slice(bytes))))
    }

    fn make(&self, entropy: &mut dyn Entropy) -> Result<Secret<32>, SourceError> {
        let key: Secret<32> = Secret::generate(|key| entropy.fill(key));
        self.entry()?.set_secret(key.expose_secret()).map_err(|error| unavailable(&error))?;
        // What is not read back now is not there tomorrow either.
        match self.key()? {
            Some(kept) if kept.expose_secret() == key.expose_secret() => Ok(key),
            _ => Err(refused("it did not keep the key that it was given")),
        }
    }
}

impl MasterKeySource for KeychainSource {
    fn kind(&self) -> SourceKind {
        SourceKind::OsKeychain
    }

    fn wrap(&mut self, key: &Secret<32>, entropy: &mut dyn Entropy) -> Result<Vec<u8>, SourceError> {
        let by = match self.key()? {
            Some(by) => by,
            None => self.make(entropy)?,
        };
        Ok(wrap_key(&by, SourceKind::OsKeychain, &self.vault, key, entropy))
    }

    fn unwrap(&mut self, wrapped: &[u8]) -> Result<Secret<32>, SourceError> {
        let by = self.key()?.ok_or_else(|| {
            refused(
                "it has no key for this vault; are you logged in as the user who made it, on that machine?",
            )
        })?;
        unwrap_key(&by, SourceKind::OsKeychain, &self.vault, wrapped)
    }
}

fn refused(reason: &str) -> SourceError {
    SourceError::Refused { kind: SourceKind::OsKeychain, reason: reason.to_owned() }
}

fn unavailable(error: &Error) -> SourceError {
    // The variants that carry an entry's bytes show them in `Debug`, and some in `Display`: name them only.
    let what = match error {
        Error::NoStorageAccess(error) => {
            format!("it is locked or closed to this program: {error}; unlock it")
        }
        Error::PlatformFailure(error) => format!("{error}; is a keychain service running in this session?"),
        Error::NoDefaultStore | Error::NotSupportedByStore(_) => {
            "this system has none that is supported".into()
        }
        Error::Ambiguous(_) => "it has several entries for this vault; remove all but the right one".into(),
        _ => "its entry cannot be read or written".into(),
    };
    SourceError::Unavailable { kind: SourceKind::OsKeychain, reason: what }
}
