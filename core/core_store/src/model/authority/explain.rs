//! Explanations on demand: the causal past is replayed and watched. Nothing here is on the way of an event that comes in.
use super::explanation::{Deciding, Explanation, Precedence, Reason, Role};
use super::resolved::act;
use super::{
    ControlEvent, ControlLog, EQUIVOCATED, Node, ORPHANED, Resolved, UNREADABLE, Verdict, revocation,
};
use crate::model::space::channel_id;
use crate::model::{ControlOp, Permission, Pin, Rank, Refusal, SpaceState};
use std::collections::BTreeMap;
use terachat_event::{ChannelId, DeviceId, EventHash, EventRef, UserId};

/// How many explanations one explanation may hold, one inside the other or side by side.
const NESTED_MAX: usize = 16;

/// For each device that equivocated in the control log the hashes of the two events that it signed with one number.
pub(crate) type Forks = BTreeMap<DeviceId, [EventHash; 2]>;

/// What there is to know of a channel event for explaining it.
pub(crate) struct Written<'a> {
    pub(crate) event: EventRef,
    pub(crate) hash: EventHash,
    pub(crate) channel: &'a ChannelId,
    /// The control heads that it cites.
    pub(crate) cited: &'a [EventHash],
    /// What it takes.
    pub(crate) permission: Permission,
    /// Whether it counts, as the channel has it.
    pub(crate) verdict: Verdict,
    /// The number from which on the author's chain in the channel counts for nothing, and the two events that prove it.
    pub(crate) fork: Option<(u64, Option<[EventHash; 2]>)>,
}

impl ControlLog {
    /// Why the control event with this hash counts or not; `None` for one that is not here, or as a skeleton only.
    pub(crate) fn explain(&self, hash: &EventHash, forks: &Forks) -> Option<Explanation> {
        let node = &self.nodes[*self.by_hash.get(hash)?];
        Some(Explainer { log: self, forks, nested: 0 }.control(node, &self.heads()))
    }

    /// Why a channel event counts or not. Its control heads are known here.
    pub(crate) fn explain_written(&self, written: &Written<'_>, forks: &Forks) -> Explanation {
        Explainer { log: self, forks, nested: 0 }.written(written)
    }
}

/// A causal past, replayed.
struct View<'a> {
    /// In total order.
    inside: Vec<&'a Node>,
    resolved: Resolved,
    cut_by: BTreeMap<EventHash, CutBy>,
}

/// Which removal, demotion or change of a role cut an event off.
#[derive(Clone, Copy)]
struct CutBy {
    hash: EventHash,
    lost: Option<Permission>,
    /// Why it held where the event would have cut it off in turn.
    held_by: Option<Precedence>,
}

impl View<'_> {
    fn state(&self) -> &SpaceState {
        &self.resolved.state
    }

    /// Events that count here, in total order, with their operations.
    fn counting(&self) -> impl Iterator<Item = (&ControlEvent, &[ControlOp])> {
        let counting = self.inside.iter().filter(|node| self.resolved.why_void(&node.event.hash).is_none());
        counting.map(|node| (&node.event, node.event.transaction.0.as_slice()))
    }
}

/// Which events made a user what it is.
#[derive(Default)]
struct Career<'a> {
    /// Admitted the device that is asked about; without one, the user's first.
    admitted: Option<&'a ControlEvent>,
    /// Gave it the rank it has.
    ranked: Option<&'a ControlEvent>,
    removed: Option<&'a ControlEvent>,
}

impl<'a> Career<'a> {
    fn of(
        events: impl Iterator<Item = (&'a ControlEvent, &'a [ControlOp])>,
        user: &UserId,
        device: Option<&DeviceId>,
    ) -> Self {
        let mut career = Self::default();
        for (event, ops) in events {
            for op in ops {
                match op {
                    ControlOp::Genesis { owner: card, .. } | ControlOp::Admit { card, .. }
                        if card.user == *user =>
                    {
                        career.ranked.get_or_insert(event);
                        if device.is_none_or(|device| card.device == *device) {
                            career.admitted.get_or_insert(event);
                        }
                    }
                    ControlOp::SetRank { user: target, .. } if target == user && career.removed.is_none() => {
                        career.ranked = Some(event);
                    }
                    ControlOp::Remove { user: target, .. } if target == user => {
                        career.removed.get_or_insert(event);
                    }
                    ControlOp::RevokeDevice { revocation, .. }
                        if revocation.user == *user && Some(&revocation.device) == device =>
                    {
                        career.removed.get_or_insert(event);
                    }
                    _ => {}
                }
            }
        }
        career
    }

    /// What decides of it: the removal, or else rank and admission.
    fn deciding(&self, [admits, ranks, removes]: [Role; 3]) -> Vec<Deciding> {
        let same = |a: &ControlEvent, b: &ControlEvent| a.hash == b.hash;
        let ranked =
            self.ranked.filter(|ranked| !self.admitted.is_some_and(|admitted| same(admitted, ranked)));
        match self.removed {
            Some(event) => vec![deciding(removes, event)],
            None => [(ranks, ranked), (admits, self.admitted)]
                .into_iter()
                .filter_map(|(role, event)| Some(deciding(role, event?)))
                .collect(),
        }
    }
}

const AUTHOR: [Role; 3] = [Role::Admits, Role::Ranks, Role::Removes];
const TARGET: [Role; 3] = [Role::AdmitsTarget, Role::RanksTarget, Role::RemovesTarget];

struct Explainer<'a> {
    log: &'a ControlLog,
    forks: &'a Forks,
    /// Explanations made so far inside the first.
    nested: usize,
}

impl<'a> Explainer<'a> {
    fn view(&self, heads: &[EventHash]) -> View<'a> {
        let mut cut_by = BTreeMap::new();
        let resolved = self.log.resolve_noting(heads, |cut| {
            let held_by = cut.contest.map(|[held, other]| differing(held, other));
            let by = CutBy { hash: cut.by.event.hash, lost: cut.lost.known().next(), held_by };
            cut_by.insert(cut.node.event.hash, by);
        });
        View { inside: self.log.inside(heads), resolved, cut_by }
    }

    /// Explains a control event by what counts among `heads` and all they build on; it is one of these, or behind a fork.
    fn control(&mut self, node: &'a Node, heads: &[EventHash]) -> Explanation {
        let event = &node.event;
        let from = self.log.frozen.get(&event.stamp.author).copied();
        let (verdict, reason, deciding) = match from.filter(|from| event.stamp.seq >= *from) {
            Some(from) => {
                let signed = self.forks.get(&event.stamp.author).copied();
                (Verdict::Void(EQUIVOCATED), Reason::Equivocated { from, signed }, Vec::new())
            }
            None => self.judged(node, &self.view(heads)),
        };
        let (cited, hash) = (event.parents.clone(), event.hash);
        Explanation { event: event.stamp.event(), hash, verdict, reason, deciding, cited }
    }

    fn judged(&mut self, node: &'a Node, view: &View<'a>) -> (Verdict, Reason, Vec<Deciding>) {
        let void = view.resolved.why_void(&node.event.hash);
        if let Err(why) = &node.authority {
            let (reason, deciding) = self.forbidden(&node.event);
            return (Verdict::Void(why), reason, deciding);
        }
        let Some(why) = void else {
            let (reason, deciding) = self.counts(node, view);
            return (Verdict::Counts, reason, deciding);
        };
        let by = view.cut_by.get(&node.event.hash);
        let by = by.and_then(|by| Some((self.log.event(&by.hash)?, *by)));
        let (reason, deciding) = match by {
            Some((event, CutBy { lost, held_by, .. })) => {
                (Reason::CutOff { lost, held_by }, vec![deciding(Role::CutsOff, event)])
            }
            None => (Reason::AdmissionVoid, self.admissions(&node.event.stamp.author, view)),
        };
        debug_assert_eq!(why == ORPHANED, by.is_none(), "{why}");
        (Verdict::Void(why), reason, deciding)
    }

    /// What an event that counts rests on, and what gave way to it.
    fn counts(&self, node: &Node, view: &View<'a>) -> (Reason, Vec<Deciding>) {
        let author = &node.event.stamp.author;
        let before = self.view(&node.event.parents);
        let user = before.state().devices.get(author);
        let mut career =
            user.map(|user| Career::of(before.counting(), user, Some(author))).unwrap_or_default();
        // What it rested on then may be void by now, and another admission stand.
        if career.admitted.is_some_and(|event| view.resolved.why_void(&event.hash).is_some()) {
            let stands = |event: &&ControlEvent| event.cards().any(|card| card.device == *author);
            career.admitted = view.counting().map(|(event, _)| event).find(stands);
        }
        let mut deciders = career.deciding(AUTHOR);
        for rival in &view.inside {
            if let Some(CutBy { hash, held_by: Some(precedence), .. }) = view.cut_by.get(&rival.event.hash)
                && *hash == node.event.hash
            {
                deciders.push(deciding(Role::GivesWay(*precedence), &rival.event));
            }
        }
        (Reason::Counts { rank: before.state().rank_of(author) }, deciders)
    }

    /// What forbade an event in the state that it was made under.
    fn forbidden(&mut self, event: &'a ControlEvent) -> (Reason, Vec<Deciding>) {
        let before = self.view(&event.parents);
        let mut state = before.state().clone();
        let Err((operation, why)) = act(&mut state, event) else {
            return (Reason::Unreadable, Vec::new());
        };
        if why == UNREADABLE {
            return (Reason::Unreadable, Vec::new());
        }
        let author = &event.stamp.author;
        let done = &event.transaction.0[..operation];
        let events = || before.counting().chain((!done.is_empty()).then_some((event, done)));
        let career = |user: &UserId, device| Career::of(events(), user, device);
        let op = event.transaction.0.get(operation);
        let (lacks, roles) = match op.and_then(|op| Some((op, state.refusal(author, op)?))) {
            Some((_, Refusal::Lacks(permission))) => (Some(permission), [state.rank_of(author), None]),
            Some((op, Refusal::Exceeds(Some(permission)))) => {
                (Some(permission), [state.rank_of(author), op.role()])
            }
            _ => (None, [None, None]),
        };
        let reason = Reason::Forbidden { rank: state.rank_of(author), operation, lacks };
        let Some(user) = state.devices.get(author) else {
            let founder = before.inside.first().map(|node| deciding(Role::Founds, &node.event));
            let founds = founder.filter(|_| matches!(op, Some(ControlOp::Genesis { .. })));
            return (reason, self.admissions(author, &before).into_iter().chain(founds).collect());
        };
        let mut deciders = career(user, Some(author)).deciding(AUTHOR);
        let changed = roles.into_iter().flatten().zip(lacks.into_iter().cycle());
        let changes = changed.filter_map(|(rank, permission)| change_of(events(), rank, permission));
        deciders.splice(0..0, changes.map(|event| deciding(Role::ChangesRole, event)));
        if state.rank_of(author).is_some() {
            let target = match &event.transaction.0[operation] {
                ControlOp::Genesis { .. } => {
                    deciders.extend(before.inside.first().map(|node| deciding(Role::Founds, &node.event)));
                    None
                }
                ControlOp::Admit { card, .. } => state.devices.get(&card.device).or(Some(&card.user)),
                ControlOp::Remove { user, .. } | ControlOp::SetRank { user, .. } => Some(user),
                ControlOp::RevokeDevice { revocation, .. } => Some(&revocation.user),
                ControlOp::RequireArchive { device, .. } => state.devices.get(device),
                ControlOp::CreateChannel { .. }
                | ControlOp::CreateForum { .. }
                | ControlOp::CreateSinceJoin { .. }
                | ControlOp::CreateCategory { .. }
                | ControlOp::SetName { .. }
                | ControlOp::SetTopic { .. }
                | ControlOp::Place { .. }
                | ControlOp::ChangeRole { .. }
                | ControlOp::Hold { .. }
                | ControlOp::Commit(_)
                | ControlOp::WantSuite { .. }
                | ControlOp::SetRenewal(_)
                | ControlOp::OfferKeyPackage { .. }
                | ControlOp::ReInit(_) => None,
            };
            if let Some(target) = target.filter(|target| *target != user) {
                deciders.extend(career(target, None).deciding(TARGET));
            }
        }
        (reason, deciders)
    }

    /// The events that would have admitted a device, with why they did not.
    fn admissions(&mut self, device: &DeviceId, view: &View<'a>) -> Vec<Deciding> {
        let names = |node: &&Node| node.event.claims().any(|card| card.device == *device);
        let frozen = self.log.nodes.iter().filter(|node| self.log.is_frozen(&node.event.stamp.event()));
        let inside = view.inside.iter().copied();
        let found: Vec<&Node> = inside.chain(frozen).filter(names).collect();
        found
            .into_iter()
            .map(|node| Deciding {
                why: self.nested(node, view),
                ..deciding(Role::AdmitsInVain, &node.event)
            })
            .collect()
    }

    /// Why an event of a view, or one behind a fork, is void there; nothing once there are enough explanations.
    fn nested(&mut self, node: &'a Node, view: &View<'a>) -> Option<Box<Explanation>> {
        self.nested += 1;
        let heads: Vec<EventHash> = view.inside.iter().map(|node| node.event.hash).collect();
        (self.nested <= NESTED_MAX).then(|| Box::new(self.control(node, &heads)))
    }

    fn written(&mut self, written: &Written<'_>) -> Explanation {
        let author = &written.event.author;
        let then = self.view(written.cited);
        let rank = then.state().rank_of(author);
        let lacks =
            [Permission::Post, written.permission].into_iter().find(|it| !then.state().permits(author, *it));
        let career = || {
            let user = then.state().devices.get(author);
            let changed = rank.zip(lacks).and_then(|(rank, lacks)| change_of(then.counting(), rank, lacks));
            let mut deciders: Vec<Deciding> =
                changed.map(|event| deciding(Role::ChangesRole, event)).into_iter().collect();
            deciders.extend(Career::of(then.counting(), user?, Some(author)).deciding(AUTHOR));
            Some(deciders)
        };
        let had = Verdict::on(then.state(), author, written.channel, written.permission);
        let fork = written.fork.filter(|(from, _)| written.event.seq >= *from);
        let (reason, deciding) = match (written.verdict, had, fork) {
            (Verdict::Counts, ..) => (Reason::Counts { rank }, career().unwrap_or_default()),
            (_, Verdict::Void(_), _) if lacks.is_none() => {
                (Reason::NoChannel, self.creation(written.channel, &then))
            }
            (_, Verdict::Void(_), _) => {
                let found = career().unwrap_or_else(|| self.admissions(author, &then));
                (Reason::Forbidden { rank, operation: 0, lacks: rank.and(lacks) }, found)
            }
            (_, _, Some((from, signed))) => (Reason::Equivocated { from, signed }, Vec::new()),
            _ => self.cut(written),
        };
        Explanation {
            event: written.event,
            hash: written.hash,
            verdict: written.verdict,
            reason,
            deciding,
            cited: written.cited.to_vec(),
        }
    }

    /// The event that created a channel, with why it did not if the author knew of it.
    fn creation(&mut self, channel: &ChannelId, then: &View<'a>) -> Vec<Deciding> {
        let creates = |node: &&Node| {
            let ops = node.event.transaction.0.iter().enumerate();
            ops.filter(|(_, op)| {
                matches!(
                    op,
                    ControlOp::CreateChannel { .. }
                        | ControlOp::CreateForum { .. }
                        | ControlOp::CreateSinceJoin { .. }
                )
            })
            .any(|(at, _)| channel_id(&node.event.hash, at) == *channel)
        };
        let Some(node) = self.log.nodes.iter().find(creates) else { return Vec::new() };
        let frozen = self.log.is_frozen(&node.event.stamp.event());
        let known = frozen || then.inside.iter().any(|inside| inside.event.hash == node.event.hash);
        let why = known.then(|| self.nested(node, then)).flatten();
        vec![Deciding { why, ..deciding(Role::Creates, &node.event) }]
    }

    /// Which removal or demotion cuts off a channel event that was made by right.
    fn cut(&mut self, written: &Written<'_>) -> (Reason, Vec<Deciding>) {
        let now = self.view(&self.log.heads());
        let author = &written.event.author;
        let Some(user) = now.state().devices.get(author) else {
            return (Reason::AdmissionVoid, self.admissions(author, &now));
        };
        let cuts = [Permission::Post, written.permission].into_iter().filter_map(|permission| {
            let last = now.state().cut(written.channel, author, permission)?;
            (written.event.seq > last).then_some((permission, last))
        });
        let Some((permission, last)) = cuts.min_by_key(|(_, last)| *last) else {
            return (Reason::BeyondPin { permission: written.permission, last: 0 }, Vec::new());
        };
        let taken = taken(&now, user, author, permission);
        let pinned = taken.iter().find(|(_, pins)| {
            let mut own =
                pins.iter().filter(|pin| pin.channel == Some(*written.channel) && pin.device == *author);
            own.any(|pin| pin.seq == last)
        });
        let by = pinned.or(taken.first()).map(|(event, _)| deciding(Role::Pins, event));
        (Reason::BeyondPin { permission, last }, by.into_iter().collect())
    }
}

/// The last event that gave a role this permission or took it.
fn change_of<'v>(
    events: impl Iterator<Item = (&'v ControlEvent, &'v [ControlOp])>,
    role: Rank,
    permission: Permission,
) -> Option<&'v ControlEvent> {
    let changes = |op: &ControlOp| {
        matches!(op, ControlOp::ChangeRole { rank, give, take, .. }
            if *rank == role && give.with(*take).has(permission))
    };
    events.filter(|(_, ops)| ops.iter().any(changes)).map(|(event, _)| event).last()
}

/// The removals, demotions and changes of roles that took this permission from a user since it was last given, and the
/// revocations of the device, with their pins.
fn taken<'v>(
    view: &'v View<'_>,
    user: &UserId,
    device: &DeviceId,
    permission: Permission,
) -> Vec<(&'v ControlEvent, &'v [Pin])> {
    let (mut taken, mut revoked, mut state) = (Vec::new(), Vec::new(), SpaceState::default());
    for (event, ops) in view.counting() {
        for (at, op) in ops.iter().enumerate() {
            let permitted = |state: &SpaceState| {
                let member = state.members.get(user);
                member.is_some_and(|member| !member.removed && state.roles().of(member.rank).has(permission))
            };
            let before = permitted(&state);
            state.apply(&event.stamp, &event.hash, at, op);
            match op {
                ControlOp::Remove { user: target, pins } | ControlOp::SetRank { user: target, pins, .. }
                    if target == user =>
                {
                    match (before, permitted(&state)) {
                        (_, false) => taken.push((event, pins.as_slice())),
                        (false, true) => taken.clear(),
                        (true, true) => {}
                    }
                }
                ControlOp::ChangeRole { rank, take, pins, .. }
                    if state.members.get(user).is_some_and(|member| member.rank == *rank) =>
                {
                    match (before, permitted(&state)) {
                        (_, false) if take.has(permission) => taken.push((event, pins.as_slice())),
                        (false, true) => taken.clear(),
                        _ => {}
                    }
                }
                ControlOp::RevokeDevice { revocation, pins }
                    if revocation.user == *user && revocation.device == *device =>
                {
                    revoked.push((event, pins.as_slice()));
                }
                _ => {}
            }
        }
    }
    taken.extend(revoked);
    taken
}

/// In what the precedence of an event that holds differs from that of one that gives way.
fn differing(a: revocation::Precedence, b: revocation::Precedence) -> Precedence {
    if a.0 != b.0 {
        Precedence::UsersWord
    } else if a.1 != b.1 {
        Precedence::Rank { held: a.1.0, gave_way: b.1.0 }
    } else if a.2 != b.2 {
        Precedence::Seniority { held: a.2, gave_way: b.2 }
    } else {
        Precedence::Hash
    }
}

fn deciding(role: Role, event: &ControlEvent) -> Deciding {
    Deciding { role, event: event.stamp.event(), hash: event.hash, why: None }
}
