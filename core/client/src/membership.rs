//! The MLS group follows the control log: which commits count is the log's to say, and this processes them.
mod links;
mod trees;
mod welcome;

pub(crate) use links::seal_link;
pub(crate) use welcome::{KEY_PACKAGES, joined_record, key_package_name};

use crate::api::Notice;
use crate::message_keys::NewKeys;
use crate::reinit::reinit_of;
use crate::way::Way;
use crate::{Client, Error};
use std::collections::BTreeSet;
use terachat_core_store::LocalStore;
use terachat_core_store::model::GroupCommit;
use terachat_core_store::store::Write;
use terachat_core_store::sync::KeyId;
use terachat_event::{DeviceId, EventHash, LogId, SpaceId, UserId};
use terachat_group::{CipherSuite, Group};
use terachat_vault::{Entropy, Secret, SecretBytes};

/// What the exporter of an epoch is asked for (RFC 9420, section 8.5).
pub(crate) const EPOCH_LABEL: &str = "terachat 2026-11 epoch";
const GROUPS: &[u8] = b"group/";
const BROKEN: &[u8] = b"broken-commit/";
/// Records of commits that do not process though all that is known of them is that they build on a fork.
const BROKEN_ON_FORK: &[u8] = b"broken-on-fork/";
/// Newest epochs whose group states are kept in any case: a commit of them may turn out to have lost.
pub(crate) const EPOCHS_KEPT: usize = 8;
/// Commits that are processed before what they led to is made durable.
const COMMITS_TOGETHER: usize = 64;

/// This device's place in a space's group.
#[derive(Default)]
pub(crate) struct Membership {
    /// The epoch this device seals under; `None` before joining and after removal.
    pub(crate) current: Option<KeyId>,
    /// Devices that the group still holds though their user was removed.
    pub(crate) lingering: Vec<[u8; 32]>,
    /// Required archives that are members and not in the group: their admission's commit lost a race, or somebody took them out.
    pub(crate) absent_archives: Vec<DeviceId>,
    /// Epochs off the chain that nothing leads back to yet, and whose secrets are here.
    pub(crate) unlinked: Vec<EventHash>,
    /// Whether an epoch on the chain has no way back to it, because a device rejoined without its secret.
    pub(crate) has_gap: bool,
    /// A ratchet tree that is needed to join.
    pub(crate) wanted_tree: Option<[u8; 32]>,
    /// States of the group beyond which it is looked whether all are needed.
    pub(crate) states_max: usize,
}

impl Client {
    /// The epoch to seal under.
    pub(crate) fn epoch(&self, space: &SpaceId) -> Result<KeyId, Error> {
        let membership = self.memberships.get(space).and_then(|membership| membership.current);
        membership.ok_or_else(|| {
            self.behind_a_move(space).unwrap_or_else(|| Error::NotInGroup(self.space_name(space)))
        })
    }

    /// Brings the group up to what the control log says: processes commits, joins by welcomes, walks links back to
    /// earlier epochs. Gives back whether new epochs were opened. What a full disk interrupts is taken up again with
    /// the next call to this device; what the group itself refuses is told as an alarm.
    pub(crate) fn settle(&mut self, space: SpaceId) -> Result<bool, Error> {
        self.unsettled.remove(&space);
        let settled = self.settle_now(space);
        // What users said here of their devices holds elsewhere, too.
        for other in self.concerned_by(&space) {
            if let Err(error) = self.settle_now(other).and_then(|_| self.after_control(other)) {
                self.unsettled.insert(other);
                self.notices.push_back(Notice::Alarm { what: error.to_string() });
            }
        }
        match settled {
            Err(error @ Error::Store(terachat_core_store::Error::Store(_))) => {
                self.unsettled.insert(space);
                Err(error)
            }
            // Whatever is wrong with the group, no caller and no peer whose events led here is to blame.
            Err(error) => {
                self.notices.push_back(Notice::Alarm { what: error.to_string() });
                Ok(false)
            }
            opened => opened,
        }
    }

    /// Takes up what was interrupted; what fails again stays to be taken up.
    pub(crate) fn resume(&mut self) {
        // What a full disk keeps from being destroyed now is destroyed an hour later.
        let _ = self.prune_all_message_keys();
        self.mind_past_waits();
        for space in self.unsettled.clone() {
            if self.settle(space).is_ok() {
                // Which epochs the interrupted attempt had opened is not remembered, so all is asked for.
                let _ = self.after_control(space).and_then(|()| self.opened(space));
            }
        }
    }

    /// Follows up on this device's own control event, which is durable: what fails now is made good later, and does
    /// not undo what was done.
    pub(crate) fn follow_up(&mut self, space: SpaceId) {
        if let Err(error) = self.settle(space).and_then(|_| self.after_control(space)) {
            self.notices.push_back(Notice::Alarm { what: error.to_string() });
        }
    }

    fn settle_now(&mut self, space: SpaceId) -> Result<bool, Error> {
        let (mut opened, mut carried) = (false, BTreeSet::new());
        loop {
            opened |= self.process_commits(space)?;
            opened |= self.join_by_welcome(space)?;
            let chain = self.epochs(&space)?;
            opened |= self.walk_links(space, &chain)?;
            let me = self.identity.device_id();
            let member = self.store.space(&space).is_some_and(|state| state.member_of(&me).is_some());
            let tip = chain.last().filter(|tip| self.store.record(&group_name(&space, tip)).is_some());
            let number = tip.map(|tip| self.epoch_number(&space, tip)).transpose()?.flatten();
            let epoch = tip.zip(number).map(|(tip, epoch)| KeyId { commit: *tip, epoch });
            let membership = self.memberships.entry(space).or_default();
            membership.current = epoch.filter(|_| member);
            membership.lingering.clear();
            membership.absent_archives.clear();
            self.prune(space, &chain)?;
            self.note_left_out(space, &chain)?;
            self.note_admitted_too_late(space)?;
            match self.follow_log(space, &mut carried) {
                Ok(true) => opened = true,
                // Where others come first it is done when their commit is here.
                Ok(false) | Err(Error::NotItsTurn(_)) => return Ok(opened),
                Err(error) => return Err(error),
            }
        }
    }

    /// Does what the control log leaves this device to do. Gives back whether it made an event.
    fn follow_log(
        &mut self,
        space: SpaceId,
        carried: &mut BTreeSet<(UserId, DeviceId)>,
    ) -> Result<bool, Error> {
        Ok(self.carry_revocations(space, carried)? || self.reconcile(space)? || self.follow_wish(space)?)
    }

    /// The commits that made the epochs, in order, the genesis first.
    pub(crate) fn epochs(&self, space: &SpaceId) -> Result<Vec<EventHash>, Error> {
        let Some(control) = self.store.control(space)? else { return Ok(Vec::new()) };
        let marked = |prefix: &[u8]| -> Vec<EventHash> {
            let prefix = [prefix, &space.0].concat();
            let names = self.store.records(&prefix);
            names.filter_map(|(name, _)| name[prefix.len()..].try_into().ok().map(EventHash)).collect()
        };
        let on_fork = |hash: &EventHash| control.builds_on_fork(&[*hash]);
        let mut broken: BTreeSet<EventHash> =
            marked(BROKEN).into_iter().filter(|hash| !on_fork(hash)).collect();
        broken.extend(marked(BROKEN_ON_FORK).into_iter().filter(on_fork));
        Ok(control.epochs(&broken))
    }

    /// The group in the epoch to seal under.
    pub(crate) fn current_group(&self, space: &SpaceId) -> Result<Group, Error> {
        let commit = self.epoch(space)?.commit;
        self.group(space, &commit)?.ok_or_else(|| Error::NotInGroup(self.space_name(space)))
    }

    /// The suite of the space's group, while this device is in it.
    pub(crate) fn suite(&self, space: &SpaceId) -> Option<CipherSuite> {
        let current = self.memberships.get(space)?.current?;
        self.stored_suite(space, &current.commit)
    }

    /// The suite of the group in the epoch that `commit` made, if its state is here.
    pub(crate) fn stored_suite(&self, space: &SpaceId, commit: &EventHash) -> Option<CipherSuite> {
        Group::suite_of(self.store.record(&group_name(space, commit))?)
    }

    /// The group as of the epoch that `commit` made.
    pub(crate) fn group(&self, space: &SpaceId, commit: &EventHash) -> Result<Option<Group>, Error> {
        self.store.record(&group_name(space, commit)).map(Group::from_bytes).transpose().map_err(Error::from)
    }

    /// Whether there is a state of this space's group that can be gone on from, of whichever epoch.
    pub(crate) fn has_group_state(&self, space: &SpaceId) -> bool {
        let prefix = [GROUPS, &space.0].concat();
        self.store.records(&prefix).any(|(_, state)| Group::suite_of(state).is_some())
    }

    /// Deletes of this space's group states that cannot be read.
    pub(crate) fn damaged_groups(&self, space: &SpaceId) -> Vec<Write> {
        let prefix = groups_prefix(space);
        let states = self.store.records(&prefix);
        let damaged = states.filter(|(_, state)| Group::from_bytes(state).is_err());
        damaged.map(|(name, _)| (name.to_vec(), None)).collect()
    }

    /// Processes every commit whose predecessor's group is here: winners and losers alike, since somebody may have
    /// sealed messages in a losing epoch before learning that it lost. Whoever was away for long does not keep each epoch's
    /// state on the way: what is made durable is what somebody may still come back to.
    fn process_commits(&mut self, space: SpaceId) -> Result<bool, Error> {
        let Some(control) = self.store.control(&space)? else { return Ok(false) };
        let commits: Vec<(EventHash, EventHash)> =
            control.commits_with_words().into_iter().map(|(hash, commit)| (hash, commit.previous)).collect();
        let chain = self.epochs(&space)?;
        let stands = |commit: &EventHash| self.store.record(&group_name(&space, commit)).is_some();
        let behind = chain.iter().rposition(stands).map_or(&[][..], |at| &chain[at + 1..]);
        let mut unknown = Vec::new();
        for (hash, previous) in commits {
            let broken = self.broken_name(&space, &hash)?;
            // Of an epoch that it was in long ago a device may have to go on anew, to where others went on from another.
            let is_known = self.store.epoch_secret(&space, &hash).is_some() && !behind.contains(&hash);
            if !is_known && self.store.record(&broken).is_none() {
                unknown.push((hash, previous, broken));
            }
        }
        // On a short way nothing is left behind.
        let is_long = unknown.len() > 2 * EPOCHS_KEPT;
        let kept = if is_long { self.worth_keeping(&space, &chain)? } else { BTreeSet::new() };
        let mut way = Way::new(unknown.iter().map(|(_, previous, _)| *previous), kept);
        let (mut opened, mut writes) = (false, Vec::new());
        for (nth, (hash, previous, broken)) in unknown.into_iter().enumerate() {
            let stored = if way.group(&previous).is_none() { self.group(&space, &previous)? } else { None };
            let Some(group) = way.group(&previous).or(stored.as_ref()) else { continue };
            let control = self.store.control(&space)?;
            let Some(commit) = control.and_then(|control| control.event(&hash)).and_then(commit_of).cloned()
            else {
                continue;
            };
            match self.process_one(space, group, &hash, &commit) {
                Ok(Some(mut next)) => {
                    // Keys to messages of an epoch that it was in are here, or were destroyed in their time.
                    if self.store.epoch_secret(&space, &hash).is_none() {
                        let secret = next.epoch_secret(EPOCH_LABEL);
                        writes.push(LocalStore::epoch_secret_record(&space, &hash, &secret));
                        if !self.has_message_keys(&space, &hash) {
                            let keys = NewKeys::take(&self.store, &writes, &space, &mut next);
                            writes.extend(keys.records(&space, &hash));
                        }
                    }
                    if !commit.welcome.is_empty() {
                        writes.extend(self.tree_records(&space, &next));
                    }
                    way.reached(hash, next);
                    opened = true;
                }
                // This device was removed by it.
                Ok(None) => {}
                // Of the state in which this device made it there is nothing left; to the others it is a commit as any.
                Err(Error::Group(terachat_group::Error::OwnCommit)) => {}
                // A disk that is full says nothing of the commit.
                Err(error @ Error::Store(_)) => return Err(error),
                Err(why) => {
                    if matches!(why, Error::Evicts { .. }) {
                        self.notices.push_back(Notice::Alarm { what: why.to_string() });
                    }
                    writes.push((broken, Some(SecretBytes::take(why.to_string().into_bytes()))));
                }
            }
            writes.extend(way.left(&previous).map(|commit| (group_name(&space, &commit), None)));
            // Trees are counted in the store.
            if (nth + 1) % COMMITS_TOGETHER == 0 || way.is_full() || !commit.welcome.is_empty() {
                writes.extend(way.unsaved(|commit, group| group_record(&space, commit, group)));
                self.store.write_records(std::mem::take(&mut writes))?;
            }
        }
        writes.extend(way.unsaved(|commit, group| group_record(&space, commit, group)));
        self.store.write_records(writes)?;
        Ok(opened)
    }

    /// The record that marks a commit that does not process. What builds on a fork is held to less, so a mark from before the
    /// fork was proven says nothing any more.
    fn broken_name(&self, space: &SpaceId, commit: &EventHash) -> Result<Vec<u8>, Error> {
        let on_fork = self.store.control(space)?.is_some_and(|control| control.builds_on_fork(&[*commit]));
        Ok([if on_fork { BROKEN_ON_FORK } else { BROKEN }, &space.0, &commit.0].concat())
    }

    /// One commit, checked against the control state it was made in; `None` when it removes this device.
    fn process_one(
        &mut self,
        space: SpaceId,
        group: &Group,
        hash: &EventHash,
        commit: &GroupCommit,
    ) -> Result<Option<Group>, Error> {
        let control = self.store.control_mut(&space)?.ok_or(Error::Frame("a commit without a space"))?;
        let event = control.event(hash).ok_or(Error::Frame("a commit without an event"))?.clone();
        let before = control.state_at(&event.parents).ok_or(Error::Frame("a commit before its parents"))?;
        if let Some(reinit) = reinit_of(&event) {
            return self.process_reinit(space, group, &event, reinit);
        }
        let after = control.state_at(&[*hash]).ok_or(Error::Frame("a commit before itself"))?;
        let (next, summary) = match group.process(&commit.message) {
            // By the rules of MLS anybody may; here only the device that made the event, where it is a member's.
            Err(terachat_group::Error::Rejoins)
                if before.member_of(&event.stamp.author).is_none()
                    && !control.builds_on_fork(&event.parents) =>
            {
                return Err(Error::NotAllowed("a device that is no member's does not rejoin the group"));
            }
            Err(terachat_group::Error::Rejoins) => {
                let (next, summary) = group.process_rejoin(&commit.message, &event.stamp.author.0)?;
                // It comes without a control root of its own and keeps the epoch's.
                return if summary.epoch == commit.epoch {
                    Ok(Some(next))
                } else {
                    Err(Error::Frame("a commit that is not its event's"))
                };
            }
            processed => processed?,
        };
        if summary.committer != event.stamp.author.0 || summary.epoch != commit.epoch {
            return Err(Error::Frame("a commit that is not its event's"));
        }
        // Whoever committed before a fork was proven did so for members and roles some of which are void since; replicas must
        // judge the commit alike, whether they processed it before the proof or after it.
        if control.builds_on_fork(&event.parents) {
            return Ok(next);
        }
        if summary.control_root != before.root() {
            return Err(Error::Frame("a commit for other members and roles than the control log's"));
        }
        let (added, removed) = (&summary.added, &summary.removed);
        if added.is_empty() && removed.is_empty() {
            return Ok(next);
        }
        let present: BTreeSet<[u8; 32]> = after.present_devices().map(|device| device.0).collect();
        if let Some(out) = removed.iter().find(|device| present.contains(*device) && !added.contains(device))
        {
            let control = LogId::control(space);
            let by = self.name_of(&control, &event.stamp.author);
            return Err(Error::Evicts { by, whom: self.name_of(&control, &DeviceId(*out)) });
        }
        // Who was removed before and is not seen out yet may be put back by the same commit. Where this device is taken out, the
        // group is the others' to look into.
        if next.is_some() && !added.iter().all(|device| present.contains(device) || removed.contains(device))
        {
            return Err(Error::Frame("a commit that lets in devices nobody admitted"));
        }
        Ok(next)
    }

    pub(crate) fn epoch_number(&self, space: &SpaceId, commit: &EventHash) -> Result<Option<u64>, Error> {
        if commit.0 == space.0 {
            return Ok(Some(0));
        }
        let event = self.store.control(space)?.and_then(|control| control.event(commit));
        Ok(event.and_then(commit_of).map(|commit| commit.epoch))
    }

    /// Drops what nobody will come back to.
    fn prune(&mut self, space: SpaceId, chain: &[EventHash]) -> Result<(), Error> {
        self.forget_key_packages(space, chain)?;
        self.forget_stock(space, chain)?;
        self.prune_message_keys(space, chain)?;
        self.prune_states(space, chain)
    }
}

/// The commit of a control event.
pub(crate) fn commit_of(event: &terachat_core_store::model::ControlEvent) -> Option<&GroupCommit> {
    event.transaction.commit()
}

pub(crate) fn group_record(space: &SpaceId, commit: &EventHash, group: &Group) -> Write {
    (group_name(space, commit), Some(group.to_bytes()))
}

pub(crate) fn group_name(space: &SpaceId, commit: &EventHash) -> Vec<u8> {
    [GROUPS, &space.0, &commit.0].concat()
}

/// What the names of a space's group states begin with, before the commit that made the epoch.
pub(crate) fn groups_prefix(space: &SpaceId) -> Vec<u8> {
    [GROUPS, &space.0].concat()
}

/// Entropy from one seed, for where the store's own source is borrowed.
pub(crate) struct Seeded(blake3::OutputReader);

impl Seeded {
    pub(crate) fn new(seed: &mut [u8; 32]) -> Self {
        let secret = Secret::take(seed);
        let mut hasher = blake3::Hasher::new_derive_key("terachat 2026-11 seeded entropy");
        Self(hasher.update(secret.expose_secret()).finalize_xof())
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        self.0.fill(out);
    }
}
