//! The chips, tokens and keychains that this build knows: one function for each use, which says what is missing where the
//! feature is.
use terachat_vault::{BoxedCounter, CounterError, Secret, SourceKind, VaultId};

/// How a TPM is reached unless it is said otherwise: the kernel's resource manager.
#[cfg(feature = "tpm")]
const TCTI: &str = "device:/dev/tpmrm0";

pub(crate) use sources::{keychain, pkcs11, tpm};

#[cfg(feature = "tpm")]
pub(crate) fn make_counter(
    tcti: Option<&str>,
    owner: VaultId,
    secret: &Secret<32>,
) -> Result<BoxedCounter, CounterError> {
    use terachat_hardware::TpmCounter;
    let tcti = tcti.unwrap_or(TCTI);
    // One from before answers to another secret. Where there is none, nothing is lost by removing it.
    let _ = TpmCounter::remove(tcti, &owner);
    Ok(Box::new(TpmCounter::create(tcti, &owner, secret)?))
}

#[cfg(feature = "tpm")]
pub(crate) fn open_counter(
    tcti: Option<&str>,
    owner: VaultId,
    secret: &Secret<32>,
) -> Result<BoxedCounter, CounterError> {
    Ok(Box::new(terachat_hardware::TpmCounter::open(tcti.unwrap_or(TCTI), &owner, secret)?))
}

#[cfg(not(feature = "tpm"))]
pub(crate) fn make_counter(
    _: Option<&str>,
    _: VaultId,
    _: &Secret<32>,
) -> Result<BoxedCounter, CounterError> {
    Err(CounterError { reason: missing(SourceKind::Tpm) })
}

#[cfg(not(feature = "tpm"))]
pub(crate) fn open_counter(
    _: Option<&str>,
    _: VaultId,
    _: &Secret<32>,
) -> Result<BoxedCounter, CounterError> {
    Err(CounterError { reason: missing(SourceKind::Tpm) })
}

/// What to say where a build does not know a kind.
#[allow(dead_code, reason = "not with all features")]
fn missing(kind: SourceKind) -> String {
    let name = kind.name();
    format!("this build knows no {name}; build one that does: cargo build --release --features {name}")
}

mod sources {
    use std::path::Path;
    use terachat_vault::{MasterKeySource, SecretBytes, SourceError, SourceKind, VaultId};

    type Source = Result<Box<dyn MasterKeySource>, SourceError>;

    #[allow(dead_code, reason = "not with all features")]
    fn missing(kind: SourceKind) -> Source {
        Err(SourceError::Unavailable { kind, reason: super::missing(kind) })
    }

    #[cfg(feature = "keychain")]
    pub(crate) fn keychain(vault: VaultId) -> Source {
        Ok(Box::new(terachat_hardware::KeychainSource::new(vault)))
    }

    #[cfg(not(feature = "keychain"))]
    pub(crate) fn keychain(_: VaultId) -> Source {
        missing(SourceKind::OsKeychain)
    }

    #[cfg(feature = "tpm")]
    pub(crate) fn tpm(tcti: Option<&str>, pcrs: &[u8], vault: VaultId) -> Source {
        Ok(Box::new(terachat_hardware::TpmSource::new(tcti.unwrap_or(super::TCTI), vault, pcrs)?))
    }

    #[cfg(not(feature = "tpm"))]
    pub(crate) fn tpm(_: Option<&str>, _: &[u8], _: VaultId) -> Source {
        missing(SourceKind::Tpm)
    }

    #[cfg(feature = "pkcs11")]
    pub(crate) fn pkcs11(module: &Path, token: &str, pin: &SecretBytes, vault: VaultId) -> Source {
        let token = terachat_hardware::Pkcs11Token { module: module.to_owned(), label: token.to_owned() };
        Ok(Box::new(terachat_hardware::Pkcs11Source::open(&token, pin, vault)?))
    }

    #[cfg(not(feature = "pkcs11"))]
    pub(crate) fn pkcs11(_: &Path, _: &str, _: &SecretBytes, _: VaultId) -> Source {
        missing(SourceKind::Pkcs11)
    }
}
