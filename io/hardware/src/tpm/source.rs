use super::{Chip, Connection};
use terachat_vault::{
    Entropy, MasterKeySource, Secret, SourceError, SourceKind, VaultId, WRAPPED_KEY_LEN, unwrap_key, wrap_key,
};
use tss_esapi::attributes::ObjectAttributesBuilder;
use tss_esapi::constants::SessionType;
use tss_esapi::constants::response_code::Tss2ResponseCodeKind;
use tss_esapi::handles::SessionHandle;
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::session_handles::{AuthSession, PolicySession};
use tss_esapi::structures::{
    Digest, KeyedHashScheme, PcrSelectionList, PcrSlot, Private, Public, PublicBuilder,
    PublicKeyedHashParameters, SensitiveData,
};
use tss_esapi::traits::{Marshall, UnMarshall};
use tss_esapi::{Context, Error};

const MAGIC: &[u8; 4] = b"TCt\x01";
const HEADER_LEN: usize = MAGIC.len() + 4 + 2 + 2;
const PCRS: u32 = 24;

/// A TPM 2.0 as the source of the master key: a random key, new for each wrapping, is sealed to the chip, and on demand to
/// what the machine has measured while it booted. Only this chip opens it, until its owner clears it.
///
/// The owner hierarchy is used with an empty authorization, as it is on most machines.
pub struct TpmSource {
    connection: Connection,
    vault: VaultId,
    pcrs: u32,
}

impl TpmSource {
    /// The source for `vault` by the TPM behind `tcti` (`device:/dev/tpmrm0`). What it wraps opens only while the
    /// SHA-256 registers `pcrs` (0 to 23) have the values they had; none means on every boot. Touches nothing yet.
    ///
    /// # Errors
    /// [`SourceError::Unavailable`] for words that name no TPM or no register.
    pub fn new(tcti: &str, vault: VaultId, pcrs: &[u8]) -> Result<Self, SourceError> {
        let connection = Connection::parse(tcti).map_err(|reason| unavailable(&reason))?;
        let mut bits = 0;
        for pcr in pcrs {
            if u32::from(*pcr) >= PCRS {
                return Err(unavailable(&format!("there is no PCR {pcr}; they go from 0 to 23")));
            }
            bits |= 1 << pcr;
        }
        Ok(Self { connection, vault, pcrs: bits })
    }

    pub(super) fn seal(&self, key: &Secret<32>) -> Result<Sealed, Error> {
        let mut chip = self.connection.open()?;
        let policy = if self.pcrs == 0 { None } else { Some(policy_digest(&mut chip, self.pcrs)?) };
        let session = chip.session(SessionType::Hmac)?;
        let (storage, template) = (chip.storage, sealed_object(policy)?);
        let created = chip.context.execute_with_session(Some(session), |context| {
            let data = SensitiveData::try_from(&key.expose_secret()[..])?;
            context.create(storage, template, None, Some(data), None, None)
        })?;
        Ok(Sealed {
            pcrs: self.pcrs,
            public: created.out_public.marshall()?,
            private: created.out_private.to_vec(),
        })
    }

    pub(super) fn unseal(&self, sealed: &Sealed) -> Result<Secret<32>, UnsealError> {
        let mut chip = self.connection.open().map_err(UnsealError::Chip)?;
        let foreign = |_| UnsealError::Object;
        let public = Public::unmarshall(&sealed.public).map_err(foreign)?;
        let private = Private::try_from(&sealed.private[..]).map_err(foreign)?;
        let storage = chip.storage;
        let loading = chip.session(SessionType::Hmac).map_err(UnsealError::Chip)?;
        let object = chip
            .context
            .execute_with_session(Some(loading), |context| context.load(storage, private, public))
            .map_err(
                |error| if is_refusal(&error) { UnsealError::Object } else { UnsealError::Chip(error) },
            )?;
        let session = if sealed.pcrs == 0 {
            loading
        } else {
            let session = chip.session(SessionType::Policy).map_err(UnsealError::Chip)?;
            require_pcrs(&mut chip.context, session, sealed.pcrs).map_err(UnsealError::Chip)?;
            session
        };
        let data = chip
            .context
            .execute_with_session(Some(session), |context| context.unseal(object.into()))
            .map_err(
                |error| if is_refusal(&error) { UnsealError::Policy } else { UnsealError::Chip(error) },
            )?;
        if data.len() != 32 {
            return Err(UnsealError::Object);
        }
        Ok(Secret::generate(|key| key.copy_from_slice(&data)))
    }
}

impl MasterKeySource for TpmSource {
    fn kind(&self) -> SourceKind {
        SourceKind::Tpm
    }

    fn wrap(&mut self, key: &Secret<32>, entropy: &mut dyn Entropy) -> Result<Vec<u8>, SourceError> {
        let by = Secret::generate(|by| entropy.fill(by));
        let sealed = self.seal(&by).map_err(|error| unavailable(&said(&error)))?;
        Ok(sealed.encode(&wrap_key(&by, SourceKind::Tpm, &self.vault, key, entropy)))
    }

    fn unwrap(&mut self, wrapped: &[u8]) -> Result<Secret<32>, SourceError> {
        let (sealed, wrapped) = Sealed::decode(wrapped).ok_or_else(|| {
            refused("what is stored is not a key that a TPM sealed; was it made by a newer terachat?")
        })?;
        let by = self.unseal(&sealed).map_err(|error| match error {
            UnsealError::Chip(error) => unavailable(&said(&error)),
            UnsealError::Object => refused(
                "the key was sealed by another chip, the chip was cleared, or the stored bytes were changed; use another source, the recovery key for one",
            ),
            UnsealError::Policy => refused(
                "the machine booted otherwise than when the key was sealed (its PCRs differ), after an update perhaps; open the vault by another source and seal again",
            ),
        })?;
        unwrap_key(&by, SourceKind::Tpm, &self.vault, wrapped)
    }
}

/// A sealed object as the chip gave it. Only the chip that made it can load it.
pub(super) struct Sealed {
    pub(super) pcrs: u32,
    pub(super) public: Vec<u8>,
    pub(super) private: Vec<u8>,
}

impl Sealed {
    fn encode(&self, wrapped: &[u8]) -> Vec<u8> {
        let len = |part: &[u8]| {
            u16::try_from(part.len()).expect("a TPM's structures have lengths of 16 bits").to_le_bytes()
        };
        let (public, private) = (len(&self.public), len(&self.private));
        [MAGIC, &self.pcrs.to_le_bytes()[..], &public, &private, &self.public, &self.private, wrapped]
            .concat()
    }

    fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (header, rest) = bytes.split_at_checked(HEADER_LEN)?;
        let header = header.strip_prefix(MAGIC)?;
        let pcrs = u32::from_le_bytes(header[..4].try_into().ok()?);
        let len = |at: usize| Some(usize::from(u16::from_le_bytes(header[at..at + 2].try_into().ok()?)));
        let (public, rest) = rest.split_at_checked(len(4)?)?;
        let (private, wrapped) = rest.split_at_checked(len(6)?)?;
        let known = pcrs < 1 << PCRS && wrapped.len() == WRAPPED_KEY_LEN;
        known.then(|| (Self { pcrs, public: public.to_vec(), private: private.to_vec() }, wrapped))
    }
}

pub(super) enum UnsealError {
    /// The chip did not answer, or not sensibly.
    Chip(Error),
    /// The chip does not take the object for its own.
    Object,
    /// The object's policy does not hold.
    Policy,
}

/// Data that the chip only gives out under its policy, or to anyone on this machine if there is none. Guessing is no
/// danger, so the lockout against it is not used.
pub(super) fn sealed_object(policy: Option<Digest>) -> Result<Public, Error> {
    let attributes = ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_no_da(true)
        .with_user_with_auth(policy.is_none())
        .build()?;
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::KeyedHash)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_auth_policy(policy.unwrap_or_default())
        .with_keyed_hash_parameters(PublicKeyedHashParameters::new(KeyedHashScheme::Null))
        .with_keyed_hash_unique_identifier(Digest::default())
        .build()
}

/// The digest of the policy that the registers have the values they have now.
fn policy_digest(chip: &mut Chip, pcrs: u32) -> Result<Digest, Error> {
    let trial = chip.session(SessionType::Trial)?;
    require_pcrs(&mut chip.context, trial, pcrs)?;
    let digest = chip.context.policy_get_digest(PolicySession::try_from(trial)?)?;
    chip.flush(SessionHandle::from(trial).into())?;
    Ok(digest)
}

fn require_pcrs(context: &mut Context, session: AuthSession, pcrs: u32) -> Result<(), Error> {
    let slots: Result<Vec<PcrSlot>, Error> =
        (0..PCRS).map(|pcr| 1 << pcr).filter(|bit| pcrs & bit != 0).map(PcrSlot::try_from).collect();
    let selection = PcrSelectionList::builder().with_selection(HashingAlgorithm::Sha256, &slots?).build()?;
    // Without a digest to compare with: the chip takes the registers as they are.
    context.policy_pcr(PolicySession::try_from(session)?, Digest::default(), selection)
}

/// Whether the chip understood and said no.
fn is_refusal(error: &Error) -> bool {
    let Error::Tss2Error(code) = error else { return false };
    matches!(
        code.kind(),
        Some(
            Tss2ResponseCodeKind::Integrity
                | Tss2ResponseCodeKind::PolicyFail
                | Tss2ResponseCodeKind::Size
                | Tss2ResponseCodeKind::Value
                | Tss2ResponseCodeKind::Type
                | Tss2ResponseCodeKind::Attributes
                | Tss2ResponseCodeKind::Hash
                | Tss2ResponseCodeKind::Scheme
                | Tss2ResponseCodeKind::Symmetric
                | Tss2ResponseCodeKind::ReservedBits
                | Tss2ResponseCodeKind::Insufficient
                | Tss2ResponseCodeKind::Binding
                | Tss2ResponseCodeKind::Key
                | Tss2ResponseCodeKind::Kdf
                | Tss2ResponseCodeKind::AuthUnavailable
        )
    )
}

fn said(error: &Error) -> String {
    format!("{error}; is there a TPM, and may this user open it (group tss)?")
}

fn refused(reason: &str) -> SourceError {
    SourceError::Refused { kind: SourceKind::Tpm, reason: reason.to_owned() }
}

fn unavailable(reason: &str) -> SourceError {
    SourceError::Unavailable { kind: SourceKind::Tpm, reason: reason.to_owned() }
}
