//! Re-initialisation (RFC 9420, section 11.2): a group in another suite takes the place of one, with those of its members who
//! have key packages for it. Who may, when, and what becomes of the others: `docs/adr/0040-reinitialisation.md`.
//!
//! What ties the two together is a pre-shared key that follows from the former group's last epoch. The library has no ReInit
//! proposal, and takes resumption PSKs (section 8.6) of the same group only; so it is an external one (section 8.4), exported
//! (section 8.5) under a label of its own and named as the resumption PSK would be.
use crate::{
    Change, CipherSuite, DeviceId, DeviceSigner, Error, Group, KeyPackage,
    engine::{Cells, Crypto, Engine},
    join,
    policy::{self, Terms},
};
use openmls::messages::group_info::VerifiableGroupInfo;
use openmls::prelude::{
    CreationFromExternalError, ExtensionType, LeafNode, LeafNodeIndex, OpenMlsSignaturePublicKey,
    PreSharedKeyProposal, Proposal, ProposalStore, PublicGroup, Verifiable as _,
    tls_codec::{Serialize as _, Size as _},
};
use openmls::schedule::{ExternalPsk, PreSharedKeyId, Psk};
use openmls_traits::{OpenMlsProvider as _, types::SignatureScheme};
use terachat_vault::{Entropy, Secret, SecretBytes};
use zeroize::Zeroize as _;

const LABEL: &str = "terachat 2026-11 reinit";
/// ResumptionPSKUsage `reinit` (section 8.4).
const USAGE_REINIT: u8 = 2;
/// LeafNodeSource `key_package` (section 7.2).
const FROM_KEY_PACKAGE: u8 = 1;
/// The epoch in which a group begins that was made with others in it.
const FIRST_EPOCH: u64 = 1;

/// What its maker tells of a group that takes another's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReInit {
    /// For everybody: an MLSMessage with a GroupInfo (section 12.4.3) of the new group's first epoch, signed by its maker.
    pub group_info: Vec<u8>,
    /// The ratchet tree of that epoch.
    pub ratchet_tree: Vec<u8>,
    /// For those who were taken along: an MLSMessage with a Welcome; none if nobody was.
    pub welcome: Option<Vec<u8>>,
}

/// What can be known of a new group without being in it: that all of this is said by its maker, and that the tree is sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Successor {
    /// Its suite.
    pub suite: CipherSuite,
    /// Its id.
    pub group_id: Vec<u8>,
    /// Its first epoch with others in it: 1.
    pub epoch: u64,
    /// Who made it.
    pub maker: DeviceId,
    /// Who is in it, in the order of the leaves, its maker first.
    pub members: Vec<DeviceId>,
    /// The control root that its members agree on.
    pub control_root: [u8; 32],
}

impl Group {
    /// Makes the group that takes this one's place, with these key packages' devices in it. Gives back its first epoch as it
    /// will be if it wins, and what to tell the others. This group stays as it is; the epoch that is left is its present one.
    ///
    /// `group_id` is as [`Group::create`] wants it. Only members of this epoch can follow by the welcome; whether the others'
    /// devices are, is not looked at.
    ///
    /// # Errors
    /// [`Error::OtherDevice`], [`Error::GroupId`], [`Error::OtherSuite`], [`Error::AlreadyMember`]; [`Error::Invalid`] when a key
    /// package collides with another's keys.
    pub fn reinit(
        &self,
        signer: &DeviceSigner,
        suite: CipherSuite,
        group_id: &[u8],
        add: &[KeyPackage],
        control_root: [u8; 32],
        entropy: &mut dyn Entropy,
    ) -> Result<(Group, ReInit), Error> {
        if signer.device() != self.device() {
            return Err(Error::OtherDevice);
        }
        if self.terms() != Terms::Ours {
            return Err(Error::OtherTerms);
        }
        let alone = Group::create(suite, signer, group_id, control_root, entropy)?;
        let change = Change { add, remove: &[], control_root };
        let (first, commit) = alone.commit_tied(signer, &change, Some(&self.tie(group_id)), entropy)?;
        let reinit = ReInit {
            group_info: first.group_info(signer)?,
            ratchet_tree: first.ratchet_tree(),
            welcome: commit.welcome,
        };
        Ok((first, reinit))
    }

    /// Follows into the group that takes this one's place, by the private part of the key package that its maker used. Whether
    /// its maker was allowed to make it, and who may be in it, [`Successor::parse`] tells and the caller decides.
    ///
    /// # Errors
    /// [`Error::NotForUs`] where no key package of this private part was used; [`Error::NotASuccessor`] where the new group does not
    /// follow this epoch, or its welcome leads elsewhere than it says; otherwise as [`Group::join`].
    pub fn follow(
        &self,
        signer: &DeviceSigner,
        reinit: &ReInit,
        key_package_private: &SecretBytes,
    ) -> Result<Group, Error> {
        if signer.device() != self.device() {
            return Err(Error::OtherDevice);
        }
        if self.terms() != Terms::Ours {
            return Err(Error::OtherTerms);
        }
        let public = read(&reinit.group_info, &reinit.ratchet_tree)?;
        let tie = self.tie(public.group_id().as_slice());
        let welcome = reinit.welcome.as_deref().ok_or(Error::NotForUs)?;
        let tree = Some(&reinit.ratchet_tree[..]);
        let next = Group::enter(Terms::Ours, signer, welcome, tree, key_package_private, Some(&tie))?;
        let same = next.mls.public_group().group_context() == public.group_context()
            && next.mls.confirmation_tag() == public.confirmation_tag();
        if same { Ok(next) } else { Err(Error::NotASuccessor) }
    }

    /// What a group of this id needs to be this one's successor.
    fn tie(&self, group_id: &[u8]) -> Tie {
        let mut exported = self
            .mls
            .export_secret(&Crypto::new(None), LABEL, group_id, 32)
            .expect("a member's group of either suite exports 32 bytes");
        let secret = Secret::generate(|out| out.copy_from_slice(&exported));
        exported.zeroize();
        let id = [&[USAGE_REINIT], self.group_id(), &self.epoch().to_be_bytes()].concat();
        Tie { id, secret }
    }
}

impl Successor {
    /// Reads and checks what [`ReInit`] tells everybody. Costs one signature check a member.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Oversized`], [`Error::Unsupported`], [`Error::Forged`], [`Error::ForeignCredential`],
    /// [`Error::Expires`], [`Error::Invalid`].
    pub fn parse(group_info: &[u8], ratchet_tree: &[u8]) -> Result<Self, Error> {
        let public = read(group_info, ratchet_tree)?;
        let members: Result<Vec<DeviceId>, Error> = public
            .members()
            .map(|member| policy::device(Terms::Ours, &member.credential, &member.signature_key))
            .collect();
        let members = members?;
        Ok(Self {
            suite: CipherSuite::of(public.ciphersuite()).ok_or(Error::Unsupported("another ciphersuite"))?,
            group_id: public.group_id().as_slice().to_vec(),
            epoch: public.group_context().epoch().as_u64(),
            maker: *members.first().ok_or(Error::UnknownMember)?,
            members,
            control_root: policy::control_root(Terms::Ours, public.group_context().extensions())?,
        })
    }
}

/// The group as it can be seen from outside, if its maker signed it and it begins there.
fn read(group_info: &[u8], ratchet_tree: &[u8]) -> Result<PublicGroup, Error> {
    let (info, suite) = join::parse_group_info(group_info)?;
    let tree = join::parse_tree(ratchet_tree)?;
    let engine = Engine::reading(Cells::default());
    let (public, _) = PublicGroup::from_external(
        engine.crypto(),
        engine.storage(),
        tree,
        info.clone(),
        ProposalStore::default(),
    )
    .map_err(refused)?;
    if public.group_context().epoch().as_u64() != FIRST_EPOCH {
        return Err(Error::invalid("re-initialisation", "the new group is not in its first epoch"));
    }
    for member in public.members() {
        let leaf = public.leaf(member.index).ok_or(Error::UnknownMember)?;
        sound(leaf)?;
        policy::encryption_key(suite, "group info", &member.encryption_key)?;
    }
    policy::parent_keys(suite, "group info", public.treesync())?;
    by_its_maker(info, &public)?;
    Ok(public)
}

/// Whoever makes a group has its first leaf.
fn by_its_maker(info: VerifiableGroupInfo, public: &PublicGroup) -> Result<(), Error> {
    let leaf = public.leaf(LeafNodeIndex::new(0)).ok_or(Error::UnknownMember)?;
    let key = leaf.signature_key().as_slice().to_vec().into();
    let key = OpenMlsSignaturePublicKey::new(key, SignatureScheme::ED25519)
        .map_err(|error| Error::bug("reading a public key", error))?;
    info.verify(&Crypto::new(None), &key).map(drop).map_err(|_| Error::Forged("group info's signature"))
}

/// As [`policy::newcomer`] of key packages.
fn sound(leaf: &LeafNode) -> Result<(), Error> {
    policy::device(Terms::Ours, leaf.credential(), leaf.signature_key().as_slice())?;
    if !leaf.capabilities().extensions().contains(&ExtensionType::Unknown(policy::CONTROL_ROOT_EXTENSION)) {
        return Err(Error::Unsupported("a device that does not know the control root extension"));
    }
    // The library keeps a leaf's lifetime to itself: it stands behind these four (section 7.2).
    let at = leaf.encryption_key().tls_serialized_len()
        + leaf.signature_key().tls_serialized_len()
        + leaf.credential().tls_serialized_len()
        + leaf.capabilities().tls_serialized_len();
    let bytes = leaf.tls_serialize_detached().map_err(|error| Error::bug("encoding a leaf", error))?;
    let for_ever = [[0; 8], [u8::MAX; 8]].concat();
    match bytes.get(at..) {
        Some([FROM_KEY_PACKAGE, rest @ ..]) if !rest.starts_with(&for_ever) => Err(Error::Expires),
        _ => Ok(()),
    }
}

fn refused<S: std::error::Error>(error: CreationFromExternalError<S>) -> Error {
    match error {
        CreationFromExternalError::LibraryError(error) => Error::bug("reading a group info", error),
        CreationFromExternalError::WriteToStorageError(error) => Error::bug("reading a group info", error),
        CreationFromExternalError::InvalidGroupInfoSignature => Error::Forged("group info's signature"),
        CreationFromExternalError::UnsupportedCiphersuite(_) => Error::Unsupported("another ciphersuite"),
        other => Error::invalid("group info", other),
    }
}

/// What a member of one group's epoch knows, and whoever is to enter the group after it has to.
pub(crate) struct Tie {
    id: Vec<u8>,
    secret: Secret<32>,
}

impl Tie {
    /// Has the library find the secret.
    pub(crate) fn keep(&self, engine: &Engine) -> Result<(), Error> {
        PreSharedKeyId::external(self.id.clone(), Vec::new())
            .store(engine, self.secret.expose_secret())
            .map_err(|error| Error::bug("keeping a pre-shared key", error))
    }

    /// What makes it part of an epoch's secrets.
    pub(crate) fn proposal(&self, engine: &Engine, suite: CipherSuite) -> Result<Proposal, Error> {
        self.keep(engine)?;
        let id = PreSharedKeyId::new(suite.engine(), engine.rand(), self.psk())
            .map_err(|error| Error::bug("naming a pre-shared key", error))?;
        Ok(Proposal::PreSharedKey(Box::new(PreSharedKeyProposal::new(id))))
    }

    /// Whether a welcome takes this secret and no other.
    pub(crate) fn is_the_only_one(&self, psks: &[PreSharedKeyId]) -> bool {
        matches!(psks, [id] if *id.psk() == self.psk())
    }

    fn psk(&self) -> Psk {
        Psk::External(ExternalPsk::new(self.id.clone()))
    }
}
