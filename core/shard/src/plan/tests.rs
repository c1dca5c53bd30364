use super::*;
use crate::census::StripeCensus;
use crate::{Counts, Domain, Health, Member, ShardHash, Status, StripeRecord};
use proptest::prelude::*;
use std::num::NonZeroU32;

const NO_LIMIT: u64 = u64::MAX;

fn node(number: u32) -> NodeId {
    NodeId(NonZeroU32::new(number).unwrap())
}

fn stripe_id(number: u32) -> StripeId {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_le_bytes());
    StripeId(id)
}

fn member(site: u32, status: Status) -> Member {
    Member { weight: NonZeroU32::MIN, domain: Domain { site, rack: 0, host: 0 }, status }
}

/// Nodes 1 to `count`, on three sites.
fn members(count: u32) -> Members {
    Members::new((1..=count).map(|number| (node(number), member(number % 3, Status::Active)))).unwrap()
}

fn empty(k: usize, m: usize, id: StripeId) -> StripeCensus {
    let counts = Counts::new(k, m).unwrap();
    let shards = vec![(ShardHash([0; 32]), None); k + m];
    StripeCensus::new(&StripeRecord::new(id, counts, 100 * k as u64, shards).unwrap())
}

/// Stripes that stand where they should.
fn well_placed(k: usize, m: usize, stripes: u32, members: &Members) -> Census {
    let one = |number| {
        let id = stripe_id(number);
        let mut stripe = empty(k, m, id);
        for (index, node) in place_up_to(id, k + m, members).into_iter().enumerate() {
            stripe.found_sound(index as u8, node).unwrap();
        }
        (id, stripe)
    };
    (0..stripes).map(one).collect()
}

/// What the census is when the plan was carried out. Looks on the way that no node ever has two shards of a stripe
/// that it had not before.
fn carry_out(plan: &Plan, census: &Census, members: &Members) -> Census {
    let mut after = census.clone();
    let put = |stripe: StripeId, index: u8, to: NodeId, census: &mut Census| {
        assert_eq!(
            members.get(to).map(|member| member.status),
            Some(Status::Active),
            "only who takes shards"
        );
        let stripe = census.get_mut(&stripe).unwrap();
        assert!(stripe.sound().all(|(_, holder)| holder != to), "nobody gets a second shard of a stripe");
        stripe.found_sound(index, to).unwrap();
    };
    for repair in &plan.repairs {
        let stripe = &census[&repair.stripe];
        assert_eq!(repair.sources.len(), stripe.counts().data());
        let sound: BTreeSet<_> = stripe.sound().collect();
        assert!(repair.sources.iter().all(|source| sound.contains(source) && members.answers(source.1)));
        let different: BTreeSet<u8> = repair.sources.iter().map(|(index, _)| *index).collect();
        assert_eq!(different.len(), repair.sources.len());
        for (index, to) in &repair.targets {
            assert!(!different.contains(index));
            put(repair.stripe, *index, *to, &mut after);
        }
    }
    for step in &plan.moves {
        assert!(census[&step.stripe].sound().any(|found| found == (step.index, step.from)));
        put(step.stripe, step.index, step.to, &mut after);
        after.get_mut(&step.stripe).unwrap().forget(step.index, step.from);
    }
    for Surplus { stripe, index, node } in &plan.surplus {
        after.get_mut(stripe).unwrap().forget(*index, *node);
    }
    after
}

/// Plans and carries out until there is nothing left to do.
#[track_caller]
fn until_done(census: &Census, members: &Members, bytes_max: u64) -> (Census, u64) {
    let (mut census, mut bytes) = (census.clone(), 0);
    for _ in 0..10_000 {
        let plan = Plan::new(&census, members, bytes_max);
        let one_step = plan.repairs.len() + plan.moves.len() == 1;
        assert!(plan.bytes() <= bytes_max || one_step, "{} bytes", plan.bytes());
        if plan.repairs.is_empty() && plan.moves.is_empty() && plan.surplus.is_empty() {
            return (census, bytes);
        }
        bytes += plan.bytes();
        census = carry_out(&plan, &census, members);
    }
    panic!("it goes on for ever");
}

#[test]
fn nothing_to_do() {
    let members = members(7);
    let census = well_placed(3, 4, 10, &members);
    assert!(Plan::new(&census, &members, NO_LIMIT).is_empty());
    let health = Health::count(&census, &members);
    assert!(health.is_whole());
    assert_eq!(health.to_string(), "100.00 %");
    assert_eq!(Health::count(&Census::new(), &members).basis_points(), 10_000);
}

#[test]
fn the_fewest_left_come_first() {
    let members = members(12);
    let mut census = well_placed(4, 2, 3, &members);
    let forget = |census: &mut Census, number: u32, lost: usize| {
        let stripe = census.get_mut(&stripe_id(number)).unwrap();
        let shards: Vec<_> = stripe.sound().take(lost).collect();
        shards.into_iter().for_each(|(index, node)| stripe.forget(index, node));
    };
    forget(&mut census, 0, 1);
    forget(&mut census, 1, 2);
    forget(&mut census, 2, 3);
    let plan = Plan::new(&census, &members, NO_LIMIT);
    let order: Vec<_> =
        plan.repairs.iter().map(|repair| (repair.stripe, repair.spare, repair.bytes)).collect();
    assert_eq!(order, [(stripe_id(1), 0, 600), (stripe_id(0), 1, 500)]);
    assert_eq!(plan.blocked, BTreeMap::from([(stripe_id(2), Blocked::TooFewShards { have: 3, need: 4 })]));
    let health = Health::count(&census, &members);
    assert_eq!(health.unreadable, BTreeSet::from([stripe_id(2)]));
    assert_eq!(
        health.to_string(),
        "66.66 %, 6 shards nobody has, 1 stripes that bear no further loss, 1 stripes that cannot be read now"
    );
    let limited = Plan::new(&census, &members, 1000);
    assert_eq!((limited.repairs.len(), limited.bytes_left), (1, 500));
}

/// A rotten shard is made anew where it is.
#[test]
fn rot() {
    let members = members(7);
    let mut census = well_placed(3, 4, 1, &members);
    let stripe = census.get_mut(&stripe_id(0)).unwrap();
    let (index, holder) = stripe.sound().nth(2).unwrap();
    stripe.found_rotten(index, holder).unwrap();
    assert_eq!(Health::count(&census, &members).reasons.rotten, 1);
    let plan = Plan::new(&census, &members, NO_LIMIT);
    assert_eq!(plan.repairs[0].targets, [(index, holder)]);
    let (census, _) = until_done(&census, &members, NO_LIMIT);
    assert!(Health::count(&census, &members).is_whole());
}

/// A node goes and returns with all that it had: what was made anew meanwhile is surplus on one of the two.
#[test]
fn away_and_back() {
    let mut members = members(9);
    let before = well_placed(4, 2, 50, &members);
    members.get_mut(node(4)).unwrap().status = Status::Away;
    let lost = before.values().flat_map(StripeCensus::sound).filter(|(_, holder)| *holder == node(4)).count();
    assert_eq!(Health::count(&before, &members).reasons.away, lost as u64);
    let (repaired, bytes) = until_done(&before, &members, 3000);
    assert_eq!(bytes, lost as u64 * 500, "what was lost was made anew and nothing else was touched");
    assert!(Health::count(&repaired, &members).is_whole());
    members.get_mut(node(4)).unwrap().status = Status::Active;
    let (after, bytes) = until_done(&repaired, &members, 3000);
    assert_eq!(bytes, 0, "nothing is copied: it still has what it had");
    assert_eq!(after, before, "all is as it was");
}

#[test]
fn a_drained_node_is_emptied() {
    let mut members = members(9);
    let before = well_placed(4, 2, 50, &members);
    members.get_mut(node(2)).unwrap().status = Status::Draining;
    assert!(Health::count(&before, &members).is_whole(), "it still answers");
    let had = before.values().flat_map(StripeCensus::sound).filter(|(_, holder)| *holder == node(2)).count();
    let plan = Plan::new(&before, &members, NO_LIMIT);
    assert_eq!((plan.repairs.len(), plan.moves.len()), (0, had));
    assert!(plan.moves.iter().all(|step| step.from == node(2)));
    let (after, _) = until_done(&before, &members, NO_LIMIT);
    assert!(after.values().flat_map(StripeCensus::sound).all(|(_, holder)| holder != node(2)));
    assert!(Health::count(&after, &members).is_whole());
}

#[test]
fn a_cluster_that_is_too_small_says_so() {
    let mut members = members(6);
    let census = well_placed(4, 2, 1, &members);
    members.get_mut(node(1)).unwrap().status = Status::Away;
    let plan = Plan::new(&census, &members, NO_LIMIT);
    assert_eq!(plan.blocked.get(&stripe_id(0)), Some(&Blocked::TooFewNodes { shards: 1 }));
    assert!(plan.repairs.is_empty() && !plan.is_empty());
    assert_eq!(Health::count(&census, &members).basis_points(), 8333);
}

/// A cluster in any state: nodes of any status, and stripes with shards on wherever.
fn anything() -> impl Strategy<Value = (Members, Census)> {
    let statuses = prop::collection::vec(0..6u8, 3..14);
    let stripe = (1..5usize, 0..4usize, prop::collection::vec((any::<u8>(), any::<u8>(), 0..8u8), 0..14));
    (statuses, prop::collection::vec(stripe, 1..6)).prop_map(|(statuses, stripes)| {
        let count = statuses.len() as u8;
        let nodes = statuses.iter().enumerate().map(|(at, status)| {
            let status =
                [Status::Away, Status::Draining].get(usize::from(*status)).copied().unwrap_or(Status::Active);
            (node(at as u32 + 1), member(at as u32 % 4, status))
        });
        let members = Members::new(nodes).unwrap();
        let stripes = stripes.into_iter().enumerate().map(|(number, (k, m, found))| {
            let id = stripe_id(number as u32);
            let mut stripe = empty(k, m, id);
            for (index, holder, rot) in found {
                let (index, holder) = (index % (k + m) as u8, node(u32::from(holder % count) + 1));
                if rot == 0 { stripe.found_rotten(index, holder) } else { stripe.found_sound(index, holder) }
                    .unwrap();
            }
            (id, stripe)
        });
        let census = stripes.collect();
        (members, census)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever the state: carrying out plans ends, in few bytes, with every stripe whole that can be, each shard where
    /// it should stand, and no node ever with a second shard of a stripe.
    #[test]
    fn plans_heal_whatever_can_be_healed((members, census) in anything(), bytes_max in 0..3000u64) {
        let (after, bytes) = until_done(&census, &members, bytes_max);
        let plan = Plan::new(&after, &members, NO_LIMIT);
        prop_assert_eq!(plan.bytes() + plan.bytes_left, 0, "a second time there is nothing to do");
        let active = members.active().count();
        let mut bound = 0;
        for (id, stripe) in &after {
            let counts = stripe.counts();
            let before: BTreeSet<u8> =
                census[id].sound().filter(|(_, node)| members.answers(*node)).map(|(index, _)| index).collect();
            // Each shard is read and written once to be made, and moved twice at most.
            bound += 100 * (counts.data() + 3 * counts.total()) as u64;
            let one = Health::count(&Census::from([(*id, stripe.clone())]), &members);
            if before.len() < counts.data() {
                prop_assert_eq!(stripe, &census[id], "what cannot be read is left as it is");
                prop_assert!(plan.blocked.contains_key(id));
            } else if active >= counts.total() {
                prop_assert!(one.is_whole(), "{}: {:?}", one, stripe);
                let holders: BTreeSet<NodeId> =
                    stripe.sound().map(|(_, node)| node).filter(|node| members.answers(*node)).collect();
                prop_assert_eq!(holders, place_up_to(*id, counts.total(), &members).into_iter().collect());
                let answered = stripe.sound().filter(|(_, node)| members.answers(*node)).count();
                prop_assert_eq!(answered, counts.total(), "one copy of each");
            } else {
                prop_assert!(one.in_place >= active.min(counts.total()) as u64);
            }
        }
        prop_assert!(bytes <= bound, "{bytes} bytes, {bound} at most");
    }
}
