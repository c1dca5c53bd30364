use crate::Error;
use crate::api::{Answer, Notice, Request};
use crate::identity::Identity;
use crate::membership::Membership;
use crate::peer::Peer;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use terachat_core_store::LocalStore;
use terachat_core_store::store::Storage;
use terachat_event::{DeviceId, SpaceId};
use terachat_vault::{Entropy, MasterKeySource, Secret};

/// One device: its keys, its store, its place in its groups, and its conversations with peers.
///
/// Synchronous and without I/O of its own but the storage handed in. After every call the owner drains
/// [`Client::poll_frame`] and [`Client::poll_notice`].
pub struct Client {
    pub(crate) identity: Identity,
    pub(crate) store: LocalStore,
    pub(crate) memberships: BTreeMap<SpaceId, Membership>,
    pub(crate) peers: BTreeMap<DeviceId, Peer>,
    /// Spaces in which following the control log was interrupted, as by a full disk: taken up with the next call.
    pub(crate) unsettled: BTreeSet<SpaceId>,
    pub(crate) frames: VecDeque<(DeviceId, Vec<u8>)>,
    pub(crate) notices: VecDeque<Notice>,
    pub(crate) now_ms: u64,
}

impl Client {
    /// Makes a new profile in an empty storage: fresh keys, guarded by `source`.
    ///
    /// # Errors
    /// [`Error::ProfileExists`], [`Error::Input`], [`Error::Keyring`], [`Error::Store`].
    pub fn create(
        mut storage: Box<dyn Storage>,
        name: &str,
        source: &mut dyn MasterKeySource,
        mut entropy: Box<dyn Entropy + Send>,
        now_ms: u64,
    ) -> Result<Self, Error> {
        let identity = Identity::create(&mut *storage, name, source, &mut *entropy)?;
        Self::over(identity, storage, entropy, now_ms)
    }

    /// Opens a profile with one of the sources that guard it. Takes as long as the source (a passphrase's cost), then as
    /// long as the tail behind the snapshot.
    ///
    /// # Errors
    /// [`Error::NoProfile`], [`Error::Keyring`] for a wrong passphrase, [`Error::Store`] for damage.
    pub fn open(
        storage: Box<dyn Storage>,
        source: &mut dyn MasterKeySource,
        entropy: Box<dyn Entropy + Send>,
    ) -> Result<Self, Error> {
        let identity = Identity::open(&*storage, source)?;
        Self::over(identity, storage, entropy, 0)
    }

    fn over(
        identity: Identity,
        storage: Box<dyn Storage>,
        entropy: Box<dyn Entropy + Send>,
        now_ms: u64,
    ) -> Result<Self, Error> {
        let store = LocalStore::open(storage, &identity.store_key, entropy)?;
        let mut client = Self {
            identity,
            store,
            memberships: BTreeMap::new(),
            peers: BTreeMap::new(),
            unsettled: BTreeSet::new(),
            frames: VecDeque::new(),
            notices: VecDeque::new(),
            now_ms,
        };
        // A crash may have come between a commit's event and its processing: the event is there, so go on from it.
        for space in client.store.spaces().collect::<Vec<_>>() {
            client.settle(space)?;
        }
        Ok(client)
    }

    /// The device's Ed25519 seed, with which it authenticates its connections.
    pub fn network_seed(&self) -> Secret<32> {
        self.identity.network_seed()
    }

    /// Carries out one request. What it changed is durable when this returns.
    ///
    /// # Errors
    /// Why it was not carried out; nothing changed.
    pub fn execute(&mut self, request: Request, now_ms: u64) -> Result<Answer, Error> {
        self.now_ms = now_ms;
        self.resume();
        match request {
            Request::WhoAmI => self.who_am_i(),
            Request::SpaceCreate { name } => self.space_create(&name),
            Request::ChannelCreate { space, name } => self.channel_create(space.as_deref(), &name),
            Request::Status => self.status(),
            Request::Invite { space, card, rank } => self.invite(space.as_deref(), &card, rank),
            Request::Join { invitation } => self.join(&invitation),
            Request::MemberRemove { space, member } => self.member_remove(space.as_deref(), &member),
            Request::RoleSet { space, member, rank } => self.role_set(space.as_deref(), &member, rank),
            Request::Send { place, body, reply_to } => self.send(&place, &body, reply_to.as_deref()),
            Request::Edit { place, message, body } => self.edit(&place, &message, &body),
            Request::React { place, message, emoji, remove } => self.react(&place, &message, &emoji, remove),
            Request::Delete { place, message } => self.delete(&place, &message),
            Request::Pin { place, message, remove } => self.pin(&place, &message, remove),
            Request::Read { place, limit, before, after, thread, pinned } => {
                self.read(&place, limit, before.as_deref(), after.as_deref(), thread.as_deref(), pinned)
            }
            Request::Search { place, query, limit } => self.search(&place, &query, limit),
            Request::ImportPosition { place, source } => self.import_position(&place, source),
            Request::Import { place, source, records } => self.import(&place, source, &records),
            Request::Log { place, limit } => self.log(&place, limit),
            Request::Audit => self.audit(),
            Request::BundleExport { space } => self.bundle_export(space.as_deref()),
            Request::BundleImport { bytes } => self.bundle_import(&bytes),
        }
    }

    /// Carries out several requests under one sync: under load many messages share the price of one. The answers are
    /// given in order when all that succeeded is durable.
    ///
    /// # Errors
    /// [`Error::Store`] when the sync failed: none of them happened on disk; drop this value and open the profile anew.
    pub fn execute_all(
        &mut self,
        requests: Vec<Request>,
        now_ms: u64,
    ) -> Result<Vec<Result<Answer, Error>>, Error> {
        self.store.defer();
        let answers = requests.into_iter().map(|request| self.execute(request, now_ms)).collect();
        self.store.flush()?;
        Ok(answers)
    }

    /// The next frame for a peer, to be handed to the network in this order.
    pub fn poll_frame(&mut self) -> Option<([u8; 32], Vec<u8>)> {
        self.frames.pop_front().map(|(peer, frame)| (peer.0, frame))
    }

    /// The next thing that happened on its own.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// Closes the profile; writes a snapshot first if the next opening would gain by it.
    ///
    /// # Errors
    /// [`Error::Store`]; everything acknowledged is safe all the same.
    pub fn close(mut self) -> Result<(), Error> {
        Ok(self.store.snapshot_if_due()?)
    }
}
