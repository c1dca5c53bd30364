mod beside;
mod bits;
mod checkpoints;
mod epochs;
mod event;
mod explain;
mod explanation;
mod grounds;
mod links;
mod past;
mod resolved;
mod revocation;
mod segments;
mod settle;
mod strong_removal;
mod threats;
mod turns;
mod views;
mod window;

use super::refusal::TAKES_ARCHIVE;
use super::skeleton::Bones;
use super::{ControlOp, Permission, Permissions, Rank, SpaceState};
use crate::crdt::{Crdt, VectorClock};
use beside::Within;
use checkpoints::Checkpoints;
use event::Node;
use hashbrown::HashSet;
use links::Links;
use resolved::Resolved;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use terachat_event::{ChannelId, DeviceId, EventHash, UserId};
use views::{View, Views};

pub(crate) use event::Authority;
pub use event::{ControlEvent, Verdict};
pub(crate) use explain::{Forks, Written};
pub use explanation::{Deciding, Explanation, Precedence, Reason, Role};

const ORPHANED: &str = "the admission of its author counts for nothing";
const EQUIVOCATED: &str = "its author signed two events with one number";
const CUT_OFF: &str = "its author was removed or demoted without knowing of it";
const ROLE_CHANGED: &str = "a role that it rests on or gives was changed without its author knowing of it";
const UNREADABLE: &str = "this version cannot read it";
const FORGED: &str = "it holds a card or a revocation that nobody signed";

/// A space's control log: a pure function from the *set* of control events to the state, whatever order they came in.
///
/// An event counts if its author had rank and permission for it in the state of its own causal past, and if no removal,
/// demotion or change of a role that counts and did not know of it cuts it off (strong removal). Among removals that cut each other
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
    links: Links,
    /// What all events add up to. Absent when that takes settling them again and nobody asked yet: of a batch, once.
    current: OnceCell<Resolved>,
    /// From which number on a device's events count for nothing because it equivocated.
    frozen: BTreeMap<DeviceId, u64>,
    /// Events behind a fork that others built on, of branches that are not here whole.
    skeletons: BTreeMap<EventHash, Bones>,
    views: Views,
    /// None while somebody forked.
    checkpoints: Checkpoints,
}

impl ControlLog {
    /// The state of all events.
    pub fn state(&self) -> &SpaceState {
        &self.current().state
    }

    /// The same, to be kept.
    pub(crate) fn shared_state(&self) -> Arc<SpaceState> {
        Arc::clone(&self.current().state)
    }

    fn current(&self) -> &Resolved {
        self.current.get_or_init(|| self.settle(Within::All))
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

    /// Why this event counts for nothing, if it is here and does not.
    pub fn why_void(&self, hash: &EventHash) -> Option<&'static str> {
        let event = self.event(hash)?;
        let frozen = self.is_frozen(&event.stamp.event()).then_some(EQUIVOCATED);
        frozen.or_else(|| self.current().why_void(hash))
    }

    /// Whether this event removes an archive that its author knew to be required: void, and a reason to warn the members.
    pub fn takes_archive(&self, hash: &EventHash) -> bool {
        self.why_void(hash) == Some(TAKES_ARCHIVE)
    }

    /// Whether this event is known, be it as a skeleton.
    pub fn contains(&self, hash: &EventHash) -> bool {
        self.by_hash.contains_key(hash) || self.skeletons.contains_key(hash)
    }

    /// Events in total order, each with its verdict.
    pub fn events(&self) -> impl Iterator<Item = (&ControlEvent, Verdict)> {
        let current = self.current();
        self.order.iter().map(move |at| {
            let event = &self.nodes[*at].event;
            let frozen = self.is_frozen(&event.stamp.event()).then_some(EQUIVOCATED);
            let why = frozen.or_else(|| current.why_void(&event.hash));
            (event, why.map_or(Verdict::Counts, Verdict::Void))
        })
    }

    /// Whether some event admits this device, whether that event counts or not. Its events are taken in as records even
    /// if it does not: others may have built on them before they learned so. Where a member's chain forked, not everybody
    /// holds the branch that admits somebody, so there all are taken in.
    pub fn names(&self, device: &DeviceId) -> bool {
        self.named.contains(device) || self.frozen.keys().any(|forked| self.named.contains(forked))
    }

    /// Devices of users whom some event gave a role that permits this, or that some event gave this, whether it counts or not.
    pub(crate) fn ever_had(&self, permission: Permission) -> BTreeSet<DeviceId> {
        let ops = || self.nodes.iter().flat_map(|node| &node.event.transaction.0);
        let changed: BTreeSet<Rank> = ops()
            .filter_map(|op| match op {
                ControlOp::ChangeRole { rank, give, .. } => give.has(permission).then_some(*rank),
                _ => None,
            })
            .collect();
        let given = ops().filter_map(|op| match op {
            ControlOp::Genesis { owner, .. } => Some((owner.user, Rank::OWNER)),
            ControlOp::Admit { card, rank, .. } => Some((card.user, *rank)),
            ControlOp::SetRank { user, rank, .. } => Some((*user, *rank)),
            _ => None,
        });
        let permits = |rank: &Rank| Permissions::by_rank(*rank).has(permission) || changed.contains(rank);
        let users: BTreeSet<UserId> = given.filter(|(_, rank)| permits(rank)).map(|(user, _)| user).collect();
        let cards = self.nodes.iter().flat_map(|node| node.event.cards());
        cards.filter(|card| users.contains(&card.user)).map(|card| card.device).collect()
    }

    /// Takes in an event whose parents are all known; a known event changes nothing.
    pub fn insert(&mut self, event: ControlEvent) {
        if self.by_hash.contains_key(&event.hash) {
            return;
        }
        if self.is_frozen(&event.stamp.event()) {
            self.place(event, Err(EQUIVOCATED));
        } else if self.heads.iter().all(|head| event.parents.contains(head)) {
            self.insert_behind(event);
        } else {
            self.insert_beside(event);
        }
    }

    /// Takes in an event that builds on everything here: the common case. The state is changed in place.
    fn insert_behind(&mut self, event: ControlEvent) {
        self.current();
        let mut resolved = self.current.take().unwrap_or_default();
        let authority = Authority::of(&event.stamp.author, &resolved.state);
        let done = resolved.follow(&event);
        if let Err((1.., _)) = done {
            // Part of it was carried out before the rest was found forbidden: it counts as a whole or not at all.
            resolved.state = self.view_of(&event.parents).resolved.state;
        }
        let tip = event.stamp.event();
        self.place(event, done.map(|()| authority).map_err(|(_, why)| why));
        if self.frozen.is_empty() {
            self.checkpoints.offer(self.nodes.len(), tip, &resolved);
        }
        self.current = OnceCell::from(resolved);
    }

    /// Takes in an event that does not know of all that is here.
    fn insert_beside(&mut self, event: ControlEvent) {
        if let (1, Some(head), Some(resolved)) = (self.heads.len(), self.heads.first(), self.current.get()) {
            // Others most likely go on from there, too, and do not know of this one.
            let (heads, past) = (vec![*head], self.past_of(&[*head]));
            self.views.keep(View { heads, past, resolved: resolved.clone() });
        }
        let authority = self.judge(&event);
        let at = self.place(event, authority);
        self.checkpoints.drop_beside(&self.nodes[at].past);
        if let Some(mut resolved) = self.current.take()
            && self.add_beside(&mut resolved, Within::All, at)
        {
            self.current = OnceCell::from(resolved);
        }
    }

    /// Puts a judged event in its places; gives its position among the nodes.
    fn place(&mut self, event: ControlEvent, authority: Result<Authority, &'static str>) -> usize {
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
        let at = self.nodes.len();
        let place = self.order.partition_point(|other| self.nodes[*other].event.stamp < event.stamp);
        self.order.insert(place, at);
        self.named.extend(event.claims().map(|card| card.device));
        self.by_hash.insert(event.hash, at);
        let grants = authority.as_ref().map_or(Permissions::NONE, |by| by.grants(&event.transaction));
        let mut node = Node { event, past, authority, grants, forked: forked || frozen };
        if !frozen {
            node.past.apply(node.event.stamp.event());
            self.heads.insert(node.event.hash);
            self.links.note(at, &node);
        }
        self.nodes.push(node);
        at
    }

    /// What the author is if it may do all that the event does, in the state that it was made under.
    fn judge(&mut self, event: &ControlEvent) -> Result<Authority, &'static str> {
        let mut view = self.view_at(&event.parents);
        let authority = Authority::of(&event.stamp.author, &view.resolved.state);
        let done = view.resolved.follow(event);
        if !matches!(done, Err((1.., _))) {
            // Whoever acts beside others goes on to do so.
            view.heads = vec![event.hash];
            view.past.apply(event.stamp.event());
            self.views.keep(view);
        }
        done.map(|()| authority).map_err(|(_, why)| why)
    }

    /// Lets the events of `device` from number `seq` on count for nothing: it signed two with one number.
    pub fn freeze(&mut self, device: DeviceId, seq: u64) {
        let from = self.frozen.entry(device).or_insert(seq);
        *from = seq.min(*from);
        self.judge_anew();
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

    /// What a snapshot keeps so that nothing has to be judged again: what each event's author was when it was made, in
    /// the order in which the events came; `None` unless every event counts and nobody forked.
    pub(crate) fn settled(&self) -> Option<Vec<Authority>> {
        self.is_settled().then(|| self.nodes.iter().filter_map(|node| node.authority.clone().ok()).collect())
    }

    /// Whether every event counts and nobody forked.
    pub(crate) fn is_settled(&self) -> bool {
        let current = self.current();
        current.void.is_empty()
            && current.orphans.is_empty()
            && self.frozen.is_empty()
            && self.nodes.iter().all(|node| node.authority.is_ok())
    }

    /// A log restored from its events, what [`ControlLog::settled`] gave, and the state.
    pub(crate) fn restore(events: Vec<ControlEvent>, authors: &[Authority], state: Arc<SpaceState>) -> Self {
        let mut log = Self::default();
        for (event, authority) in events.into_iter().zip(authors) {
            log.place(event, Ok(authority.clone()));
        }
        log.current = OnceCell::from(Resolved { state, ..Resolved::default() });
        log
    }

    /// The state of exactly the causal past of `heads`, heads included; `None` when one of them is unknown.
    pub fn state_at(&mut self, heads: &[EventHash]) -> Option<Arc<SpaceState>> {
        if !heads.iter().all(|head| self.contains(head)) {
            return None;
        }
        if self.is_current(heads) {
            return Some(self.shared_state());
        }
        Some(self.view_at(heads).resolved.state)
    }

    /// Whether `author` had the permission in `channel` under the control heads `cited`; `None` while one of
    /// those heads is unknown. Whether a later removal cuts the event off is [`SpaceState::cut`]'s to say.
    pub fn verdict(
        &mut self,
        author: &DeviceId,
        channel: &ChannelId,
        cited: &[EventHash],
        permission: Permission,
    ) -> Option<Verdict> {
        Some(Verdict::on(&*self.state_at(cited)?, author, channel, permission))
    }

    /// The event with this hash.
    pub fn event(&self, hash: &EventHash) -> Option<&ControlEvent> {
        self.by_hash.get(hash).map(|at| &self.nodes[*at].event)
    }
}

#[cfg(test)]
mod tests;
