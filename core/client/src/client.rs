use crate::Error;
use crate::api::{Answer, Notice, Request};
use crate::board::Round;
use crate::guard::{Guard, NewCounter};
use crate::heads::PLAIN_MAX;
use crate::identity::Identity;
use crate::live::{Asked, Lives};
use crate::membership::Membership;
use crate::message_keys::MessageKeys;
use crate::order::Turns;
use crate::past_wait::PastWaits;
use crate::peer::Peer;
use crate::renewal::Tally;
use crate::watch::Watch;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use terachat_core_store::LocalStore;
use terachat_core_store::model::Archive;
use terachat_core_store::store::{Erasure, Storage};
use terachat_event::{DeviceId, SpaceId};
use terachat_vault::{
    BoxedCounter, CounterError, CounterKind, Entropy, MasterKeySource, RollbackError, Secret, VaultId,
};

/// One device: its keys, its store, its place in its groups, and its conversations with peers.
///
/// Synchronous and without I/O of its own but the storage handed in. After every call the owner drains
/// [`Client::poll_frame`] and [`Client::poll_notice`].
pub struct Client {
    pub(crate) identity: Identity,
    pub(crate) store: LocalStore,
    pub(crate) memberships: BTreeMap<SpaceId, Membership>,
    /// Keys to single messages.
    pub(crate) keys: MessageKeys,
    /// How many messages the present epochs have.
    pub(crate) tallies: BTreeMap<SpaceId, Tally>,
    pub(crate) peers: BTreeMap<DeviceId, Peer>,
    /// Most chains of a log that peers are told one by one.
    pub(crate) plain_max: usize,
    /// Spaces in which following the control log was interrupted, as by a full disk: taken up with the next call.
    pub(crate) unsettled: BTreeSet<SpaceId>,
    pub(crate) frames: VecDeque<(DeviceId, Vec<u8>)>,
    pub(crate) notices: VecDeque<Notice>,
    pub(crate) now_ms: u64,
    pub(crate) watch: Watch,
    pub(crate) guard: Guard,
    pub(crate) lives: Lives,
    pub(crate) turns: Turns,
    pub(crate) past_waits: PastWaits,
    /// Boards that are being read, by name.
    pub(crate) boards: BTreeMap<[u8; 16], Round>,
    /// What each space was last seen to require of its archive, to tell when that changes.
    pub(crate) archives: BTreeMap<SpaceId, Archive>,
    /// Whether a hold ended and what it kept is still to be erased.
    pub(crate) erases: bool,
}

impl Client {
    /// Makes a new profile in an empty storage: fresh keys, guarded by `source`, and a counter against being set back.
    ///
    /// # Errors
    /// [`Error::ProfileExists`], [`Error::Input`], [`Error::Keyring`], [`Error::Rollback`], [`Error::Store`].
    pub fn create(
        mut storage: Box<dyn Storage>,
        name: &str,
        source: &mut dyn MasterKeySource,
        mut entropy: Box<dyn Entropy + Send>,
        now_ms: u64,
        counter: Option<NewCounter<'_>>,
    ) -> Result<Self, Error> {
        let (identity, counter) = Identity::create(&mut *storage, name, source, &mut *entropy, counter)?;
        Self::over(identity, storage, entropy, counter, now_ms)
    }

    /// Opens a profile with one of the sources that guard it. Takes as long as the source (a passphrase's cost), then as
    /// long as the tail behind the snapshot.
    ///
    /// # Errors
    /// [`Error::NoProfile`], [`Error::Keyring`] for a wrong passphrase, [`Error::Store`] for damage; [`Error::Guarded`] for a
    /// profile with a counter.
    pub fn open(
        storage: Box<dyn Storage>,
        source: &mut dyn MasterKeySource,
        entropy: Box<dyn Entropy + Send>,
    ) -> Result<Self, Error> {
        let (identity, keyring) = Identity::open(&*storage, source)?;
        match keyring.counter_kind() {
            Some(kind) => Err(Error::Guarded(kind.name())),
            None => Self::over(identity, storage, entropy, None, 0),
        }
    }

    /// Opens a profile that may have a counter; `open` is given its kind, the profile's keyring and the counter's secret.
    ///
    /// # Errors
    /// As [`Client::open`]; [`Error::Rollback`] when the profile is older than its counter, or the counter cannot be had.
    /// Nothing was signed.
    pub fn open_guarded(
        storage: Box<dyn Storage>,
        source: &mut dyn MasterKeySource,
        entropy: Box<dyn Entropy + Send>,
        open: impl FnOnce(CounterKind, VaultId, &Secret<32>) -> Result<BoxedCounter, CounterError>,
    ) -> Result<Self, Error> {
        let (identity, keyring) = Identity::open(&*storage, source)?;
        let owner = VaultId(keyring.vault());
        let counter = keyring.bound_counter(|kind, secret| open(kind, owner, secret));
        Self::over(identity, storage, entropy, counter.map_err(RollbackError::from)?, 0)
    }

    pub(crate) fn over(
        identity: Identity,
        storage: Box<dyn Storage>,
        entropy: Box<dyn Entropy + Send>,
        counter: Option<BoxedCounter>,
        now_ms: u64,
    ) -> Result<Self, Error> {
        let mut store = LocalStore::open(storage, &identity.store_key, entropy)?;
        store.belongs_to(identity.device_id());
        let guard = Guard::new(counter, &store)?;
        let mut client = Self {
            identity,
            store,
            memberships: BTreeMap::new(),
            keys: MessageKeys::default(),
            tallies: BTreeMap::new(),
            peers: BTreeMap::new(),
            plain_max: PLAIN_MAX,
            unsettled: BTreeSet::new(),
            frames: VecDeque::new(),
            notices: VecDeque::new(),
            now_ms,
            watch: Watch::default(),
            guard,
            lives: Lives::default(),
            turns: Turns::default(),
            past_waits: PastWaits::default(),
            boards: BTreeMap::new(),
            archives: BTreeMap::new(),
            erases: false,
        };
        // A crash may have come between a commit's event and its processing: the event is there, so go on from it.
        for space in client.store.spaces().collect::<Vec<_>>() {
            client.settle(space)?;
            let archive = client.store.space(&space).map(|state| state.archive().clone());
            client.archives.extend(archive.map(|archive| (space, archive)));
        }
        Ok(client)
    }

    /// The device's Ed25519 seed, with which it authenticates its connections.
    pub fn network_seed(&self) -> Secret<32> {
        self.identity.network_seed()
    }

    /// The device's id: its Ed25519 public key, by which peers know it.
    pub fn device_id(&self) -> [u8; 32] {
        self.identity.device_id().0
    }

    /// Carries out one request. What it changed is durable when this returns.
    ///
    /// # Errors
    /// Why it was not carried out; nothing changed.
    pub fn execute(&mut self, request: Request, now_ms: u64) -> Result<Answer, Error> {
        self.now_ms = now_ms;
        self.resume();
        match request {
            Request::WhoAmI { post_quantum } => self.who_am_i(post_quantum),
            Request::SpaceCreate { name, post_quantum } => self.space_create(&name, post_quantum),
            Request::ChannelCreate { space, name, forum, since_join } => {
                self.channel_create(space.as_deref(), &name, forum, since_join)
            }
            Request::Post { place, post } => self.compose(&place, &post),
            Request::Upload { place, post, paths } => self.upload(&place, &post, &paths),
            Request::Attachments { place, message } => self.attachments(&place, &message),
            Request::Retitle { place, message, title, tags } => self.retitle(&place, &message, &title, &tags),
            Request::Forum { place, tags, after, limit } => {
                self.forum(&place, &tags, after.as_deref(), limit)
            }
            Request::Mark { place, message } => self.mark(&place, message.as_deref()),
            Request::Arrange { space, change } => self.arrange(space.as_deref(), change),
            Request::ChannelsKeep { space, change } => self.channels_keep(space.as_deref(), &change),
            Request::ChannelDrop { space, channel, last_copy } => {
                self.channel_drop(space.as_deref(), &channel, last_copy)
            }
            Request::Status => self.status(),
            Request::Invite { space, card, rank } => self.invite(space.as_deref(), &card, rank),
            Request::InviteAll { space, cards, rank } => self.invite_all(space.as_deref(), &cards, rank),
            Request::Join { invitation } => self.join(&invitation),
            Request::CardStatus => Ok(self.card_status()),
            Request::CardWithdraw => self.card_withdraw(),
            Request::MemberRemove { space, member } => self.member_remove(space.as_deref(), &member),
            Request::Renew { space } => self.renew(space.as_deref()),
            Request::Reinit { space, post_quantum, now } => {
                self.space_reinit(space.as_deref(), post_quantum, now)
            }
            Request::Renewal { space, days, messages } => {
                self.space_renewal(space.as_deref(), days, messages)
            }
            Request::Rejoin { space } => self.space_rejoin(space.as_deref()),
            Request::DeviceList { space, member } => self.device_list(space.as_deref(), member.as_deref()),
            Request::DeviceAdd { card } => self.device_add(&card),
            Request::DeviceRevoke { device } => self.device_revoke(&device),
            Request::RoleSet { space, member, rank } => self.role_set(space.as_deref(), &member, rank),
            Request::Roles { space } => self.roles(space.as_deref()),
            Request::RoleChange { space, rank, give, take } => {
                self.role_change(space.as_deref(), rank, &give, &take)
            }
            Request::ArchiveRequire { space, device, required } => {
                self.archive_require(space.as_deref(), &device, required)
            }
            Request::Hold { space, channel, member, stands } => {
                self.hold(space.as_deref(), channel.as_deref(), member.as_deref(), stands)
            }
            Request::Send { place, body, reply_to } => self.send(&place, &body, reply_to.as_deref()),
            Request::Edit { place, message, body } => self.edit(&place, &message, &body),
            Request::React { place, message, emoji, remove } => self.react(&place, &message, &emoji, remove),
            Request::Delete { place, message } => self.delete(&place, &message),
            Request::Pin { place, message, remove } => self.pin(&place, &message, remove),
            Request::Read { place, limit, before, after, around, thread, pinned, filter } => {
                let start = [before.as_deref(), after.as_deref(), around.as_deref()];
                let answer = self.read(&place, limit, start, thread.as_deref(), pinned, &filter)?;
                self.read_back(&place, &answer, limit)?;
                Ok(answer)
            }
            Request::Search { place, query, limit } => self.search(&place, &query, limit),
            Request::ImportPosition { place, source } => self.import_position(&place, source),
            Request::Import { place, source, records } => self.import(&place, source, &records),
            Request::Log { place, limit } => self.log(&place, limit),
            Request::Why { place, event } => self.why(&place, &event),
            Request::At { moment, request } => self.at(&moment, *request),
            Request::Audit => self.audit(),
            Request::StoreCheck { number } => self.store_check(number),
            Request::BundleExport { space } => self.bundle_export(space.as_deref()),
            Request::BundleImport { bytes } => self.bundle_import(&bytes),
            Request::StateMap { space } => self.state_map(space.as_deref()),
            Request::CompareStates { bytes } => self.compare_states(&bytes),
            Request::Compact => self.compact(),
            Request::LiveOpen { place, thread, unread_after, search, pinned, limit } => {
                let (thread, search) = (thread.as_deref(), search.as_deref());
                let unread_after = unread_after.as_deref();
                self.live_open(&place, &Asked { thread, unread_after, search, pinned, limit })
            }
            Request::LiveChanges { id } => self.live_changes(id),
            Request::LiveClose { id } => Ok(self.live_close(id)),
        }
    }

    fn compact(&mut self) -> Result<Answer, Error> {
        let before = self.store.disk_len();
        let Erasure { erased, pending, held } = self.store.compact()?;
        Ok(Answer::Compacted { before, after: self.store.disk_len(), erased, pending, held })
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
        if self.guard.is_due() || self.seals_messages() {
            // The first signature brings checkpoints, each of which has to be durable before the counter advances. And what is
            // reserved to seal messages with has to be durable before they are sealed.
            return Ok(requests.into_iter().map(|request| self.execute(request, now_ms)).collect());
        }
        self.store.defer();
        let answers = requests.into_iter().map(|request| self.execute(request, now_ms)).collect();
        self.store.flush()?;
        self.erase_released();
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

    /// Closes the profile, behind a last checkpoint; writes a snapshot first if the next opening would gain by it.
    ///
    /// # Errors
    /// [`Error::Rollback`], [`Error::Store`]; everything acknowledged is safe all the same.
    pub fn close(mut self) -> Result<(), Error> {
        // Where nothing was signed there is nothing to guard that was not guarded before.
        let guarded = if self.guard.is_due() { Ok(()) } else { self.checkpoint() };
        self.store.snapshot_if_due()?;
        guarded
    }
}
