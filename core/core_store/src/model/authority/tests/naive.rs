//! The rules of ADR 0004 and 0015, written down as plainly as they can be: every event is judged by settling its whole past from
//! the beginning, every removal compared with every event. What the control log gives is compared with this.
use super::*;
use crate::crdt::{Crdt, VectorClock};
use crate::model::SpaceState;
use std::cmp::Reverse;

type Void = BTreeMap<EventHash, &'static str>;

/// An event with its past and its author's authority.
struct Judged<'a> {
    event: &'a ControlEvent,
    past: VectorClock,
    authority: Result<Rank, &'static str>,
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
        let mut authority = if event.vouched { Ok(rank) } else { Err(FORGED) };
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
        inside.iter().filter_map(|node| Some((node.event.hash, node.authority.err()?))).collect();
    strong_removal(inside, &mut void);
    let mut state = SpaceState::default();
    for node in inside.iter().filter(|node| !void.contains_key(&node.event.hash)).collect::<Vec<_>>() {
        if !state.members.is_empty() && !state.devices.contains_key(&node.event.stamp.author) {
            void.insert(node.event.hash, ORPHANED);
            continue;
        }
        for (at, op) in node.event.transaction.0.iter().enumerate() {
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
                && (cuts(&standing, a, b)
                    || supports(b.event.stamp.author).into_iter().any(|support| cuts(&standing, a, support)))
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
                if cuts(&standing, revoking[at], node) && !void.contains_key(&hash) && !held.contains(&hash) {
                    void.insert(hash, CUT_OFF);
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

/// `standing` says whose devices are whose.
fn cuts(standing: &[&Judged<'_>], by: &Judged<'_>, node: &Judged<'_>) -> bool {
    let beside = !by.past.contains(&node.event.stamp.event()) && !node.past.contains(&by.event.stamp.event());
    let cards: Vec<&Card> = standing.iter().flat_map(|node| node.event.cards()).collect();
    let owned =
        |user: UserId| cards.iter().any(|card| card.user == user && card.device == node.event.stamp.author);
    let hits = |op: &ControlOp| match op {
        ControlOp::Remove { user, .. } => owned(*user),
        ControlOp::RevokeDevice { revocation, .. } => {
            revocation.device == node.event.stamp.author && owned(revocation.user)
        }
        ControlOp::SetRank { user, rank, .. } => {
            owned(*user) && node.event.transaction.0.iter().any(|op| required(op, user) > *rank)
        }
        _ => false,
    };
    beside && by.event.transaction.0.iter().any(hits)
}

fn required(op: &ControlOp, target: &UserId) -> Rank {
    match op {
        ControlOp::Genesis { .. } | ControlOp::Commit(_) => Rank::GUEST,
        ControlOp::Admit { rank, .. } | ControlOp::SetRank { rank, .. } => Rank::MODERATOR.max(*rank),
        ControlOp::Remove { user, .. } if user == target => Rank::GUEST,
        ControlOp::RevokeDevice { revocation, .. } if revocation.user == *target => Rank::GUEST,
        ControlOp::SetName { of: crate::model::Named::Space, .. } => Rank::ADMIN,
        _ => Rank::MODERATOR,
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
    (!users_word, Reverse(node.authority.unwrap()), since, node.event.hash)
}
