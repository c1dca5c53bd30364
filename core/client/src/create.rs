//! Spaces, channels, and being somebody.
use crate::api::{Answer, Notice};
use crate::card::{InvitableCard, Text};
use crate::membership::{self, EPOCH_LABEL};
use crate::message_keys::NewKeys;
use crate::{Client, Error};
use terachat_core_store::LocalStore;
use terachat_core_store::model::{ControlOp, ControlTransaction, Permission, Rank, Refusal};
use terachat_core_store::store::Write;
use terachat_core_store::sync::Draft;
use terachat_event::{EventHash, EventRef, LogId, SpaceId};
use terachat_group::{CipherSuite, Group, new_key_package};

/// Key packages whose private parts are kept, newest last.
const KEY_PACKAGES_MAX: usize = 16;

impl Client {
    /// A card; for post-quantum spaces too it is some 3,600 characters longer.
    pub(crate) fn who_am_i(&mut self, post_quantum: bool) -> Result<Answer, Error> {
        let suites: &[_] = if post_quantum { &CipherSuite::ALL } else { &[CipherSuite::X25519] };
        let mut writes = self.old_key_packages(suites.len());
        let mut key_packages = Vec::new();
        for suite in suites {
            let (public, private) = new_key_package(*suite, &self.identity.signer, self.store.entropy())?;
            writes.push((membership::key_package_name(self.now_ms, &public), Some(private)));
            key_packages.push(public);
        }
        self.store.write_records(writes)?;
        let card = InvitableCard { card: self.identity.card(), key_packages };
        Ok(Answer::Card {
            name: self.identity.name.clone(),
            user: self.identity.user_id().to_string(),
            device: self.identity.device_id().to_string(),
            card: card.to_text(),
        })
    }

    /// Deletes of private parts beyond those that are kept beside `new` ones: of cards by which nobody let this device in so
    /// far.
    fn old_key_packages(&self, new: usize) -> Vec<Write> {
        let names = self.store.records(membership::KEY_PACKAGES).map(|(name, _)| name.to_vec());
        let names: Vec<_> = names.filter(|name| !self.joined_by(name)).collect();
        let old = (names.len() + new).saturating_sub(KEY_PACKAGES_MAX);
        names.into_iter().take(old).map(|name| (name, None)).collect()
    }

    pub(crate) fn space_create(&mut self, name: &str, post_quantum: bool) -> Result<Answer, Error> {
        check_name(name)?;
        let suite = if post_quantum { CipherSuite::XWing } else { CipherSuite::X25519 };
        self.before_signing()?;
        let mut salt = [0; 16];
        self.store.entropy().fill(&mut salt);
        let genesis = ControlOp::Genesis { name: name.to_owned(), owner: self.identity.card(), salt };
        let mut seed = [0; 32];
        self.store.entropy().fill(&mut seed);
        let mut entropy = membership::Seeded::new(&mut seed);
        let signer = &self.identity.signer;
        let space = self.store.found_space(&self.identity.device, genesis, self.now_ms, |space| {
            let mut group = Group::create(suite, signer, &space.0, [0; 32], &mut entropy)
                .map_err(|_| terachat_core_store::Error::Payload("the group could not be created"))?;
            let commit = EventHash(space.0);
            let mut writes = NewKeys::first(&mut group).records(&space, &commit);
            writes.push(membership::group_record(&space, &commit, &group));
            writes.push(LocalStore::epoch_secret_record(&space, &commit, &group.epoch_secret(EPOCH_LABEL)));
            Ok(writes)
        })?;
        self.follow_up(space);
        Ok(Answer::Space { id: space.to_string(), name: name.to_owned() })
    }

    pub(crate) fn channel_create(
        &mut self,
        space: Option<&str>,
        name: &str,
        forum: bool,
        since_join: bool,
    ) -> Result<Answer, Error> {
        check_name(name)?;
        let space = self.space(space)?;
        self.require(&space, Permission::ManageChannels)?;
        let known = self.store.space(&space).map(|state| state.channels.clone()).unwrap_or_default();
        if known.values().any(|channel| channel.name == name) {
            return Err(Error::Input("there is a channel of that name; choose another"));
        }
        let named = name.to_owned();
        let create = match (since_join, forum) {
            (true, forum) => ControlOp::CreateSinceJoin { name: named, forum },
            (false, true) => ControlOp::CreateForum { name: named },
            (false, false) => ControlOp::CreateChannel { name: named },
        };
        self.control(space, vec![create], |_| Vec::new())?;
        self.follow_up(space);
        let state = self.store.space(&space);
        let created = state.and_then(|state| state.channels.keys().find(|id| !known.contains_key(*id)));
        let id = *created.ok_or(Error::Input("the channel was not created"))?;
        self.keep_created(space, id)?;
        let id = id.to_string();
        self.notices.push_back(Notice::Space {
            space: space.to_string(),
            what: format!("channel {name} was created"),
        });
        Ok(Answer::Channel { id, name: name.to_owned(), archives: self.archive_names(&space) })
    }

    /// Makes one control event of these operations, durable together with `writes`.
    pub(crate) fn control(
        &mut self,
        space: SpaceId,
        ops: Vec<ControlOp>,
        writes: impl FnOnce(&EventHash) -> Vec<Write>,
    ) -> Result<EventRef, Error> {
        let payloads = vec![ControlTransaction(ops).encode()];
        let draft = Draft { log: LogId::control(space), payloads, key: None, wall_ms: self.now_ms };
        self.before_signing()?;
        let events = self.store.apply_local(&self.identity.device, &draft, |hashes| writes(&hashes[0]))?;
        Ok(events[0])
    }

    /// Whether this user may, in the state as this device knows it.
    pub(crate) fn require(&self, space: &SpaceId, permission: Permission) -> Result<(), Error> {
        let state = self.store.space(space).ok_or(Error::Unknown { what: "space", name: space.short() })?;
        match state.permits(&self.identity.device_id(), permission) {
            true => Ok(()),
            false if state.rank_of(&self.identity.device_id()).is_none() => {
                Err(self.refused(space, Refusal::NoMember))
            }
            false => Err(self.refused(space, Refusal::Lacks(permission))),
        }
    }

    /// What this user may not do, with who can help.
    pub(crate) fn refused(&self, space: &SpaceId, refusal: Refusal) -> Error {
        match refusal {
            Refusal::NoMember => Error::NotAllowed("this takes being a member of the space"),
            Refusal::Lacks(permission) => {
                Error::LacksPermission { permission, givers: self.givers(space, Some(permission)) }
            }
            Refusal::Exceeds(permission) => {
                Error::ExceedsRole { permission, givers: self.givers(space, permission) }
            }
            Refusal::Outranked => Error::Outranked { above: self.givers(space, None) },
            Refusal::TakesArchive => Error::RequiresArchive { archive: self.archive_names(space).join(", ") },
            Refusal::Senseless(why) => Error::NotAllowed(why),
        }
    }

    /// Names of some members who outrank this user, may give roles and have this permission, the highest ranks first.
    fn givers(&self, space: &SpaceId, permission: Option<Permission>) -> String {
        let Some(state) = self.store.space(space) else { return NOBODY.to_owned() };
        let own = state.rank_of(&self.identity.device_id());
        let may = |rank: Rank| {
            let permits = state.roles().of(rank);
            Some(rank) > own
                && permits.has(Permission::ManageRoles)
                && permission.is_none_or(|wanted| permits.has(wanted))
        };
        let mut found: Vec<_> =
            state.members.values().filter(|member| !member.removed && may(member.rank)).collect();
        found.sort_by_key(|member| (std::cmp::Reverse(member.rank), member.since));
        let names =
            found.iter().take(GIVERS_MAX).map(|member| format!("{} (rank {})", member.name, member.rank));
        let names: Vec<String> = names.collect();
        if names.is_empty() { NOBODY.to_owned() } else { names.join(", ") }
    }
}

/// How many of those who can help are named.
const GIVERS_MAX: usize = 3;
const NOBODY: &str = "nobody in this space";

pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let fits = !name.trim().is_empty() && name.chars().count() <= 100 && !name.chars().any(char::is_control);
    fits.then_some(()).ok_or(Error::Input("a name is 1 to 100 characters without control characters"))
}
