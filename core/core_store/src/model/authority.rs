mod explain;
mod explanation;
mod resolved;
mod strong_removal;

use super::skeleton::Bones;
use super::{ControlOp, ControlTransaction, GroupCommit, Rank, Right, SpaceState};
use crate::crdt::{Crdt, Stamp, VectorClock};
use hashbrown::HashSet;
use resolved::{Resolved, segments};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use terachat_event::{ChannelId, DeviceId, EventHash, EventRef, UserId};

pub(crate) use explain::{Forks, Written};
pub use explanation::{Deciding, Explanation, Precedence, Reason, Role};

/// How many states at past heads are kept for judging events that cite them.
const VIEWS_MAX: usize = 32;
/// How many checkpoints are kept; few in tests, whose stories are short.
const CHECKPOINTS_MAX: usize = if cfg!(test) { 4 } else { 64 };

const ORPHANED: &str = "the admission of its author counts for nothing";
const EQUIVOCATED: &str = "its author signed two events with one number";
const CUT_OFF: &str = "its author was removed or demoted without knowing of it";
const UNREADABLE: &str = "this version cannot read it";
const FORGED: &str = "it holds a card or a revocation that nobody signed";

/// One event of the control log, decoded.
#[derive(Debug, Clone)]
pub struct ControlEvent {
    /// Place in the total order.
    pub stamp: Stamp,
    /// Chain hash.
    pub hash: EventHash,
    /// Hashes of predecessor and parents: the heads its author had seen.
    pub parents: Vec<EventHash>,
    /// What it does.
    pub transaction: ControlTransaction,
    /// Wall time as claimed, for display.
    pub wall_ms: u64,
    /// Whether users and devices signed the cards and revocations in it: see [`vouched`](super::vouched).
    pub vouched: bool,
}

/// Whether an event counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It counts.
    Counts,
    /// It is valid as a record but counts for nothing, and why.
    Void(&'static str),
}

impl Verdict {
    /// What becomes of a channel event that was made in the state `then`.
    pub(crate) fn on(then: &SpaceState, author: &DeviceId, channel: &ChannelId, right: Right) -> Self {
        if !then.permits(author, right) {
            Self::Void("its author had no right to it when it was made")
        } else if !then.channels.contains_key(channel) {
            Self::Void("its channel did not exist when it was made")
        } else {
            Self::Counts
        }
    }
}

struct Node {
    event: ControlEvent,
    /// Everything it builds on, itself included; without what forked chains say from the fork on.
    past: VectorClock,
    /// Whether it builds on a fork, or is behind one itself.
    forked: bool,
    /// The author's rank in the state it was made under, or why it may not do what it does. Depends on the past
    /// alone, so it never changes.
    authority: Result<Rank, &'static str>,
}

/// A space's control log: a pure function from the *set* of control events to the state, whatever order they came in.
///
/// An event counts if its author had the rank for it in the state of its own causal past, and if no removal or
/// demotion that counts and did not know of it cuts it off (strong removal). Among removals that cut each other
/// off, the one by the higher rank holds, then the more senior member's, then the lower hash.
///
/// What a device signed from a fork of its chain on counts for nothing and is in nobody's past; but the past of what
/// others built on it leads through it (ADR 0015).
#[derive(Default)]
pub struct ControlLog {
    nodes: Vec<Node>,
    by_hash: BTreeMap<EventHash, usize>,
    /// Positions in `nodes` by the total order.
    order: Vec<usize>,
    heads: BTreeSet<EventHash>,
    /// Devices that some event admits, whether it counts or not.
    named: HashSet<DeviceId>,
    current: Resolved,
    /// From which number on a device's events count for nothing because it equivocated.
    frozen: BTreeMap<DeviceId, u64>,
    /// Events behind a fork that others built on, of branches that are not here whole.
    skeletons: BTreeMap<EventHash, Bones>,
    views: Vec<(Vec<EventHash>, Resolved)>,
    /// From the oldest to the newest; none while somebody forked.
    checkpoints: Vec<Checkpoint>,
}

/// What the events up to one add up to that is comparable with all others: it has everything before it in its past, and is in
/// the past of everything after it. Whatever comes that builds on it can go on from there.
struct Checkpoint {
    /// How many events these are: the first in the total order.
    len: usize,
    /// The last of them.
    tip: EventRef,
    resolved: Resolved,
}

impl ControlLog {
    /// The state of all events.
    pub fn state(&self) -> &SpaceState {
        &self.current.state
    }

    /// The same, to be kept.
    pub(crate) fn shared_state(&self) -> Arc<SpaceState> {
        Arc::clone(&self.current.state)
    }

    /// Events nobody has built on yet, ascending.
    pub fn heads(&self) -> Vec<EventHash> {
        self.heads.iter().copied().collect()
    }

    /// Whether these heads are all there is.
    pub(crate) fn is_current(&self, heads: &[EventHash]) -> bool {
        heads.len() == self.heads.len() && heads.iter().all(|head| self.heads.contains(head))
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are no events yet.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Whether this event is known, be it as a skeleton.
    pub fn contains(&self, hash: &EventHash) -> bool {
        self.by_hash.contains_key(hash) || self.skeletons.contains_key(hash)
    }

    /// Events in total order, each with its verdict.
    pub fn events(&self) -> impl Iterator<Item = (&ControlEvent, Verdict)> {
        self.order.iter().map(|at| {
            let event = &self.nodes[*at].event;
            let why = self.current.void.get(&event.hash).copied();
            let why = if self.is_frozen(&event.stamp.event()) { Some(EQUIVOCATED) } else { why };
            (event, why.map_or(Verdict::Counts, Verdict::Void))
        })
    }

    /// Whether some event admits this device, whether that event counts or not. Its events are taken in as records even
    /// if it does not: others may have built on them before they learned so. Where a member's chain forked, not everybody
    /// holds the branch that admits somebody, so there all are taken in.
    pub fn names(&self, device: &DeviceId) -> bool {
        self.named.contains(device) || self.frozen.keys().any(|forked| self.named.contains(forked))
    }

    /// Devices of users whom some event gave a rank that permits this, whether it counts or not.
    pub(crate) fn ever_had(&self, right: Right) -> BTreeSet<DeviceId> {
        let ops = || self.nodes.iter().flat_map(|node| &node.event.transaction.0);
        let given = ops().filter_map(|op| match op {
            ControlOp::Genesis { owner, .. } => Some((owner.user, Rank::OWNER)),
            ControlOp::Admit { card, rank, .. } => Some((card.user, *rank)),
            ControlOp::SetRank { user, rank, .. } => Some((*user, *rank)),
            _ => None,
        });
        let users: BTreeSet<UserId> =
            given.filter(|(_, rank)| rank.permits(right)).map(|(user, _)| user).collect();
        let cards = self.nodes.iter().flat_map(|node| cards(&node.event));
        cards.filter(|card| users.contains(&card.user)).map(|card| card.device).collect()
    }

    /// Takes in an event whose parents are all known; a known event changes nothing.
    pub fn insert(&mut self, event: ControlEvent) {
        if self.by_hash.contains_key(&event.hash) {
            return;
        }
        if self.is_frozen(&event.stamp.event()) {
            return self.place(event, Err(EQUIVOCATED));
        }
        let follows_all = self.heads.iter().all(|head| event.parents.contains(head));
        let (authority, resolved) =
            if follows_all { self.follow(&event) } else { (self.judge(&event), None) };
        self.place(event, authority);
        if let Some(resolved) = resolved {
            self.current = resolved;
            return;
        }
        self.drop_checkpoints();
        let everything: Vec<_> = self.heads.iter().copied().collect();
        let (resolved, fork) = self.resolve_to_fork(&everything);
        self.current = resolved;
        // What comes next most likely stands beside the same events, so it is to go on from where they part.
        if let Some(fork) = fork
            && self.frozen.is_empty()
        {
            self.push_checkpoint(fork);
        }
    }

    fn push_checkpoint(&mut self, checkpoint: Checkpoint) {
        if self.checkpoints.len() == CHECKPOINTS_MAX {
            // The older, the fewer: every second of the older half goes.
            let mut nth = 0;
            self.checkpoints.retain(|_| {
                nth += 1;
                nth > CHECKPOINTS_MAX / 2 || nth % 2 == 0
            });
        }
        self.checkpoints.push(checkpoint);
    }

    /// Forgets the checkpoints that the newest event does not build on.
    fn drop_checkpoints(&mut self) {
        let past = self.nodes.last().map(|node| &node.past);
        let valid = past
            .map_or(0, |past| self.checkpoints.partition_point(|checkpoint| past.contains(&checkpoint.tip)));
        self.checkpoints.truncate(valid);
    }

    /// Puts a judged event in its places.
    fn place(&mut self, event: ControlEvent, authority: Result<Rank, &'static str>) {
        let frozen = self.is_frozen(&event.stamp.event());
        let (below, mut forked) = self.ground(&event.parents);
        let mut past = VectorClock::default();
        for at in below {
            let node = &self.nodes[at];
            past.merge(&node.past);
            forked |= node.forked;
            if !frozen {
                self.heads.remove(&node.event.hash);
            }
        }
        if !frozen {
            past.apply(event.stamp.event());
            self.heads.insert(event.hash);
        }
        let at = self.nodes.len();
        let place = self.order.partition_point(|other| self.nodes[*other].event.stamp < event.stamp);
        self.order.insert(place, at);
        self.named.extend(claims(&event).map(|card| card.device));
        self.by_hash.insert(event.hash, at);
        self.nodes.push(Node { event, past, authority, forked: forked || frozen });
    }

    /// The newest events that are not behind a fork among these and what they build on, and whether the way there led
    /// through a fork.
    fn ground(&self, heads: &[EventHash]) -> (Vec<usize>, bool) {
        let (mut below, mut forked) = (Vec::new(), false);
        self.walk(heads, |at, _| match at {
            Some(at) => below.push(at),
            None => forked = true,
        });
        (below, forked)
    }

    /// Visits events from `heads` down, through those behind forks and as far as the first that are not.
    fn walk(&self, heads: &[EventHash], mut visit: impl FnMut(Option<usize>, &EventHash)) {
        let (mut seen, mut left) = (BTreeSet::new(), heads.to_vec());
        while let Some(hash) = left.pop() {
            let parents = match self.by_hash.get(&hash).map(|at| (*at, &self.nodes[*at].event)) {
                Some((at, event)) if !self.is_frozen(&event.stamp.event()) => {
                    visit(Some(at), &hash);
                    continue;
                }
                Some((_, event)) => &event.parents,
                None => match self.skeletons.get(&hash) {
                    Some(bones) => &bones.parents,
                    None => continue,
                },
            };
            if seen.insert(hash) {
                visit(None, &hash);
                left.extend(parents);
            }
        }
    }

    fn is_frozen(&self, event: &EventRef) -> bool {
        self.frozen.get(&event.author).is_some_and(|from| event.seq >= *from)
    }

    /// Judges an event that builds on everything here, and gives the state after it, changed in place: the common case.
    fn follow(&mut self, event: &ControlEvent) -> (Result<Rank, &'static str>, Option<Resolved>) {
        let mut resolved = std::mem::take(&mut self.current);
        let author = &event.stamp.author;
        let rank = resolved.state.rank_of(author).unwrap_or(Rank::OWNER);
        match resolved.follow(event) {
            Ok(()) => (Ok(rank), Some(resolved)),
            Err((done, why)) => {
                if done > 0 {
                    // Part of it was carried out before the rest was found forbidden: it counts as a whole or not at all.
                    resolved.state = self.resolve(&event.parents).state;
                }
                (Err(why), Some(resolved))
            }
        }
    }

    /// The author's rank if it may do all that the event does, in the state that it was made under.
    fn judge(&mut self, event: &ControlEvent) -> Result<Rank, &'static str> {
        let mut view = self.resolve_at(&event.parents);
        let rank = view.state.rank_of(&event.stamp.author).unwrap_or(Rank::OWNER);
        let done = view.follow(event);
        if !matches!(done, Err((1.., _))) {
            // Whoever acts beside others goes on to do so.
            self.remember(vec![event.hash], view);
        }
        done.map(|()| rank).map_err(|(_, why)| why)
    }

    /// Lets the events of `device` from number `seq` on count for nothing: it signed two with one number.
    pub fn freeze(&mut self, device: DeviceId, seq: u64) {
        let from = self.frozen.entry(device).or_insert(seq);
        *from = seq.min(*from);
        self.judge_anew();
    }

    /// Takes in skeletons: before the events that build on them, or followed by [`ControlLog::judge_anew`].
    pub(crate) fn know(&mut self, skeletons: impl IntoIterator<Item = (EventHash, Bones)>) {
        self.skeletons.extend(skeletons);
    }

    /// Judges everything again: rights that rested on what is void now fall with it.
    pub(crate) fn judge_anew(&mut self) {
        let (frozen, skeletons) = (std::mem::take(&mut self.frozen), std::mem::take(&mut self.skeletons));
        let old = std::mem::replace(self, Self { frozen, skeletons, ..Self::default() });
        old.nodes.into_iter().for_each(|node| self.insert(node.event));
    }

    /// Whether this device is a present member's and its chain here did not fork: then it can still decide something.
    pub fn decides(&self, device: &DeviceId) -> bool {
        self.state().member_of(device).is_some() && !self.frozen.contains_key(device)
    }

    /// Whether one of these events is behind a fork, or builds on one that is.
    pub fn builds_on_fork(&self, heads: &[EventHash]) -> bool {
        let (below, forked) = self.ground(heads);
        forked || below.into_iter().any(|at| self.nodes[at].forked)
    }

    /// The events behind forks through which the causal past of these leads.
    pub(crate) fn behind_forks(&self, heads: &[EventHash]) -> Vec<EventHash> {
        let mut found = Vec::new();
        if !self.frozen.is_empty() {
            self.walk(heads, |at, hash| found.extend(at.is_none().then_some(*hash)));
        }
        found
    }

    /// Name and Lamport time of an event that is known, be it as a skeleton.
    pub(crate) fn place_of(&self, hash: &EventHash) -> Option<(EventRef, u64)> {
        let held = self.event(hash).map(|event| (event.stamp.event(), event.stamp.lamport));
        held.or_else(|| self.skeletons.get(hash).map(|bones| (bones.event, bones.lamport)))
    }

    /// Which of the offered skeletons have to be known so that the causal past of `wanted` is; `fresh` are events that are
    /// not here yet but will be by then.
    ///
    /// # Errors
    /// The first event of that past that is neither here nor offered, or offered as what it is not.
    pub(crate) fn lacks_of(
        &self,
        wanted: &[EventHash],
        offered: &BTreeMap<EventHash, Bones>,
        fresh: &BTreeMap<EventHash, EventRef>,
    ) -> Result<Vec<EventHash>, EventHash> {
        let here = |hash: &EventHash| {
            self.place_of(hash).map(|(event, _)| event).or_else(|| fresh.get(hash).copied())
        };
        let (mut lacking, mut seen, mut left) = (Vec::new(), BTreeSet::new(), wanted.to_vec());
        while let Some(hash) = left.pop() {
            if here(&hash).is_some() || !seen.insert(hash) {
                continue;
            }
            let bones = offered.get(&hash).ok_or(hash)?;
            // Step by step back to what its author is known to have signed: so nobody else's event passes for its.
            let follows = bones.previous.is_none_or(|previous| {
                let before = here(&previous).or_else(|| offered.get(&previous).map(|bones| bones.event));
                before == Some(EventRef { author: bones.event.author, seq: bones.event.seq - 1 })
            });
            if !follows || !self.is_frozen(&bones.event) {
                return Err(hash);
            }
            lacking.push(hash);
            left.extend(&bones.parents);
        }
        Ok(lacking)
    }

    /// What a snapshot keeps so that nothing has to be judged again: the rank of each event's author when it was made, in
    /// the order in which the events came; `None` unless every event counts and nobody forked.
    pub(crate) fn settled(&self) -> Option<Vec<Rank>> {
        let plain = self.current.void.is_empty() && self.frozen.is_empty();
        let ranks: Option<Vec<Rank>> = self.nodes.iter().map(|node| node.authority.ok()).collect();
        ranks.filter(|_| plain)
    }

    /// A log restored from its events, what [`ControlLog::settled`] gave, and the state.
    pub(crate) fn restore(events: Vec<ControlEvent>, ranks: &[Rank], state: Arc<SpaceState>) -> Self {
        let mut log = Self::default();
        for (event, rank) in events.into_iter().zip(ranks) {
            log.place(event, Ok(*rank));
        }
        log.current.state = state;
        log
    }

    /// The state of exactly the causal past of `heads`, heads included; `None` when one of them is unknown.
    pub fn state_at(&mut self, heads: &[EventHash]) -> Option<Arc<SpaceState>> {
        if !heads.iter().all(|head| self.contains(head)) {
            return None;
        }
        Some(self.resolve_at(heads).state)
    }

    /// Whether `author` had the right to write in `channel` under the control heads `cited`; `None` while one of
    /// those heads is unknown. Whether a later removal cuts the event off is [`SpaceState::cut`]'s to say.
    pub fn verdict(
        &mut self,
        author: &DeviceId,
        channel: &ChannelId,
        cited: &[EventHash],
        right: Right,
    ) -> Option<Verdict> {
        Some(Verdict::on(&*self.state_at(cited)?, author, channel, right))
    }

    /// The MLS epochs in order: the genesis, then for each epoch the commit that won. Of several commits that leave
    /// one epoch the one by the highest rank wins, then the lowest hash; `broken` names commits that do not process.
    pub fn epochs(&self, broken: &BTreeSet<EventHash>) -> Vec<EventHash> {
        let mut next: BTreeMap<EventHash, (std::cmp::Reverse<Rank>, EventHash)> = BTreeMap::new();
        for (hash, commit) in self.commits() {
            if broken.contains(&hash) {
                continue;
            }
            let Ok(rank) = self.nodes[self.by_hash[&hash]].authority else { continue };
            let candidate = (std::cmp::Reverse(rank), hash);
            next.entry(commit.previous).and_modify(|best| *best = candidate.min(*best)).or_insert(candidate);
        }
        let genesis = self.order.first().map(|at| self.nodes[*at].event.hash);
        let chain = std::iter::successors(genesis, |hash| next.get(hash).map(|(_, hash)| *hash));
        // A commit names a predecessor that existed before it, so the chain cannot loop.
        chain.collect()
    }

    /// The commits among the events that count, in total order.
    pub fn commits(&self) -> impl Iterator<Item = (EventHash, &GroupCommit)> {
        self.events().filter(|(_, verdict)| *verdict == Verdict::Counts).filter_map(|(event, _)| {
            event.transaction.0.iter().find_map(|op| match op {
                ControlOp::Commit(commit) => Some((event.hash, commit)),
                _ => None,
            })
        })
    }

    /// The event with this hash.
    pub fn event(&self, hash: &EventHash) -> Option<&ControlEvent> {
        self.by_hash.get(hash).map(|at| &self.nodes[*at].event)
    }

    /// `resolve`, remembered for the heads asked last.
    fn resolve_at(&mut self, heads: &[EventHash]) -> Resolved {
        if self.is_current(heads) {
            return self.current.clone();
        }
        if let Some((_, known)) = self.views.iter().find(|(at, _)| at == heads) {
            return known.clone();
        }
        let resolved = self.resolve(heads);
        self.remember(heads.to_vec(), resolved.clone());
        resolved
    }

    fn remember(&mut self, heads: Vec<EventHash>, resolved: Resolved) {
        if self.views.len() == VIEWS_MAX {
            self.views.remove(0);
        }
        self.views.push((heads, resolved));
    }

    /// The causal past of `heads` in total order, heads included.
    fn inside(&self, heads: &[EventHash]) -> Vec<&Node> {
        self.inside_from(0, &self.past_of(heads))
    }

    fn past_of(&self, heads: &[EventHash]) -> VectorClock {
        let mut past = VectorClock::default();
        self.ground(heads).0.into_iter().for_each(|at| past.merge(&self.nodes[at].past));
        past
    }

    fn inside_from(&self, from: usize, past: &VectorClock) -> Vec<&Node> {
        let all = self.order[from..].iter().map(|at| &self.nodes[*at]);
        all.filter(|node| past.contains(&node.event.stamp.event())).collect()
    }

    /// Resolves the causal past of `heads`, from the last checkpoint in it.
    fn resolve(&self, heads: &[EventHash]) -> Resolved {
        self.resolve_to_fork(heads).0
    }

    /// As [`ControlLog::resolve`], with a checkpoint behind the last event that is comparable with all, if there is a later
    /// one than is kept.
    fn resolve_to_fork(&self, heads: &[EventHash]) -> (Resolved, Option<Checkpoint>) {
        let past = self.past_of(heads);
        let known = self.checkpoints.iter().rev().find(|checkpoint| past.contains(&checkpoint.tip));
        let (from, start) = known.map_or_else(Default::default, |known| (known.len, known.resolved.clone()));
        let inside = self.inside_from(from, &past);
        let comparable = segments(&inside).take_while(|segment| segment.len() == 1).count();
        let Some(tip) = comparable.checked_sub(1).filter(|_| self.frozen.is_empty()) else {
            return (self.resolve_from(start, &inside, |_, _| {}), None);
        };
        let resolved = self.resolve_from(start, &inside[..comparable], |_, _| {});
        let tip = inside[tip].event.stamp.event();
        let fork = Checkpoint { len: from + comparable, tip, resolved: resolved.clone() };
        (self.resolve_from(resolved, &inside[comparable..], |_, _| {}), Some(fork))
    }

    /// As [`ControlLog::resolve`], from the beginning; `cut` is told of every event that strong removal cuts off, and by
    /// which.
    fn resolve_noting(&self, heads: &[EventHash], cut: impl FnMut(&Node, &Node)) -> Resolved {
        self.resolve_from(Resolved::default(), &self.inside(heads), cut)
    }

    fn resolve_from(
        &self,
        mut resolved: Resolved,
        inside: &[&Node],
        mut cut: impl FnMut(&Node, &Node),
    ) -> Resolved {
        if self.frozen.is_empty() {
            segments(inside).for_each(|segment| resolved.take(segment, &mut cut));
        } else {
            // What lies behind forks is in nobody's past, so nothing is known to be comparable with all.
            resolved.take(inside, cut);
        }
        resolved
    }
}

/// The cards in an event that user and device signed.
fn cards(event: &ControlEvent) -> impl Iterator<Item = &super::Card> {
    claims(event).filter(|_| event.vouched)
}

/// All cards in an event, forged ones too: its devices' events are taken in as records even so.
fn claims(event: &ControlEvent) -> impl Iterator<Item = &super::Card> {
    event.transaction.0.iter().filter_map(|op| match op {
        ControlOp::Genesis { owner, .. } => Some(owner),
        ControlOp::Admit { card, .. } => Some(card),
        _ => None,
    })
}

/// Carries out an event's operations one after the other, as far as its author may; else how many were carried out,
/// and why not the next.
fn act(state: &mut SpaceState, event: &ControlEvent) -> Result<(), (usize, &'static str)> {
    if event.transaction.0.is_empty() {
        return Err((0, UNREADABLE));
    }
    if !event.vouched {
        return Err((0, FORGED));
    }
    for (at, op) in event.transaction.0.iter().enumerate() {
        if let Some(why) = state.forbidden(&event.stamp.author, op) {
            return Err((at, why));
        }
        state.apply(&event.stamp, &event.hash, at, op);
    }
    Ok(())
}

fn apply(state: &mut SpaceState, event: &ControlEvent) {
    for (at, op) in event.transaction.0.iter().enumerate() {
        state.apply(&event.stamp, &event.hash, at, op);
    }
}

#[cfg(test)]
mod tests;
