//! A device that belongs to a space and has lost its state of the group takes its place again: `docs/adr/0029-rejoining.md`.
use crate::api::{Answer, Notice};
use crate::board::asked_name;
use crate::membership::{EPOCH_LABEL, commit_of, group_record, seal_link};
use crate::message_keys::NewKeys;
use crate::peer::Peer;
use crate::protocol::Frame;
use crate::renewal::renewed_record;
use crate::{Client, Error};
use terachat_core_store::LocalStore;
use terachat_core_store::model::{ControlOp, GroupCommit};
use terachat_core_store::store::Write;
use terachat_event::{DeviceId, EventHash, SpaceId};
use terachat_group::Group;
use terachat_vault::SecretBytes;

/// Records of the wish to rejoin a space's group: empty while nobody has answered, then the control event that did it;
/// [`LEFT_OUT`]; [`PARTED`]; or [`IN_DOUBT`].
const REJOINS: &[u8] = b"rejoin/";
/// The group moved to another suite without this device, which is to rejoin unless it is in the group (ADR 0040).
pub(crate) const LEFT_OUT: &[u8] = b"left";
/// The group went on for longer than this device keeps states of, on another branch than this device was on: it is to rejoin
/// unless it is in the group.
pub(crate) const PARTED: &[u8] = b"parted";
/// A board shows that the group may have gone on where this device cannot follow. It is to rejoin unless a member answers for an
/// epoch that it is in.
pub(crate) const IN_DOUBT: &[u8] = b"doubt";

impl Client {
    /// Has this device take its place in the group again, with the help of the next member it talks to.
    pub(crate) fn space_rejoin(&mut self, space: Option<&str>) -> Result<Answer, Error> {
        let space = self.space(space)?;
        let me = self.identity.device_id();
        if self.store.control(&space)?.is_none_or(|control| !control.decides(&me)) {
            return Err(Error::NotAllowed("only a member's device rejoins; ask for an invitation"));
        }
        let mut writes: Vec<Write> = vec![(rejoin_name(&space), Some(SecretBytes::take(Vec::new())))];
        // What does not open would stand in the way of everything behind it.
        writes.extend(self.damaged_groups(&space));
        self.store.write_records(writes)?;
        self.settle(space)?;
        self.peers_in(&space).into_iter().for_each(|peer| self.want_group(peer, space));
        Ok(Answer::Done)
    }

    /// The epoch in which this device is to rejoin, if it is to: after it was asked to, and again when the commit by which it
    /// did has lost its race.
    pub(crate) fn rejoins_at(&self, space: &SpaceId) -> Result<Option<EventHash>, Error> {
        let Some(done) = self.store.record(&rejoin_name(space)) else { return Ok(None) };
        let chain = self.epochs(space)?;
        let is_in = self.memberships.get(space).is_some_and(|membership| membership.current.is_some());
        let holds = match done {
            LEFT_OUT | PARTED => is_in,
            IN_DOUBT => false,
            done => !done.is_empty() && (is_in || chain.iter().any(|commit| commit.0 == *done)),
        };
        let me = self.identity.device_id();
        let member = self.store.space(space).is_some_and(|state| state.member_of(&me).is_some());
        Ok(chain.last().copied().filter(|_| member && !holds))
    }

    /// Whether this device is a member's, was in the group, and has lost the way to where the others are: its part of the members
    /// went on by itself for so long that it has no state any more from which the others went on, or none but one before a commit of
    /// its own. Nothing of it is damaged, so it takes its place without being asked.
    pub(crate) fn is_parted(&self, space: &SpaceId, chain: &[EventHash]) -> Result<bool, Error> {
        let me = self.identity.device_id();
        let Some(control) = self.store.control(space)?.filter(|control| control.decides(&me)) else {
            return Ok(false);
        };
        let stands = |commit: &EventHash| self.stored_suite(space, commit).is_some();
        let is_stuck = match chain.iter().rposition(stands) {
            None => self.has_group_state(space),
            Some(at) => chain.get(at + 1).and_then(|next| control.event(next)).is_some_and(|next| {
                next.stamp.author == me && self.store.epoch_secret(space, &next.hash).is_some()
            }),
        };
        Ok(is_stuck && chain.iter().any(|commit| self.was_in(space, commit)))
    }

    /// Asks a peer for what it takes to rejoin, where this device is to.
    pub(crate) fn want_group(&mut self, peer: DeviceId, space: SpaceId) {
        if let Ok(Some(commit)) = self.rejoins_at(&space) {
            if let Some(state) = self.peers.get_mut(&peer) {
                state.no_group.remove(&space);
            }
            self.tell(peer, &Frame::WantGroup { space, commit });
        }
    }

    /// Whether this device is to rejoin and this peer, which was asked, may still help it to.
    pub(crate) fn hopes_for_group(&self, peer: &Peer, space: &SpaceId) -> bool {
        let commit = self.rejoins_at(space).ok().flatten();
        commit.is_some_and(|commit| peer.no_group.get(space) != Some(&commit))
    }

    /// Answers a member that asks to rejoin in this device's current epoch; in another, or where this device has no group
    /// either, that there is none. When the two have heard from each other it asks again.
    pub(crate) fn show_group(
        &mut self,
        peer: DeviceId,
        space: SpaceId,
        commit: EventHash,
    ) -> Result<(), Error> {
        if !self.is_common(peer, &space) {
            return Ok(());
        }
        let is_current = self.epoch(&space).is_ok_and(|epoch| epoch.commit == commit);
        let group = if is_current { self.group(&space, &commit)? } else { None };
        let (info, tree) = match group {
            Some(group) => (group.group_info(&self.identity.signer)?, group.ratchet_tree()),
            None => Default::default(),
        };
        self.tell(peer, &Frame::Group { space, commit, info, tree });
        Ok(())
    }

    /// Rejoins by what a peer answered, if it was asked for and is of the epoch that is to be left.
    pub(crate) fn take_group(
        &mut self,
        peer: DeviceId,
        space: SpaceId,
        previous: EventHash,
        info: &[u8],
        tree: &[u8],
    ) -> Result<(), Error> {
        if !self.is_common(peer, &space) || self.rejoins_at(&space)? != Some(previous) {
            return Ok(());
        }
        if let Some(state) = self.peers.get_mut(&peer) {
            state.no_group.insert(space, previous);
        }
        if info.is_empty() || self.is_in_after_all(&space, &previous)? {
            return Ok(());
        }
        self.enter_as_shown(space, previous, info, tree)
    }

    /// Has this device look for a member's answer, since the group may have gone on without it.
    pub(crate) fn doubt_place(&mut self, space: &SpaceId) -> Result<(), Error> {
        let name = rejoin_name(space);
        match self.store.record(&name) {
            Some([] | LEFT_OUT | PARTED | IN_DOUBT) => Ok(()),
            _ => Ok(self.store.write_records(vec![(name, Some(SecretBytes::take(IN_DOUBT.to_vec())))])?),
        }
    }

    /// The same where another commit than the one by which this device rejoined leaves the same epoch.
    pub(crate) fn doubt_rejoining(&mut self, space: &SpaceId, left: &EventHash) -> Result<(), Error> {
        let Some(done) = self.store.record(&rejoin_name(space)) else { return Ok(()) };
        let control = self.store.control(space)?;
        let own = done.try_into().ok().map(EventHash).and_then(|done| control?.event(&done));
        let rejoined_there = own.and_then(commit_of).is_some_and(|commit| commit.previous == *left);
        if rejoined_there { self.doubt_place(space) } else { Ok(()) }
    }

    /// Whether this device doubted its place and is in the epoch that a member answers for. Then it doubts no more.
    pub(crate) fn is_in_after_all(&mut self, space: &SpaceId, commit: &EventHash) -> Result<bool, Error> {
        let name = rejoin_name(space);
        let is_in = self.store.record(&name) == Some(IN_DOUBT) && self.group(space, commit)?.is_some();
        if is_in {
            self.store.write_records(vec![(name, None), (asked_name(space), None)])?;
        }
        Ok(is_in)
    }

    /// Rejoins by the group info and the tree of the epoch that is to be left, whoever showed them.
    pub(crate) fn enter_as_shown(
        &mut self,
        space: SpaceId,
        previous: EventHash,
        info: &[u8],
        tree: &[u8],
    ) -> Result<(), Error> {
        self.require_turn_on(space, previous)?;
        let (mut next, message) = Group::rejoin(&self.identity.signer, info, tree, self.store.entropy())?;
        if let Some(what) = self.is_not_of_space(&space, &previous, &next)? {
            // Who shows it may have been shown it by another, so the connection stays.
            self.notices.push_back(Notice::Alarm { what: format!("not rejoined: a member showed {what}") });
            return Ok(());
        }
        let secret = next.epoch_secret(EPOCH_LABEL);
        // Of former epochs, what this device still has the keys of; the others lead back to the rest.
        let mut earlier = self.unlinked_epochs(&space, &self.epochs(&space)?)?;
        earlier.extend(self.store.epoch_secret(&space, &previous).is_some().then_some(previous));
        let links = earlier
            .iter()
            .filter_map(|commit| Some(seal_link(&secret, &self.store.epoch_secret(&space, commit)?, commit)))
            .collect();
        let epoch = next.epoch();
        let op = GroupCommit { previous, epoch, message, welcome: Vec::new(), tree: [0; 32], links };
        let renewed = renewed_record(&space, self.now_ms);
        let keys = NewKeys::take(&self.store, &[], &space, &mut next);
        self.control(space, vec![ControlOp::Commit(op)], |hash| {
            let mut writes = keys.records(&space, hash);
            writes.push(group_record(&space, hash, &next));
            writes.push(LocalStore::epoch_secret_record(&space, hash, &secret));
            writes.extend([rejoined_record(&space, hash), renewed, (asked_name(&space), None)]);
            writes
        })?;
        let what = "this device has taken its place in the group again".to_owned();
        self.notices.push_back(Notice::Space { space: space.to_string(), what });
        self.settle(space)?;
        self.after_control(space)?;
        self.opened(space)
    }

    /// Why a group that a peer shows cannot be the space's: its number, or somebody in it whom no admission names. That it is
    /// the one that the others are in shows when they process the commit.
    fn is_not_of_space(
        &self,
        space: &SpaceId,
        previous: &EventHash,
        next: &Group,
    ) -> Result<Option<&'static str>, Error> {
        let number = self.epoch_number(space, previous)?.map(|epoch| epoch + 1);
        if next.group_id() != self.group_id(space, previous)? || number != Some(next.epoch()) {
            return Ok(Some("the group of another space or epoch"));
        }
        let known = self.store.space(space).ok_or(Error::Frame("a group without a space"))?;
        let stranger = next.members().iter().any(|device| !known.devices.contains_key(&DeviceId(*device)));
        Ok(stranger.then_some("a group with devices nobody admitted"))
    }

    /// Epochs that the chain went on from by a device that had lost their secret, so that no commit leads back to them yet, as
    /// far as their secrets are here.
    pub(crate) fn gaps(&self, space: &SpaceId, chain: &[EventHash]) -> Result<Vec<EventHash>, Error> {
        let Some(control) = self.store.control(space)? else { return Ok(Vec::new()) };
        let commits = || chain.iter().filter_map(|hash| commit_of(control.event(hash)?));
        let linked: std::collections::BTreeSet<EventHash> =
            commits().flat_map(|commit| commit.links.iter().map(|link| link.commit)).collect();
        let left = commits().map(|commit| commit.previous).filter(|previous| !linked.contains(previous));
        Ok(left.filter(|previous| self.store.epoch_secret(space, previous).is_some()).collect())
    }
}

pub(crate) fn rejoin_name(space: &SpaceId) -> Vec<u8> {
    [REJOINS, &space.0].concat()
}

fn rejoined_record(space: &SpaceId, hash: &EventHash) -> Write {
    (rejoin_name(space), Some(SecretBytes::take(hash.0.to_vec())))
}
