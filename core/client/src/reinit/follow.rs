//! What a device makes of a group that takes the place of its own.
use super::{new_group_id, suite_name};
use crate::api::Notice;
use crate::membership::{KEY_PACKAGES, commit_of, joined_record};
use crate::rejoin::{IN_DOUBT, LEFT_OUT, PARTED, rejoin_name};
use crate::{Client, Error};
use std::collections::BTreeSet;
use terachat_core_store::model::{ControlEvent, ControlOp, ReInit};
use terachat_event::{DeviceId, EventHash, SpaceId};
use terachat_group::{CipherSuite, Group, Successor};
use terachat_vault::SecretBytes;

impl Client {
    /// Follows one re-initialisation, checked against the control state it was made in. `None` where this device does not enter
    /// by it: it was not taken along, or its keys are gone, or this version does not know the suite.
    ///
    /// # Errors
    /// For what does not count, whoever looks at it: all that is said here follows from the event, its past, and the group before.
    pub(crate) fn process_reinit(
        &mut self,
        space: SpaceId,
        group: &Group,
        event: &ControlEvent,
        reinit: &ReInit,
    ) -> Result<Option<Group>, Error> {
        if CipherSuite::from_number(reinit.suite).is_none() {
            return Ok(None);
        }
        let successor = successor_of(&space, &event.stamp.author, reinit)?;
        let former: BTreeSet<[u8; 32]> = group.members().into_iter().collect();
        if successor.suite == group.suite() {
            return Err(Error::Frame("a re-initialisation to the suite that the group is in"));
        }
        if !successor.members.iter().all(|device| former.contains(device)) {
            return Err(Error::Frame("a re-initialisation that lets in devices of no member of the group"));
        }
        let control = self.store.control_mut(&space)?.ok_or(Error::Frame("a commit without a space"))?;
        // As of commits on a fork.
        if !control.builds_on_fork(&event.parents) {
            let before =
                control.state_at(&event.parents).ok_or(Error::Frame("a commit before its parents"))?;
            if successor.control_root != before.root() {
                return Err(Error::Frame("a re-initialisation for other members and roles than the log's"));
            }
            let inside = |device: &DeviceId| successor.members.contains(&device.0);
            let present = |device: &DeviceId| before.member_of(device).is_some();
            if !successor.members.iter().all(|device| present(&DeviceId(*device))) {
                return Err(Error::Frame("a re-initialisation that lets in devices nobody admitted"));
            }
            let mut archives = before.archive().devices().map(|(device, _)| device);
            if archives.any(|device| present(device) && former.contains(&device.0) && !inside(device)) {
                return Err(Error::Frame("a re-initialisation that leaves a required archive behind"));
            }
        }
        if !successor.members.contains(&self.identity.device_id().0) {
            return Ok(None);
        }
        match self.enter(group, reinit) {
            Ok((next, used)) => {
                self.store.write_records(vec![joined_record(&space, &used, &event.hash)])?;
                let what = format!("the space has moved to suite {}", suite_name(reinit.suite));
                self.notices.push_back(Notice::Space { space: space.to_string(), what });
                Ok(Some(next))
            }
            // What others can enter by counts. This device takes its place as one does that has lost its keys.
            Err(_)
                if matches!(self.store.record(&rejoin_name(&space)), Some(LEFT_OUT | PARTED | IN_DOUBT)) =>
            {
                Ok(None)
            }
            Err(error) => {
                let what = format!("{}: this device was not taken along: {error}", self.space_name(&space));
                self.notices.push_back(Notice::Alarm { what });
                Ok(None)
            }
        }
    }

    /// Tries the private parts of all key packages; gives back the group and the name of the one that was used.
    pub(crate) fn enter(&self, former: &Group, reinit: &ReInit) -> Result<(Group, Vec<u8>), Error> {
        let told = terachat_group::ReInit {
            group_info: reinit.commit.message.clone(),
            ratchet_tree: reinit.ratchet_tree.clone(),
            welcome: Some(reinit.commit.welcome.clone()).filter(|welcome| !welcome.is_empty()),
        };
        let mut why = terachat_group::Error::NotForUs;
        for (name, private) in self.store.records(KEY_PACKAGES) {
            match former.follow(&self.identity.signer, &told, &SecretBytes::take(private.to_vec())) {
                Ok(next) => return Ok((next, name.to_vec())),
                Err(terachat_group::Error::NotForUs) => {}
                Err(error) => why = error,
            }
        }
        Err(why.into())
    }

    /// The number of the suite that the last of these epochs is in, as far as this device can tell.
    pub(crate) fn suite_number(&self, space: &SpaceId, chain: &[EventHash]) -> Result<Option<u16>, Error> {
        let Some(control) = self.store.control(space)? else { return Ok(None) };
        let moved = chain.iter().rev().find_map(|hash| Some(reinit_of(control.event(hash)?)?.suite));
        let stored = || chain.iter().rev().find_map(|commit| self.stored_suite(space, commit));
        Ok(moved.or_else(|| stored().map(CipherSuite::number)))
    }

    /// The id of the group whose epoch this control event made.
    pub(crate) fn group_id(&self, space: &SpaceId, commit: &EventHash) -> Result<[u8; 32], Error> {
        let Some(control) = self.store.control(space)? else { return Ok(space.0) };
        let mut at = *commit;
        while let Some(event) = control.event(&at) {
            if let Some(reinit) = reinit_of(event) {
                return Ok(new_group_id(space, &reinit.commit.previous, &event.stamp.author));
            }
            match event.transaction.commit() {
                Some(commit) => at = commit.previous,
                None => break,
            }
        }
        Ok(space.0)
    }

    /// Whether this device is a member's and cannot follow its group into the suite that this moved to. Then it takes its place as
    /// one that has lost its keys does, without being asked: nothing of it is damaged.
    pub(crate) fn is_left_out(&self, space: &SpaceId, chain: &[EventHash]) -> Result<bool, Error> {
        let me = self.identity.device_id();
        let Some(control) = self.store.control(space)? else { return Ok(false) };
        let moved = chain.iter().rposition(|hash| control.event(hash).and_then(reinit_of).is_some());
        let Some(moved) = moved.filter(|_| control.decides(&me)) else { return Ok(false) };
        let suite = control.event(&chain[moved]).and_then(reinit_of).map(|reinit| reinit.suite);
        let Some(suite) = suite.and_then(CipherSuite::from_number) else { return Ok(false) };
        let known = |commit: &EventHash| self.store.epoch_secret(space, commit).is_some();
        let stands_behind = chain[moved..].iter().any(|commit| self.stored_suite(space, commit).is_some());
        let wanted = self.wanted_tree(space);
        let mut may_join = chain[moved + 1..].iter().filter_map(|hash| commit_of(control.event(hash)?));
        if stands_behind || may_join.any(|commit| Some(commit.tree) == wanted) {
            return Ok(false);
        }
        // Whoever was in the group before has nobody who lets it in again; whoever never was has who admitted it, if that one
        // knows of keys for this suite.
        Ok(moved > 0 && known(&chain[moved - 1]) || self.key_packages(space, &[me], suite)?.is_empty())
    }

    /// Notes that this device is to take its place again, or that it has one.
    pub(crate) fn note_left_out(&mut self, space: SpaceId, chain: &[EventHash]) -> Result<(), Error> {
        let name = rejoin_name(&space);
        let noted = self.store.record(&name).map(<[u8]>::to_vec);
        let why = match self.is_left_out(&space, chain)? {
            true => Some(LEFT_OUT),
            false => self.is_parted(&space, chain)?.then_some(PARTED),
        };
        match (why, noted.as_deref()) {
            // It was asked to, and does.
            (Some(_), Some([])) => {}
            (Some(why), noted) if noted != Some(why) => {
                self.store.write_records(vec![(name, Some(SecretBytes::take(why.to_vec())))])?;
                self.peers_in(&space).into_iter().for_each(|peer| self.want_group(peer, space));
            }
            (None, Some(LEFT_OUT | PARTED)) => self.store.write_records(vec![(name, None)])?,
            _ => {}
        }
        Ok(())
    }

    /// Why this device is not in a group that is there, if it is because the group moved on without it.
    pub(crate) fn behind_a_move(&self, space: &SpaceId) -> Option<Error> {
        let name = self.space_name(space);
        let chain = self.epochs(space).ok()?;
        let number = self.suite_number(space, &chain).ok()??;
        if CipherSuite::from_number(number).is_none() {
            return Some(Error::NewerSuite { space: name, suite: number });
        }
        let left_out = self.store.record(&rejoin_name(space)) == Some(LEFT_OUT);
        let parted = self.store.record(&rejoin_name(space)) == Some(PARTED);
        if parted { Some(Error::Parted(name)) } else { left_out.then_some(Error::LeftOut(name)) }
    }
}

/// The re-initialisation in a control event.
pub(crate) fn reinit_of(event: &ControlEvent) -> Option<&ReInit> {
    event.transaction.0.iter().find_map(|op| match op {
        ControlOp::ReInit(reinit) => Some(reinit),
        _ => None,
    })
}

/// What a re-initialisation says of the new group, if that is the one of its maker, space and epoch.
pub(crate) fn successor_of(space: &SpaceId, maker: &DeviceId, reinit: &ReInit) -> Result<Successor, Error> {
    let ReInit { suite, commit, ratchet_tree } = reinit;
    if blake3::hash(ratchet_tree) != commit.tree {
        return Err(Error::Frame("a re-initialisation with another ratchet tree than it names"));
    }
    let successor = Successor::parse(&commit.message, ratchet_tree)?;
    let is_its_own = successor.maker == maker.0
        && successor.group_id == new_group_id(space, &commit.previous, maker)
        && successor.epoch == commit.epoch
        && successor.suite.number() == *suite;
    is_its_own
        .then_some(successor)
        .ok_or(Error::Frame("a re-initialisation of another space, epoch, suite or maker"))
}
