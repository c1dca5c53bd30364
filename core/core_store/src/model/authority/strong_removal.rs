//! Strong removal: which events removals and demotions cut off, and which of these hold against each other (ADR 0004).
use super::ORPHANED;
use super::event::Node;
use super::grounds::Grounds;
use super::revocation::Precedence;
use super::threats::Threats;
use super::turns::Turns;
use super::window::{Revoking, Window};
use crate::model::Permissions;
use hashbrown::{HashMap, HashSet};
use std::collections::BTreeMap;
use terachat_event::EventHash;

pub(super) type Void = BTreeMap<EventHash, &'static str>;

/// One event that cuts another off.
pub(super) struct Cut<'a> {
    pub(super) node: &'a Node,
    pub(super) by: &'a Node,
    /// The permissions that its author lost by that; none where it lost more.
    pub(super) lost: Permissions,
    /// Where the other would cut it off in turn: what the one has, and the other, of which the lower one holds.
    pub(super) contest: Option<[Precedence; 2]>,
}

/// Adds to `void` what removals and demotions cut off, and what falls with the admissions among it; `cut` is told of each
/// event that is cut off, and by which. `inside` are events in total order; what is before them is in the past of each, so it
/// neither cuts any of them off nor is cut off by any.
///
/// Only what counts cuts anything off, and only admissions that count say whose a device is, since when it is a member and what
/// it rests on. So each removal or demotion is decided after all that may cut it off, or an admission that its author rests on;
/// where those wait for each other in turn, the one that takes precedence holds. When an admission or the change of a role falls,
/// what is undecided is looked at anew without it.
///
/// What a removal may cut off is a run of each of its target's chains, so nothing is compared pair by pair: `r` of them among
/// `n` events cost some `n + r (log n + r / 64)` steps, again each time that admissions fall, and a search through the threats
/// `r² / 64` for each ring that is opened.
pub(super) fn strong_removal(
    inside: &[&Node],
    grounds: &Grounds<'_>,
    void: &mut Void,
    mut cut: impl FnMut(Cut<'_>),
) {
    orphan(inside, grounds, void);
    let standing = |at: &usize| !void.contains_key(&inside[*at].event.hash);
    let mut undecided: Vec<usize> =
        (0..inside.len()).filter(|at| inside[*at].event.revokes()).filter(standing).collect();
    if undecided.is_empty() {
        return;
    }
    let mut window = Window::new(inside, grounds, void);
    // Neither void, nor held by a removal or demotion that was decided.
    let mut loose = window.standing.clone();
    let mut rested_on = HashSet::new();
    while !undecided.is_empty() {
        window.look();
        let revoking = window.revoking(undecided);
        let mut turns = turns(&window, &revoking);
        let places: HashMap<usize, usize> = revoking.iter().enumerate().map(|(n, of)| (of.at, n)).collect();
        loop {
            let next = turns.next();
            let mut round = Vec::new();
            for of in next.iter().map(|n| &revoking[*n]) {
                let node = inside[of.at];
                loose[of.at] = false;
                window.supports(node.event.stamp.author, &mut rested_on, |at| loose[at] = false);
                let mut fallen = Vec::new();
                for (revocation, runs) in &of.list {
                    for at in runs.iter().flat_map(|(device, run)| &window.chain(device)[run.clone()]) {
                        if loose[*at]
                            && let Some(lost) = window.excess(revocation, of.at, *at)
                        {
                            loose[*at] = false;
                            void.insert(inside[*at].event.hash, revocation.why());
                            let other = places.get(at).map(|n| &revoking[*n]);
                            let contest = other.filter(|other| window.cuts(other, of.at));
                            let contest = contest.map(|_| [of.at, *at].map(|at| window.precedence(at)));
                            cut(Cut { node: inside[*at], by: node, lost, contest });
                            fallen.push(*at);
                        }
                    }
                }
                window.orphan(&mut fallen, void);
                for at in &fallen {
                    loose[*at] = false;
                    places.get(at).into_iter().for_each(|n| turns.drop_void(*n));
                }
                round.extend(fallen);
            }
            round.iter().for_each(|at| window.standing[*at] = false);
            let bears =
                |at: &usize| inside[*at].event.cards().next().is_some() || inside[*at].event.changes_role();
            if next.is_empty() || round.iter().any(bears) {
                undecided = turns.undecided().map(|n| revoking[n].at).collect();
                break;
            }
        }
    }
}

/// In which order removals and demotions are decided.
fn turns(window: &Window<'_>, revoking: &[Revoking]) -> Turns {
    let threatens = Threats::new(window, revoking).all();
    let mut by_precedence: Vec<usize> = (0..revoking.len()).collect();
    if revoking.len() > 1 {
        by_precedence.sort_by_cached_key(|n| window.precedence(revoking[*n].at));
    }
    Turns::new(threatens, by_precedence)
}

/// Adds to `void` the events of authors whom no event admits that still may count.
fn orphan(inside: &[&Node], grounds: &Grounds<'_>, void: &mut Void) {
    let mut admitted = HashSet::new();
    for node in inside {
        if void.contains_key(&node.event.hash) {
            continue;
        }
        let author = &node.event.stamp.author;
        if node.event.founds() || admitted.contains(author) || grounds.admit(author) {
            admitted.extend(node.event.cards().map(|card| card.device));
        } else {
            void.insert(node.event.hash, ORPHANED);
        }
    }
}
