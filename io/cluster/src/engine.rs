//! The one task that owns a node: everything that happens goes in here, and what is to be done goes out.
mod asked;
mod claims;
mod exported;
mod membership;
mod report;

use crate::Error;
use crate::deeds::Doer;
use crate::directory::Directory;
use crate::disk::DiskThread;
use crate::folder::Place;
use crate::links::Links;
use crate::machine::SharedState;
use crate::meters::{Meters, Verb};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use terachat_cluster::wire::{Contact, Frame, Kind, Report, Told, Unwelcome};
use terachat_cluster::{
    Call, ClientKey, DiskDone, ITEM_LEN_MAX, Input, ItemName, Message, Moment, Node, NodeKey, Outcome,
    Output, PlacementClaim, Refused, Request, Response, SignedDeed, Unproposed, Usage,
};
use terachat_ledger::{Ledger, Status};
use terachat_net::{NetEvent, NetEvents, PeerKey};
use terachat_shard::{NodeId, StripeId};
use tokio::sync::{mpsc, oneshot, watch};

/// Between two ticks of the node.
const TICK: Duration = Duration::from_millis(5);
/// Between two looks at who has not said who it is, and at the ledger's members.
const LOOK: Duration = Duration::from_millis(200);
/// Requests of one connection that are under way at once.
const REQUESTS_MAX: usize = 16;
/// Works of the disk beyond which what members send is passed over: they have to do without, as if it had been lost.
const DISK_WAITING_MAX: usize = 8192;
/// Calls of the ledger that are answered at once; what comes beyond is passed over.
const LEDGER_CALLS_MAX: usize = 1024;

/// What happens to the engine, beside the network and time.
#[derive(Debug)]
pub(crate) enum Event {
    Disk(Vec<(Call, DiskDone)>),
    Usage(Usage),
    /// Why the disk or the bucket keeps nothing or gives nothing; `None` when it does both again.
    DiskTrouble(Option<String>),
    Proposed(Call, Result<Outcome, Unproposed>),
    Barrier(Call, bool),
    Gone(Vec<StripeId>),
    Ledger(Status),
    /// A guest's question was answered.
    Answered(PeerKey),
    /// That this guest gets these items is in the history.
    Exported(PeerKey, u64, BTreeSet<ItemName>, Box<SignedDeed>),
    LedgerCallDone,
    MembersSet,
    /// What was to be said of the placement is said, or will be said anew.
    Claimed,
    /// Somebody in this process wants to know how the node sees the cluster.
    Report(oneshot::Sender<Report>),
    Failed(Error),
}

/// Who is at the other end of a connection that is not a member's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Stranger,
    Client(ClientKey),
    Operator,
}

/// A client's request that is under way.
struct Asked {
    peer: PeerKey,
    number: u64,
    verb: Verb,
    len: usize,
    since: Instant,
}

struct Guest {
    who: Who,
    /// What an operator may get: what the last export over this connection was of.
    exported: BTreeSet<ItemName>,
    since: Instant,
    under_way: usize,
}

impl Guest {
    fn stranger() -> Self {
        Self { who: Who::Stranger, exported: BTreeSet::new(), since: Instant::now(), under_way: 0 }
    }

    /// Whether this is to get what was exported over this connection.
    fn may_get(&self, request: &Request) -> bool {
        matches!(request, Request::Get(name) if self.exported.contains(name))
    }
}

/// What an engine is made of.
pub(crate) struct Parts {
    pub(crate) node: Node,
    pub(crate) doer: Doer,
    pub(crate) ledger: Arc<dyn Ledger>,
    /// Whether that is in an etcd.
    pub(crate) etcd: bool,
    pub(crate) links: Links,
    pub(crate) disk: DiskThread,
    pub(crate) directory: Arc<RwLock<Directory>>,
    pub(crate) place: watch::Sender<Place>,
    pub(crate) operator: [u8; 32],
    /// Within so long a connection says who it is.
    pub(crate) greet_within: Duration,
    /// As of [`crate::RunOptions`].
    pub(crate) guests_bytes: usize,
    /// How late it is, in milliseconds since 1970.
    pub(crate) clock: fn() -> u64,
    /// As of [`crate::RunOptions`].
    pub(crate) claim_every: Duration,
    pub(crate) events: mpsc::UnboundedSender<Event>,
    pub(crate) meters: Arc<Meters>,
}

pub(crate) struct Engine {
    parts: Parts,
    state: SharedState,
    own: NodeId,
    begun: Instant,
    guests: BTreeMap<PeerKey, Guest>,
    /// Who asked what a node is to answer.
    asked: BTreeMap<Call, Asked>,
    /// Who asked for what the disk is to read again.
    rereading: BTreeMap<Call, (PeerKey, u64)>,
    next_call: u64,
    /// When a member was last seen to be connected.
    seen: BTreeMap<NodeId, Instant>,
    reachable: BTreeMap<NodeId, bool>,
    /// Nodes that left a moment ago, and since when.
    leaving: BTreeMap<NodeId, (Contact, Instant)>,
    deeds: Option<usize>,
    /// What the leader had counted when that was last logged: shards in place, and shards that there should be.
    counted: Option<(u64, u64)>,
    status: Status,
    usage: Usage,
    disk_trouble: Option<String>,
    ledger_calls: usize,
    setting_members: bool,
    claiming: bool,
    /// The last word on the placement that was looked at.
    heard: Option<PlacementClaim>,
}

impl Engine {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            state: parts.doer.state.clone(),
            own: parts.doer.node,
            begun: Instant::now(),
            guests: BTreeMap::new(),
            asked: BTreeMap::new(),
            rereading: BTreeMap::new(),
            next_call: 0,
            seen: BTreeMap::new(),
            reachable: BTreeMap::new(),
            leaving: BTreeMap::new(),
            deeds: None,
            counted: None,
            status: parts.ledger.status(),
            usage: Usage::default(),
            disk_trouble: None,
            ledger_calls: 0,
            setting_members: false,
            claiming: false,
            heard: None,
            parts,
        }
    }

    /// Works until it is told to stop, or cannot go on.
    ///
    /// # Errors
    /// [`Error::LedgerStopped`], and what fails beside it.
    pub(crate) async fn run(
        mut self,
        mut net: NetEvents,
        mut events: mpsc::UnboundedReceiver<Event>,
        mut stop: watch::Receiver<bool>,
    ) -> (DiskThread, Result<(), Error>) {
        let mut tick = tokio::time::interval(TICK);
        let mut look = tokio::time::interval(LOOK);
        for interval in [&mut tick, &mut look] {
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        }
        // A ledger that leads on as before the start may do so by now, and nobody says it again.
        self.log_leader();
        self.input(Input::Leader(leader(&self.status, self.own)));
        let outcome = loop {
            tokio::select! {
                _ = stop.changed() => break Ok(()),
                _ = tick.tick() => {
                    self.notice_deeds();
                    self.input(Input::Clock((self.parts.clock)()));
                    self.input(Input::Tick);
                }
                _ = look.tick() => self.look(),
                event = net.recv() => match event {
                    Some(event) => self.net(event),
                    None => break Err(Error::Stopped),
                },
                event = events.recv() => match event {
                    Some(Event::Failed(error)) => break Err(error),
                    Some(event) => self.event(event),
                    None => break Err(Error::Stopped),
                },
            }
        };
        (self.parts.disk, outcome)
    }

    fn now(&self) -> Moment {
        Moment(u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn input(&mut self, input: Input) {
        let now = self.now();
        let outputs = {
            let state = self.state.read();
            self.parts.node.handle(now, &state, input)
        };
        outputs.into_iter().for_each(|output| self.output(output));
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Send(node, message) => {
                if let Some(key) = self.directory(|directory| directory.key_of(node)) {
                    // What is not sent is lost, which the node expects.
                    let _ = self.parts.links.send(PeerKey(key.0), Kind::Message, 0, &message.encode());
                }
            }
            Output::Disk(call, work) => self.parts.disk.ask(call, work),
            Output::Propose(call, entry) => {
                let (ledger, events) = (Arc::clone(&self.parts.ledger), self.parts.events.clone());
                tokio::spawn(async move {
                    let proposed = match ledger.propose(entry).await {
                        Ok(committed) => Outcome::decode(&committed.answer).map_err(|_| Unproposed::Unknown),
                        Err(error) if error.not_taken() => Err(Unproposed::NotTaken),
                        Err(_) => Err(Unproposed::Unknown),
                    };
                    let _ = events.send(Event::Proposed(call, proposed));
                });
            }
            Output::Barrier(call) => {
                let (ledger, events) = (Arc::clone(&self.parts.ledger), self.parts.events.clone());
                tokio::spawn(async move {
                    let reached = ledger.read_barrier().await.is_ok();
                    let _ = events.send(Event::Barrier(call, reached));
                });
            }
            Output::Reply(call, response) => {
                let Some(Asked { peer, number, verb, len, since }) = self.asked.remove(&call) else { return };
                self.parts.meters.count(verb, len, &response, since.elapsed());
                if let Some(guest) = self.guests.get_mut(&peer) {
                    guest.under_way = guest.under_way.saturating_sub(1);
                    self.respond(peer, number, &response);
                }
            }
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Disk(done) => {
                for (call, done) in done {
                    if !self.reread(call, &done) {
                        self.input(Input::Disk(call, done));
                    }
                }
            }
            Event::Usage(usage) => {
                if usage.rotten > self.usage.rotten {
                    tracing::warn!(
                        rotten = usage.rotten,
                        "shards have rotted; they are made anew from the others"
                    );
                }
                self.usage = usage;
            }
            Event::DiskTrouble(why) => self.disk_trouble = why,
            Event::Proposed(call, outcome) => self.input(Input::Proposed(call, outcome)),
            Event::Barrier(call, reached) => self.input(Input::Barrier(call, reached)),
            Event::Gone(stripes) => self.input(Input::Gone(stripes)),
            Event::Ledger(status) => {
                let before = leader(&self.status, self.own);
                let is_news = (status.leader, status.term) != (self.status.leader, self.status.term);
                self.status = status;
                if is_news {
                    self.log_leader();
                }
                let now = leader(&self.status, self.own);
                if now != before {
                    self.input(Input::Leader(now));
                }
            }
            Event::Answered(peer) => {
                if let Some(guest) = self.guests.get_mut(&peer) {
                    guest.under_way = guest.under_way.saturating_sub(1);
                }
            }
            Event::Exported(peer, number, names, deed) => {
                if let Some(guest) = self.guests.get_mut(&peer) {
                    guest.exported = names;
                    self.tell(peer, number, &Told::Exported(deed));
                }
            }
            Event::LedgerCallDone => self.ledger_calls -= 1,
            Event::MembersSet => self.setting_members = false,
            Event::Claimed => self.claiming = false,
            Event::Report(told) => {
                let report = self.report();
                tokio::spawn(async move {
                    if let Ok(report) = report.await {
                        // Who asked may have gone.
                        let _ = told.send(report);
                    }
                });
            }
            Event::Failed(_) => unreachable!("the loop has ended by it"),
        }
    }

    fn net(&mut self, event: NetEvent) {
        match event {
            NetEvent::Connected { peer, .. } => {
                self.parts.links.connected(peer);
                match self.node_of(peer) {
                    Some(node) => self.reach(node, true),
                    None => {
                        self.guests.insert(peer, Guest::stranger());
                    }
                }
            }
            NetEvent::Disconnected { peer, reason } => {
                tracing::debug!(%peer, ?reason, "disconnected");
                self.parts.links.disconnected(peer);
                self.guests.remove(&peer);
                if let Some(node) = self.node_of(peer) {
                    self.reach(node, false);
                }
            }
            NetEvent::Frame { peer, bytes } => match Frame::read(&bytes) {
                Some(frame) => self.frame(peer, &frame),
                None => self.parts.links.part(peer),
            },
            _ => {}
        }
    }

    fn frame(&mut self, peer: PeerKey, frame: &Frame<'_>) {
        let member = self.node_of(peer);
        match (frame.kind, member) {
            (Kind::Message, Some(node)) => match Message::decode(frame.body) {
                Ok(message) if self.parts.disk.waiting() < DISK_WAITING_MAX => {
                    self.input(Input::Peer(node, message));
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%node, %error, "a member sent something else"),
            },
            (Kind::LedgerCall, Some(node)) if self.ledger_calls < LEDGER_CALLS_MAX => {
                self.ledger_calls += 1;
                let (ledger, links) = (Arc::clone(&self.parts.ledger), self.parts.links.clone());
                let events = self.parts.events.clone();
                let (call, body) = (frame.call, frame.body.to_vec());
                tokio::spawn(async move {
                    let answer = ledger.answer(node, &body).await;
                    let _ = links.send(peer, Kind::LedgerAnswer, call, &answer);
                    let _ = events.send(Event::LedgerCallDone);
                });
            }
            (Kind::LedgerAnswer, Some(_)) => self.parts.links.answered(peer, frame.call, frame.body),
            (Kind::Request, None) => self.request(peer, frame.call, frame.body),
            (Kind::Ask, None) => self.ask(peer, frame.call, frame.body),
            (Kind::Ask, Some(node)) => self.ask_of_member(peer, node, frame.call, frame.body),
            // Nothing that this one may send. A member that is not known here yet tries again.
            _ => {}
        }
    }

    /// A client asks for something to be kept or given.
    fn request(&mut self, peer: PeerKey, number: u64, body: &[u8]) {
        let waiting = self.parts.links.waiting(|peer| self.guests.contains_key(peer));
        let has_its_share = self.has_its_share(peer, waiting);
        let Some(guest) = self.guests.get_mut(&peer) else { return };
        let is_client =
            matches!(guest.who, Who::Client(client) if self.state.read().roster().admits(&client));
        let busy = guest.under_way >= REQUESTS_MAX || has_its_share;
        let request = match Request::decode(body) {
            _ if !is_client && guest.exported.is_empty() => Err(Refused::Stranger),
            _ if busy => Err(Refused::Busy { bytes: waiting as u64 }),
            Ok(request) if is_client || guest.may_get(&request) => Ok(request),
            Ok(_) => Err(Refused::Stranger),
            Err(_) => Err(Refused::Item),
        };
        let by = match guest.who {
            Who::Client(client) => Some(client),
            _ => None,
        };
        let request = match request {
            Ok(request) => request,
            Err(refused) => return self.respond(peer, number, &Response::Refused(refused)),
        };
        guest.under_way += 1;
        self.next_call += 1;
        let call = Call(self.next_call);
        let len = if let Request::Put { bytes, .. } = &request { bytes.len() } else { 0 };
        let asked = Asked { peer, number, verb: Verb::of(&request), len, since: Instant::now() };
        self.asked.insert(call, asked);
        self.input(Input::Clock((self.parts.clock)()));
        self.input(Input::Client(call, by, request));
    }

    /// Whether as much waits for a client, over all its connections, as is left for all others, of `waiting` bytes in all: however many
    /// read nothing, room is left for one more that does (dynamic thresholds of a shared buffer, Choudhury and Hahne 1998).
    fn has_its_share(&self, peer: PeerKey, waiting: usize) -> bool {
        let Some(who) = self.guests.get(&peer).map(|guest| guest.who) else { return false };
        let own = |peer: &PeerKey| self.guests.get(peer).is_some_and(|guest| guest.who == who);
        let to_come: usize =
            self.guests.values().filter(|guest| guest.who == who).map(|guest| guest.under_way).sum();
        let own = self.parts.links.waiting(own) + to_come * ITEM_LEN_MAX;
        // Who asks for the first thing is refused only where even such first ones have filled as much again.
        own > self.parts.guests_bytes.saturating_sub(waiting) || waiting > 2 * self.parts.guests_bytes
    }

    fn respond(&self, peer: PeerKey, number: u64, response: &Response) {
        if self.parts.links.send(peer, Kind::Response, number, &response.encode()).is_err() {
            // It does not read what it asks for.
            self.parts.links.part(peer);
        }
    }

    fn tell(&self, peer: PeerKey, number: u64, told: &Told) {
        if self.parts.links.send(peer, Kind::Told, number, &told.encode()).is_err() {
            self.parts.links.part(peer);
        }
    }

    fn refuse(&self, peer: PeerKey, number: u64, why: Unwelcome) {
        self.tell(peer, number, &Told::Refused(why));
    }

    fn directory<T>(&self, read: impl FnOnce(&Directory) -> T) -> T {
        read(&self.parts.directory.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn node_of(&self, peer: PeerKey) -> Option<NodeId> {
        self.directory(|directory| directory.node_of(&NodeKey(peer.0)))
    }
}

/// Who leads, as far as a node knows: itself only while it may.
fn leader(status: &Status, own: NodeId) -> Option<NodeId> {
    if status.is_leader { Some(own) } else { status.leader.filter(|node| *node != own) }
}
