//! What members, networks, disks and adversaries do.
use super::world::{Said, World, key};
use crate::api::{Answer, Arrangement, ImportRecord, NewPost, Place, Request, Style};
use terachat_core_store::store::storage::Fault;
use terachat_event::{DeviceId, LogId};

/// Most channels of the space.
const CHANNELS_MAX: usize = 4;

impl World {
    /// The first device founds a space with two channels and invites most of the others.
    pub(super) fn found(&mut self) {
        self.ask(0, Request::SpaceCreate { name: "club".into(), post_quantum: false }).unwrap();
        for name in ["general", "noise"] {
            self.ask(
                0,
                Request::ChannelCreate { space: None, name: name.into(), forum: false, since_join: false },
            )
            .unwrap();
        }
        for guest in 1..self.devices.len() {
            if !self.random.one_in(4) {
                self.connect(0, guest);
                self.invite(0, guest);
                self.join(guest);
            }
        }
        if self.random.one_in(2) {
            self.settle();
        }
    }

    pub(super) fn step(&mut self) {
        let at = self.random.below(self.devices.len());
        let other = self.random.below(self.devices.len());
        match self.random.below(100) {
            0..22 => self.speak(at),
            22..27 => self.import(at),
            27..32 => self.invite(at, other),
            32..35 => self.join(at),
            35..39 => self.remove(at, other),
            39..44 => self.rank(at, other),
            44..47 => self.channel(at),
            47..55 => self.connect(at, other),
            55..61 => self.cut(at, other),
            61..64 => self.reboot(at, true),
            64..70 => self.fault(at),
            70..74 => self.carry(at, other),
            74..77 => self.replay(),
            77..80 => self.damage(),
            80..82 => self.speak_at_once(at),
            82..84 => self.lose_group(at),
            84..86 => self.reinit(at),
            _ => {
                for _ in 0..self.random.within(1..=40) {
                    self.deliver();
                }
            }
        }
    }

    /// A device loses its states of the group and takes its place again. The first one does not, so that somebody is left who
    /// can answer, nor does one whose disk is about to fail.
    fn lose_group(&mut self, at: usize) {
        if at == 0 || self.devices[at].fault.is_some() {
            return;
        }
        let client = &mut self.devices[at].client;
        let groups = client.store.records(b"group/").map(|(name, _)| (name.to_vec(), None)).collect();
        client.store.write_records(groups).unwrap();
        self.note(|| format!("d{at} loses the group"));
        let _ = self.ask(at, Request::Rejoin { space: None });
    }

    /// The space is asked to move to another suite, at once or when all have offered keys: by its founder for the most part.
    fn reinit(&mut self, at: usize) {
        let at = if self.random.one_in(3) { at } else { 0 };
        let (post_quantum, now) = (!self.random.one_in(3), self.random.one_in(2));
        let _ = self.ask(at, Request::Reinit { space: None, post_quantum, now });
    }

    fn place(log: &LogId) -> Place {
        Place { space: None, channel: log.channel.map(|id| id.to_string()) }
    }

    /// A channel that the device knows.
    fn anywhere(&mut self, at: usize) -> Option<LogId> {
        let logs = self.devices[at].client.store.logs();
        let channels: Vec<LogId> = logs.into_iter().filter(|log| log.channel.is_some()).collect();
        self.random.pick(&channels)
    }

    pub(super) fn text(&mut self, at: usize) -> String {
        self.serial += 1;
        format!("word {} of d{at}{}", self.serial, " and so on".repeat(self.random.below(8)))
    }

    fn speak(&mut self, at: usize) {
        let Some(log) = self.anywhere(at) else { return };
        let place = Self::place(&log);
        let known = self.page(at, &log);
        let target = self.random.pick(&known);
        let body = self.text(at);
        match (self.random.below(13), target) {
            (0..5, _) | (_, None) => {
                self.send(at, &log, body, None);
            }
            (5..7, Some(target)) => {
                self.send(at, &log, body, Some(target.id));
            }
            (7, Some(_)) => {
                let mine: Vec<usize> = (0..self.said.len())
                    .filter(|n| self.said[*n].author == at && self.said[*n].log == log)
                    .collect();
                let Some(n) = self.random.pick(&mine) else { return };
                self.withhold(at, &body);
                let message = self.said[n].id.clone();
                match self.ask(at, Request::Edit { place, message, body: body.clone() }) {
                    Ok(_) => self.said[n].bodies = vec![body],
                    Err(_) => self.said[n].bodies.push(body),
                }
            }
            (8, Some(target)) => {
                let emoji = self.random.pick(&["+1", "-1"]).unwrap_or_default().to_owned();
                let remove = self.random.one_in(3);
                let _ = self.ask(at, Request::React { place, message: target.id, emoji, remove });
            }
            (9, Some(target)) => {
                let deleted = self.said.iter_mut().filter(|said| said.id == target.id && said.log == log);
                deleted.for_each(|said| said.deleted = true);
                let _ = self.ask(at, Request::Delete { place, message: target.id });
            }
            (10, Some(target)) => {
                let _ = self.ask(at, Request::Mark { place, message: Some(target.id) });
            }
            (11, Some(target)) => {
                let (title, tags) = (Some(body.clone()), vec!["tag".to_owned()]);
                let body = format!("@everyone: {body}");
                self.withhold(at, &body);
                let post = NewPost { body: body.clone(), title, tags, ..NewPost::default() };
                if let Ok(Answer::Sent { id }) =
                    self.ask(at, Request::Post { place: place.clone(), post: post.into() })
                    && !self.lies(at)
                {
                    self.said.push(Said { id, author: at, log, bodies: vec![body], deleted: false });
                }
                let title = self.text(at);
                let _ = self.ask(at, Request::Retitle { place, message: target.id, title, tags: Vec::new() });
            }
            (_, Some(target)) => {
                let remove = self.random.one_in(3);
                let _ = self.ask(at, Request::Pin { place, message: target.id, remove });
            }
        }
    }

    pub(super) fn send(&mut self, at: usize, log: &LogId, body: String, reply_to: Option<String>) -> bool {
        self.withhold(at, &body);
        let request = Request::Send { place: Self::place(log), body: body.clone(), reply_to };
        let Ok(Answer::Sent { id }) = self.ask(at, request) else { return false };
        if !self.lies(at) {
            self.said.push(Said { id, author: at, log: *log, bodies: vec![body], deleted: false });
        }
        true
    }

    /// Notes who must not read what a device is about to say: whoever it knows to be removed.
    fn withhold(&mut self, at: usize, body: &str) {
        let Some(space) = self.devices[at].client.store.spaces().next() else { return };
        let Some(state) = self.devices[at].client.store.space(&space) else { return };
        let gone = |id: &[u8; 32]| {
            state.devices.contains_key(&DeviceId(*id)) && state.member_of(&DeviceId(*id)).is_none()
        };
        let gone: Vec<usize> =
            (0..self.devices.len()).filter(|n| *n != at && gone(&self.devices[*n].id)).collect();
        self.withheld.extend(gone.into_iter().map(|n| (n, body.to_owned())));
    }

    /// Several messages under one sync; if that fails the device starts anew, as the interface asks.
    fn speak_at_once(&mut self, at: usize) {
        let Some(log) = self.anywhere(at) else { return };
        let bodies: Vec<String> = (0..self.random.within(2..=5)).map(|_| self.text(at)).collect();
        bodies.iter().for_each(|body| self.withhold(at, body));
        let request =
            |body: &String| Request::Send { place: Self::place(&log), body: body.clone(), reply_to: None };
        let now = self.now;
        let result = self.devices[at].client.execute_all(bodies.iter().map(request).collect(), now);
        let fault = self.fired(at);
        self.note(|| format!("d{at} says {} at once: {} {fault:?}", bodies.len(), result.is_ok()));
        let Ok(answers) = result else {
            assert!(fault.is_some(), "d{at} cannot write");
            return self.reboot(at, false);
        };
        for (body, answer) in bodies.into_iter().zip(answers) {
            if let Ok(Answer::Sent { id }) = answer
                && !self.lies(at)
            {
                self.said.push(Said { id, author: at, log, bodies: vec![body], deleted: false });
            }
        }
        self.after(at, fault);
    }

    fn import(&mut self, at: usize) {
        let Some(log) = self.anywhere(at) else { return };
        let source = at as u64;
        let Ok(Answer::ImportPosition { last_id }) =
            self.ask(at, Request::ImportPosition { place: Self::place(&log), source })
        else {
            return;
        };
        let record = |id: u64| ImportRecord {
            id,
            ts_ms: id as i64,
            style: Style::Message,
            author: format!("nick{}", id % 3),
            body: format!("record {id} of d{at}"),
            reply_to: (id > 2).then(|| id - 2),
        };
        let from = last_id.saturating_sub(self.random.below(5) as u64) + 1;
        let records: Vec<ImportRecord> =
            (from..from + self.random.within(1..=30) as u64).map(record).collect();
        let last = records.last().map_or(0, |record| record.id).max(last_id);
        if self.ask(at, Request::Import { place: Self::place(&log), source, records }).is_ok()
            && !self.lies(at)
        {
            self.imported.insert((at, log), last);
        }
    }

    /// The guest's card goes to the host and the invitation back, by hand.
    fn invite(&mut self, host: usize, guest: usize) {
        if host == guest || self.devices[guest].joined {
            return;
        }
        let Ok(Answer::Card { card, .. }) = self.ask(guest, Request::WhoAmI { post_quantum: false }) else {
            return;
        };
        let rank = self.random.pick(&[10, 10, 50, 80]);
        if let Ok(Answer::Invitation { invitation }) =
            self.ask(host, Request::Invite { space: None, card, rank })
        {
            self.devices[guest].invitation = Some(invitation);
        }
    }

    pub(super) fn join(&mut self, guest: usize) {
        if let Some(invitation) = self.devices[guest].invitation.clone()
            && self.ask(guest, Request::Join { invitation }).is_ok()
        {
            self.devices[guest].joined = true;
        }
    }

    fn remove(&mut self, at: usize, member: usize) {
        // The founder stays, so that there is somebody to compare with.
        if member != 0 {
            let member = self.devices[member].name.clone();
            let _ = self.ask(at, Request::MemberRemove { space: None, member });
        }
    }

    fn rank(&mut self, at: usize, member: usize) {
        if member != 0 {
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

    /// The liar and its twin each say or decide something, and somebody hears of it.
    pub(super) fn lie(&mut self) {
        let Some((liar, twin)) = self.liar else { return };
        for at in [liar, twin] {
            let other = self.random.below(liar.max(3));
            match self.random.below(8) {
                0..3 => self.channel(at),
                3..5 => self.rank(at, other),
                5 => self.invite(at, other),
                6 => self.remove(at, other),
                _ => self.speak(at),
            }
            let other = self.random.below(self.devices.len());
            self.connect(at, other);
            for _ in 0..self.random.within(1..=30) {
                self.deliver();
            }
        }
    }

    fn channel(&mut self, at: usize) {
        if self.devices[at].client.store.logs().len() <= CHANNELS_MAX {
            let name = format!("room{}", self.random.below(3));
            let forum = self.random.one_in(3);
            let _ = self.ask(at, Request::ChannelCreate { space: None, name, forum, since_join: false });
        }
        self.arrange(at);
    }

    fn arrange(&mut self, at: usize) {
        let Some(log) = self.anywhere(at) else { return };
        let channel = log.channel.map(|id| id.to_string()).unwrap_or_default();
        let name = self.text(at);
        let other = self.anywhere(at).and_then(|log| log.channel).map(|id| id.to_string());
        let change = match self.random.below(4) {
            0 => Arrangement::CreateCategory { name: "rooms".to_owned() },
            1 => Arrangement::RenameChannel { channel, name: name.chars().take(20).collect() },
            2 => Arrangement::Topic { channel, topic: name },
            _ => Arrangement::Place { channel, category: Some("rooms".to_owned()), after: other },
        };
        let _ = self.ask(at, Request::Arrange { space: None, change });
    }

    fn fault(&mut self, at: usize) {
        if self.devices[at].fault.is_none() {
            let fault = self.random.pick(&[Fault::PowerCut, Fault::Full, Fault::Full]).unwrap_or(Fault::Full);
            let operation = self.devices[at].storage.operations() + self.random.below(12) as u64;
            self.note(|| format!("d{at} will meet {fault:?}"));
            self.devices[at].storage.fail_at(operation, fault);
            self.devices[at].fault = Some((operation, fault));
        }
    }

    /// A bundle file goes from hand to hand, at times scratched on the way.
    fn carry(&mut self, from: usize, to: usize) {
        let Ok(Answer::Bundle { mut bytes, .. }) = self.ask(from, Request::BundleExport { space: None })
        else {
            return;
        };
        let damaged = self.random.one_in(3);
        if damaged {
            self.spoil(&mut bytes);
        }
        let expected = !damaged
            && !self.lies(from)
            && !self.lies(to)
            && self.devices[to].joined
            && self.devices[to].fault.is_none();
        if let Ok(Answer::BundleApplied { refused, .. }) = self.ask(to, Request::BundleImport { bytes }) {
            assert!(!expected || refused.is_empty(), "d{to} refuses an honest file of d{from}: {refused:?}");
        }
    }

    fn spoil(&mut self, bytes: &mut Vec<u8>) {
        let at = self.random.below(bytes.len());
        match self.random.below(4) {
            0 => bytes.truncate(at),
            1 => bytes.push(self.random.next() as u8),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.random.below(8);
                }
            }
        }
    }

    /// A peer says again what it, or somebody else, said before.
    fn replay(&mut self) {
        let lanes: Vec<(usize, usize)> = self.lanes.keys().copied().collect();
        let Some((from, to)) = self.random.pick(&lanes) else { return };
        let Some((.., frame)) = self.random.pick(&self.old) else { return };
        self.note(|| format!("d{from} replays"));
        self.tainted.insert(key(from, to));
        self.hand(from, to, frame);
    }

    fn damage(&mut self) {
        let full: Vec<(usize, usize)> =
            self.lanes.iter().filter(|(_, lane)| !lane.frames.is_empty()).map(|(at, _)| *at).collect();
        let Some((from, to)) = self.random.pick(&full) else { return };
        let mut frame = self.lanes.get_mut(&(from, to)).and_then(|lane| lane.frames.pop_front()).unwrap();
        self.note(|| format!("d{from} garbles"));
        self.spoil(&mut frame);
        self.tainted.insert(key(from, to));
        self.hand(from, to, frame);
    }
}
