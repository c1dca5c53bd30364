//! Who belongs: joining, removing. A change of membership and its MLS commit are one control event.
use crate::api::{Answer, Notice};
use crate::card::{Invitation, Text};
use crate::membership::{EPOCH_LABEL, group_record, seal_link};
use crate::message_keys::NewKeys;
use crate::reinit::reinit_of;
use crate::renewal::renewed_record;
use crate::{Client, Error};
use std::collections::{BTreeMap, BTreeSet};
use terachat_core_store::LocalStore;
use terachat_core_store::model::{ControlOp, ControlTransaction, GroupCommit, Pin, Rank, Verdict};
use terachat_core_store::store::Write;
use terachat_event::{DeviceId, EventHash, LogId, SpaceId, UserId};
use terachat_group::{Change, CipherSuite, Group, KeyPackage};
use terachat_vault::{Secret, SecretBytes};

const INVITATIONS: &[u8] = b"invitation/";

/// A commit ready to be part of a control event.
pub(crate) struct Prepared {
    op: ControlOp,
    next: Group,
}

impl Prepared {
    /// Bytes of an event with these operations and the commit.
    pub(crate) fn len_with(&self, ops: &[ControlOp]) -> usize {
        let ops = ops.iter().chain([&self.op]).cloned().collect();
        ControlTransaction(ops).encode().len()
    }
}

impl Client {
    pub(crate) fn join(&mut self, invitation: &str) -> Result<Answer, Error> {
        let mut invitation = match invitation.trim() {
            line if line.starts_with(Invitation::PREFIX) => Invitation::from_text(line)?,
            space => self.pending_invitation(space)?,
        };
        if invitation.invited != self.identity.device_id() {
            return Err(Error::Input(
                "this invitation is for another device; show your own card with `terachat whoami`",
            ));
        }
        let name = [INVITATIONS, &invitation.space.0].concat();
        let ticket = Secret::take(&mut invitation.ticket);
        let ticket = self.ticket_record(&invitation.space, &invitation.inviter, &ticket);
        let accepted = (name, Some(SecretBytes::take(invitation.name.into_bytes())));
        let mut writes = vec![accepted, ticket];
        writes.extend(self.accepted_pending(&invitation.space));
        self.store.write_records(writes)?;
        let ready = self.store.space(&invitation.space).is_some();
        self.greet_all(invitation.space)?;
        let (space, archives) = (invitation.space.to_string(), self.archive_names(&invitation.space));
        Ok(Answer::Joined { space, ready, archives })
    }

    /// Spaces this device was invited to and knows nothing of yet.
    pub(crate) fn invited(&self) -> Vec<SpaceId> {
        let names = self.store.records(INVITATIONS).map(|(name, _)| &name[INVITATIONS.len()..]);
        let ids = names.filter_map(|id| id.try_into().ok().map(SpaceId));
        ids.filter(|space| self.store.space(space).is_none()).collect()
    }

    pub(crate) fn member_remove(&mut self, space: Option<&str>, member: &str) -> Result<Answer, Error> {
        let space = self.space(space)?;
        let user = self.member(&space, member)?;
        self.require_whole(&space)?;
        let remove = ControlOp::Remove { user, pins: self.pins(&space, &self.devices_of(&space, &user)) };
        self.permitted(&space, &remove)?;
        self.keeps_an_owner(&space, &user)?;
        let devices: Vec<[u8; 32]> =
            self.devices_of(&space, &user).into_iter().map(|device| device.0).collect();
        let group = self.current_group(&space)?;
        let inside: Vec<[u8; 32]> =
            group.members().into_iter().filter(|device| devices.contains(device)).collect();
        if user == self.identity.user_id() {
            // Leaving: MLS lets nobody commit their own removal, so the members that stay do it.
            self.control(space, vec![remove], |_| Vec::new())?;
        } else if inside.is_empty() {
            self.control(space, vec![remove], |_| Vec::new())?;
        } else {
            let prepared = self.prepare(space, &[], &inside)?;
            self.publish(space, vec![remove], prepared)?;
        }
        self.follow_up(space);
        self.notices
            .push_back(Notice::Space { space: space.to_string(), what: format!("{member} was removed") });
        Ok(Answer::Done)
    }

    /// Repairs what lost races leave behind: whoever admitted or removed a device that the group does not yet follow
    /// commits again. Gives back whether it did.
    pub(crate) fn reconcile(&mut self, space: SpaceId) -> Result<bool, Error> {
        let me = self.identity.device_id();
        if self.store.control(&space)?.is_none_or(|control| !control.decides(&me)) {
            return Ok(false);
        }
        let Ok(epoch) = self.epoch(&space) else { return Ok(false) };
        let Some(group) = self.group(&space, &epoch.commit)? else { return Ok(false) };
        let Some(state) = self.store.space(&space) else { return Ok(false) };
        let inside: BTreeSet<DeviceId> = group.members().into_iter().map(DeviceId).collect();
        let present: BTreeSet<DeviceId> = state.present_devices().copied().collect();
        let missing: Vec<DeviceId> = present.difference(&inside).copied().collect();
        let is_archive = |device: &&DeviceId| state.archive().requires(device);
        let archives: Vec<DeviceId> = missing.iter().filter(is_archive).copied().collect();
        let extra: Vec<[u8; 32]> = inside.difference(&present).map(|device| device.0).collect();
        let membership = self.memberships.entry(space).or_default();
        membership.lingering.clone_from(&extra);
        membership.absent_archives.clone_from(&archives);
        let unlinked = self.unlinked_epochs(&space, &self.epochs(&space)?)?;
        let gaps = self.gaps(&space, &self.epochs(&space)?)?;
        let membership = self.memberships.entry(space).or_default();
        membership.unlinked.clone_from(&unlinked);
        membership.has_gap = !gaps.is_empty();
        let mut leads_back = !gaps.is_empty() && self.closes_gap(&space, &inside)?;
        for commit in unlinked.iter().filter(|commit| !gaps.contains(commit)) {
            leads_back = leads_back || self.leads_back_to(&space, commit)?;
        }
        let packages: Vec<KeyPackage> = self.key_packages(&space, &missing, group.suite())?;
        // Whoever was left behind in another suite enters by itself, whenever that is.
        let follows = packages.is_empty() && extra.is_empty();
        // An archive that the space requires is not left outside until whoever admitted it is back.
        let repairs = !(packages.is_empty() && extra.is_empty())
            && (self.is_responsible(&space, &missing, &extra)?
                || !archives.is_empty() && self.steward(&space, &inside, None)? == Some(me));
        // After a lost race messages may be sealed where newcomers cannot look: the next commit leads back there.
        if !(repairs || leads_back && follows) {
            return Ok(false);
        }
        let prepared = self.prepare(space, &packages, &extra)?;
        self.publish_only(space, Vec::new(), prepared)?;
        Ok(true)
    }

    /// Whether it is for this device to link an epoch that lost its race or became void: whoever made it or wrote under
    /// it does so. Where none of them is a member any more, whoever holds their words does, since nobody else can open
    /// them, and later words may build on them.
    fn leads_back_to(&self, space: &SpaceId, commit: &EventHash) -> Result<bool, Error> {
        let Some(control) = self.store.control(space)? else { return Ok(false) };
        let Some(event) = control.event(commit) else { return Ok(false) };
        let (me, maker) = (self.identity.device_id(), event.stamp.author);
        if maker == me {
            return Ok(true);
        }
        let writers = self.store.writers_under(space, commit);
        let stays = |device: &DeviceId| control.decides(device);
        let forsaken = !stays(&maker) && !writers.iter().any(stays);
        Ok(writers.contains(&me) || !writers.is_empty() && forsaken)
    }

    /// Whether it is for this device to lead back past a rejoining: for the highest-ranked, most senior device in the group
    /// but the one that rejoined. Whoever speaks before that does it all the same.
    fn closes_gap(&self, space: &SpaceId, inside: &BTreeSet<DeviceId>) -> Result<bool, Error> {
        let Some(control) = self.store.control(space)? else { return Ok(false) };
        let tip =
            self.epochs(space)?.last().and_then(|tip| control.event(tip)).map(|event| event.stamp.author);
        Ok(self.steward(space, inside, tip)? == Some(self.identity.device_id()))
    }

    /// The highest-ranked, most senior device in the group, `except` left out, that can still decide something.
    fn steward(
        &self,
        space: &SpaceId,
        inside: &BTreeSet<DeviceId>,
        except: Option<DeviceId>,
    ) -> Result<Option<DeviceId>, Error> {
        let Some(control) = self.store.control(space)? else { return Ok(None) };
        let state = control.state();
        let fits = |device: &&DeviceId| {
            inside.contains(device) && control.decides(device) && except != Some(**device)
        };
        let first = state.present_devices().filter(fits).min_by_key(|device| {
            state.member_of(device).map(|(_, member)| (std::cmp::Reverse(member.rank), member.since))
        });
        Ok(first.copied())
    }

    /// Sees removed members out of the group before something is sealed there: the commit that did so may have lost its
    /// race, or who left by itself may not have been seen out yet. Whoever speaks first does it, lets required archives in
    /// that are outside, and leads back to the words that not everybody can open: what is said now builds on them.
    pub(crate) fn see_out(&mut self, space: SpaceId) -> Result<(), Error> {
        let Some(membership) = self.memberships.get(&space) else { return Ok(()) };
        let (lingering, archives) = (membership.lingering.clone(), membership.absent_archives.clone());
        let closed = membership.has_gap
            || membership.unlinked.iter().any(|commit| self.store.has_words_under(&space, commit));
        let packages = match archives.is_empty() {
            true => Vec::new(),
            false => self.key_packages(&space, &archives, self.current_group(&space)?.suite())?,
        };
        if lingering.is_empty() && !closed && packages.is_empty() {
            return Ok(());
        }
        self.commit_changing(space, &packages, &lingering)
    }

    /// Makes a commit that changes nothing but this device's keys, and moves on to its epoch.
    pub(crate) fn commit_anew(&mut self, space: SpaceId) -> Result<(), Error> {
        self.commit_changing(space, &[], &[])
    }

    fn commit_changing(
        &mut self,
        space: SpaceId,
        add: &[KeyPackage],
        remove: &[[u8; 32]],
    ) -> Result<(), Error> {
        let prepared = self.prepare(space, add, remove)?;
        self.publish_only(space, Vec::new(), prepared)?;
        self.settle(space)?;
        self.after_control(space)
    }

    /// Whether the last word on one of these devices was this device's own, so that repeating the commit is too. Who left
    /// by itself or was let in by an admission that became void is seen out, and who was admitted by members that are none any
    /// more is let in, by the highest-ranked, most senior member of the group.
    fn is_responsible(
        &self,
        space: &SpaceId,
        missing: &[DeviceId],
        extra: &[[u8; 32]],
    ) -> Result<bool, Error> {
        let me = self.identity.device_id();
        let Some(control) = self.store.control(space)? else { return Ok(false) };
        let state = control.state();
        let mut admitted_by: BTreeMap<DeviceId, BTreeSet<DeviceId>> = BTreeMap::new();
        let (mut removed_by, mut removed) = (None, BTreeSet::new());
        for (event, _) in control.events() {
            for op in &event.transaction.0 {
                match op {
                    ControlOp::Admit { card, .. } if missing.contains(&card.device) => {
                        admitted_by.entry(card.device).or_default().insert(event.stamp.author);
                    }
                    ControlOp::Remove { user, .. } => {
                        let of_user =
                            |device: &&[u8; 32]| state.devices.get(&DeviceId(**device)) == Some(user);
                        let theirs: Vec<[u8; 32]> = extra.iter().filter(of_user).copied().collect();
                        if !theirs.is_empty() {
                            removed_by = Some(event.stamp.author);
                            removed.extend(theirs);
                        }
                    }
                    ControlOp::RevokeDevice { revocation, .. } if extra.contains(&revocation.device.0) => {
                        removed.insert(revocation.device.0);
                        removed_by = Some(event.stamp.author);
                    }
                    _ => {}
                }
            }
        }
        let inside = |device: &&DeviceId| {
            !extra.contains(&device.0) && !missing.contains(device) && control.decides(device)
        };
        let steward = state.present_devices().filter(inside).min_by_key(|device| {
            state.member_of(device).map(|(_, member)| (std::cmp::Reverse(member.rank), member.since))
        });
        let stays = |device: &DeviceId| control.decides(device);
        let orphaned = admitted_by.values().any(|admitters| !admitters.iter().any(stays))
            || removed_by.is_some_and(|remover| !stays(&remover))
            || extra.iter().any(|device| !removed.contains(device));
        Ok(admitted_by.values().any(|admitters| admitters.contains(&me))
            || removed_by == Some(me)
            || orphaned && steward == Some(&me))
    }

    /// One key package for each of these devices: what it last offered for this suite, or that of the first admission that counts, as
    /// for the members. A device may have been admitted more than once, by members who did not know of each other or before
    /// an admission became void.
    ///
    /// What was given before the group last left this suite does not count: it was used, and whoever got hold of its private part
    /// since could read along again. Its device was left out, and enters by itself.
    pub(crate) fn key_packages(
        &self,
        space: &SpaceId,
        devices: &[DeviceId],
        suite: CipherSuite,
    ) -> Result<Vec<KeyPackage>, Error> {
        let Some(control) = self.store.control(space)? else { return Ok(Vec::new()) };
        if devices.is_empty() {
            return Ok(Vec::new());
        }
        let chain = self.epochs(space)?;
        let moves =
            chain.iter().rev().filter(|hash| control.event(hash).is_some_and(|it| reinit_of(it).is_some()));
        let left = moves.copied().nth(1);
        let mut since = left.is_none();
        let mut wishes: BTreeSet<EventHash> = BTreeSet::new();
        let counting = control.events().filter(|(_, verdict)| *verdict == Verdict::Counts);
        let mut packages: BTreeMap<DeviceId, KeyPackage> = BTreeMap::new();
        for (event, op) in
            counting.flat_map(|(event, _)| event.transaction.0.iter().map(move |op| (event, op)))
        {
            since |= left == Some(event.hash);
            let (device, key_package) = match op {
                ControlOp::WantSuite { .. } if since => {
                    wishes.insert(event.hash);
                    continue;
                }
                ControlOp::Admit { card, key_package, .. } if since => (card.device, key_package),
                ControlOp::OfferKeyPackage { wish, key_package } if wishes.contains(wish) => {
                    (event.stamp.author, key_package)
                }
                _ => continue,
            };
            if devices.contains(&device)
                && let Ok(package) = KeyPackage::parse(key_package)
                // Of another device's or suite's the group would make nothing but an error.
                && package.device() == device.0
                && package.suite() == suite
            {
                match op {
                    ControlOp::Admit { .. } => drop(packages.entry(device).or_insert(package)),
                    _ => drop(packages.insert(device, package)),
                }
            }
        }
        Ok(packages.into_values().collect())
    }

    /// Computes a commit on the current epoch.
    pub(crate) fn prepare(
        &mut self,
        space: SpaceId,
        add: &[KeyPackage],
        remove: &[[u8; 32]],
    ) -> Result<Prepared, Error> {
        self.require_turn(space)?;
        let epoch = self.epoch(&space)?;
        let group =
            self.group(&space, &epoch.commit)?.ok_or_else(|| Error::NotInGroup(self.space_name(&space)))?;
        let state = self.store.space(&space).ok_or(Error::Unknown { what: "space", name: space.short() })?;
        let change = Change { add, remove, control_root: state.root() };
        let (next, commit) = group.commit(&self.identity.signer, &change, self.store.entropy())?;
        let secret = next.epoch_secret(EPOCH_LABEL);
        let mut earlier = self.unlinked_epochs(&space, &self.epochs(&space)?)?;
        earlier.push(epoch.commit);
        let links = earlier
            .iter()
            .filter_map(|commit| Some(seal_link(&secret, &self.store.epoch_secret(&space, commit)?, commit)))
            .collect();
        let tree = if add.is_empty() { [0; 32] } else { *blake3::hash(&next.ratchet_tree()).as_bytes() };
        let op = ControlOp::Commit(GroupCommit {
            previous: epoch.commit,
            epoch: next.epoch(),
            message: commit.message,
            welcome: commit.welcome.unwrap_or_default(),
            tree,
            links,
        });
        Ok(Prepared { op, next })
    }

    /// Makes one event of `ops` and the commit, with the next group durable beside it, and moves on to it.
    pub(crate) fn publish(
        &mut self,
        space: SpaceId,
        ops: Vec<ControlOp>,
        prepared: Prepared,
    ) -> Result<(), Error> {
        self.publish_only(space, ops, prepared)?;
        self.follow_up(space);
        Ok(())
    }

    pub(crate) fn publish_only(
        &mut self,
        space: SpaceId,
        mut ops: Vec<ControlOp>,
        prepared: Prepared,
    ) -> Result<(), Error> {
        let Prepared { op, next } = prepared;
        ops.push(op);
        self.publish_group(space, ops, next)
    }

    /// Publishes a control event that makes the next epoch, and keeps this device's state of that in the same commit.
    pub(crate) fn publish_group(
        &mut self,
        space: SpaceId,
        ops: Vec<ControlOp>,
        mut next: Group,
    ) -> Result<(), Error> {
        let mut writes: Vec<Write> = self.tree_records(&space, &next);
        writes.push(renewed_record(&space, self.now_ms));
        let keys = NewKeys::take(&self.store, &[], &space, &mut next);
        self.control(space, ops, |hash| {
            writes.extend(keys.records(&space, hash));
            writes.push(group_record(&space, hash, &next));
            writes.push(LocalStore::epoch_secret_record(&space, hash, &next.epoch_secret(EPOCH_LABEL)));
            writes
        })?;
        Ok(())
    }

    pub(crate) fn permitted(&self, space: &SpaceId, op: &ControlOp) -> Result<(), Error> {
        let state = self.store.space(space).ok_or(Error::Unknown { what: "space", name: space.short() })?;
        let refusal = state.refusal(&self.identity.device_id(), op);
        refusal.map_or(Ok(()), |refusal| Err(self.refused(space, refusal)))
    }

    /// Whether the space can still be governed without this user. The rules let the last owner go; people rarely mean it.
    pub(crate) fn keeps_an_owner(&self, space: &SpaceId, user: &UserId) -> Result<(), Error> {
        let members = self.store.space(space).into_iter().flat_map(|state| &state.members);
        let mut others = members.filter(|(id, member)| *id != user && !member.removed).peekable();
        let owns = self.store.space(space).and_then(|state| state.members.get(user));
        let is_owner = owns.is_some_and(|member| member.rank == Rank::OWNER);
        if is_owner && others.peek().is_some() && others.all(|(_, member)| member.rank < Rank::OWNER) {
            return Err(Error::NotAllowed(
                "the space would be left without an owner; `terachat role set MEMBER 100` names another first",
            ));
        }
        Ok(())
    }

    pub(crate) fn devices_of(&self, space: &SpaceId, user: &UserId) -> Vec<DeviceId> {
        let state = self.store.space(space);
        let devices = state.into_iter().flat_map(|state| &state.devices);
        devices.filter(|(_, owner)| *owner == user).map(|(device, _)| *device).collect()
    }

    /// Where the devices' chains stand here: what a removal, demotion or revocation lets count.
    pub(crate) fn pins(&self, space: &SpaceId, devices: &[DeviceId]) -> Vec<Pin> {
        let logs = self.store.logs().into_iter().filter(|log| log.space == *space);
        let heads = logs.filter_map(|log: LogId| Some((log, self.store.frontier(&log)?)));
        heads
            .flat_map(|(log, frontier)| {
                let chains = devices.iter().filter_map(move |device| frontier.chain(device).copied());
                chains.map(move |head| Pin {
                    channel: log.channel,
                    device: head.device,
                    seq: head.seq,
                    hash: head.hash,
                })
            })
            .collect()
    }
}
