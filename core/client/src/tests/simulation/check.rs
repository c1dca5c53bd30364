//! What must hold, whatever happened.
use super::world::World;
use crate::ArchiveCheck;
use crate::api::{Answer, ArchiveRange, Message, MessageFilter, Place, Request};
use std::collections::{BTreeMap, BTreeSet};
use terachat_core_store::Wait;
use terachat_core_store::model::{ChannelKind, History, Permission};
use terachat_core_store::query::PageStart;
use terachat_event::{DeviceId, LogId};

impl World {
    /// All that a device can read of a channel.
    pub(super) fn page(&self, at: usize, log: &LogId) -> Vec<Message> {
        let place = Place { space: None, channel: log.channel.map(|id| id.to_string()) };
        match self.devices[at].client.read(&place, 10_000, [None; 3], None, false, &MessageFilter::default())
        {
            Ok(Answer::Messages { messages }) => messages,
            other => panic!("d{at} cannot read: {other:?}"),
        }
    }

    /// What a device acknowledged is in its store, event for event.
    pub(super) fn everything_acknowledged_is_there(&self, at: usize) {
        let client = &self.devices[at].client;
        if self.knows_of_a_fork(at) {
            return;
        }
        for said in self.said.iter().filter(|said| said.author == at) {
            let there = client.store.find_events(&said.log, &said.id).len() == 1;
            assert!(there, "d{at} lost {:?}, which it had acknowledged", said.bodies);
        }
        for ((_, log), last) in self.imported.iter().filter(|((author, _), _)| *author == at) {
            let device = DeviceId(self.devices[at].id);
            let state = client.store.space(&log.space).unwrap();
            // Whose role lost it, by an event that knew of less, wrote what is void.
            if !state.permits(&device, Permission::Post) {
                continue;
            }
            assert!(
                client.store.import_position(log, &device, at as u64) >= *last,
                "d{at} lost imported records"
            );
        }
    }

    /// All faults end, all links come up, and everybody who was invited comes.
    pub(super) fn heal(&mut self) {
        self.note(|| "--- healing".to_owned());
        self.calm = true;
        for at in 0..self.devices.len() {
            if self.devices[at].fault.is_some() {
                self.reboot(at, true);
            }
        }
        for a in 0..self.devices.len() {
            for b in 0..a {
                self.cut(a, b);
            }
        }
        for guest in 0..self.devices.len() {
            if !self.devices[guest].joined {
                self.join(guest);
            }
        }
        for _ in 0..if self.cast.board { 2 } else { 0 } {
            (0..self.devices.len()).for_each(|at| self.fetch(at));
            (0..self.devices.len()).for_each(|at| self.publish(at));
        }
        for a in 0..self.devices.len() {
            for b in 0..a {
                self.connect(a, b);
            }
        }
        self.settle();
        self.invite_again();
        self.take_places();
        self.dump();
        if self.knows_of_a_fork(0) {
            self.note(|| "--- the control log forked".to_owned());
            // What rested on the liar's decisions is void, and with it what was said by right of them.
            self.said.clear();
            self.imported.clear();
            // And who was removed by them was not.
            self.withheld.clear();
        }
    }

    /// Whoever was admitted and never got an invitation, because the power went on the way, is given it again.
    fn invite_again(&mut self) {
        let space = self.space();
        for guest in 0..self.devices.len() {
            let state = self.devices[0].client.store.space(&space).unwrap();
            let waits = !self.devices[guest].joined && !self.lies(guest);
            if waits && state.member_of(&DeviceId(self.devices[guest].id)).is_some() {
                self.invite(0, guest);
                self.join(guest);
                self.settle();
            }
        }
    }

    /// Whoever is a member and in no epoch takes the own place again, as its user is told to: the states that lead from its half
    /// of a long partition to the other are not kept for ever (ADR 0029).
    fn take_places(&mut self) {
        let space = self.space();
        for at in self.present() {
            if self.devices[at].client.epoch(&space).is_err() {
                self.note(|| format!("d{at} takes its place again"));
                self.forgets(at);
                let _ = self.ask(at, Request::Rejoin { space: None });
                self.settle();
            }
        }
    }

    /// Whether a device knows that the control log forked, so that what others said by right of that may be void.
    fn knows_of_a_fork(&self, at: usize) -> bool {
        self.devices[at].client.store.equivocations().any(|(log, ..)| log.channel.is_none())
    }

    /// Present members who know that they are.
    fn present(&self) -> Vec<usize> {
        let space = self.space();
        let state = self.devices[0].client.store.space(&space).unwrap();
        let present = |at: &usize| {
            let joined = self.devices[*at].joined && !self.lies(*at);
            joined && state.member_of(&DeviceId(self.devices[*at].id)).is_some()
        };
        (0..self.devices.len()).filter(present).collect()
    }

    pub(super) fn check(&mut self) {
        self.agreed();
        self.complete();
        self.entitled(&self.present());
        // And it goes on from here: everybody is heard by everybody.
        for at in self.present() {
            let space = self.space();
            let logs: Vec<LogId> =
                [History::Shared, History::SinceJoin].into_iter().filter_map(|it| self.chat(it)).collect();
            let (state, id) =
                (self.devices[0].client.store.space(&space).unwrap(), DeviceId(self.devices[at].id));
            let may = state.permits(&id, Permission::Post) && !state.archive().requires(&id);
            let rank = state.rank_of(&id);
            for log in logs {
                let body = self.text(at);
                assert_eq!(self.send(at, &log, body, None), may, "d{at} with {rank:?}");
                self.settle();
            }
        }
        self.agreed();
        self.complete();
        self.entitled(&self.present());
        self.defended();
        self.archived();
        let honest: Vec<usize> = (0..self.devices.len()).filter(|at| !self.lies(*at)).collect();
        for at in honest {
            let Ok(Answer::Audit(report)) = self.ask(at, Request::Audit) else { panic!("no audit") };
            assert_eq!(report.alarm, Vec::<String>::new(), "audit of d{at}");
        }
    }

    /// The first channel with a history in which one may say something without a title.
    fn chat(&self, history: History) -> Option<LogId> {
        let space = self.space();
        let channels = &self.devices[0].client.store.space(&space)?.channels;
        let mut fits =
            channels.iter().filter(|(_, found)| found.kind == ChannelKind::Chat && found.history == history);
        fits.next().map(|(id, _)| LogId::channel(space, *id))
    }

    /// Whoever is out, and one of those who are in, tries all that it can.
    fn defended(&mut self) {
        let present = self.present();
        let honest = (1..self.devices.len()).filter(|at| !self.lies(*at));
        let (inside, outside): (Vec<usize>, Vec<usize>) = honest.partition(|at| present.contains(at));
        for at in [self.random.pick(&inside), self.random.pick(&outside)].into_iter().flatten() {
            let loot = self.attack(at);
            self.note(|| format!("d{at} opens of what is for it {loot:?}"));
            self.loot.add(loot);
        }
    }

    /// What required archives export verifies, and holds all that they read.
    fn archived(&mut self) {
        let space = self.space();
        let state = self.devices[0].client.store.space(&space).unwrap();
        let archives: Vec<usize> = self
            .present()
            .into_iter()
            .filter(|at| state.archive().requires(&DeviceId(self.devices[*at].id)))
            .collect();
        for at in archives {
            let (now, texts) = (self.now, self.texts_on(at));
            let client = &mut self.devices[at].client;
            let mut export = client.begin_archive_export(&ArchiveRange::default(), now).unwrap();
            let mut file = Vec::new();
            while let Some(piece) = client.go_on_exporting(&mut export).unwrap() {
                file.extend(piece);
            }
            let mut check = ArchiveCheck::default();
            file.split_inclusive(|byte| *byte == b'\n')
                .for_each(|line| check.line(line.strip_suffix(b"\n").unwrap()).unwrap());
            check.finish().unwrap();
            let file = String::from_utf8(file).unwrap();
            let lost = texts.keys().find(|text| self.texts.contains_key(*text) && !file.contains(*text));
            assert_eq!(lost, None, "the archive d{at} does not export it");
        }
    }

    /// All present members are in one state and one epoch.
    fn agreed(&mut self) {
        let space = self.space();
        let status = |at: usize| {
            let client = &self.devices[at].client;
            let state = client.store.space(&space).unwrap_or_else(|| panic!("d{at} knows nothing"));
            let epoch = client.memberships.get(&space).and_then(|membership| membership.current);
            let epoch = epoch.unwrap_or_else(|| panic!("d{at} is in no epoch"));
            let group = client.group(&space, &epoch.commit).unwrap().unwrap();
            let inside: BTreeSet<DeviceId> = group.members().into_iter().map(DeviceId).collect();
            let mut present: BTreeSet<DeviceId> = state.present_devices().copied().collect();
            // Whoever's chain forked can neither offer keys for another suite nor take its place in it.
            let liar = self.liar.map(|(liar, _)| DeviceId(self.devices[liar].id));
            present.retain(|device| inside.contains(device) || Some(*device) != liar);
            assert_eq!(inside, present, "d{at}: the group is not the members");
            // What a removed member sealed in an epoch that became void stays closed, and whoever was offered it says so.
            let honest = client.peers.iter().filter(|(peer, _)| Some(**peer) != liar);
            let waits: Vec<Wait> = honest.flat_map(|(_, state)| state.waits.values().copied()).collect();
            let open: Vec<&Wait> = waits.iter().filter(|wait| !matches!(wait, Wait::Epoch(_))).collect();
            assert_eq!(open, Vec::<&Wait>::new(), "d{at} waits");
            (state.clone(), (epoch, group.epoch_authenticator()), client.store.space_hash(&space).unwrap())
        };
        let first = status(0);
        // Whoever seals words so that only some can open them parts nobody but itself from the others.
        let closed = self.present().into_iter().any(|at| {
            let waiting = self.devices[at].client.waiting(&space);
            waiting.iter().any(|wait| wait.contains("key of epoch"))
        });
        let withheld = closed && self.liar.is_some();
        for at in self.present() {
            let other = status(at);
            assert_eq!(other.0, first.0, "d0 and d{at} know other members, roles or channels");
            assert_eq!(other.1, first.1, "d0 and d{at} are in other epochs");
            for log in self.devices[0].client.store.logs().iter().filter(|log| log.channel.is_some()) {
                if withheld {
                    assert_eq!(
                        self.honest_page(at, log),
                        self.honest_page(0, log),
                        "d0 and d{at} read something else"
                    );
                    continue;
                }
                if self.history(log) == History::Shared {
                    assert_eq!(self.page(at, log), self.page(0, log), "d0 and d{at} read something else");
                    let views = |at: usize| {
                        self.devices[at].client.store.page(log, PageStart::Newest, 10_000).unwrap()
                    };
                    assert_eq!(views(at), views(0), "d0 and d{at} hold something else");
                } else {
                    assert_eq!(
                        self.outlines(at, log),
                        self.outlines(0, log),
                        "d0 and d{at} see something else"
                    );
                }
                let frontier = |at: usize| self.devices[at].client.store.frontier(log);
                assert_eq!(frontier(at), frontier(0), "d0 and d{at} have other events");
            }
            assert!(withheld || other.2 == first.2, "d0 and d{at} are in other states");
        }
    }

    /// What all see of messages, whoever can read them.
    fn outlines(&self, at: usize, log: &LogId) -> Vec<Message> {
        let outline = |message: Message| Message {
            body: String::new(),
            sealed: false,
            title: None,
            tags: Vec::new(),
            mentions: Vec::new(),
            attachments: Vec::new(),
            // What was imported has another author and time, which are sealed with it.
            author: String::new(),
            ts_ms: 0,
            imported: false,
            style: crate::api::Style::Message,
            ..message
        };
        self.page(at, log).into_iter().map(outline).collect()
    }

    /// Who said what, in which order, the liar left out.
    fn honest_page(&self, at: usize, log: &LogId) -> Vec<(String, String)> {
        let liar = self.liar.map(|(liar, _)| self.devices[liar].client.identity.user_id().to_string());
        let page = self.page(at, log).into_iter().filter(|message| Some(&message.user) != liar.as_ref());
        let since_join = self.history(log) == History::SinceJoin;
        let body = |message: Message| if since_join { String::new() } else { message.body };
        page.map(|message| (message.id.clone(), body(message))).collect()
    }

    /// Everybody reads what they should and nobody what they should not.
    fn complete(&self) {
        let space = self.space();
        let state = self.devices[0].client.store.space(&space).unwrap();
        let heard = |at: usize| state.permits(&DeviceId(self.devices[at].id), Permission::Post);
        let logs: Vec<LogId> = state.channels.keys().map(|id| LogId::channel(space, *id)).collect();
        let read = |at: usize| -> BTreeMap<(LogId, String), Message> {
            let client = &self.devices[at].client;
            let known = logs.iter().filter(|log| client.store.logs().contains(log));
            known
                .flat_map(|log| {
                    self.page(at, log).into_iter().map(move |message| ((*log, message.id.clone()), message))
                })
                .collect()
        };
        for at in 0..self.devices.len() {
            let bodies: BTreeSet<String> = read(at).into_values().map(|message| message.body).collect();
            if self.lies(at) {
                continue;
            }
            let leaked = self.withheld.iter().find(|(n, body)| {
                *n == at && bodies.contains(body) && state.member_of(&DeviceId(self.devices[at].id)).is_none()
            });
            assert_eq!(leaked, None, "d{at} reads what was said after it was removed");
        }
        for at in self.present() {
            let read = read(at);
            let shared = |log: &LogId| logs.contains(log) && self.history(log) == History::Shared;
            for said in self.said.iter().filter(|said| shared(&said.log) && heard(said.author)) {
                let body = read.get(&(said.log, said.id.clone())).map(|message| &message.body);
                let fits =
                    body.is_some_and(|body| said.bodies.contains(body) || said.deleted && body.is_empty());
                assert!(fits, "d{at} reads {body:?} where d{} said {:?}", said.author, said.bodies);
            }
            for ((author, log), last) in
                self.imported.iter().filter(|((author, log), _)| heard(*author) && logs.contains(log))
            {
                let device = DeviceId(self.devices[*author].id);
                let position = self.devices[at].client.store.import_position(log, &device, *author as u64);
                assert!(position >= *last, "d{at} lacks records that d{author} imported");
            }
        }
    }
}
