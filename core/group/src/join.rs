use crate::{
    CipherSuite, DeviceSigner, Error, Group, MESSAGE_BYTES_MAX, TREE_BYTES_MAX,
    engine::{Cells, Engine, StateKind},
    policy::{self, Terms},
    reinit::Tie,
};
use openmls::messages::group_info::VerifiableGroupInfo;
use openmls::prelude::{
    MlsMessageBodyIn, MlsMessageIn, RatchetTreeIn, StagedWelcome, Welcome, WelcomeError,
    tls_codec::Deserialize as _,
};
use terachat_vault::SecretBytes;

impl Group {
    /// Joins by a welcome: `ratchet_tree` is the inviter's [`Group::ratchet_tree`] of the epoch joined,
    /// `key_package_private` what [`new_key_package`](crate::new_key_package) gave to keep. The signer's device must
    /// be the key package's. Costs one signature check a member.
    ///
    /// # Errors
    /// [`Error::NotForUs`] (try another key package), [`Error::Malformed`], [`Error::Oversized`],
    /// [`Error::Unsupported`], [`Error::Forged`], [`Error::ForeignCredential`], [`Error::Invalid`];
    /// [`Error::OtherDevice`]; [`Error::Damaged`] for the private part.
    pub fn join(
        signer: &DeviceSigner,
        welcome: &[u8],
        ratchet_tree: &[u8],
        key_package_private: &SecretBytes,
    ) -> Result<Group, Error> {
        Self::enter(Terms::Ours, signer, welcome, Some(ratchet_tree), key_package_private, None)
    }

    /// The same; without a tree, by the one in the welcome; with `tie`, by a welcome that takes that secret, too, and by no other.
    pub(crate) fn enter(
        terms: Terms,
        signer: &DeviceSigner,
        welcome: &[u8],
        ratchet_tree: Option<&[u8]>,
        key_package_private: &SecretBytes,
        tie: Option<&Tie>,
    ) -> Result<Group, Error> {
        let cells = Cells::from_bytes(StateKind::KeyPackage, key_package_private.expose_secret())?;
        let welcome = parse_welcome(welcome)?;

        let engine = Engine::reading(cells);
        if let Some(tie) = tie {
            tie.keep(&engine)?;
        }
        let refused = |error| refused(error, tie.is_some());
        let mut builder =
            StagedWelcome::build_from_welcome(&engine, &policy::join_config(), welcome).map_err(refused)?;
        if tie.is_some_and(|tie| !tie.is_the_only_one(builder.processed_welcome().psks())) {
            return Err(Error::NotASuccessor);
        }
        let own = builder
            .processed_welcome()
            .own_key_package()
            .map(|own| own.leaf_node().clone())
            .ok_or(Error::NotForUs)?;
        if policy::device(terms, own.credential(), own.signature_key().as_slice())? != signer.device() {
            return Err(Error::OtherDevice);
        }
        // Only now: whoever tries many private parts reads the tree once.
        if let Some(tree) = ratchet_tree {
            builder = builder.with_ratchet_tree(parse_tree(tree)?);
        }
        // Leaves that were never updated still carry their key package's lifetime, which decides nothing here.
        let staged = builder.skip_lifetime_validation().build().map_err(refused)?;
        // The library finds our leaf by its signature key; that it is the one whose keys we hold is another matter.
        if staged.own_leaf_node() != Some(&own) {
            return Err(Error::invalid("welcome", "the leaf in the tree is not this key package's"));
        }
        for member in staged.members() {
            policy::device(terms, &member.credential, &member.signature_key)?;
        }
        let suite = CipherSuite::of(staged.group_context().ciphersuite())
            .ok_or(Error::Unsupported("another ciphersuite"))?;
        for member in staged.members() {
            policy::encryption_key(suite, "welcome", &member.encryption_key)?;
        }
        policy::control_root(terms, staged.group_context().extensions())?;
        let mls = staged.into_group(&engine).map_err(refused)?;
        policy::parent_keys(suite, "welcome", mls.treesync())?;
        let mut cells = engine.into_cells();
        cells.drop_key_packages();
        cells.drop_psks();
        Group::new(terms, mls, cells)
    }
}

fn parse_welcome(bytes: &[u8]) -> Result<Welcome, Error> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(Error::Oversized { len: bytes.len(), max: MESSAGE_BYTES_MAX });
    }
    match MlsMessageIn::tls_deserialize_exact(bytes).map(MlsMessageIn::extract) {
        Ok(MlsMessageBodyIn::Welcome(welcome)) => Ok(welcome),
        _ => Err(Error::Malformed("welcome")),
    }
}

/// Reads a GroupInfo (RFC 9420, section 12.4.3) in a suite that is known. Its signature is still to be verified.
///
/// # Errors
/// [`Error::Oversized`], [`Error::Malformed`], [`Error::Unsupported`].
pub(crate) fn parse_group_info(bytes: &[u8]) -> Result<(VerifiableGroupInfo, CipherSuite), Error> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(Error::Oversized { len: bytes.len(), max: MESSAGE_BYTES_MAX });
    }
    let info = match MlsMessageIn::tls_deserialize_exact(bytes).map(MlsMessageIn::extract) {
        Ok(MlsMessageBodyIn::GroupInfo(info)) => info,
        _ => return Err(Error::Malformed("group info")),
    };
    // Only the tree that comes beside it is used, and checked, whatever the group info carries.
    if info.extensions().ratchet_tree().is_some() {
        return Err(Error::Unsupported("a ratchet tree inside of a group info"));
    }
    let suite = CipherSuite::of(info.ciphersuite()).ok_or(Error::Unsupported("another ciphersuite"))?;
    Ok((info, suite))
}

pub(crate) fn parse_tree(bytes: &[u8]) -> Result<RatchetTreeIn, Error> {
    if bytes.len() > TREE_BYTES_MAX {
        return Err(Error::Oversized { len: bytes.len(), max: TREE_BYTES_MAX });
    }
    // Read from a reader: the codec's reading from a slice fails a debug assertion on truncated bytes.
    RatchetTreeIn::tls_deserialize_exact(bytes).map_err(|_| Error::Malformed("ratchet tree"))
}

fn refused<S: std::error::Error>(error: WelcomeError<S>, is_tied: bool) -> Error {
    match error {
        // Without the former group's secret, or with another, the keys of the welcome are others.
        WelcomeError::UnableToDecrypt | WelcomeError::GroupInfo(_) | WelcomeError::Psk(_) if is_tied => {
            Error::NotASuccessor
        }
        WelcomeError::NoMatchingKeyPackage
        | WelcomeError::NoMatchingEncryptionKey
        | WelcomeError::PrivateInitKeyNotFound
        | WelcomeError::JoinerSecretNotFound => Error::NotForUs,
        WelcomeError::InvalidGroupInfoSignature => Error::Forged("welcome's signature"),
        WelcomeError::ConfirmationTagMismatch => Error::Forged("confirmation tag"),
        WelcomeError::UnsupportedCiphersuite(_) | WelcomeError::CiphersuiteMismatch => {
            Error::Unsupported("another ciphersuite")
        }
        WelcomeError::LibraryError(error) => Error::bug("joining a group", error),
        other => Error::invalid("welcome", other),
    }
}
