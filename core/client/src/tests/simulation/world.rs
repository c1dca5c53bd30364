//! Devices, links between them, and what the hand that holds them remembers.
use super::attack::Loot;
use super::cast::Cast;
use super::entitled::{Epochs, Loss};
use super::random::Random;
use super::trace::{name_of, outcome};
use super::wire::Wire;
use crate::api::{Answer, Request};
use crate::heads::PLAIN_MAX;
use crate::tests::{Counter, passphrase};
use crate::{Client, Error};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use terachat_core_store::store::Storage;
use terachat_core_store::store::storage::{CrashStorage, Fault};
use terachat_core_store::sync::Frontier;
use terachat_core_store::sync::board::MemoryBoard;
use terachat_event::{DeviceId, EventHash, LogId, SpaceId};

/// Frames kept to be sent a second time.
const OLD_FRAMES_MAX: usize = 200;
/// Frames after which devices that were left alone must have fallen silent.
const TALK_MAX: usize = 30_000;

pub(super) struct Device {
    pub(super) name: String,
    pub(super) client: Client,
    pub(super) storage: CrashStorage,
    pub(super) id: [u8; 32],
    /// The operation that is to fail, if one is.
    pub(super) fault: Option<(u64, Fault)>,
    pub(super) invitation: Option<String>,
    pub(super) joined: bool,
    /// Whose it is: the number of the user's first device.
    pub(super) user: usize,
    /// What it was handed by a backup: epochs with their secrets, and texts.
    pub(super) handed: BTreeSet<EventHash>,
    pub(super) inherited: BTreeSet<String>,
    /// The last time it lost its states of the group.
    pub(super) loss: Option<Loss>,
    pub(super) incarnation: u64,
}

impl Device {
    pub(super) fn new(name: String, user: usize, client: Client, storage: CrashStorage) -> Self {
        let id = client.identity.device_id().0;
        Self {
            name,
            client,
            storage,
            id,
            fault: None,
            invitation: None,
            joined: false,
            user,
            handed: BTreeSet::new(),
            inherited: BTreeSet::new(),
            loss: None,
            incarnation: 0,
        }
    }

    /// How often it was started.
    pub(super) fn lives(&self) -> u64 {
        self.incarnation
    }
}

/// A message that its author's device acknowledged.
pub(super) struct Said {
    pub(super) id: String,
    pub(super) author: usize,
    pub(super) log: LogId,
    /// Its text as last acknowledged, and what it may be if an edit whose outcome is unknown happened after all.
    pub(super) bodies: Vec<String>,
    /// Whether somebody deleted it, or tried to: by a right that counts or one that does not.
    pub(super) deleted: bool,
}

/// One direction of a link.
#[derive(Default)]
pub(super) struct Lane {
    pub(super) frames: VecDeque<Vec<u8>>,
}

pub(super) struct World {
    pub(super) cast: Cast,
    pub(super) random: Random,
    /// How many users there are; their first devices come first.
    pub(super) users: usize,
    /// Whether nothing fails, because it is the beginning or the end.
    pub(super) calm: bool,
    pub(super) devices: Vec<Device>,
    pub(super) lanes: BTreeMap<(usize, usize), Lane>,
    /// Links over which something false was said, by the lower device.
    pub(super) tainted: BTreeSet<(usize, usize)>,
    pub(super) old: Vec<(usize, usize, Vec<u8>)>,
    pub(super) now: u64,
    pub(super) serial: u64,
    pub(super) said: Vec<Said>,
    /// Texts that a device must never read, each with the device.
    pub(super) withheld: BTreeSet<(usize, String)>,
    /// Largest foreign id whose import was acknowledged, by device and channel.
    pub(super) imported: BTreeMap<(usize, LogId), u64>,
    /// The device that signs numbers twice, and its twin, which has the same keys.
    pub(super) liar: Option<(usize, usize)>,
    pub(super) board: MemoryBoard,
    pub(super) epochs: Epochs,
    /// The epoch in which a text was sealed, by the text.
    pub(super) texts: BTreeMap<String, EventHash>,
    pub(super) wire: Wire,
    pub(super) loot: Loot,
    pub(super) trace: bool,
}

pub(super) fn key(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

/// In some worlds all logs are told by roots and symbols, in some all but the smallest, in some by every other device.
fn plain_max(seed: u64, at: usize) -> usize {
    match seed / 2 % 4 {
        0 => PLAIN_MAX,
        1 => 0,
        2 => 2,
        _ => at % 2 * PLAIN_MAX,
    }
}

impl World {
    pub(super) fn new(seed: u64, trace: bool) -> Self {
        let mut random = Random::of(seed, "world", 0);
        let count = random.within(3..=5);
        let device = |at: usize| {
            let storage = CrashStorage::new(seed << 8 | at as u64);
            let boxed: Box<dyn Storage> = Box::new(storage.clone());
            let name = format!("d{at}");
            let mut client =
                Client::create(boxed, &name, &mut passphrase("secret"), entropy(at, 0), 0, None).unwrap();
            client.plain_max = plain_max(seed, at);
            Device { joined: at == 0, ..Device::new(name, at, client, storage) }
        };
        Self {
            cast: Cast::of(seed),
            random,
            users: count,
            calm: true,
            devices: (0..count).map(device).collect(),
            lanes: BTreeMap::new(),
            tainted: BTreeSet::new(),
            old: Vec::new(),
            now: 1_000_000,
            serial: 0,
            said: Vec::new(),
            withheld: BTreeSet::new(),
            imported: BTreeMap::new(),
            liar: None,
            board: MemoryBoard::new(),
            epochs: Epochs::default(),
            texts: BTreeMap::new(),
            wire: Wire::new(seed),
            loot: Loot::default(),
            trace: trace || std::env::var_os("TERACHAT_SIM_TRACE").is_some(),
        }
    }

    pub(super) fn space(&self) -> SpaceId {
        self.devices[0].client.store.spaces().next().unwrap()
    }

    /// A hash of all that left any device, and of what was answered.
    pub(super) fn happened(&self) -> [u8; 32] {
        self.wire.happened()
    }

    pub(super) fn index_of(&self, id: &[u8; 32]) -> usize {
        self.devices.iter().position(|device| device.id == *id).unwrap()
    }

    /// Whether nothing is promised of what this device says.
    pub(super) fn lies(&self, at: usize) -> bool {
        self.liar.is_some_and(|(a, b)| at == a || at == b)
    }

    /// Of the devices with this id the one that `from` has a link to.
    fn linked(&self, from: usize, id: &[u8; 32]) -> usize {
        let with = |to: &usize| self.devices[*to].id == *id && self.lanes.contains_key(&(from, *to));
        (0..self.devices.len()).find(with).unwrap_or_else(|| self.index_of(id))
    }

    /// Copies the disk of a device into a second one, which from now on speaks in its name too.
    pub(super) fn fork(&mut self) {
        let joined: Vec<usize> = (1..self.devices.len()).filter(|at| self.devices[*at].joined).collect();
        let Some(liar) = self.random.pick(&joined) else { return };
        if self.random.one_in(2) {
            self.empower(liar);
        }
        self.reboot(liar, true);
        let (mut storage, twin) = (CrashStorage::new(self.random.next()), self.devices.len());
        let disk = &self.devices[liar].storage;
        for file in disk.list().unwrap() {
            let len = disk.size(&file).unwrap().unwrap_or_default();
            storage.replace(&file, &disk.read(&file, 0, len as usize).unwrap()).unwrap();
        }
        self.note(|| format!("d{liar} has a twin, d{twin}"));
        let mut client =
            Client::open(Box::new(storage.clone()), &mut passphrase("secret"), entropy(twin, 0)).unwrap();
        client.plain_max = self.devices[liar].client.plain_max;
        let (name, user) = (self.devices[liar].name.clone(), self.devices[liar].user);
        self.devices.push(Device { joined: true, ..Device::new(name, user, client, storage) });
        self.said.retain(|said| said.author != liar);
        self.imported.retain(|(author, _), _| *author != liar);
        self.liar = Some((liar, twin));
    }

    /// Asks a device, and lets what follows from it happen: frames set out, a power cut comes into effect.
    pub(super) fn ask(&mut self, at: usize, request: Request) -> Result<Answer, Error> {
        self.now += self.random.below(2_000) as u64;
        let text = if self.trace { format!("{request:.90?}") } else { String::new() };
        let now = self.now;
        let result = self.devices[at].client.execute(request, now);
        self.note(|| format!("d{at} {text:.120} -> {}", outcome(&result)));
        let fault = self.fired(at);
        self.wire.note(&[at as u8, u8::from(result.is_ok())]);
        if let Err(error) = &result {
            let excused = match error {
                Error::NotAllowed(_) | Error::NotInGroup(_) | Error::Input(_) => true,
                Error::LacksPermission { .. } | Error::ExceedsRole { .. } | Error::Outranked { .. } => true,
                Error::Unknown { .. } | Error::Ambiguous { .. } => true,
                Error::LeftOut(_) | Error::Parted(_) => true,
                Error::RequiresArchive { .. } | Error::LeavesArchive { .. } => true,
                Error::Store(terachat_core_store::Error::Store(_)) => fault.is_some(),
                Error::Store(terachat_core_store::Error::Forbidden(_)) => self.lies(at),
                _ => false,
            };
            assert!(excused, "d{at}: {error} ({fault:?})");
        }
        self.after(at, fault);
        result
    }

    /// Whether the fault that was planned has come.
    pub(super) fn fired(&mut self, at: usize) -> Option<Fault> {
        let device = &mut self.devices[at];
        let (operation, fault) = device.fault?;
        (device.storage.operations() > operation).then(|| device.fault = None).map(|()| fault)
    }

    pub(super) fn after(&mut self, at: usize, fault: Option<Fault>) {
        if fault == Some(Fault::PowerCut) {
            return self.reboot(at, true);
        }
        self.note_epochs(at);
        while let Some((to, frame)) = self.devices[at].client.poll_frame() {
            let to = self.linked(at, &to);
            self.note(|| format!("      d{at} to d{to}: {}", name_of(&frame)));
            self.wire.note(&frame);
            if !self.lies(at) {
                let liar = self.liar.map(|(liar, _)| DeviceId(self.devices[liar].id));
                self.wire.carries(&self.devices[at].client, &frame, liar);
            }
            if self.old.len() < OLD_FRAMES_MAX {
                self.old.push((at, to, frame.clone()));
            } else {
                let slot = self.random.below(OLD_FRAMES_MAX);
                self.old[slot] = (at, to, frame.clone());
            }
            if let Some(lane) = self.lanes.get_mut(&(at, to)) {
                lane.frames.push_back(frame);
            }
        }
        while self.devices[at].client.poll_notice().is_some() {}
    }

    /// Takes the power away and opens the profile again. With `faithful`, memory showed nothing that was not durable.
    pub(super) fn reboot(&mut self, at: usize, faithful: bool) {
        self.note(|| format!("d{at} power cut"));
        let peers: Vec<usize> =
            (0..self.devices.len()).filter(|to| self.lanes.contains_key(&(at, *to))).collect();
        peers.into_iter().for_each(|to| self.cut(at, to));
        let device = &mut self.devices[at];
        device.incarnation += 1;
        let storage = device.storage.crash();
        let entropy = entropy(at, device.incarnation);
        let mut opened = Client::open(Box::new(storage.clone()), &mut passphrase("secret"), entropy)
            .unwrap_or_else(|error| panic!("d{at} does not open after a power cut: {error}"));
        opened.plain_max = device.client.plain_max;
        let old = std::mem::replace(&mut device.client, opened);
        (device.storage, device.fault) = (storage, None);
        if faithful {
            same_or_more(&old, &self.devices[at].client);
        }
        self.note_epochs(at);
        self.everything_acknowledged_is_there(at);
    }

    pub(super) fn connect(&mut self, a: usize, b: usize) {
        if a == b || self.lanes.contains_key(&(a, b)) {
            return;
        }
        if let Some((liar, twin)) = self.liar {
            // Whoever speaks with one of the two does not speak with the other at the same time.
            let speaks = |at: usize| [liar, twin].iter().any(|with| self.lanes.contains_key(&(at, *with)));
            if self.lies(a) && self.lies(b) || self.lies(a) && speaks(b) || self.lies(b) && speaks(a) {
                return;
            }
            if self.lies(a) || self.lies(b) {
                self.tainted.insert(key(a, b));
            }
        }
        self.note(|| format!("link d{a} d{b} up"));
        self.lanes.insert((a, b), Lane::default());
        self.lanes.insert((b, a), Lane::default());
        let (id_a, id_b) = (self.devices[a].id, self.devices[b].id);
        self.devices[a].client.connected(id_b);
        self.devices[b].client.connected(id_a);
        self.after(a, None);
        self.after(b, None);
    }

    pub(super) fn cut(&mut self, a: usize, b: usize) {
        if self.lanes.remove(&(a, b)).is_none() {
            return;
        }
        self.note(|| format!("link d{a} d{b} down"));
        self.lanes.remove(&(b, a));
        self.tainted.remove(&key(a, b));
        let (id_a, id_b) = (self.devices[a].id, self.devices[b].id);
        self.devices[a].client.disconnected(id_b);
        self.devices[b].client.disconnected(id_a);
    }

    /// Lets one frame arrive, from a random lane; in order within a lane. `false` when all lanes are empty.
    pub(super) fn deliver(&mut self) -> bool {
        let waiting: Vec<(usize, usize)> =
            self.lanes.iter().filter(|(_, lane)| !lane.frames.is_empty()).map(|(at, _)| *at).collect();
        let Some((from, to)) = self.random.pick(&waiting) else { return false };
        if self.random.one_in(4) {
            return self.deliver_many(to);
        }
        let frame = self.lanes.get_mut(&(from, to)).and_then(|lane| lane.frames.pop_front()).unwrap();
        self.hand(from, to, frame);
        true
    }

    /// Lets all frames arrive at once that wait for a device on lanes where nothing false was said.
    fn deliver_many(&mut self, to: usize) -> bool {
        let now = self.now + 1;
        self.now = now;
        let mut frames = Vec::new();
        for ((from, _), lane) in self.lanes.iter_mut().filter(|((_, at), _)| *at == to) {
            if !self.tainted.contains(&key(*from, to)) {
                frames.extend(lane.frames.drain(..).map(|frame| (self.devices[*from].id, frame)));
            }
        }
        self.note(|| format!("   d{to} from all: {} frames", frames.len()));
        if frames.is_empty() {
            let tainted = self.lanes.iter_mut().find(|((_, at), lane)| *at == to && !lane.frames.is_empty());
            let Some(((from, _), lane)) = tainted else { return true };
            let (from, frame) = (*from, lane.frames.pop_front().unwrap());
            self.hand(from, to, frame);
            return true;
        }
        let refused = self.devices[to].client.receive_all(frames, now);
        assert!(refused.is_empty(), "d{to} refuses honest frames: {refused:?}");
        let fault = self.fired(to);
        self.after(to, fault);
        true
    }

    /// Hands one frame over; a refusal ends the connection, and is deserved only where something false was said.
    pub(super) fn hand(&mut self, from: usize, to: usize, frame: Vec<u8>) {
        self.now += 1;
        let (id, now) = (self.devices[from].id, self.now);
        let before = standing(&self.devices[to].client);
        let what = if self.trace { name_of(&frame) } else { String::new() };
        let result = self.devices[to].client.receive(id, frame, now);
        self.note(|| {
            format!(
                "   d{to} from d{from}: {what} {}",
                result.as_ref().err().map_or(String::new(), ToString::to_string)
            )
        });
        let fault = self.fired(to);
        if let Err(error) = result {
            assert!(
                self.tainted.contains(&key(from, to)),
                "d{to} refuses an honest frame of d{from}: {error}"
            );
            assert_eq!(
                standing(&self.devices[to].client),
                before,
                "a refused frame changed something: {error}"
            );
            self.after(to, fault);
            return self.cut(from, to);
        }
        self.after(to, fault);
    }

    /// Delivers until nobody has anything to say.
    pub(super) fn settle(&mut self) {
        for frames in 0.. {
            if frames == TALK_MAX {
                self.dump();
                panic!("the devices never stop talking");
            }
            if !self.deliver() {
                return;
            }
        }
    }
}

pub(super) fn entropy(at: usize, incarnation: u64) -> Box<Counter> {
    Box::new(Counter((at as u64 + 1) << 48 | incarnation << 32))
}

/// All that a device has: what no refusal may change.
pub(super) fn standing(client: &Client) -> Vec<Frontier> {
    client.store.logs().iter().filter_map(|log| client.store.frontier(log)).collect()
}

/// After a power cut everything that was shown is there, and where nothing new is the state is the same.
fn same_or_more(old: &Client, new: &Client) {
    let (before, after) = (standing(old), standing(new));
    for frontier in &before {
        let control = LogId::control(frontier.log.space);
        let control_forked = new.store.equivocations().any(|(log, ..)| log == control);
        let of = |all: &[Frontier]| all.iter().find(|frontier| frontier.log == control).cloned();
        let now = after.iter().find(|now| now.log == frontier.log);
        // A proof or a removal that became durable with the last thing that happened may void the channel's creation.
        let is_void = frontier.log.channel.is_some() && (control_forked || of(&before) != of(&after));
        assert!(now.is_some() || is_void, "a log is gone after a power cut");
        let Some(now) = now else { continue };
        for chain in &frontier.chains {
            // A proof may have become durable with the last thing that happened, and ends the chain at its fork.
            let cut =
                new.store.equivocations().any(|(log, device, _)| (log, device) == (now.log, chain.device));
            let kept = cut || now.chain(&chain.device).is_some_and(|head| head.seq >= chain.seq);
            assert!(kept, "events are gone after a power cut");
        }
    }
    if before == after {
        // The old handle cannot read texts any more; the control state needs no disk.
        for space in old.store.spaces() {
            assert_eq!(old.store.space(&space), new.store.space(&space), "another state after a power cut");
        }
    }
}
