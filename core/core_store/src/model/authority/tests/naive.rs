//! The rules of ADR 0004 and 0015, written down as plainly as they can be: every event is judged by settling its whole past from
//! the beginning, every removal compared with every event. What the control log gives is compared with this.
use super::*;
use crate::crdt::{Crdt, VectorClock};
use crate::model::{Named, Permission, Permissions, Roles, SpaceState};
use std::cmp::Reverse;

type Void = BTreeMap<EventHash, &'static str>;

/// An event with its past and what its author was there: its rank, and what roles permitted.
struct Judged<'a> {
    event: &'a ControlEvent,
    past: VectorClock,
    authority: Result<(Rank, Roles), &'static str>,
}

/// State and verdicts of all events; `frozen` is from which number on devices' events count for nothing.
pub(super) fn resolve(
    events: &[ControlEvent],
    frozen: &BTreeMap<DeviceId, u64>,
) -> (SpaceState, Vec<(EventHash, Verdict)>) {
    let is_frozen =
        |event: &ControlEvent| frozen.get(&event.stamp.author).is_some_and(|from| event.stamp.seq >= *from);
    let by_hash: BTreeMap<EventHash, &ControlEvent> =
        events.iter().map(|event| (event.hash, event)).collect();
    let mut judged: Vec<Judged<'_>> = Vec::new();
    let mut sorted: Vec<&ControlEvent> = events.iter().collect();
    sorted.sort_by_key(|event| event.stamp);
    for event in sorted.iter().copied().filter(|event| !is_frozen(event)) {
        let (mut past, mut left, mut seen) = (VectorClock::default(), event.parents.clone(), BTreeSet::new());
        while let Some(hash) = left.pop() {
            if seen.insert(hash) {
                let parent = by_hash[&hash];
                if !is_frozen(parent) {
                    past.apply(parent.stamp.event());
                }
                left.extend(&parent.parents);
            }
        }
        let inside: Vec<&Judged<'_>> =
            judged.iter().filter(|other| past.contains(&other.event.stamp.event())).collect();
        let (mut state, _) = settle(&inside);
        let rank = state.rank_of(&event.stamp.author).unwrap_or(Rank::OWNER);
        let mut authority = if event.vouched { Ok((rank, state.roles().clone())) } else { Err(FORGED) };
        for (at, op) in event.transaction.0.iter().enumerate() {
            if let Some(why) = state.forbidden(&event.stamp.author, op).filter(|_| authority.is_ok()) {
                authority = Err(why);
            }
            if authority.is_err() {
                break;
            }
            state.apply(&event.stamp, &event.hash, at, op);
        }
        past.apply(event.stamp.event());
        judged.push(Judged { event, past, authority });
    }
    let (state, void) = settle(&judged.iter().collect::<Vec<_>>());
    let verdict = |event: &&ControlEvent| {
        let frozen = is_frozen(event).then_some(EQUIVOCATED);
        let why = frozen.or_else(|| void.get(&event.hash).copied());
        (event.hash, why.map_or(Verdict::Counts, Verdict::Void))
    };
    (state, sorted.iter().map(verdict).collect())
}

fn settle(inside: &[&Judged<'_>]) -> (SpaceState, Void) {
    let mut void: Void =
        inside.iter().filter_map(|node| Some((node.event.hash, *node.authority.as_ref().err()?))).collect();
    strong_removal(inside, &mut void);
    let mut state = SpaceState::default();
    for node in inside.iter().filter(|node| !void.contains_key(&node.event.hash)).collect::<Vec<_>>() {
        if !state.members.is_empty() && !state.devices.contains_key(&node.event.stamp.author) {
            void.insert(node.event.hash, ORPHANED);
            continue;
        }
        let (rank, roles) = node.authority.as_ref().unwrap();
        for (at, op) in node.event.transaction.0.iter().enumerate() {
            if let ControlOp::Admit { card, rank: granted, .. } = op
                && !state.members.contains_key(&card.user)
                && !(granted < rank
                    && roles.of(*rank).has(Permission::Invite)
                    && roles.of(*rank).holds(roles.of(*granted)))
            {
                // It was of a further device, and whose that is was not admitted.
                continue;
            }
            state.apply(&node.event.stamp, &node.event.hash, at, op);
        }
    }
    (state, void)
}

fn strong_removal(inside: &[&Judged<'_>], void: &mut Void) {
    orphan(inside, void);
    let is_void = |void: &Void, node: &Judged<'_>| void.contains_key(&node.event.hash);
    let revoking: Vec<&Judged<'_>> =
        inside.iter().copied().filter(|node| node.event.revokes() && !is_void(void, node)).collect();
    let mut undecided: BTreeSet<usize> = (0..revoking.len()).collect();
    let mut held: BTreeSet<EventHash> = BTreeSet::new();
    while !undecided.is_empty() {
        // As it stands after what was decided so far: what is void by now says nothing.
        let standing: Vec<&Judged<'_>> = inside.iter().copied().filter(|node| !is_void(void, node)).collect();
        let supports = |author: DeviceId| {
            let (mut found, mut seen, mut left) = (Vec::new(), BTreeSet::new(), vec![author]);
            while let Some(device) = left.pop() {
                if seen.insert(device) {
                    let admits = |node: &&&Judged<'_>| node.event.cards().any(|card| card.device == device);
                    found.extend(standing.iter().filter(admits).copied());
                    left.extend(standing.iter().filter(admits).map(|node| node.event.stamp.author));
                }
            }
            found
        };
        let threatens = |a: &Judged<'_>, b: &Judged<'_>| {
            a.event.hash != b.event.hash
                && (cuts(&standing, a, b).is_some()
                    || supports(b.event.stamp.author)
                        .into_iter()
                        .any(|support| cuts(&standing, a, support).is_some()))
        };
        let all = |of: usize| -> BTreeSet<usize> {
            undecided.iter().copied().filter(|other| threatens(revoking[of], revoking[*other])).collect()
        };
        let arrows: BTreeMap<usize, BTreeSet<usize>> = undecided.iter().map(|of| (*of, all(*of))).collect();
        let above = |at: usize| {
            let (mut found, mut left) = (BTreeSet::new(), vec![at]);
            while let Some(at) = left.pop() {
                let by = undecided.iter().copied().filter(|other| arrows[other].contains(&at));
                left.extend(by.filter(|other| found.insert(*other)));
            }
            found
        };
        let precedence = |at: &usize| precedence(&standing, revoking[*at]);
        let free: Vec<usize> = undecided.iter().copied().filter(|at| above(*at).is_empty()).collect();
        let in_first_ring = |at: &usize| above(*at).iter().all(|other| above(*other).contains(at));
        let first_of_ring = |at: &usize| above(*at).iter().min_by_key(|at| precedence(at)) == Some(at);
        let rings =
            || undecided.iter().copied().filter(|at| in_first_ring(at) && first_of_ring(at)).collect();
        let mut next: Vec<usize> = if free.is_empty() { rings() } else { free };
        next.sort_by_key(precedence);
        for at in next {
            undecided.remove(&at);
            held.insert(revoking[at].event.hash);
            held.extend(supports(revoking[at].event.stamp.author).iter().map(|node| node.event.hash));
            for node in inside {
                let hash = node.event.hash;
                if !void.contains_key(&hash)
                    && !held.contains(&hash)
                    && let Some(why) = cuts(&standing, revoking[at], node)
                {
                    void.insert(hash, why);
                }
            }
            orphan(inside, void);
        }
        undecided.retain(|at| !is_void(void, revoking[*at]));
    }
}

fn orphan(inside: &[&Judged<'_>], void: &mut Void) {
    let mut admitted = BTreeSet::new();
    for node in inside.iter().filter(|node| !void.contains_key(&node.event.hash)).collect::<Vec<_>>() {
        if node.event.founds() || admitted.contains(&node.event.stamp.author) {
            admitted.extend(node.event.cards().map(|card| card.device));
        } else {
            void.insert(node.event.hash, ORPHANED);
        }
    }
}

fn beside(a: &Judged<'_>, b: &Judged<'_>) -> bool {
    !a.past.contains(&b.event.stamp.event()) && !b.past.contains(&a.event.stamp.event())
}

/// Whether one of these cuts off the other, and why; `standing` says whose devices are whose, and which changes of roles there
/// are.
fn cuts(standing: &[&Judged<'_>], by: &Judged<'_>, node: &Judged<'_>) -> Option<&'static str> {
    let (Ok((_, roles)), Ok((rank, roles_of_node))) = (&by.authority, &node.authority) else { return None };
    if !beside(by, node) {
        return None;
    }
    let cards: Vec<&Card> = standing.iter().flat_map(|node| node.event.cards()).collect();
    let owned =
        |user: &UserId| cards.iter().any(|card| card.user == *user && card.device == node.event.stamp.author);
    let needs = needs(standing, node);
    let mut roles = roles.clone();
    for op in &by.event.transaction.0 {
        match op {
            ControlOp::Remove { user, .. } if owned(user) => return Some(CUT_OFF),
            ControlOp::RevokeDevice { revocation, .. }
                if revocation.device == node.event.stamp.author && owned(&revocation.user) =>
            {
                return Some(CUT_OFF);
            }
            ControlOp::SetRank { user, rank, .. } if owned(user) => {
                let mut left = roles.of(*rank);
                for change in standing {
                    let unknown = !by.past.contains(&change.event.stamp.event())
                        && !change.past.contains(&node.event.stamp.event());
                    for op in change.event.transaction.0.iter().filter(|_| unknown) {
                        if let ControlOp::ChangeRole { rank: role, take, .. } = op
                            && role == rank
                        {
                            left = left.without(*take);
                        }
                    }
                }
                let is_self = |target: &UserId| target == user;
                let ops = &node.event.transaction.0;
                if !left.holds(needs(&is_self)) || ops.iter().any(|op| reaches(op) > rank.get()) {
                    return Some(CUT_OFF);
                }
            }
            ControlOp::ChangeRole { rank: role, give, take, .. } => {
                if rank == role && needs(&owned).meets(*take) {
                    return Some(ROLE_CHANGED);
                }
                let gives_it = node.event.transaction.0.iter().any(|op| given(op) == Some(*role));
                if gives_it && !roles_of_node.of(*rank).holds(*give) {
                    return Some(ROLE_CHANGED);
                }
                roles.change(*role, *give, *take);
            }
            _ => {}
        }
    }
    None
}

/// The role that an operation gives somebody.
fn given(op: &ControlOp) -> Option<Rank> {
    match op {
        ControlOp::Admit { rank, .. } | ControlOp::SetRank { rank, .. } => Some(*rank),
        _ => None,
    }
}

/// All permissions without which an event might not have been made, had its author known what roles were given beside it.
/// Asked with whose own affairs are free.
fn needs<'n>(
    standing: &'n [&Judged<'_>],
    node: &'n Judged<'_>,
) -> impl Fn(&dyn Fn(&UserId) -> bool) -> Permissions + 'n {
    move |own| {
        let (mut needs, mut roles) = (Permissions::NONE, node.authority.as_ref().unwrap().1.clone());
        for op in &node.event.transaction.0 {
            needs = needs.with(required(op, own).map_or(Permissions::NONE, Permissions::from));
            needs = needs.with(given(op).map_or(Permissions::NONE, |rank| roles.of(rank)));
            for change in standing.iter().filter(|change| beside(change, node)) {
                for op_beside in &change.event.transaction.0 {
                    if let ControlOp::ChangeRole { rank, give, .. } = op_beside
                        && given(op) == Some(*rank)
                    {
                        needs = needs.with(*give);
                    }
                }
            }
            if let ControlOp::ChangeRole { rank, give, take, .. } = op {
                needs = needs.with(*give);
                roles.change(*rank, *give, *take);
            }
        }
        needs
    }
}

fn required(op: &ControlOp, own: &dyn Fn(&UserId) -> bool) -> Option<Permission> {
    match op {
        ControlOp::Genesis { .. } | ControlOp::Commit(_) | ControlOp::OfferKeyPackage { .. } => None,
        ControlOp::Remove { user, .. } => (!own(user)).then_some(Permission::Remove),
        ControlOp::RevokeDevice { revocation, .. } => (!own(&revocation.user)).then_some(Permission::Remove),
        ControlOp::Admit { .. } => Some(Permission::Invite),
        ControlOp::SetRank { .. } | ControlOp::ChangeRole { .. } => Some(Permission::ManageRoles),
        ControlOp::SetName { of: Named::Space, .. } => Some(Permission::RenameSpace),
        ControlOp::RequireArchive { .. } | ControlOp::Hold { .. } => Some(Permission::ManageArchive),
        ControlOp::WantSuite { .. } | ControlOp::ReInit(_) | ControlOp::SetRenewal(_) => {
            Some(Permission::ManageSuite)
        }
        _ => Some(Permission::ManageChannels),
    }
}

/// The rank below which nobody reaches so far.
fn reaches(op: &ControlOp) -> u8 {
    match op {
        ControlOp::Admit { rank, .. } | ControlOp::SetRank { rank, .. } => rank.get(),
        ControlOp::ChangeRole { rank, .. } => rank.get() + 1,
        _ => 0,
    }
}

fn precedence(
    standing: &[&Judged<'_>],
    node: &Judged<'_>,
) -> (bool, Reverse<Rank>, Option<Stamp>, EventHash) {
    let ops = || node.event.transaction.0.iter();
    let is_revocation = |op: &ControlOp| matches!(op, ControlOp::RevokeDevice { .. });
    let users_word =
        ops().any(is_revocation) && ops().all(|op| is_revocation(op) || matches!(op, ControlOp::Commit(_)));
    let admits =
        |other: &&&Judged<'_>| other.event.cards().any(|card| card.device == node.event.stamp.author);
    let since = standing.iter().filter(admits).map(|other| other.event.stamp).min();
    (!users_word, Reverse(node.authority.as_ref().unwrap().0), since, node.event.hash)
}
