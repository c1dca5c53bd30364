use crate::{Entropy, PassphraseCost, Secret, SecretBytes, open_with_passphrase, seal_with_passphrase};

/// What guards a vault's topmost key: a passphrase, a file, the system's keychain, a TPM, an HSM, or the shares of a
/// recovery key.
///
/// A source only ever sees the master key, 32 bytes, and gives back bytes that nobody without the source can open. Several
/// sources may wrap the same key: any one of them then opens the vault.
pub trait MasterKeySource {
    /// Which kind of source this is; stored beside what it wrapped, so that the right one is asked for.
    fn kind(&self) -> SourceKind;

    /// Wraps `key`.
    ///
    /// # Errors
    /// [`SourceError`]; the source's own state (a key made in a chip) may exist already, and the next try uses it.
    fn wrap(&mut self, key: &Secret<32>, entropy: &mut dyn Entropy) -> Result<Vec<u8>, SourceError>;

    /// Opens what [`MasterKeySource::wrap`] gave. Changes nothing.
    ///
    /// # Errors
    /// [`SourceError::Refused`] when this is not the source that wrapped it, or the bytes were changed.
    fn unwrap(&mut self, wrapped: &[u8]) -> Result<Secret<32>, SourceError>;
}

/// The kinds of [`MasterKeySource`]; the number is what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum SourceKind {
    /// A passphrase, through Argon2id.
    Passphrase = 1,
    /// A file that only its owner may read.
    File = 2,
    /// The operating system's keychain.
    OsKeychain = 3,
    /// A TPM 2.0: sealed to the machine.
    Tpm = 4,
    /// A hardware security module behind PKCS#11.
    Pkcs11 = 5,
    /// A recovery key, split among people (m of n).
    Recovery = 6,
}

impl SourceKind {
    /// The kind with this number; `None` for one that this version does not know.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }

    /// The kind that [`SourceKind::name`] calls so.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    const ALL: [Self; 6] =
        [Self::Passphrase, Self::File, Self::OsKeychain, Self::Tpm, Self::Pkcs11, Self::Recovery];

    /// The word for people and for configuration files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passphrase => "passphrase",
            Self::File => "file",
            Self::OsKeychain => "keychain",
            Self::Tpm => "tpm",
            Self::Pkcs11 => "pkcs11",
            Self::Recovery => "recovery",
        }
    }
}

/// Why a source did not give a key. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The source answered, and the answer is no.
    #[error("the {kind} does not open this vault: {reason}", kind = kind.name())]
    Refused {
        /// Which source.
        kind: SourceKind,
        /// What it said, and what to try.
        reason: String,
    },
    /// The source could not be reached: no such device, no service, no file.
    #[error("the {kind} cannot be used: {reason}", kind = kind.name())]
    Unavailable {
        /// Which source.
        kind: SourceKind,
        /// What is missing, and what to do about it.
        reason: String,
    },
}

/// A passphrase as the source of the master key (`docs/format/passphrase.md`).
pub struct PassphraseSource {
    passphrase: SecretBytes,
    cost: PassphraseCost,
}

impl PassphraseSource {
    /// A source that wraps at this `cost`. What it opens says its own cost.
    pub fn new(passphrase: SecretBytes, cost: PassphraseCost) -> Self {
        Self { passphrase, cost }
    }
}

impl MasterKeySource for PassphraseSource {
    fn kind(&self) -> SourceKind {
        SourceKind::Passphrase
    }

    fn wrap(&mut self, key: &Secret<32>, entropy: &mut dyn Entropy) -> Result<Vec<u8>, SourceError> {
        if self.passphrase.expose_secret().is_empty() {
            let reason = "an empty passphrase protects nothing; choose a longer one".into();
            return Err(SourceError::Refused { kind: SourceKind::Passphrase, reason });
        }
        seal_with_passphrase(self.passphrase.expose_secret(), self.cost, key.expose_secret(), entropy)
            .map_err(refused)
    }

    fn unwrap(&mut self, wrapped: &[u8]) -> Result<Secret<32>, SourceError> {
        let opened = open_with_passphrase(self.passphrase.expose_secret(), wrapped).map_err(refused)?;
        let bytes: &[u8; 32] = opened
            .expose_secret()
            .try_into()
            .map_err(|_| refused(crate::Error::Envelope("it does not hold a key of 32 bytes")))?;
        Ok(Secret::generate(|key| key.copy_from_slice(bytes)))
    }
}

fn refused(error: crate::Error) -> SourceError {
    SourceError::Refused { kind: SourceKind::Passphrase, reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Zeros;
    impl Entropy for Zeros {
        fn fill(&mut self, out: &mut [u8]) {
            out.fill(0);
        }
    }

    fn source(passphrase: &str) -> PassphraseSource {
        PassphraseSource::new(SecretBytes::take(passphrase.into()), PassphraseCost::INSECURE_FAST)
    }

    #[test]
    fn a_passphrase_unwraps_what_it_wrapped_and_no_other_does() {
        let wrapped = source("correct horse").wrap(&Secret::take(&mut [7; 32]), &mut Zeros).unwrap();
        assert_eq!(source("correct horse").unwrap(&wrapped).ok().unwrap().expose_secret(), &[7; 32]);
        assert!(source("").wrap(&Secret::take(&mut [7; 32]), &mut Zeros).is_err());
        let error = source("battery staple").unwrap(&wrapped).err().unwrap();
        assert!(matches!(error, SourceError::Refused { kind: SourceKind::Passphrase, .. }), "{error}");
    }

    #[test]
    fn kinds_keep_their_numbers() {
        for number in 0..=u8::MAX {
            assert_eq!(SourceKind::from_number(number).is_some(), (1..=6).contains(&number));
            let kind = SourceKind::from_number(number);
            assert!(
                kind.is_none_or(
                    |kind| kind as u8 == number && SourceKind::from_name(kind.name()) == Some(kind)
                )
            );
        }
    }
}
