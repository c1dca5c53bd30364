//! A device that belongs to a space and has lost its state of the group takes its place again: `docs/adr/0029-rejoining.md`.
use crate::api::{Answer, Notice};
use crate::membership::{EPOCH_LABEL, commit_of, group_record, seal_link};
use crate::message_keys::message_records;
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

/// Records of the wish to rejoin a space's group: empty while nobody has answered, then the control event that did it; or
/// [`LEFT_OUT`].
const REJOINS: &[u8] = b"rejoin/";
/// The group moved to another suite without this device, which is to rejoin unless it is in the group (ADR 0040).
pub(crate) const LEFT_OUT: &[u8] = b"left";

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
            LEFT_OUT => is_in,
            done => !done.is_empty() && (is_in || chain.iter().any(|commit| commit.0 == *done)),
        };
        let me = self.identity.device_id();
        let member = self.store.space(space).is_some_and(|state| state.member_of(&me).is_some());
        Ok(chain.last().copied().filter(|_| member && !holds))
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
        if info.is_empty() {
            return Ok(());
        }
        let (mut next, message) = Group::rejoin(&self.identity.signer, info, tree, self.store.entropy())?;
        if let Some(what) = self.is_not_of_space(&space, &previous, &next)? {
            // Who shows it may have been shown it by another, so the connection stays.
            self.notices.push_back(Notice::Alarm { what: format!("not rejoined: a peer showed {what}") });
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
        self.control(space, vec![ControlOp::Commit(op)], |hash| {
            let mut writes = message_records(&space, hash, &mut next);
            writes.push(group_record(&space, hash, &next));
            writes.push(LocalStore::epoch_secret_record(&space, hash, &secret));
            writes.extend([rejoined_record(&space, hash), renewed]);
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
