//! Nodes, disks, a network and a ledger in one thread, by one seed.
//!
//! The ledger here is what [`crate::State`] needs of one and no more: one order, into which an entry of a node that reaches a
//! majority comes, with or without an answer. That the real ones keep that is tested where they are.
use super::keeping::Keeping;
use super::members::left;
use super::trace::Trace;
use crate::testing::{CLUSTER, Dice, key, node};
use crate::{
    Call, ClientKey, DiskDone, DiskWork, Input, Message, Moment, Node, NodeOptions, Outcome, Output, Request,
    Response, ShardStore, State, Unproposed, perform,
};
use std::collections::{BTreeMap, BTreeSet};
use terachat_shard::{NodeId, StripeId};
use terachat_storage::{Operation, StorageError, StorageErrorKind};

const TICK: u64 = 10_000;
/// When a run begins.
const EPOCH_MS: u64 = 1_800_000_000_000;

/// Something that happens later.
#[derive(Debug)]
enum Event {
    Tick,
    Deliver(NodeId, Message),
    Disk,
    /// An entry arrives at the ledger.
    Propose(Call, Vec<u8>),
    Answer(Call, Result<Outcome, Unproposed>),
    Barrier(Call),
    /// The node applies what the ledger has.
    Apply,
    Reachable(NodeId, bool),
}

/// A machine: a disk, and a node while it runs.
pub(super) struct Machine {
    pub(super) disk: Keeping,
    running: Option<Running>,
    /// Counts starts: what was meant for an earlier one is lost.
    start: u64,
    /// Says that it keeps what it does not.
    pub(super) lies: bool,
    /// Its disk does nothing any more.
    pub(super) dead: bool,
    /// Its disk is so much slower.
    pub(super) slow: u64,
    /// How far its own clock, which nothing but time drives, is ahead.
    pub(super) clock: u64,
    /// By how many milliseconds what it shows as time and date is wrong.
    pub(super) wall_ms: i64,
}

struct Running {
    node: Node,
    state: State,
    store: Box<dyn ShardStore>,
    work: Vec<(Call, DiskWork)>,
    leader: Option<NodeId>,
}

pub(super) struct World {
    seed: u64,
    trace: Trace,
    pub(super) dice: Dice,
    pub(super) now: u64,
    machines: BTreeMap<NodeId, Machine>,
    events: BTreeMap<(u64, u64), (NodeId, u64, Event)>,
    sequence: u64,
    /// Ways on which nothing comes through.
    cut: BTreeSet<(NodeId, NodeId)>,
    /// Messages in a thousand that are lost, and that come twice.
    pub(super) lossy: u64,
    pub(super) log: Vec<Vec<u8>>,
    /// What all entries come to.
    pub(super) truth: State,
    outcomes: Vec<Outcome>,
    leader: Option<NodeId>,
    pub(super) replies: BTreeMap<Call, Response>,
    clients: u64,
    asked: BTreeMap<Call, NodeId>,
    /// Requests whose node went before it answered.
    pub(super) unanswered: Vec<Call>,
}

pub(super) fn options() -> NodeOptions {
    NodeOptions {
        batch_len: 2048,
        batches: 2,
        waiting_max: 1 << 20,
        away_after: 3_000_000,
        answer_within: 1_500_000,
        count_every: 1_000_000,
        scrub_rate: 1 << 20,
        scrub_every: 1_000_000,
        cache_len: 8 << 10,
        quiet_for: 1_000_000,
        forget_after: 1_000_000,
        ..NodeOptions::default()
    }
}

impl World {
    pub(super) fn new(seed: u64, truth: State, log: Vec<Vec<u8>>) -> Self {
        Self::seen(seed, truth, log, Trace::default())
    }

    /// The same, and who looks on.
    pub(super) fn seen(seed: u64, truth: State, log: Vec<Vec<u8>>, trace: Trace) -> Self {
        let mut replay = State::default();
        let outcomes = (1..).zip(&log).map(|(index, entry)| replay.apply(index, entry).outcome).collect();
        let mut world = Self {
            seed,
            trace,
            dice: Dice(seed),
            now: 0,
            machines: BTreeMap::new(),
            events: BTreeMap::new(),
            sequence: 0,
            cut: BTreeSet::new(),
            lossy: 0,
            log,
            truth,
            outcomes,
            leader: None,
            replies: BTreeMap::new(),
            clients: 0,
            asked: BTreeMap::new(),
            unanswered: Vec::new(),
        };
        for id in world.members() {
            world.add(id);
        }
        world
    }

    fn members(&self) -> Vec<NodeId> {
        self.truth.roster().members().map(|(node, _)| node).collect()
    }

    pub(super) fn add(&mut self, id: NodeId) {
        let disk = self.keeping(id);
        self.machines.insert(
            id,
            Machine {
                disk,
                running: None,
                start: 0,
                lies: false,
                dead: false,
                slow: 1,
                clock: 0,
                wall_ms: 0,
            },
        );
        self.start(id);
    }

    pub(super) fn machine(&mut self, id: NodeId) -> &mut Machine {
        self.machines.get_mut(&id).unwrap()
    }

    pub(super) fn runs(&self, id: NodeId) -> bool {
        self.machines.get(&id).is_some_and(|machine| machine.running.is_some())
    }

    pub(super) fn start(&mut self, id: NodeId) {
        if self.runs(id) {
            return;
        }
        let entropy = Box::new(Dice(self.dice.next()));
        let machine = self.machines.get_mut(&id).unwrap();
        machine.start += 1;
        let store = machine.disk.open(id.0.get(), &self.trace);
        let node = Node::new(CLUSTER, id, key(id.0.get() as u8), options(), entropy);
        machine.running =
            Some(Running { node, state: State::default(), store, work: Vec::new(), leader: None });
        self.after(1, id, Event::Tick);
        self.after(1, id, Event::Apply);
        for other in self.members() {
            self.after(1, id, Event::Reachable(other, true));
        }
    }

    /// The power goes.
    pub(super) fn crash(&mut self, id: NodeId) {
        let machine = self.machines.get_mut(&id).unwrap();
        if machine.running.take().is_some() {
            machine.disk = machine.disk.crash();
            machine.start += 1;
            self.unanswered.extend(self.asked.extract_if(.., |_, node| *node == id).map(|(call, _)| call));
            self.break_connections(id);
        }
    }

    /// The disk is replaced by an empty one.
    pub(super) fn wipe(&mut self, id: NodeId) {
        self.crash(id);
        let disk = self.keeping(id);
        self.machine(id).disk = disk;
    }

    /// An empty place for a node's shards: a disk, or for one node in four a bucket.
    fn keeping(&mut self, id: NodeId) -> Keeping {
        let seed = self.dice.next();
        match (self.seed + u64::from(id.0.get())) % 4 {
            0 => Keeping::bucket(),
            _ => Keeping::disk(seed),
        }
    }

    pub(super) fn cut(&mut self, from: NodeId, to: NodeId) {
        self.cut.insert((from, to));
        for (node, other) in [(from, to), (to, from)] {
            let later = 10_000 + self.dice.below(500_000);
            self.after(later, node, Event::Reachable(other, false));
        }
    }

    pub(super) fn mend_network(&mut self) {
        self.cut.clear();
        for node in self.members() {
            for other in self.members().into_iter().filter(|other| *other != node) {
                let later = 1_000 + self.dice.below(200_000);
                self.after(later, node, Event::Reachable(other, true));
            }
        }
    }

    /// It has left: nobody hears it any more, nor has it a say, wherever it runs on.
    pub(super) fn parted(&mut self, id: NodeId) {
        self.break_connections(id);
    }

    fn break_connections(&mut self, id: NodeId) {
        for other in self.members().into_iter().filter(|other| *other != id) {
            let later = 1_000 + self.dice.below(50_000);
            self.after(later, other, Event::Reachable(id, false));
        }
    }

    /// Asks through a node, if it runs.
    pub(super) fn ask(&mut self, through: NodeId, request: Request) -> Option<Call> {
        self.ask_as(through, None, request)
    }

    /// The same as this client.
    pub(super) fn ask_as(
        &mut self,
        through: NodeId,
        client: Option<ClientKey>,
        request: Request,
    ) -> Option<Call> {
        self.clients += 1;
        let call = Call(1 << 40 | self.clients);
        self.runs(through).then(|| {
            self.asked.insert(call, through);
            self.feed(through, Input::Clock(self.shown(through)));
            self.feed(through, Input::Client(call, client, request));
            call
        })
    }

    /// How late it is, in milliseconds since 1970.
    pub(super) fn now_ms(&self) -> u64 {
        EPOCH_MS + self.now / 1_000
    }

    /// How late a machine thinks it is.
    fn shown(&self, id: NodeId) -> u64 {
        let wrong = self.machines.get(&id).map_or(0, |machine| machine.wall_ms);
        self.now_ms().saturating_add_signed(wrong)
    }

    /// An entry that a node was made to propose from outside.
    pub(super) fn commit(&mut self, entry: Vec<u8>) -> Outcome {
        let index = self.log.len() as u64 + 1;
        let outcome = self.truth.apply(index, &entry).outcome;
        if self.trace.is_on() {
            self.trace.see("entry", &[&entry, &outcome.encode()]);
        }
        self.log.push(entry);
        self.outcomes.push(outcome.clone());
        outcome
    }

    /// Lets everything happen until then.
    pub(super) fn run_until(&mut self, until: u64) {
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= until) {
            let ((at, _), (id, start, event)) = entry.remove_entry();
            self.now = at;
            if self
                .machines
                .get(&id)
                .is_some_and(|machine| machine.start == start && machine.running.is_some())
            {
                self.happen(id, event);
            }
        }
        self.now = until;
    }

    fn happen(&mut self, id: NodeId, event: Event) {
        self.trace.see_all("event", &(self.now, id, &event));
        match event {
            Event::Tick => {
                self.after(TICK, id, Event::Tick);
                self.elect();
                let leader = self.leader;
                let running = self.machines.get_mut(&id).unwrap().running.as_mut().unwrap();
                // Who lost the lead without being told goes on for a while, and who follows hears late.
                if running.leader != leader && (leader == Some(id) || self.dice.below(20) == 0) {
                    running.leader = leader;
                    self.feed(id, Input::Leader(leader));
                }
                self.feed(id, Input::Clock(self.shown(id)));
                self.feed(id, Input::Tick);
            }
            Event::Deliver(from, message) => {
                // A connection is a member's as long as the node knows it as one.
                let running = self.machines[&id].running.as_ref();
                if running.is_some_and(|running| !left(&running.state).contains(&from)) {
                    self.feed(id, Input::Peer(from, message));
                }
            }
            Event::Reachable(other, yes) => {
                let comes_through = !self.cut.contains(&(id, other)) && !self.cut.contains(&(other, id));
                self.feed(id, Input::Reachable(other, yes && comes_through && self.runs(other)));
            }
            Event::Disk => self.run_disk(id),
            Event::Propose(call, entry) => self.take(id, call, entry),
            Event::Answer(call, result) => self.feed(id, Input::Proposed(call, result)),
            Event::Barrier(call) => {
                let reached = self.has_majority(id);
                if reached {
                    self.apply(id, self.log.len());
                }
                self.feed(id, Input::Barrier(call, reached));
            }
            Event::Apply => {
                let later = 1_000 + self.dice.below(20_000);
                self.after(later, id, Event::Apply);
                if self.has_majority(id) {
                    let upto = self.log.len() - self.dice.below(2).min(self.log.len() as u64) as usize;
                    self.apply(id, upto);
                }
            }
        }
    }

    /// Applies the order up to there. What comes out is what came out everywhere.
    fn apply(&mut self, id: NodeId, upto: usize) {
        let running = self.machines.get_mut(&id).unwrap().running.as_mut().unwrap();
        let mut gone = Vec::new();
        while (running.state.applied() as usize) < upto {
            let at = running.state.applied() as usize;
            let applied = running.state.apply(at as u64 + 1, &self.log[at]);
            assert_eq!(applied.outcome, self.outcomes[at], "{id} came to something else by entry {at}");
            gone.extend(applied.gone);
        }
        if !gone.is_empty() {
            self.feed(id, Input::Gone(gone));
        }
    }

    /// An entry reaches the ledger, or does not; the answer reaches the node, or does not.
    fn take(&mut self, id: NodeId, call: Call, entry: Vec<u8>) {
        let reached = self.has_majority(id);
        let unknown = self.dice.below(100) < 3;
        let result = match (reached, unknown) {
            (false, false) => Err(Unproposed::NotTaken),
            (false, true) => Err(Unproposed::Unknown),
            (true, false) => Ok(self.commit(entry)),
            (true, true) => {
                if self.dice.below(2) == 0 {
                    self.commit(entry);
                }
                Err(Unproposed::Unknown)
            }
        };
        let later = 500 + self.dice.below(5_000);
        self.after(later, id, Event::Answer(call, result));
    }

    /// Whether a node reaches more than half of the members, itself counted, both ways.
    fn has_majority(&self, id: NodeId) -> bool {
        let members = self.members();
        let reached = members.iter().filter(|other| {
            let both = [(id, **other), (**other, id)].iter().all(|way| !self.cut.contains(way));
            **other == id || both && self.runs(**other)
        });
        2 * reached.count() > members.len() && members.contains(&id)
    }

    fn elect(&mut self) {
        if self.leader.is_none_or(|leader| !self.runs(leader) || !self.has_majority(leader)) {
            let able: Vec<NodeId> = self
                .members()
                .into_iter()
                .filter(|node| self.runs(*node) && self.has_majority(*node))
                .collect();
            self.leader = (!able.is_empty()).then(|| able[self.dice.below(able.len() as u64) as usize]);
        }
    }

    fn run_disk(&mut self, id: NodeId) {
        let mut entropy = Dice(self.dice.next());
        let machine = self.machines.get_mut(&id).unwrap();
        let lies = machine.lies;
        let running = machine.running.as_mut().unwrap();
        let mut work = std::mem::take(&mut running.work);
        let mut done = Vec::new();
        if lies {
            let (claimed, real): (Vec<_>, Vec<_>) = work.into_iter().partition(|(_, work)| {
                matches!(work, DiskWork::Keep(_) | DiskWork::KeepAlone(_)) && self.dice.below(3) == 0
            });
            work = real;
            for (call, claimed) in claimed {
                if let DiskWork::Keep(bytes) | DiskWork::KeepAlone(bytes) = claimed
                    && let Ok(shard) = terachat_shard::Shard::decode(&bytes)
                {
                    done.push((call, DiskDone::Kept(shard.stripe(), shard.index(), shard.hash())));
                }
            }
        }
        if machine.dead {
            let failed = || {
                DiskDone::Failed(StorageError::new(StorageErrorKind::Io, Operation::Read, "shards").into())
            };
            done.extend(work.drain(..).map(|(call, _)| (call, failed())));
        }
        done.extend(perform(running.store.as_mut(), work, &mut entropy));
        for (call, done) in done {
            self.feed(id, Input::Disk(call, done));
        }
    }

    /// Something happens to a node; what it wants is on its way.
    fn feed(&mut self, id: NodeId, input: Input) {
        let now = Moment(self.now + self.machines.get(&id).map_or(0, |machine| machine.clock));
        let Some(running) = self.machines.get_mut(&id).and_then(|machine| machine.running.as_mut()) else {
            return;
        };
        let outputs = running.node.handle(now, &running.state, input);
        self.trace.see_all("outputs", &(now, id, &outputs));
        for output in outputs {
            match output {
                Output::Send(to, message) => self.send(id, to, message),
                Output::Disk(call, work) => {
                    let machine = self.machines.get_mut(&id).unwrap();
                    let slow = machine.slow;
                    let work_waits = machine.running.as_mut().map(|running| {
                        running.work.push((call, work));
                        running.work.len() > 1
                    });
                    if work_waits == Some(false) {
                        let later = slow * (100 + self.dice.below(3_000));
                        self.after(later, id, Event::Disk);
                    }
                }
                Output::Propose(call, entry) => {
                    let later = 200 + self.dice.below(3_000);
                    self.after(later, id, Event::Propose(call, entry));
                }
                Output::Barrier(call) => {
                    let later = 200 + self.dice.below(3_000);
                    self.after(later, id, Event::Barrier(call));
                }
                Output::Reply(call, response) => {
                    self.asked.remove(&call);
                    assert!(self.replies.insert(call, response).is_none(), "{call:?} was answered twice");
                }
            }
        }
    }

    /// What a liar says instead: other bytes, another count of what it has, a receipt that is not its own.
    fn twist(&mut self, message: &mut Message) {
        match message {
            Message::Fetched(_, Ok(bytes)) if !bytes.is_empty() => {
                let at = self.dice.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << self.dice.below(8);
            }
            Message::Counted(_, found) if !found.is_empty() => {
                let at = self.dice.below(found.len() as u64) as usize;
                match self.dice.below(3) {
                    0 => found[at].sound ^= true,
                    1 => found[at].hash.0[0] ^= 1,
                    _ => drop(found.remove(at)),
                }
            }
            Message::Kept(_, Ok(receipt)) | Message::Mended(_, Ok(receipt)) => match self.dice.below(2) {
                0 => receipt.hash.0[0] ^= 1,
                _ => receipt.signature.0[self.dice.below(64) as usize] ^= 1,
            },
            _ => {}
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, message: Message) {
        let copies = match self.dice.below(1000) {
            roll if roll < self.lossy => 0,
            roll if roll < 2 * self.lossy => 2,
            _ => 1,
        };
        // What is on its way when the way is cut still comes; what comes through a codec comes out the same.
        if self.cut.contains(&(from, to)) || !self.runs(to) {
            return;
        }
        let mut message = Message::decode(&message.encode()).unwrap();
        if self.machines.get(&from).is_some_and(|machine| machine.lies) && self.dice.below(3) == 0 {
            self.twist(&mut message);
        }
        for _ in 0..copies {
            let slow = if self.dice.below(200) == 0 { 100_000 } else { 3_000 };
            let later = 50 + self.dice.below(slow);
            self.after(later, to, Event::Deliver(from, message.clone()));
        }
    }

    fn after(&mut self, micros: u64, id: NodeId, event: Event) {
        self.sequence += 1;
        let start = self.machines.get(&id).map_or(0, |machine| machine.start);
        self.events.insert((self.now + micros, self.sequence), (id, start, event));
    }

    /// How whole the leader counts everything.
    pub(super) fn health(&self) -> Option<(u64, u64)> {
        let machine = self.machines.get(&self.leader?)?;
        match machine.running.as_ref()?.node.health() {
            crate::HealthReport::Counted(health) => Some((health.in_place, health.shards)),
            _ => None,
        }
    }

    /// The same for people.
    pub(super) fn health_text(&self) -> String {
        let running = self.leader.and_then(|leader| self.machines.get(&leader)?.running.as_ref());
        match running.map(|running| running.node.health()) {
            Some(crate::HealthReport::Counted(health)) => format!("{health}; {:?}", health.unreadable),
            other => format!("{other:?}"),
        }
    }

    /// How many shards of each stripe each node has.
    pub(super) fn shards_on(&mut self, id: NodeId) -> BTreeMap<terachat_shard::StripeId, usize> {
        let running = self.machine(id).running.as_mut().unwrap();
        let mut shards = BTreeMap::new();
        for held in running.store.count(StripeId([0; 16]), StripeId([u8::MAX; 16])) {
            *shards.entry(held.stripe).or_insert(0) += 1;
        }
        shards
    }

    /// Flips a bit of whatever a node keeps.
    pub(super) fn rot(&mut self, id: NodeId) {
        let disk = self.machine(id).disk.clone();
        disk.rot(&mut self.dice);
    }
}

/// The node of this number.
pub(super) fn id(number: u64) -> NodeId {
    node(number as u32)
}
