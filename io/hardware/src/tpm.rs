//! What the TPM's two uses have in common: a connection for each use, a storage key, and a session that keeps the bus
//! from seeing what is sealed.
mod counter;
mod source;

pub use counter::TpmCounter;
pub use source::TpmSource;

use std::str::FromStr;
use tss_esapi::attributes::{ObjectAttributesBuilder, SessionAttributesBuilder};
use tss_esapi::constants::SessionType;
use tss_esapi::handles::{KeyHandle, ObjectHandle};
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::interface_types::resource_handles::Hierarchy;
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{
    EccPoint, Public, PublicBuilder, PublicEccParametersBuilder, SymmetricDefinition,
    SymmetricDefinitionObject,
};
use tss_esapi::{Context, Error, TctiNameConf, WrapperErrorKind};

/// How a TPM is reached, in tpm2-tss's words: `device:/dev/tpmrm0` (the kernel's resource manager), or
/// `swtpm:host=127.0.0.1,port=2321`.
#[derive(Clone)]
struct Connection(TctiNameConf);

impl Connection {
    fn parse(tcti: &str) -> Result<Self, String> {
        let unknown = |_| format!("{tcti:?} is no way to reach a TPM; the usual one is device:/dev/tpmrm0");
        TctiNameConf::from_str(tcti).map(Self).map_err(unknown)
    }

    /// Opened for each use and closed after it: a TPM without a resource manager serves one at a time, and what a use
    /// leaves in the chip is flushed with it.
    fn open(&self) -> Result<Chip, Error> {
        let mut context = Context::new(self.0.clone())?;
        let storage = context.execute_with_nullauth_session(|context| {
            context.create_primary(Hierarchy::Owner, storage_key()?, None, None, None, None)
        })?;
        Ok(Chip { context, storage: storage.key_handle })
    }
}

struct Chip {
    context: Context,
    storage: KeyHandle,
}

impl Chip {
    /// A session whose secret is sent to the storage key: what a command carries in and out is encrypted on the bus,
    /// and an answer that was changed there is noticed. Against somebody on the bus who also plays the chip from the
    /// beginning it does not help, for nothing tells this storage key from his.
    fn session(&mut self, kind: SessionType) -> Result<AuthSession, Error> {
        let symmetric = SymmetricDefinition::AES_128_CFB;
        let session = self.context.start_auth_session(
            Some(self.storage),
            None,
            None,
            kind,
            symmetric,
            HashingAlgorithm::Sha256,
        )?;
        let session = session.ok_or(Error::WrapperError(WrapperErrorKind::WrongValueFromTpm))?;
        let (attributes, mask) = SessionAttributesBuilder::new()
            .with_decrypt(true)
            .with_encrypt(true)
            .with_continue_session(true)
            .build();
        self.context.tr_sess_set_attributes(session, attributes, mask)?;
        Ok(session)
    }

    fn flush(&mut self, handle: ObjectHandle) -> Result<(), Error> {
        self.context.execute_without_session(|context| context.flush_context(handle))
    }
}

/// The storage key of the TCG's *TPM v2.0 Provisioning Guidance*: ECC P-256 below the owner's seed. The chip computes the
/// same key each time, until it is cleared.
fn storage_key() -> Result<Public, Error> {
    let attributes = ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_sensitive_data_origin(true)
        .with_user_with_auth(true)
        .with_no_da(true)
        .with_decrypt(true)
        .with_restricted(true)
        .build()?;
    let parameters = PublicEccParametersBuilder::new_restricted_decryption_key(
        SymmetricDefinitionObject::AES_128_CFB,
        EccCurve::NistP256,
    );
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Ecc)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_ecc_parameters(parameters.build()?)
        .with_ecc_unique_identifier(EccPoint::default())
        .build()
}

#[cfg(test)]
mod swtpm;
#[cfg(test)]
mod tests;
