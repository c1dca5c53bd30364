use crate::{
    CipherSuite, DeviceId, DeviceSigner, Error,
    engine::{Cells, Crypto, Engine, MessageRoot, Seed, StateKind},
    policy::{self, Terms},
};
use openmls::prelude::{
    CredentialWithKey, Extensions, GroupContext, GroupId, LeafNodeIndex, MlsGroup, tls_codec::Serialize as _,
};
use terachat_vault::{Entropy, Secret, SecretBytes};
use zeroize::Zeroize;

/// One device's view of one epoch of a group: who is in it, and the epoch's secrets.
///
/// A value: nothing changes it. Dropping it, and every byte string made from it, is what forgets the epoch.
pub struct Group {
    pub(crate) mls: MlsGroup,
    pub(crate) cells: Cells,
    /// Until somebody takes it.
    pub(crate) root: Option<MessageRoot>,
    control_root: [u8; 32],
    device: DeviceId,
    suite: CipherSuite,
    terms: Terms,
}

impl Group {
    /// A new group of one member, in epoch 0. All that ever enter it need key packages of its suite.
    ///
    /// `group_id` has 1 to 255 bytes and must be unique among all groups its members will ever be in.
    ///
    /// # Errors
    /// [`Error::GroupId`]; otherwise [`Error::Bug`] only.
    pub fn create(
        suite: CipherSuite,
        signer: &DeviceSigner,
        group_id: &[u8],
        control_root: [u8; 32],
        entropy: &mut dyn Entropy,
    ) -> Result<Self, Error> {
        let context = policy::context_extensions(control_root);
        Self::found(Terms::Ours, suite, signer, signer.credential(), group_id, context, entropy)
    }

    pub(crate) fn found(
        terms: Terms,
        suite: CipherSuite,
        signer: &DeviceSigner,
        credential: CredentialWithKey,
        group_id: &[u8],
        context: Extensions<GroupContext>,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, Error> {
        if group_id.is_empty() || group_id.len() > 255 {
            return Err(Error::GroupId(group_id.len()));
        }
        let engine = Engine::new(Cells::default(), Seed::draw(entropy));
        let config = policy::join_config();
        let mls = MlsGroup::builder()
            .with_group_id(GroupId::from_slice(group_id))
            .ciphersuite(suite.engine())
            .with_wire_format_policy(config.wire_format_policy())
            .use_ratchet_tree_extension(false)
            .max_past_epochs(0)
            .number_of_resumption_psks(0)
            .lifetime(policy::for_ever())
            .with_capabilities(policy::capabilities(terms, suite, false))
            .with_group_context_extensions(context)
            .build(&engine, &signer.engine(), credential)
            .map_err(|error| Error::bug("creating a group", error))?;
        Self::new(terms, mls, engine.into_cells()).map_err(|error| Error::bug("creating a group", error))
    }

    /// What [`Group::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`Error::Damaged`] for anything else; it never panics.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        // Bytes of no group fail as one of the usual suite does.
        let suite = Self::suite_of(bytes).unwrap_or_default();
        let mut cells = Cells::from_bytes(StateKind::group(suite), bytes)?;
        let id = cells.remove(ID_CELL).ok_or(Error::Damaged("it names no group"))?;
        let (mls, cells) =
            load(cells, id.expose_secret()).map_err(|_| Error::Damaged("its parts do not fit"))?;
        if CipherSuite::of(mls.ciphersuite()) != Some(suite) {
            return Err(Error::Damaged("its parts do not fit"));
        }
        if !mls.is_active() || mls.group_id().as_slice() != id.expose_secret() {
            return Err(Error::Damaged("its parts do not fit"));
        }
        Self::new(Terms::Ours, mls, cells).map_err(|_| Error::Damaged("its parts do not fit"))
    }

    /// The suite of the group in these bytes of [`Group::to_bytes`], read off the first of them; `None` for other bytes.
    pub fn suite_of(bytes: &[u8]) -> Option<CipherSuite> {
        let kind = *bytes.first()?;
        CipherSuite::ALL.into_iter().find(|suite| StateKind::group(*suite) as u8 == kind)
    }

    /// The whole state but for what [`Group::take_messages`] gives, secrets included: store it sealed, replace it at every epoch, and destroy the former.
    pub fn to_bytes(&self) -> SecretBytes {
        let mut cells = self.cells.clone();
        cells.insert(ID_CELL.to_vec(), std::sync::Arc::new(SecretBytes::take(self.group_id().to_vec())));
        cells.to_bytes(match self.terms {
            Terms::Ours => StateKind::group(self.suite),
            Terms::Plain => StateKind::PlainGroup,
        })
    }

    /// The group's id, as it was given when the group was created.
    pub fn group_id(&self) -> &[u8] {
        self.mls.group_id().as_slice()
    }

    /// The epoch: the number of commits since the group was created.
    pub fn epoch(&self) -> u64 {
        self.mls.epoch().as_u64()
    }

    /// The suite, since the group was created.
    pub fn suite(&self) -> CipherSuite {
        self.suite
    }

    /// The device this state belongs to.
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// The members, in the order of their leaves, this device among them.
    pub fn members(&self) -> Vec<DeviceId> {
        self.leaves().map(|(_, device)| device).collect()
    }

    /// The root of the control log that this epoch's members agreed on.
    pub fn control_root(&self) -> [u8; 32] {
        self.control_root
    }

    /// The epoch's authenticator (RFC 9420, section 8.7): equal for two members exactly if they are in the same
    /// epoch of the same group. Fit to be compared in the open.
    pub fn epoch_authenticator(&self) -> [u8; 32] {
        self.mls.epoch_authenticator().as_slice().try_into().expect("the suite's secrets have 32 bytes")
    }

    /// A secret that this epoch's members share, one for each label (MLS exporter with an empty context,
    /// RFC 9420, section 8.5).
    pub fn epoch_secret(&self, label: &str) -> Secret<32> {
        let mut secret = self
            .mls
            .export_secret(&Crypto::new(None), label, &[], 32)
            .expect("a member's group of either suite exports 32 bytes");
        let out = Secret::generate(|out| out.copy_from_slice(&secret));
        secret.zeroize();
        out
    }

    /// The public ratchet tree (RFC 9420, section 12.4.3.3), for newcomers to fetch beside their welcome: some
    /// 250 bytes a member. A welcome binds it by hash, so it may come from anywhere.
    pub fn ratchet_tree(&self) -> Vec<u8> {
        self.mls
            .export_ratchet_tree()
            .tls_serialize_detached()
            .expect("a tree that is in memory can be written")
    }

    /// Fits `mls` and the cells it was loaded from or written to together.
    pub(crate) fn new(terms: Terms, mls: MlsGroup, mut cells: Cells) -> Result<Self, Error> {
        let control_root = policy::control_root(terms, mls.extensions())?;
        let own = mls.own_leaf_node().ok_or_else(|| Error::bug("reading a group", "it has no own leaf"))?;
        let device = policy::device(terms, own.credential(), own.signature_key().as_slice())?;
        let suite = CipherSuite::of(mls.ciphersuite()).ok_or(Error::Unsupported("another ciphersuite"))?;
        let root = cells.take_message_root();
        Ok(Self { mls, cells, root, control_root, device, suite, terms })
    }

    pub(crate) fn terms(&self) -> Terms {
        self.terms
    }

    /// A second copy of the state, to be changed in place by the library.
    pub(crate) fn working_copy(&self, engine: &Engine) -> Result<MlsGroup, Error> {
        MlsGroup::load(openmls_traits::OpenMlsProvider::storage(engine), self.mls.group_id())
            .map_err(|error| Error::bug("copying a group", error))?
            .ok_or_else(|| Error::bug("copying a group", "a part is missing"))
    }

    pub(crate) fn leaves(&self) -> impl Iterator<Item = (LeafNodeIndex, DeviceId)> + '_ {
        self.mls.members().map(|member| {
            let device = member.signature_key.as_slice().try_into();
            (member.index, device.expect("every leaf's key was checked on its way in"))
        })
    }

    pub(crate) fn device_at(&self, leaf: LeafNodeIndex) -> Option<DeviceId> {
        let leaf = self.mls.public_group().leaf(leaf)?;
        leaf.signature_key().as_slice().try_into().ok()
    }
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group")
            .field("epoch", &self.epoch())
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

/// The cell of the group's id in stored bytes; the library wants it before it reads anything else.
const ID_CELL: &[u8] = &[0];

fn load(cells: Cells, id: &[u8]) -> Result<(MlsGroup, Cells), Error> {
    let engine = Engine::reading(cells);
    let mls = MlsGroup::load(openmls_traits::OpenMlsProvider::storage(&engine), &GroupId::from_slice(id))
        .map_err(|error| Error::bug("loading a group", error))?
        .ok_or_else(|| Error::bug("loading a group", "a part is missing"))?;
    Ok((mls, engine.into_cells()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_can_be_sent_and_shared_between_threads() {
        fn check<T: Send + Sync>() {}
        check::<Group>();
    }
}
