use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use std::path::PathBuf;
use terachat_vault::{Entropy, MasterKeySource, Secret, SecretBytes, SourceError, SourceKind, VaultId};

const MAGIC: &[u8; 4] = b"TCh\x01";
const NONCE_AT: usize = MAGIC.len() + 1;
const NONCE_LEN: usize = 12;
const BODY_AT: usize = NONCE_AT + NONCE_LEN;
const TAG_LEN: usize = 16;
const LEN: usize = BODY_AT + 32 + TAG_LEN;
const LABEL: &[u8] = b"terachat master key";

/// Which token of which HSM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pkcs11Token {
    /// The vendor's PKCS#11 module, a shared library. It runs inside this process: as trusted as the program itself.
    pub module: PathBuf,
    /// The token's label.
    pub label: String,
}

/// A hardware security module behind PKCS#11 as the source of the master key: an AES-256 key that never leaves the token
/// (sensitive, not extractable) wraps by AES-256-GCM inside it. The key is made at the first wrapping and found again by
/// the vault's id.
pub struct Pkcs11Source {
    session: Session,
    vault: VaultId,
}

impl Pkcs11Source {
    /// Opens a session and logs in with the user's PIN. A wrong PIN counts: tokens lock themselves after a few. While
    /// another session of this process is logged in to the token, the PIN is not asked for.
    ///
    /// # Errors
    /// [`SourceError::Unavailable`] without module or token, [`SourceError::Refused`] for the PIN.
    pub fn open(token: &Pkcs11Token, pin: &SecretBytes, vault: VaultId) -> Result<Self, SourceError> {
        let module = Pkcs11::new(&token.module).map_err(|error| {
            unavailable(&format!("{} is not a PKCS#11 module: {error}", token.module.display()))
        })?;
        match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // The module is one for the whole process, and another source has started it.
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(failed(&error)),
        }
        let mut found = None;
        for slot in module.get_slots_with_token().map_err(|error| failed(&error))? {
            let info = module.get_token_info(slot).map_err(|error| failed(&error))?;
            if info.label().trim_end() == token.label && found.replace(slot).is_some() {
                return Err(unavailable(&format!(
                    "several tokens are labelled {:?}; rename all but one",
                    token.label
                )));
            }
        }
        let slot = found.ok_or_else(|| {
            unavailable(&format!("no token is labelled {:?}; plug it in, or correct the label", token.label))
        })?;
        let session = module.open_rw_session(slot).map_err(|error| failed(&error))?;
        let pin = std::str::from_utf8(pin.expose_secret()).map_err(|_| refused("a PIN is UTF-8 text"))?;
        match session.login(UserType::User, Some(&AuthPin::from(pin))) {
            // Logging in is for all of a process's sessions with a token.
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(Self { session, vault }),
            Err(error) => Err(failed(&error)),
        }
    }

    /// The token's key for this vault, if there is one and it cannot leave the token.
    fn key(&self) -> Result<Option<ObjectHandle>, SourceError> {
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::Id(self.vault.0.to_vec()),
            Attribute::Label(LABEL.to_vec()),
        ];
        let keys = self.session.find_objects(&template).map_err(|error| failed(&error))?;
        let key = match keys[..] {
            [] => return Ok(None),
            [key] => key,
            _ => {
                return Err(refused(
                    "the token has several keys for this vault; remove all but the right one",
                ));
            }
        };
        let asked = [AttributeType::Sensitive, AttributeType::Extractable, AttributeType::NeverExtractable];
        let attributes = self.session.get_attributes(key, &asked).map_err(|error| failed(&error))?;
        let kept =
            [Attribute::Sensitive(true), Attribute::Extractable(false), Attribute::NeverExtractable(true)];
        if !kept.iter().all(|attribute| attributes.contains(attribute)) {
            return Err(refused(
                "the token's key for this vault can be taken out of it, or once could; make a new one",
            ));
        }
        Ok(Some(key))
    }

    fn make(&self) -> Result<ObjectHandle, SourceError> {
        let template = [
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Modifiable(false),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
            Attribute::ValueLen(32.into()),
            Attribute::Id(self.vault.0.to_vec()),
            Attribute::Label(LABEL.to_vec()),
        ];
        self.session.generate_key(&Mechanism::AesKeyGen, &template).map_err(|error| failed(&error))?;
        // Looked up again: what a later process will find, with the attributes checked.
        self.key()?.ok_or_else(|| refused("the token did not keep the key that it made"))
    }

    fn aad(&self, header: &[u8]) -> Vec<u8> {
        [header, &self.vault.0].concat()
    }
}

impl MasterKeySource for Pkcs11Source {
    fn kind(&self) -> SourceKind {
        SourceKind::Pkcs11
    }

    fn wrap(&mut self, key: &Secret<32>, entropy: &mut dyn Entropy) -> Result<Vec<u8>, SourceError> {
        let by = match self.key()? {
            Some(by) => by,
            None => self.make()?,
        };
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut wrapped = [&MAGIC[..], &[SourceKind::Pkcs11 as u8], &nonce].concat();
        let aad = self.aad(&wrapped);
        let sealed = {
            let params = gcm(&mut nonce, &aad)?;
            self.session
                .encrypt(&Mechanism::AesGcm(params), by, key.expose_secret())
                .map_err(|error| failed(&error))?
        };
        // Some modules in FIPS mode draw a nonce of their own and write it back.
        if nonce[..] != wrapped[NONCE_AT..] {
            return Err(refused("the token does not take the nonce it is given; it cannot be used"));
        }
        wrapped.extend_from_slice(&sealed);
        if wrapped.len() != LEN {
            return Err(refused("the token sealed the key to another length than AES-GCM gives"));
        }
        Ok(wrapped)
    }

    fn unwrap(&mut self, wrapped: &[u8]) -> Result<Secret<32>, SourceError> {
        if wrapped.len() != LEN
            || !wrapped.starts_with(MAGIC)
            || wrapped[MAGIC.len()] != SourceKind::Pkcs11 as u8
        {
            return Err(refused(
                "what is stored is not a key that an HSM wrapped; was it made by a newer terachat?",
            ));
        }
        let by = self
            .key()?
            .ok_or_else(|| refused("the token has no key for this vault; is it another token?"))?;
        let (header, body) = wrapped.split_at(BODY_AT);
        let aad = self.aad(header);
        let mut nonce: [u8; NONCE_LEN] =
            header[NONCE_AT..].try_into().expect("the header ends with the nonce");
        let params = gcm(&mut nonce, &aad)?;
        let opened = self.session.decrypt(&Mechanism::AesGcm(params), by, body);
        let opened = SecretBytes::take(opened.map_err(|error| match error {
            Error::Pkcs11(
                RvError::EncryptedDataInvalid
                | RvError::EncryptedDataLenRange
                | RvError::GeneralError
                | RvError::FunctionFailed,
                _,
            ) => refused("the stored key was wrapped by another token's key, or its bytes were changed"),
            error => failed(&error),
        })?);
        let bytes: &[u8; 32] = opened
            .expose_secret()
            .try_into()
            .map_err(|_| refused("the stored key does not hold 32 bytes"))?;
        Ok(Secret::generate(|key| key.copy_from_slice(bytes)))
    }
}

fn gcm<'a>(nonce: &'a mut [u8; NONCE_LEN], aad: &'a [u8]) -> Result<GcmParams<'a>, SourceError> {
    GcmParams::new(nonce, aad, (8 * TAG_LEN as u64).into()).map_err(|error| failed(&error))
}

fn failed(error: &Error) -> SourceError {
    match error {
        Error::Pkcs11(RvError::PinIncorrect, _) => {
            refused("the PIN is wrong; after a few wrong ones the token locks itself")
        }
        Error::Pkcs11(RvError::PinLocked, _) => {
            refused("the PIN is locked; the token's security officer can reset it")
        }
        Error::Pkcs11(RvError::PinInvalid | RvError::PinLenRange, _) => {
            refused("no PIN of this token looks like that")
        }
        error => unavailable(&error.to_string()),
    }
}

fn refused(reason: &str) -> SourceError {
    SourceError::Refused { kind: SourceKind::Pkcs11, reason: reason.to_owned() }
}

fn unavailable(reason: &str) -> SourceError {
    SourceError::Unavailable { kind: SourceKind::Pkcs11, reason: reason.to_owned() }
}
