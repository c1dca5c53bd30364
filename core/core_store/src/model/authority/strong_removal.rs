//! Strong removal: which events removals and demotions cut off, and which of these hold against each other (ADR 0004).
use super::event::Node;
use super::grounds::Grounds;
use super::revocation::precedence;
use super::threats::Threats;
use super::turns::Turns;
use super::window::{Revoking, Window};
use super::{CUT_OFF, ORPHANED};
use hashbrown::{HashMap, HashSet};
use imbl::OrdMap;
use std::collections::BTreeMap;
use terachat_event::{DeviceId, EventHash};

pub(super) type Void = BTreeMap<EventHash, &'static str>;

/// Adds to `void` what removals and demotions cut off, and what falls with the admissions among it; `cut` is told of each
/// event that is cut off, and by which. `inside` are events in total order; what is before them is in the past of each, so it
/// neither cuts any of them off nor is cut off by any. `void_before` says what of that is void.
///
/// Only what counts cuts anything off. So each removal or demotion is decided after all that may cut it off, or an admission
/// that its author rests on; where those wait for each other in turn, the one that takes precedence holds.
///
/// What a removal may cut off is a run of each of its target's chains, so nothing is compared pair by pair: `r` of them among
/// `n` events cost some `n + r (log n + r / 64)` steps, and a search through the threats `r² / 64` for each ring that is opened.
pub(super) fn strong_removal(
    inside: &[&Node],
    grounds: &Grounds<'_>,
    void_before: &OrdMap<EventHash, &'static str>,
    void: &mut Void,
    mut cut: impl FnMut(&Node, &Node),
) {
    let admit = |device: &DeviceId| grounds.admit(device, void_before);
    orphan(inside, admit, void);
    let standing = |at: &usize| !void.contains_key(&inside[*at].event.hash);
    let by: Vec<usize> =
        (0..inside.len()).filter(|at| inside[*at].event.revokes()).filter(standing).collect();
    if by.is_empty() {
        return;
    }
    let window = Window::new(inside, grounds, void);
    let revoking = window.revoking(by);
    let mut turns = turns(&window, &revoking);
    let places: HashMap<usize, usize> = revoking.iter().enumerate().map(|(n, of)| (of.at, n)).collect();
    // Neither void, nor held by a removal or demotion that was decided.
    let mut loose = window.standing.clone();
    let mut rested_on = HashSet::new();
    loop {
        let next = turns.next();
        if next.is_empty() {
            return;
        }
        for of in next.into_iter().map(|n| &revoking[n]) {
            let node = inside[of.at];
            loose[of.at] = false;
            window.supports(node.event.stamp.author, &mut rested_on, |at| loose[at] = false);
            let mut fallen = Vec::new();
            for (revocation, runs) in &of.list {
                for at in runs.iter().flat_map(|(device, run)| &window.chain(device)[run.clone()]) {
                    if loose[*at] && revocation.takes(&inside[*at].event) {
                        loose[*at] = false;
                        void.insert(inside[*at].event.hash, CUT_OFF);
                        cut(inside[*at], node);
                        fallen.push(*at);
                    }
                }
            }
            window.orphan(&mut fallen, admit, void);
            for at in fallen {
                loose[at] = false;
                places.get(&at).into_iter().for_each(|n| turns.drop_void(*n));
            }
        }
    }
}

/// In which order removals and demotions are decided.
fn turns(window: &Window<'_>, revoking: &[Revoking]) -> Turns {
    let threatens = Threats::new(window, revoking).all();
    let mut by_precedence: Vec<usize> = (0..revoking.len()).collect();
    if revoking.len() > 1 {
        by_precedence.sort_by_cached_key(|n| {
            let at = revoking[*n].at;
            precedence(window.inside[at], window.since(&window.inside[at].event.stamp.author))
        });
    }
    Turns::new(threatens, by_precedence)
}

/// Adds to `void` the events of authors whom no event admits that still may count.
fn orphan(inside: &[&Node], admitted_before: impl Fn(&DeviceId) -> bool, void: &mut Void) {
    let mut admitted = HashSet::new();
    for node in inside {
        if void.contains_key(&node.event.hash) {
            continue;
        }
        let author = &node.event.stamp.author;
        if node.event.founds() || admitted.contains(author) || admitted_before(author) {
            admitted.extend(node.event.cards().map(|card| card.device));
        } else {
            void.insert(node.event.hash, ORPHANED);
        }
    }
}
