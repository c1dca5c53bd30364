use crate::{
    CipherSuite, DeviceId, DeviceSigner, Error, MESSAGE_BYTES_MAX,
    engine::{Cells, Crypto, Engine, Seed, StateKind},
    policy::{self, Terms},
};
use openmls::prelude::{
    CredentialWithKey, KeyPackage as EngineKeyPackage, KeyPackageVerifyError, MlsMessageBodyIn, MlsMessageIn,
    MlsMessageOut, ProtocolVersion, tls_codec::Deserialize as _,
};
use terachat_vault::{Entropy, SecretBytes};

/// A new key package of this device for groups of one suite: what to publish (an MLSMessage, RFC 9420, section 6), and the private part,
/// which opens the one welcome that answers it. The caller keeps the private part sealed until then, and destroys
/// it after [`Group::join`](crate::Group::join): it would open that welcome again.
///
/// # Errors
/// [`Error::Bug`] only.
pub fn new_key_package(
    suite: CipherSuite,
    signer: &DeviceSigner,
    entropy: &mut dyn Entropy,
) -> Result<(Vec<u8>, SecretBytes), Error> {
    new_under(Terms::Ours, suite, signer, signer.credential(), false, entropy)
}

/// The same for a key package of last resort (RFC 9420, section 16.8), which may answer several welcomes and is marked as such by
/// the extension `last_resort` (draft-ietf-mls-extensions): for when all others are used. Whoever keeps its private part opens all
/// that was ever sealed for it, so it is replaced once it was used, and destroyed soon after.
///
/// # Errors
/// [`Error::Bug`] only.
pub fn new_last_resort_key_package(
    suite: CipherSuite,
    signer: &DeviceSigner,
    entropy: &mut dyn Entropy,
) -> Result<(Vec<u8>, SecretBytes), Error> {
    new_under(Terms::Ours, suite, signer, signer.credential(), true, entropy)
}

pub(crate) fn new_under(
    terms: Terms,
    suite: CipherSuite,
    signer: &DeviceSigner,
    credential: CredentialWithKey,
    last_resort: bool,
    entropy: &mut dyn Entropy,
) -> Result<(Vec<u8>, SecretBytes), Error> {
    let engine = Engine::new(Cells::default(), Seed::draw(entropy));
    let mut builder = EngineKeyPackage::builder()
        .key_package_lifetime(policy::for_ever())
        .leaf_node_capabilities(policy::capabilities(terms, suite, last_resort));
    if last_resort {
        builder = builder.mark_as_last_resort();
    }
    let bundle = builder
        .build(suite.engine(), &engine, &signer.engine(), credential)
        .map_err(|error| Error::bug("making a key package", error))?;
    Ok((encode(bundle.into_key_package())?, engine.into_cells().to_bytes(StateKind::KeyPackage)))
}

/// A device's published key package, checked: its signatures hold, its credential is its device key, and it fits
/// these groups. Whether the device belongs to whom it should is the caller's to know.
#[derive(Clone)]
pub struct KeyPackage {
    inner: EngineKeyPackage,
    device: DeviceId,
    suite: CipherSuite,
    terms: Terms,
}

impl KeyPackage {
    /// Reads and checks what [`new_key_package`] made, here or at a peer's.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Oversized`], [`Error::Unsupported`], [`Error::Forged`],
    /// [`Error::ForeignCredential`], [`Error::Expires`], [`Error::Invalid`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        Self::parse_under(Terms::Ours, bytes)
    }

    pub(crate) fn parse_under(terms: Terms, bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(Error::Oversized { len: bytes.len(), max: MESSAGE_BYTES_MAX });
        }
        let message =
            MlsMessageIn::tls_deserialize_exact(bytes).map_err(|_| Error::Malformed("key package"))?;
        let MlsMessageBodyIn::KeyPackage(unchecked) = message.extract() else {
            return Err(Error::Malformed("key package"));
        };
        let inner =
            unchecked.validate(&Crypto::new(None), ProtocolVersion::Mls10).map_err(|error| match error {
                KeyPackageVerifyError::InvalidSignature | KeyPackageVerifyError::InvalidLeafNodeSignature => {
                    Error::Forged("key package's signature")
                }
                KeyPackageVerifyError::LifetimeError(_) => Error::Expires,
                other => Error::invalid("key package", other),
            })?;
        let suite = CipherSuite::of(inner.ciphersuite()).ok_or(Error::Unsupported("another ciphersuite"))?;
        let device = policy::newcomer(terms, &inner)?;
        Ok(Self { inner, device, suite, terms })
    }

    pub(crate) fn terms(&self) -> Terms {
        self.terms
    }

    /// The device that published it.
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// The suite of the groups that it can be added to.
    pub fn suite(&self) -> CipherSuite {
        self.suite
    }

    /// Whether it may be used more than once ([`new_last_resort_key_package`]).
    pub fn is_last_resort(&self) -> bool {
        self.inner.last_resort()
    }

    /// The bytes that [`KeyPackage::parse`] reads.
    ///
    /// # Errors
    /// [`Error::Bug`] only.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        encode(self.inner.clone())
    }

    pub(crate) fn engine(&self) -> EngineKeyPackage {
        self.inner.clone()
    }
}

fn encode(key_package: EngineKeyPackage) -> Result<Vec<u8>, Error> {
    MlsMessageOut::from(key_package).to_bytes().map_err(|error| Error::bug("encoding a key package", error))
}

impl std::fmt::Debug for KeyPackage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyPackage").field("device", &self.device).finish_non_exhaustive()
    }
}
