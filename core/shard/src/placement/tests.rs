use super::*;
use crate::{Member, Status};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::num::NonZeroU32;

fn node(number: u32) -> NodeId {
    NodeId(NonZeroU32::new(number).unwrap())
}

fn member(weight: u32, [site, rack, host]: [u32; 3]) -> Member {
    let weight = NonZeroU32::new(weight).unwrap();
    Member { weight, domain: Domain { site, rack, host }, status: Status::Active }
}

fn members(all: &[(u32, [u32; 3])]) -> Members {
    let members = all.iter().enumerate();
    Members::new(members.map(|(at, (weight, domain))| (node(at as u32 + 1), member(*weight, *domain))))
        .unwrap()
}

fn stripe(number: u32) -> StripeId {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_le_bytes());
    StripeId(id)
}

fn without(members: &Members, gone: NodeId) -> Members {
    Members::new(members.iter().filter(|(node, _)| *node != gone).map(|(node, member)| (node, *member)))
        .unwrap()
}

fn set(stripe: StripeId, count: usize, members: &Members) -> BTreeSet<NodeId> {
    place(stripe, count, members).unwrap().into_iter().collect()
}

/// A cluster of 2 to 40 nodes on up to 4 sites, 3 racks each, 2 hosts each, with weights up to 8.
fn any_members() -> impl Strategy<Value = Members> {
    let node = (1..9u32, [0..4u32, 0..3u32, 0..2u32]);
    prop::collection::vec(node, 2..40).prop_map(|all| members(&all))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Who leaves takes nothing else along: a stripe that it had gets one other node, one that it had not stays.
    #[test]
    fn nothing_else_moves(members in any_members(), leaves in any::<prop::sample::Index>(), count in any::<prop::sample::Index>()) {
        let nodes: Vec<NodeId> = members.active().map(|(node, _)| node).collect();
        let gone = nodes[leaves.index(nodes.len())];
        let fewer = without(&members, gone);
        let count = 1 + count.index(nodes.len() - 1);
        for number in 0..20 {
            let before = set(stripe(number), count, &members);
            let after = set(stripe(number), count, &fewer);
            let mut kept = before.clone();
            if kept.remove(&gone) {
                prop_assert_eq!(after.difference(&before).count(), 1);
                prop_assert!(kept.is_subset(&after), "{:?} and then {:?}", before, after);
            } else {
                prop_assert_eq!(before, after);
            }
        }
    }

    /// At every level: no domain has two more than a sibling that still has room.
    #[test]
    fn domains_are_spread_evenly(members in any_members(), count in any::<prop::sample::Index>(), number in any::<u32>()) {
        let all: Vec<NodeId> = members.active().map(|(node, _)| node).collect();
        let chosen = set(stripe(number), 1 + count.index(all.len()), &members);
        for level in 1..=3 {
            let domain = |node: NodeId| {
                let Domain { site, rack, host } = members.get(node).unwrap().domain;
                [site, rack, host][..level].to_vec()
            };
            let mut counted: BTreeMap<Vec<u32>, (usize, usize)> = BTreeMap::new();
            for node in &all {
                let (has, room) = counted.entry(domain(*node)).or_default();
                if chosen.contains(node) { *has += 1 } else { *room += 1 }
            }
            for (one, (most, _)) in &counted {
                for (other, (least, room)) in &counted {
                    let siblings = one[..level - 1] == other[..level - 1];
                    prop_assert!(!siblings || *room == 0 || *most <= least + 1, "{one:?} {most}, {other:?} {least}");
                }
            }
        }
    }
}

/// Shares are those of the weights: each within five standard deviations over 20,000 stripes of one shard.
#[test]
fn shares_are_the_weights() {
    let weights = [1, 2, 3, 4, 10, 80, 1000, 900];
    let cluster = members(&weights.map(|weight| (weight, [0, 0, 0])));
    let (stripes, sum) = (20_000, f64::from(weights.iter().sum::<u32>()));
    let mut counted = BTreeMap::new();
    for number in 0..stripes {
        *counted.entry(place(stripe(number), 1, &cluster).unwrap()[0]).or_insert(0) += 1;
    }
    for (at, weight) in weights.iter().enumerate() {
        let share = f64::from(*weight) / sum;
        let expected = share * f64::from(stripes);
        let found = f64::from(*counted.get(&node(at as u32 + 1)).unwrap_or(&0));
        let deviation = (expected * (1.0 - share)).sqrt();
        assert!(
            (found - expected).abs() < 5.0 * deviation,
            "weight {weight}: {found} where {expected} are due"
        );
    }
}

/// Several shards of a stripe, beside the naive model: draw nodes one after the other by their weights, from those left.
#[test]
fn shares_of_several_are_the_naive_models() {
    let weights = [1, 1, 2, 3, 5, 8, 13];
    let cluster = members(&weights.map(|weight| (weight, [0, 0, 0])));
    let stripes = 30_000u32;
    let (mut ours, mut naive) = ([0f64; 7], [0f64; 7]);
    let mut state = 1u64;
    let mut below = |most: u32| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (((state >> 32) * u64::from(most)) >> 32) as u32
    };
    for number in 0..stripes {
        for node in place(stripe(number), 3, &cluster).unwrap() {
            ours[node.0.get() as usize - 1] += 1.0;
        }
        let mut left: Vec<usize> = (0..7).collect();
        for _ in 0..3 {
            let mut ticket = below(left.iter().map(|at| weights[*at]).sum());
            let drawn = left.iter().position(|at| {
                let wins = ticket < weights[*at];
                ticket = ticket.saturating_sub(weights[*at]);
                wins
            });
            naive[left.remove(drawn.unwrap())] += 1.0;
        }
    }
    for at in 0..7 {
        // Both are samples.
        let share = naive[at] / f64::from(stripes);
        let deviation = (2.0 * f64::from(stripes) * share * (1.0 - share)).sqrt();
        assert!((ours[at] - naive[at]).abs() < 5.0 * deviation, "{at}: {} and {}", ours[at], naive[at]);
    }
}

/// What moves when a node joins is its share, not more.
#[test]
fn a_newcomer_takes_its_share() {
    let before =
        members(&[(10, [0, 0, 0]), (10, [1, 0, 0]), (20, [2, 0, 0]), (10, [3, 0, 0]), (10, [4, 0, 0])]);
    let newcomer = (node(99), member(15, [5, 0, 0]));
    let after = Members::new(before.iter().map(|(node, member)| (node, *member)).chain([newcomer])).unwrap();
    let stripes = 20_000;
    let moved = (0..stripes)
        .filter(|number| {
            let (old, new) = (set(stripe(*number), 1, &before), set(stripe(*number), 1, &after));
            assert!(old == new || new == BTreeSet::from([node(99)]), "what moves, moves to the newcomer");
            old != new
        })
        .count();
    let expected = 20_000.0 * 15.0 / 75.0;
    assert!(
        (moved as f64 - expected).abs() < 5.0 * (expected * 0.8f64).sqrt(),
        "{moved} where {expected} are due"
    );
}

#[test]
fn only_who_takes_shards() {
    let mut cluster = members(&[(1, [0, 0, 0]), (1, [0, 0, 1]), (1, [0, 1, 0])]);
    cluster.get_mut(node(1)).unwrap().status = Status::Draining;
    cluster.get_mut(node(2)).unwrap().status = Status::Away;
    assert_eq!(place(stripe(1), 1, &cluster), Ok(vec![node(3)]));
    assert_eq!(place(stripe(1), 2, &cluster), Err(Error::TooFewNodes { have: 1, need: 2 }));
}
