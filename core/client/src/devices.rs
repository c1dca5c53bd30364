//! A user's devices: which there are, admitting a further one, taking one back.
use crate::api::{Answer, DeviceStatus, Notice};
use crate::card::{InvitableCard, Text};
use crate::find::pick;
use crate::{Client, Error};
use std::collections::{BTreeMap, BTreeSet};
use terachat_core_store::model::{ControlOp, IdentityLog, Revocation};
use terachat_event::{DeviceId, SpaceId, UserId};
use terachat_vault::SecretBytes;

/// Records of this user's own revocations, until and after they have reached the spaces.
const REVOCATIONS: &[u8] = b"revocation/";

impl Client {
    /// The devices of this user, or of a member of a space, in all spaces here.
    pub(crate) fn device_list(&self, space: Option<&str>, member: Option<&str>) -> Result<Answer, Error> {
        let user = match member {
            Some(member) => self.anyone(&self.space(space)?, member)?,
            None => self.identity.user_id(),
        };
        let identity = self.identity_log(&user);
        let mut devices: BTreeMap<DeviceId, Vec<String>> =
            identity.entries().into_iter().map(|entry| (entry.device, Vec::new())).collect();
        if user == self.identity.user_id() {
            devices.entry(self.identity.device_id()).or_default();
        }
        for space in self.store.spaces() {
            let Some(state) = self.store.space(&space) else { continue };
            for device in self.devices_of(&space, &user) {
                let spaces = devices.entry(device).or_default();
                spaces.extend(state.member_of(&device).map(|_| state.name.clone()));
            }
        }
        let me = self.identity.device_id();
        let line = |(device, spaces): (DeviceId, Vec<String>)| DeviceStatus {
            device: device.to_string(),
            this: device == me,
            revoked: identity.revokes(&device),
            spaces,
        };
        Ok(Answer::Devices {
            user: user.to_string(),
            devices: devices.into_iter().map(line).collect(),
            missing: identity.missing(),
        })
    }

    /// Admits a further device of this user to every space that this one is in.
    pub(crate) fn device_add(&mut self, card: &str) -> Result<Answer, Error> {
        let invitable = InvitableCard::from_text(card)?;
        if invitable.card.user != self.identity.user_id() {
            return Err(Error::Input(
                "the card is another user's; `terachat invite` admits others, and a further device of yours is made from a backup of this one (`terachat store export`, `terachat store import`)",
            ));
        }
        let (me, mut invitations) = (self.identity.device_id(), Vec::new());
        for space in self.store.spaces().collect::<Vec<_>>() {
            if self.store.space(&space).is_none_or(|state| state.member_of(&me).is_none()) {
                continue;
            }
            if let Answer::Invitation { invitation } = self.invite(Some(&space.to_string()), card, Some(0))? {
                invitations.push(invitation);
            }
        }
        Ok(Answer::Invitations { invitations })
    }

    /// Takes one of this user's devices back, for good: in every space that this device is in at once, and in others as soon
    /// as somebody there hears of it. What cannot be done in a space now is done when it can.
    pub(crate) fn device_revoke(&mut self, device: &str) -> Result<Answer, Error> {
        let user = self.identity.user_id();
        let device = self.own_device(device)?;
        if device == self.identity.device_id() {
            return Err(Error::Input(
                "this is the device you are using; revoke it from another one of yours, or leave with `terachat member remove`",
            ));
        }
        let identity = self.identity_log(&user);
        let known = identity.entries().into_iter().find(|entry| entry.device == device).cloned();
        let revocation =
            known.unwrap_or_else(|| Revocation::issue(&self.identity.user, device, identity.newest()));
        self.keep_revocation(&revocation)?;
        let mut missed = None;
        for space in self.store.spaces().collect::<Vec<_>>() {
            if self.has_say(&space, &revocation) {
                match self.carry(space, &revocation) {
                    // Where it can be done at once, it is.
                    Err(error @ Error::NotItsTurn(_)) => {
                        missed = Some(error);
                        continue;
                    }
                    carried => carried?,
                }
                self.follow_up(space);
                let what = format!("device {} was revoked", device.short());
                self.notices.push_back(Notice::Space { space: space.to_string(), what });
            } else if !self.is_whole(&space) {
                let what = "another device carries it in, since this one does not have all channels here";
                self.notices.push_back(Notice::Space { space: space.to_string(), what: what.to_owned() });
            }
        }
        if let Some(missed) = missed {
            return Err(missed);
        }
        let holds = |space: &SpaceId| {
            self.store.space(space).is_some_and(|state| state.revoked(&user, &device).is_some())
        };
        Ok(Answer::Revoked { spaces: self.store.spaces().filter(holds).count() })
    }

    /// What is known of a user's revocations: by own word, or from the spaces.
    pub(crate) fn identity_log(&self, user: &UserId) -> IdentityLog {
        let mut log = IdentityLog::default();
        let of_spaces = self.store.spaces().filter_map(|space| self.store.space(&space));
        let told = of_spaces.flat_map(|state| state.revocations()).filter(|told| told.user == *user);
        told.cloned().for_each(|told| log.insert(told));
        self.own_revocations().filter(|own| own.user == *user).for_each(|own| log.insert(own));
        log
    }

    /// Carries what users said of their devices into a space that does not know it and still holds the device: what this
    /// user said, or what another space tells and this user has the rank for. Gives back whether there was anything besides
    /// what was `carried` before.
    pub(crate) fn carry_revocations(
        &mut self,
        space: SpaceId,
        carried: &mut BTreeSet<(UserId, DeviceId)>,
    ) -> Result<bool, Error> {
        let me = self.identity.device_id();
        let Some(state) = self.store.space(&space) else { return Ok(false) };
        if state.member_of(&me).is_none() {
            return Ok(false);
        }
        let elsewhere = self.store.spaces().filter(|other| *other != space);
        let told =
            elsewhere.filter_map(|other| self.store.space(&other)).flat_map(|other| other.revocations());
        let is_held = |revocation: &Revocation| {
            state.devices.get(&revocation.device) == Some(&revocation.user)
                && state.member_of(&revocation.device).is_some()
        };
        let open: Vec<Revocation> =
            told.cloned().chain(self.own_revocations()).filter(|revocation| is_held(revocation)).collect();
        for revocation in open {
            if self.has_say(&space, &revocation) && carried.insert((revocation.user, revocation.device)) {
                self.carry(space, &revocation)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Spaces that hold a device which its user revoked in this one, where this device may say so.
    pub(crate) fn concerned_by(&self, space: &SpaceId) -> Vec<SpaceId> {
        let Some(state) = self.store.space(space) else { return Vec::new() };
        let concerns = |other: &SpaceId| {
            other != space
                && self.store.space(other).is_some_and(|there| {
                    state.revocations().any(|revocation| {
                        there.devices.get(&revocation.device) == Some(&revocation.user)
                            && there.member_of(&revocation.device).is_some()
                            && self.has_say(other, revocation)
                    })
                })
        };
        self.store.spaces().filter(concerns).collect()
    }

    /// Whether this device can carry a revocation into a space: it may, its chain there is whole, it has all channels, of
    /// which the revocation says where the device's messages end, and it is in the group.
    fn has_say(&self, space: &SpaceId, revocation: &Revocation) -> bool {
        let op = ControlOp::RevokeDevice { revocation: revocation.clone(), pins: Vec::new() };
        let me = self.identity.device_id();
        let decides =
            self.store.control(space).is_ok_and(|control| control.is_some_and(|it| it.decides(&me)));
        decides && self.is_whole(space) && self.permitted(space, &op).is_ok() && self.epoch(space).is_ok()
    }

    /// One control event: the revocation, and the commit that takes the device out of the group.
    fn carry(&mut self, space: SpaceId, revocation: &Revocation) -> Result<(), Error> {
        let device = revocation.device;
        let pins = self.pins(&space, &[device]);
        let op = ControlOp::RevokeDevice { revocation: revocation.clone(), pins };
        let epoch = self.epoch(&space)?;
        let group =
            self.group(&space, &epoch.commit)?.ok_or_else(|| Error::NotInGroup(self.space_name(&space)))?;
        if group.members().contains(&device.0) {
            let prepared = self.prepare(space, &[], &[device.0])?;
            self.publish_only(space, vec![op], prepared)
        } else {
            self.control(space, vec![op], |_| Vec::new()).map(drop)
        }
    }

    pub(crate) fn keep_revocation(&mut self, revocation: &Revocation) -> Result<(), Error> {
        let name = [REVOCATIONS, &revocation.hash()].concat();
        if self.store.record(&name).is_some() {
            return Ok(());
        }
        let bytes = postcard::to_allocvec(revocation).expect("plain values encode into a growing buffer");
        Ok(self.store.write_records(vec![(name, Some(SecretBytes::take(bytes)))])?)
    }

    fn own_revocations(&self) -> impl Iterator<Item = Revocation> + '_ {
        let records = self.store.records(REVOCATIONS);
        records.filter_map(|(_, bytes)| postcard::from_bytes::<Revocation>(bytes).ok())
    }

    /// The device of this user with this id or unique id prefix, in any space, admitted or revoked.
    fn own_device(&self, name: &str) -> Result<DeviceId, Error> {
        let user = self.identity.user_id();
        let mut all: BTreeSet<DeviceId> =
            self.identity_log(&user).entries().into_iter().map(|entry| entry.device).collect();
        all.insert(self.identity.device_id());
        self.store.spaces().for_each(|space| all.extend(self.devices_of(&space, &user)));
        let named = all.into_iter().map(|device| (device, device.to_string(), String::new()));
        pick("device of yours", Some(name), named.collect())
    }
}
