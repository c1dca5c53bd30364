//! Who comes, who goes, who renews keys, and with which devices.
use super::entitled::Loss;
use super::world::{Device, World, entropy};
use crate::Client;
use crate::api::{Answer, Request};
use crate::membership::commit_of;
use crate::tests::passphrase;
use std::collections::BTreeSet;
use terachat_core_store::store::storage::{CrashStorage, Fault};
use terachat_event::{DeviceId, EventHash};

/// Devices beyond the first of each user.
const MORE_DEVICES_MAX: usize = 3;
/// Epochs that one half makes in a long partition, at most.
const EPOCHS_APART_MAX: usize = 60;

impl World {
    /// The first device founds a space with two or three channels and invites most of the others.
    pub(super) fn found(&mut self) {
        self.ask(0, Request::SpaceCreate { name: "club".into(), post_quantum: false }).unwrap();
        let channels = [("general", false), ("noise", false), ("vault", true)];
        for (name, since_join) in channels {
            if since_join && !self.cast.since_join {
                continue;
            }
            let name = name.to_owned();
            self.ask(0, Request::ChannelCreate { space: None, name, forum: false, since_join }).unwrap();
        }
        for guest in 1..self.devices.len() {
            let archive = self.cast.archive && guest == 1;
            if archive || !self.random.one_in(4) {
                self.connect(0, guest);
                if archive {
                    self.invite_at(0, guest, Some(0));
                } else {
                    self.invite(0, guest);
                }
                self.join(guest);
            }
            if archive {
                self.require_archive(0, guest, true);
            }
        }
        if self.random.one_in(2) {
            self.settle();
        }
        self.calm = false;
    }

    /// Before what changes the group: now and then the power goes at one of the writes that it takes.
    fn risk(&mut self, at: usize) {
        if !self.calm && self.devices[at].fault.is_none() && self.random.one_in(6) {
            let write = self.random.below(6) as u64;
            self.plan(at, Fault::PowerCut, write);
        }
    }

    /// The guest's card goes to the host and the invitation back, by hand.
    pub(super) fn invite(&mut self, host: usize, guest: usize) {
        let rank = self.random.pick(&[10, 10, 50, 80]);
        self.invite_at(host, guest, rank);
    }

    fn invite_at(&mut self, host: usize, guest: usize, rank: Option<u8>) {
        if host == guest || self.devices[guest].joined {
            return;
        }
        let Ok(Answer::Card { card, .. }) = self.ask(guest, Request::WhoAmI { post_quantum: false }) else {
            return;
        };
        self.risk(host);
        if let Ok(Answer::Invitation { invitation }) =
            self.ask(host, Request::Invite { space: None, card, rank })
        {
            self.devices[guest].invitation = Some(invitation);
        }
    }

    pub(super) fn join(&mut self, guest: usize) {
        let Some(invitation) = self.devices[guest].invitation.clone() else { return };
        self.risk(guest);
        if self.ask(guest, Request::Join { invitation }).is_ok() {
            self.devices[guest].joined = true;
        }
    }

    /// A user's further device is made of a backup, and admitted by the one that the backup is of.
    pub(super) fn add_device(&mut self, at: usize) {
        let one = &self.devices[at];
        let full = self.devices.len() >= self.users + MORE_DEVICES_MAX + 2 * usize::from(self.liar.is_some());
        if full || !one.joined || one.fault.is_some() || self.lies(at) {
            return;
        }
        let Some(space) = one.client.store.spaces().next() else { return };
        let new = self.devices.len();
        let client = &mut self.devices[at].client;
        let keys = client.begin_export();
        let (backup, _) = client.export(keys, &mut passphrase("backup")).unwrap();
        let commits = self.commits(at);
        let client = &self.devices[at].client;
        let handed: BTreeSet<EventHash> = commits
            .into_iter()
            .filter(|commit| client.store.epoch_secret(&space, commit).is_some())
            .collect();
        let inherited = self.texts_on(at).into_keys().collect();
        let storage = CrashStorage::new(self.random.next());
        let (mut restored, mut secret) = (passphrase("backup"), passphrase("secret"));
        let boxed = Box::new(storage.clone());
        let mut client =
            Client::restore(boxed, &backup, &mut restored, &mut secret, entropy(new, 0), self.now, None)
                .unwrap_or_else(|error| panic!("a backup of d{at} does not open: {error}"));
        client.plain_max = self.devices[at].client.plain_max;
        self.note(|| format!("d{new} is another device of d{at}'s user"));
        let (user, name) = (self.devices[at].user, self.devices[at].name.clone());
        let device = Device::new(name, user, client, storage);
        self.devices.push(Device { handed, inherited, ..device });
        let Ok(Answer::Card { card, .. }) = self.ask(new, Request::WhoAmI { post_quantum: false }) else {
            return;
        };
        self.risk(at);
        if let Ok(Answer::Invitations { invitations }) = self.ask(at, Request::DeviceAdd { card }) {
            self.devices[new].invitation = invitations.into_iter().next();
        }
        if self.random.one_in(2) {
            self.join(new);
        }
    }

    /// A user takes another of the own devices back. The founder's first one stays, to compare with.
    pub(super) fn revoke(&mut self, at: usize) {
        let (user, twin) = (self.devices[at].user, self.liar.map(|(_, twin)| twin));
        let id = self.devices[at].id;
        let fits = |n: &usize| self.devices[*n].user == user && self.devices[*n].id != id && Some(*n) != twin;
        let others: Vec<usize> = (1..self.devices.len()).filter(fits).collect();
        let Some(lost) = self.random.pick(&others) else { return };
        self.risk(at);
        let device = DeviceId(self.devices[lost].id).to_string();
        let _ = self.ask(at, Request::DeviceRevoke { device });
    }

    pub(super) fn remove(&mut self, at: usize, member: usize) {
        // The founder stays, so that there is somebody to compare with.
        if self.devices[member].user != 0 {
            self.risk(at);
            let member = self.devices[member].name.clone();
            let _ = self.ask(at, Request::MemberRemove { space: None, member });
        }
    }

    pub(super) fn rank(&mut self, at: usize, member: usize) {
        if self.devices[member].user != 0 {
            let rank = self.random.pick(&[0, 10, 30, 50, 80, 90]).unwrap_or_default();
            if rank == 90 {
                return self.change_role(at, member);
            }
            let member = self.devices[member].name.clone();
            let _ = self.ask(at, Request::RoleSet { space: None, member, rank });
        }
    }

    /// A role is given, or loses, what counts in channels and in the control log.
    fn change_role(&mut self, at: usize, whose: usize) {
        let rank = [10, 50, 80][whose % 3];
        let changed = ["post", "moderate", "manage-roles"].map(str::to_owned)[..=at % 3].to_vec();
        let (give, take) = if (at + whose).is_multiple_of(2) { (changed, vec![]) } else { (vec![], changed) };
        let _ = self.ask(at, Request::RoleChange { space: None, rank, give, take });
    }

    /// The founder makes an administrator of a device, which may hear of it.
    pub(super) fn empower(&mut self, at: usize) {
        self.connect(0, at);
        let member = self.devices[at].name.clone();
        let _ = self.ask(0, Request::RoleSet { space: None, member, rank: 80 });
        for _ in 0..60 {
            self.deliver();
        }
    }

    /// A device is required as an archive or no more, mostly by the founder, or a legal hold begins or ends.
    pub(super) fn archive(&mut self, at: usize, device: usize) {
        let at = if self.random.one_in(3) { at } else { 0 };
        let stands = !self.random.one_in(3);
        if self.random.one_in(2) {
            return self.require_archive(at, device, stands);
        }
        let channel = self.anywhere(at).and_then(|log| log.channel).map(|id| id.to_string());
        let _ = self.ask(at, Request::Hold { space: None, channel, member: None, stands });
    }

    fn require_archive(&mut self, at: usize, device: usize, required: bool) {
        let device = DeviceId(self.devices[device].id).to_string();
        let _ = self.ask(at, Request::ArchiveRequire { space: None, device, required });
    }

    pub(super) fn renew(&mut self, at: usize) {
        self.risk(at);
        let _ = self.ask(at, Request::Renew { space: None });
    }

    /// A device loses its states of the group and takes its place again. The first one does not, so that somebody is left who
    /// can answer, nor does one whose disk is about to fail.
    pub(super) fn lose_group(&mut self, at: usize) {
        if at == 0 || self.devices[at].fault.is_some() || !self.devices[at].joined {
            return;
        }
        self.forgets(at);
        let client = &mut self.devices[at].client;
        let groups = client.store.records(b"group/").map(|(name, _)| (name.to_vec(), None)).collect();
        client.store.write_records(groups).unwrap();
        self.note(|| format!("d{at} loses the group"));
        self.risk(at);
        let _ = self.ask(at, Request::Rejoin { space: None });
    }

    /// Notes what a device that is about to rejoin has the keys of: nobody hands it others of before.
    pub(super) fn forgets(&mut self, at: usize) {
        let Some(space) = self.devices[at].client.store.spaces().next() else { return };
        let known = self.commits(at);
        let client = &self.devices[at].client;
        let held = known.iter().copied().filter(|commit| client.has_message_keys(&space, commit)).collect();
        self.devices[at].loss = Some(Loss { held, known });
    }

    /// All commits that a device knows of, the genesis too.
    pub(super) fn commits(&self, at: usize) -> BTreeSet<EventHash> {
        let store = &self.devices[at].client.store;
        let Some(space) = store.spaces().next() else { return BTreeSet::new() };
        let Ok(Some(control)) = store.control(&space) else { return BTreeSet::new() };
        let events = control.events().map(|(event, _)| event);
        let commits = events.filter(|event| commit_of(event).is_some()).map(|event| event.hash);
        commits.chain([EventHash(space.0)]).collect()
    }

    /// The space is asked to move to another suite, at once or when all have offered keys: by its founder for the most part.
    pub(super) fn reinit(&mut self, at: usize) {
        let at = if self.random.one_in(3) { at } else { 0 };
        let (post_quantum, now) = (!self.random.one_in(3), self.random.one_in(2));
        self.risk(at);
        let _ = self.ask(at, Request::Reinit { space: None, post_quantum, now });
    }

    /// The devices fall into two halves, in one or both of which many epochs are made, and words said in them.
    pub(super) fn part_for_long(&mut self) {
        let here: BTreeSet<usize> = (0..self.devices.len()).filter(|_| self.random.one_in(2)).collect();
        let all: Vec<(usize, usize)> =
            (0..self.devices.len()).flat_map(|a| (0..a).map(move |b| (a, b))).collect();
        let crosses = |&(a, b): &(usize, usize)| here.contains(&a) != here.contains(&b);
        all.iter().filter(|pair| crosses(pair)).for_each(|(a, b)| self.cut(*a, *b));
        all.iter().filter(|pair| !crosses(pair)).for_each(|(a, b)| self.connect(*a, *b));
        let mut left =
            [self.random.within(1..=EPOCHS_APART_MAX), self.random.pick(&[0, 0, 1, 8, 30, 60]).unwrap_or(0)];
        if self.random.one_in(2) {
            left.reverse();
        }
        self.note(|| format!("--- halves {here:?} and the others make {left:?} epochs"));
        let (halves, _): (Vec<usize>, Vec<usize>) = (0..self.devices.len()).partition(|at| here.contains(at));
        let rest: Vec<usize> = (0..self.devices.len()).filter(|at| !here.contains(at)).collect();
        while left != [0, 0] {
            for (side, half) in [&halves, &rest].into_iter().enumerate() {
                let space = self.space();
                let is_in = |at: &usize| self.devices[*at].client.epoch(&space).is_ok();
                let inside: Vec<usize> = half.iter().copied().filter(is_in).collect();
                let Some(at) = self.random.pick(&inside).filter(|_| left[side] > 0) else {
                    left[side] = 0;
                    continue;
                };
                left[side] -= 1;
                self.renew(at);
                if self.random.one_in(3) {
                    self.speak(at);
                }
                for _ in 0..self.random.within(0..=20) {
                    self.deliver();
                }
            }
        }
        self.note(|| "--- the halves may meet".to_owned());
    }
}
