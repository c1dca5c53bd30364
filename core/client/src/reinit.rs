//! Moving a space's group to another ciphersuite: the wish, what devices offer for it, and the group that takes the former
//! one's place. `docs/adr/0040-reinitialisation.md`.
mod follow;

pub(crate) use follow::{reinit_of, successor_of};

use crate::api::{Answer, MoveStatus, Notice};
use crate::invite::EVENT_LEN_MAX;
use crate::membership::{EPOCH_LABEL, joined_record, key_package_name, seal_link};
use crate::{Client, Error};
use std::collections::{BTreeMap, BTreeSet};
use terachat_core_store::model::{
    ControlEvent, ControlOp, ControlTransaction, GroupCommit, Permission, ReInit, SuiteWish, Verdict,
};
use terachat_event::{DeviceId, EventHash, LogId, SpaceId};
use terachat_group::{CipherSuite, Group, KeyPackage, new_key_package};

impl Client {
    /// Asks that a space's group be moved to another suite. `now` makes the new group at once, without the devices that have
    /// offered nothing for it: they take their places by themselves when they meet a member.
    pub(crate) fn space_reinit(
        &mut self,
        space: Option<&str>,
        post_quantum: bool,
        now: bool,
    ) -> Result<Answer, Error> {
        let space = self.space(space)?;
        let to = if post_quantum { CipherSuite::XWing } else { CipherSuite::X25519 };
        self.require(&space, Permission::ManageSuite)?;
        self.is_no_archive(&space)?;
        let here = self.current_group(&space)?.suite();
        let wanted = self.store.space(&space).and_then(|state| state.suite_wish()).map(|wish| wish.suite);
        if wanted != Some(to.number()) {
            if here == to && wanted.is_none() {
                return Err(Error::Input("the space is in that suite already; `terachat status` shows it"));
            }
            self.control(space, vec![ControlOp::WantSuite { suite: to.number() }], |_| Vec::new())?;
        }
        // Also where it was asked for before, and it was not this device's turn.
        self.follow_up(space);
        self.missed_turn(&space)?;
        if now && self.current_group(&space)?.suite() != to {
            self.make_reinit(space, to)?;
            self.follow_up(space);
        }
        let moved = self.suite(&space) == Some(to);
        let waits_for = self.move_status(&space)?.map(|status| status.waits_for).unwrap_or_default();
        Ok(Answer::Moved { moved, suite: to.to_string(), waits_for })
    }

    /// What becomes of a wish for another suite, while its group is not there.
    pub(crate) fn move_status(&self, space: &SpaceId) -> Result<Option<MoveStatus>, Error> {
        let Some(wish) = self.wish(space)? else { return Ok(None) };
        let log = LogId::control(*space);
        let waits_for = self.hesitant(space, &wish)?.into_iter().map(|device| self.name_of(&log, &device));
        Ok(Some(MoveStatus {
            suite: suite_name(wish.suite),
            by: self.name_of(&log, &wish.since.author),
            waits_for: waits_for.collect(),
        }))
    }

    /// The wish that the space's group does not fulfil yet.
    fn wish(&self, space: &SpaceId) -> Result<Option<SuiteWish>, Error> {
        let wish = self.store.space(space).and_then(|state| state.suite_wish()).copied();
        let Some(wish) = wish else { return Ok(None) };
        let here = self.suite_number(space, &self.epochs(space)?)?;
        Ok(Some(wish).filter(|wish| here != Some(wish.suite)))
    }

    /// Devices in the group that a wish waits for.
    fn hesitant(&self, space: &SpaceId, wish: &SuiteWish) -> Result<Vec<DeviceId>, Error> {
        let offered: BTreeSet<DeviceId> =
            self.offers(space, wish)?.iter().map(|(event, _)| event.stamp.author).collect();
        // Whoever's chain forked can offer nothing any more.
        let Some(control) = self.store.control(space)? else { return Ok(Vec::new()) };
        let candidates = self.candidates(space)?.into_iter().filter(|device| control.decides(device));
        Ok(candidates.filter(|device| !offered.contains(device)).collect())
    }

    /// Who can be taken along: present members' devices that are in the group, the highest-ranked and most senior first, but
    /// required archives before all others.
    fn candidates(&self, space: &SpaceId) -> Result<Vec<DeviceId>, Error> {
        let Ok(group) = self.current_group(space) else { return Ok(Vec::new()) };
        let Some(state) = self.store.space(space) else { return Ok(Vec::new()) };
        let inside: BTreeSet<[u8; 32]> = group.members().into_iter().collect();
        let present = state.present_devices().filter(|device| inside.contains(&device.0));
        let mut candidates: Vec<DeviceId> = present.copied().collect();
        candidates.sort_by_key(|device| {
            let place =
                state.member_of(device).map(|(_, member)| (std::cmp::Reverse(member.rank), member.since));
            (!state.archive().requires(device), place)
        });
        Ok(candidates)
    }

    /// The offers that count of key packages for a wish, in the order of the log.
    fn offers(&self, space: &SpaceId, wish: &SuiteWish) -> Result<Vec<(&ControlEvent, &[u8])>, Error> {
        let Some(control) = self.store.control(space)? else { return Ok(Vec::new()) };
        let counting = control.events().filter(|(_, verdict)| *verdict == Verdict::Counts);
        let offers = counting.flat_map(|(event, _)| {
            event.transaction.0.iter().filter_map(move |op| match op {
                ControlOp::OfferKeyPackage { wish: of, key_package } if *of == wish.event => {
                    Some((event, key_package.as_slice()))
                }
                _ => None,
            })
        });
        Ok(offers.collect())
    }

    /// Does this device's part in a wish: offers a key package, once, and makes the group when all have offered, where that is
    /// for it to do. Gives back whether it made an event.
    pub(crate) fn follow_wish(&mut self, space: SpaceId) -> Result<bool, Error> {
        let me = self.identity.device_id();
        if self.store.control(&space)?.is_none_or(|control| !control.decides(&me)) {
            return Ok(false);
        }
        let Some(wish) = self.wish(&space)? else { return Ok(false) };
        // A suite that this version does not know is told in status.
        let Some(to) = CipherSuite::from_number(wish.suite) else { return Ok(false) };
        let offered = self.offers(&space, &wish)?.iter().any(|(event, _)| event.stamp.author == me);
        if !offered {
            self.offer_keys(space, &wish, to)?;
            return Ok(true);
        }
        if self.epoch(&space).is_err() || !self.is_mover(&space, &wish)? {
            return Ok(false);
        }
        if self.hesitant(&space, &wish)?.is_empty() {
            self.make_reinit(space, to)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// A fresh key package of this device, public in the log and private on its disk, in one commit of the store. The private
    /// part is kept as those are by which the device was let in.
    fn offer_keys(&mut self, space: SpaceId, wish: &SuiteWish, to: CipherSuite) -> Result<(), Error> {
        let (public, private) = new_key_package(to, &self.identity.signer, self.store.entropy())?;
        let name = key_package_name(self.now_ms, &public);
        let writes = vec![joined_record(&space, &name, &wish.event), (name, Some(private))];
        let op = ControlOp::OfferKeyPackage { wish: wish.event, key_package: public };
        self.control(space, vec![op], |_| writes)?;
        Ok(())
    }

    /// Whether this device makes the group: whoever asked for it does, or, where that device may not any more or is not in the
    /// group, the highest-ranked, most senior one that may.
    fn is_mover(&self, space: &SpaceId, wish: &SuiteWish) -> Result<bool, Error> {
        let Some(state) = self.store.space(space) else { return Ok(false) };
        let Some(control) = self.store.control(space)? else { return Ok(false) };
        let may = |device: &DeviceId| {
            control.decides(device)
                && state.permits(device, Permission::ManageSuite)
                && !state.archive().requires(device)
        };
        let candidates = self.candidates(space)?;
        let mut able = candidates.iter().filter(|device| may(device));
        let asked = able.clone().find(|device| **device == wish.since.author);
        Ok(asked.or(able.next()) == Some(&self.identity.device_id()))
    }

    /// Makes the group in `to` that takes the place of the present one, with all who have offered for the wish that stands, or
    /// as many as an event holds.
    fn make_reinit(&mut self, space: SpaceId, to: CipherSuite) -> Result<(), Error> {
        let me = self.identity.device_id();
        let Some(wish) = self.wish(&space)? else { return Ok(()) };
        let mut offers: BTreeMap<DeviceId, KeyPackage> = BTreeMap::new();
        for (event, bytes) in self.offers(&space, &wish)? {
            let package = KeyPackage::parse(bytes).ok();
            // Of another device's or suite's the group would make nothing but an error.
            let fits =
                |package: &KeyPackage| package.device() == event.stamp.author.0 && package.suite() == to;
            offers.extend(package.filter(fits).map(|package| (event.stamp.author, package)));
        }
        let candidates = self.candidates(&space)?;
        let archive = |client: &Self, device: &DeviceId| {
            client.store.space(&space).is_some_and(|state| state.archive().requires(device))
        };
        let missing = candidates.iter().find(|device| archive(self, device) && !offers.contains_key(device));
        if let Some(missing) = missing {
            let archive = self.name_of(&LogId::control(space), missing);
            return Err(Error::LeavesArchive { archive });
        }
        let others = candidates.iter().filter(|device| **device != me);
        let mut add: Vec<KeyPackage> = others.filter_map(|device| offers.remove(device)).collect();
        loop {
            let (reinit, next) = self.prepare_reinit(space, to, &add)?;
            let ops = vec![ControlOp::ReInit(reinit)];
            if ControlTransaction(ops.clone()).encode().len() <= EVENT_LEN_MAX || add.is_empty() {
                return self.publish_reinit(space, ops, next);
            }
            add.truncate(add.len() / 2);
        }
    }

    fn prepare_reinit(
        &mut self,
        space: SpaceId,
        to: CipherSuite,
        add: &[KeyPackage],
    ) -> Result<(ReInit, Group), Error> {
        self.require_turn(space)?;
        let previous = self.epoch(&space)?.commit;
        let group = self.current_group(&space)?;
        let state = self.store.space(&space).ok_or(Error::Unknown { what: "space", name: space.short() })?;
        let (root, id) = (state.root(), new_group_id(&space, &previous, &self.identity.device_id()));
        let (next, made) = group.reinit(&self.identity.signer, to, &id, add, root, self.store.entropy())?;
        let secret = next.epoch_secret(EPOCH_LABEL);
        let mut earlier = self.unlinked_epochs(&space, &self.epochs(&space)?)?;
        earlier.push(previous);
        let links = earlier
            .iter()
            .filter_map(|commit| Some(seal_link(&secret, &self.store.epoch_secret(&space, commit)?, commit)))
            .collect();
        let commit = GroupCommit {
            previous,
            epoch: next.epoch(),
            message: made.group_info,
            welcome: made.welcome.unwrap_or_default(),
            tree: *blake3::hash(&made.ratchet_tree).as_bytes(),
            links,
        };
        Ok((ReInit { suite: to.number(), commit, ratchet_tree: made.ratchet_tree }, next))
    }

    fn publish_reinit(&mut self, space: SpaceId, ops: Vec<ControlOp>, next: Group) -> Result<(), Error> {
        let suite = next.suite();
        self.publish_group(space, ops, next)?;
        let what = format!("the space has moved to suite {suite}");
        self.notices.push_back(Notice::Space { space: space.to_string(), what });
        Ok(())
    }
}

/// The id of the group that this device puts in the place of the one in the epoch that `previous` made.
pub(crate) fn new_group_id(space: &SpaceId, previous: &EventHash, maker: &DeviceId) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("terachat 2026-11 group id");
    hasher.update(&space.0).update(&previous.0).update(&maker.0);
    *hasher.finalize().as_bytes()
}

/// A suite as people are told of it.
pub(crate) fn suite_name(number: u16) -> String {
    CipherSuite::from_number(number).map_or_else(|| format!("{number:#06x}"), |suite| suite.to_string())
}
