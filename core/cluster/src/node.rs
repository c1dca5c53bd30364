//! What one node does: everything that happens to it comes in, everything that is to be done goes out.
mod cache;
mod clocks;
mod disk;
mod event;
mod keeping;
mod message;
mod peers;
mod reading;
mod records;
mod repack;
mod request;
mod slots;
mod stewarding;
#[cfg(test)]
mod tests;
mod writing;

use crate::{ClientKey, ClusterId, ItemKind, ItemName, State};
use cache::Cache;
use clocks::Clocks;
use keeping::Keeper;
use peers::Peers;
use reading::Reader;
use records::Ending;
use repack::Repacker;
use std::collections::{BTreeMap, VecDeque};
use stewarding::Steward;
use terachat_event::DeviceKey;
use terachat_shard::{Code, Counts, Member, Members, NodeId, Status, StripeId};
use terachat_vault::Entropy;
use writing::Writer;

pub use disk::{Counted, DiskDone, DiskWork, perform};
pub use event::{Call, Input, Moment, Output, Unproposed};
pub use message::{Lack, Message};
pub use request::{ITEM_LEN_MAX, Refused, Request, Response};
pub use stewarding::{HealthReport, Upkeep};

const MILLISECOND: u64 = 1_000;
const SECOND: u64 = 1_000_000;

/// How a node works. All times are microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeOptions {
    /// Bytes of small items that are put into one stripe at most: 64 KiB to 4 MiB; default 256 KiB.
    pub batch_len: usize,
    /// Batches under way at once; what comes meanwhile waits, and goes together. Default 1.
    pub batches: usize,
    /// After a stripe the next one waits so long, at most, for as many items as are to be expected, unless it is full before; default
    /// 8 ms. Who writes alone waits for nobody.
    pub gather_for: u64,
    /// Bytes that wait to be written at most; default 64 MiB.
    pub waiting_max: usize,
    /// Who was silent for so long is asked last. Default 0.4 s.
    pub silent_after: u64,
    /// Who was silent for so long counts as away, and its shards are made anew where there is room. Default 30 s.
    pub away_after: u64,
    /// A shard that has not come within so long is asked for elsewhere too; default 15 ms.
    pub hedge_after: u64,
    /// Until when a request is answered, if only by what is missing; default 5 s.
    pub answer_within: u64,
    /// Bytes a second that repairs and moves read and write, and that a node reads after its start to be counted while others want
    /// shards; default 64 MiB.
    pub repair_rate: u64,
    /// Between two counts of everything; default 10 s.
    pub count_every: u64,
    /// Bytes a second that are read again to find what rots; default 8 MiB.
    pub scrub_rate: u64,
    /// All shards are read again once in so long, if the rate allows; default 1 d.
    pub scrub_every: u64,
    /// Bytes of batches that were read a moment ago and are kept in memory, as their clients sealed them; default 32 MiB.
    pub cache_len: usize,
    /// No client has asked for so long before small stripes are put together; default 5 s.
    pub quiet_for: u64,
    /// What has ended is forgotten so long after its end, unless a client has it done earlier; default 1 h.
    pub forget_after: u64,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            batch_len: 256 << 10,
            batches: 1,
            gather_for: 8 * MILLISECOND,
            waiting_max: 64 << 20,
            silent_after: 400 * MILLISECOND,
            away_after: 30 * SECOND,
            hedge_after: 15 * MILLISECOND,
            answer_within: 5 * SECOND,
            repair_rate: 64 << 20,
            count_every: 10 * SECOND,
            scrub_rate: 8 << 20,
            scrub_every: 86_400 * SECOND,
            cache_len: 32 << 20,
            quiet_for: 5 * SECOND,
            forget_after: 3_600 * SECOND,
        }
    }
}

/// Between two pings.
const PING_EVERY: u64 = 100 * MILLISECOND;

/// What asked the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    /// A member, for a shard to be kept: its call.
    Keep(NodeId, Call),
    /// A member, for a shard.
    Fetch(NodeId, Call),
    /// A member, for what there is of these stripes.
    Count(NodeId, Call, (StripeId, StripeId)),
    /// The steward, for a shard that was made anew here.
    Mend(NodeId, Call),
    /// The steward, for a receipt of a shard that is here.
    Vouch(NodeId, Call),
    /// Nobody, to find what has rotted.
    Scrub,
    /// Nobody waits.
    Upkeep,
}

/// What an entry in the ledger is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Proposed {
    Stripe(StripeId),
    Forget(Call),
    /// A board's record is to be kept longer, for a client.
    Renew(Call),
    /// What has ended is to be forgotten, for a client or for nobody.
    Expire(Option<Call>),
    /// A slot is claimed, for a client.
    Claim(Call),
    /// Nobody waits: the next count sees what came of it.
    Upkeep,
}

/// One node, as long as its process runs. What it must not forget is in the ledger and in its shards.
pub struct Node {
    id: NodeId,
    cluster: ClusterId,
    key: DeviceKey,
    options: NodeOptions,
    entropy: Box<dyn Entropy + Send>,
    now: Moment,
    started: Option<Moment>,
    next_call: u64,
    leader: Option<NodeId>,
    pinged: Moment,
    peers: Peers,
    writer: Writer,
    reader: Reader,
    cache: Cache,
    keeper: Keeper,
    steward: Steward,
    repacker: Repacker,
    clocks: Clocks,
    ending: Ending,
    disk: BTreeMap<Call, Asked>,
    proposed: BTreeMap<Call, Proposed>,
    codes: BTreeMap<(usize, usize), Code>,
    /// What this node sends itself.
    own: VecDeque<Message>,
    out: Vec<Output>,
}

impl Node {
    /// The node of this number and key, just started.
    pub fn new(
        cluster: ClusterId,
        id: NodeId,
        key: DeviceKey,
        options: NodeOptions,
        mut entropy: Box<dyn Entropy + Send>,
    ) -> Self {
        // What was meant for the calls of an earlier run finds none of its number.
        let mut first = [0; 7];
        entropy.fill(&mut first);
        let next_call = first.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let cache = Cache::new(options.cache_len);
        Self {
            id,
            cluster,
            key,
            options,
            entropy,
            now: Moment(0),
            started: None,
            next_call,
            leader: None,
            pinged: Moment(0),
            peers: Peers::default(),
            writer: Writer::default(),
            reader: Reader::default(),
            cache,
            keeper: Keeper::default(),
            steward: Steward::default(),
            repacker: Repacker::default(),
            clocks: Clocks::default(),
            ending: Ending::default(),
            disk: BTreeMap::new(),
            proposed: BTreeMap::new(),
            codes: BTreeMap::new(),
            own: VecDeque::new(),
            out: Vec::new(),
        }
    }

    /// Its number.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// How whole everything is, as the leader last counted.
    pub fn health(&self) -> HealthReport<'_> {
        self.steward.report()
    }

    /// What it has had done for all shards to be in place, if it leads.
    pub fn upkeep(&self) -> Option<Upkeep> {
        self.leads().then(|| self.steward.upkeep(self.now))
    }

    /// Microseconds since a word came from another node; `None` if none ever did, or it cannot be reached.
    pub fn silent_for(&self, node: NodeId) -> Option<u64> {
        if node == self.id { Some(0) } else { self.peers.silent_for(node, self.now) }
    }

    /// Something happens: what is to be done about it. `state` is what this node has applied of the ledger so far.
    pub fn handle(&mut self, now: Moment, state: &State, input: Input) -> Vec<Output> {
        self.now = self.now.max(now);
        self.started.get_or_insert(self.now);
        match input {
            Input::Tick => self.tick(state),
            Input::Peer(from, message) => {
                self.peers.heard(from, self.now);
                self.message(state, from, message);
            }
            Input::Reachable(node, yes) => {
                self.peers.reachable(node, yes);
                self.ending.somebody_came();
                self.steward.somebody_changed();
                if !yes {
                    self.will_not_answer(state, node);
                    self.will_not_keep(state, node);
                }
            }
            Input::Disk(call, done) => self.disk_done(state, call, done),
            Input::Proposed(call, result) => match self.proposed.remove(&call) {
                Some(Proposed::Stripe(stripe)) => self.stripe_proposed(state, stripe, result),
                Some(Proposed::Forget(client)) => self.forget_proposed(client, result),
                Some(Proposed::Renew(client)) => self.renew_proposed(client, result),
                Some(Proposed::Expire(client)) => self.expire_proposed(client, result),
                Some(Proposed::Claim(client)) => self.claim_proposed(client, result),
                Some(Proposed::Upkeep) | None => {}
            },
            Input::Barrier(call, reached) => self.barrier(state, call, reached),
            Input::Leader(leader) => {
                let led = self.leads();
                self.leader = leader;
                if self.leads() != led {
                    self.steward.lead(!led, self.now);
                }
            }
            Input::Gone(stripes) => self.gone(&stripes),
            Input::Client(call, by, request) => self.client(state, call, by, request),
            Input::Clock(ms) => self.clocks.shows(self.id, ms, self.now),
        }
        while let Some(message) = self.own.pop_front() {
            self.message(state, self.id, message);
        }
        std::mem::take(&mut self.out)
    }

    fn leads(&self) -> bool {
        self.leader == Some(self.id)
    }

    fn tick(&mut self, state: &State) {
        if self.now.since(self.pinged) >= PING_EVERY {
            self.pinged = self.now;
            let health = self.leads().then(|| self.steward.report().shards()).flatten();
            let others: Vec<NodeId> = state.roster().members().map(|(node, _)| node).collect();
            for node in others.into_iter().filter(|node| *node != self.id) {
                self.out.push(Output::Send(node, Message::Ping(health)));
            }
        }
        self.tick_writing(state);
        self.tick_reading(state);
        self.tick_keeping(state);
        self.tick_stewarding(state);
        self.tick_repacking(state);
        self.tick_records(state);
    }

    fn message(&mut self, state: &State, from: NodeId, message: Message) {
        match message {
            // Nobody else has counted.
            Message::Ping(health) if self.leader == Some(from) => self.steward.heard(health),
            Message::Ping(_) => {}
            Message::Keep(call, shard) => {
                self.keeper.asked = self.now;
                self.ask_disk(Asked::Keep(from, call), DiskWork::Keep(shard));
            }
            Message::Kept(call, result) => self.kept(state, from, call, result),
            Message::Fetch(call, stripe, index) => {
                self.keeper.asked = self.now;
                self.ask_disk(Asked::Fetch(from, call), DiskWork::Fetch(stripe, index));
            }
            Message::Fetched(call, result) => self.fetched(state, from, call, result),
            Message::Count(call, first, last) => {
                self.count_for(from, call, (first, last));
            }
            Message::Counted(call, counted) => self.counted(state, from, call, &counted),
            Message::Mend(call, stripe, index, copy) => self.mend(state, from, call, (stripe, index), copy),
            Message::Mended(call, result) => self.mended(state, from, call, result),
            Message::Drop(stripe, index) => self.drop_surplus(state, stripe, index),
            Message::Clock(ms) => self.clocks.shows(from, ms, self.now),
            Message::Counting(call) => self.steward.still_counts(from, call),
        }
    }

    fn client(&mut self, state: &State, call: Call, by: Option<ClientKey>, request: Request) {
        self.repacker.somebody_asked(self.now);
        match request {
            Request::Put { name, bytes, expires_ms } if name.kind == ItemKind::Board => {
                self.publish(state, call, name, bytes, expires_ms);
            }
            Request::Put { name, bytes, expires_ms } => self.put(state, call, name, bytes, expires_ms),
            Request::Get(name) => self.look_up(state, call, name, true),
            Request::Has(name) => self.look_up(state, call, name, false),
            Request::List { after, max } => self.list(call, after, max),
            Request::Forget(names) => self.forget(call, names),
            Request::Collect => self.collect(state, call),
            Request::Claim { slot, value, life_ms } => self.claim(state, (call, by), slot, value, life_ms),
        }
    }

    fn forget(&mut self, client: Call, names: Vec<ItemName>) {
        if names.iter().any(|name| name.kind == ItemKind::Board) {
            return self.refuse(client, Refused::Lasting);
        }
        if names.len() > crate::ITEMS_MAX {
            return self.refuse(client, Refused::Item);
        }
        self.propose(Proposed::Forget(client), &crate::Entry::Forget(names));
    }

    fn forget_proposed(&mut self, client: Call, result: Result<crate::Outcome, Unproposed>) {
        let response = match result {
            Ok(crate::Outcome::Refused(refusal)) => Response::Refused(Refused::Ledger(refusal)),
            Ok(_) => Response::Forgotten,
            Err(Unproposed::NotTaken) => Response::Refused(Refused::NoMajority),
            Err(Unproposed::Unknown) => Response::Refused(Refused::Unknown),
        };
        self.out.push(Output::Reply(client, response));
    }

    fn call(&mut self) -> Call {
        self.next_call += 1;
        Call(self.next_call)
    }

    fn send(&mut self, to: NodeId, message: Message) {
        if to == self.id {
            self.own.push_back(message);
        } else {
            self.out.push(Output::Send(to, message));
        }
    }

    fn ask_disk(&mut self, asked: Asked, work: DiskWork) {
        let call = self.call();
        self.disk.insert(call, asked);
        self.out.push(Output::Disk(call, work));
    }

    fn propose(&mut self, what: Proposed, entry: &crate::Entry) {
        let call = self.call();
        self.proposed.insert(call, what);
        self.out.push(Output::Propose(call, entry.encode()));
    }

    fn refuse(&mut self, client: Call, why: Refused) {
        self.out.push(Output::Reply(client, Response::Refused(why)));
    }

    /// Whether a node can be expected to answer now; this one does.
    fn answers(&self, node: NodeId) -> bool {
        node == self.id || self.peers.answers(node, self.now, self.options.silent_after)
    }

    /// Microseconds since a word came from another node, or since this one started.
    fn silent_since(&self, node: NodeId) -> u64 {
        let started = self.started.unwrap_or(self.now);
        self.peers.silent_for(node, self.now).unwrap_or_else(|| self.now.since(started))
    }

    /// The code for these counts, made once.
    fn code(&mut self, counts: Counts) -> &Code {
        self.codes.entry((counts.data(), counts.parity())).or_insert_with(|| Code::new(counts))
    }

    /// The members as plans see them. Those that are to be emptied take nothing.
    fn members(&self, state: &State, away: impl Fn(NodeId) -> bool) -> Members {
        let member = |(node, record): (NodeId, &crate::NodeRecord)| {
            let status = match record.status {
                _ if away(node) => Status::Away,
                crate::NodeStatus::Active => Status::Active,
                crate::NodeStatus::Draining | crate::NodeStatus::Left => Status::Draining,
            };
            (node, Member { weight: record.profile.weight, domain: record.profile.domain, status })
        };
        Members::new(state.roster().members().map(member)).expect("the roster has each node once")
    }
}
