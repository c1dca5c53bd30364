//! Nodes that stand on three sites, in racks there, and take unlike amounts: shards are as far apart as there are places, and a whole
//! site that is lost loses nothing.
use super::world::{World, id};
use super::{SECOND, members};
use crate::testing::{founded_of, profile};
use crate::{Fate, ItemName, Lack, NodeProfile, Refused, Request, Response, What};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use terachat_shard::{Domain, Member, Members, NodeId, Profile, Status, place};

const SITES: u32 = 3;

/// The node of this number on one of three sites, there in one of two racks, with a weight of 1 to 4.
fn on_a_site(number: u32) -> NodeProfile {
    let domain = Domain { site: number % SITES, rack: number / SITES % 2, host: number };
    NodeProfile { domain, weight: NonZeroU32::new(1 + number % 4).unwrap(), ..profile(number) }
}

/// Everything that is to stand somewhere is there: for so long at most.
fn until_whole(world: &mut World) {
    let begun = world.now;
    let nodes = |world: &World| world.truth.roster().active().count();
    world.run_until(begun + SECOND);
    loop {
        let cut = |world: &World| {
            world.truth.stripes().values().all(|stripe| stripe.record.counts().total() == nodes(world))
        };
        if cut(world) && world.health().is_some_and(|(in_place, shards)| in_place == shards) {
            return;
        }
        assert!(world.now < begun + 120 * SECOND, "{}", world.health_text());
        world.run_until(world.now + SECOND / 4);
    }
}

fn put(world: &mut World, through: NodeId, bytes: Vec<u8>) -> (ItemName, Response) {
    let name = ItemName::of_blob(&bytes);
    let call = world.ask(through, Request::Put { name, bytes, expires_ms: 0 }).expect("it runs");
    world.run_until(world.now + 4 * SECOND);
    (name, world.replies.remove(&call).expect("an answer"))
}

/// Of each stripe no site, rack, host or node has other than the plan gives it.
fn stands_as_planned(world: &World) {
    let member = |profile: &NodeProfile| Member {
        weight: profile.weight,
        domain: profile.domain,
        status: Status::Active,
    };
    let active = world.truth.roster().active();
    let members = Members::new(active.map(|(node, record)| (node, member(&record.profile)))).unwrap();
    let spread = |nodes: &[NodeId]| {
        let mut spread: BTreeMap<(u32, Option<u32>, Option<NodeId>), usize> = BTreeMap::new();
        for node in nodes {
            let domain = members.get(*node).expect("a node that takes shards").domain;
            for level in [
                (domain.site, None, None),
                (domain.site, Some(domain.rack), None),
                (domain.site, Some(domain.rack), Some(*node)),
            ] {
                *spread.entry(level).or_default() += 1;
            }
        }
        spread
    };
    for (name, stripe) in world.truth.stripes() {
        let counts = stripe.record.counts();
        let holders: Vec<NodeId> = counts.indices().filter_map(|place| stripe.record.holder(place)).collect();
        let planned = place(*name, counts.total(), &members).unwrap();
        assert_eq!(spread(&holders), spread(&planned), "{:?}", stripe.record);
    }
    assert!(!world.truth.stripes().is_empty());
}

/// Of five to ten nodes on three sites: whichever site is lost, all that was acknowledged is read. New things are acknowledged if it has
/// no more nodes than may be lost, and refused if it has. Then it comes back, and all goes on.
#[test]
fn a_site_of_three_that_is_lost_loses_nothing() {
    let mut outcomes = BTreeMap::new();
    for nodes in 5..=10u32 {
        let (truth, log) = founded_of(nodes, on_a_site);
        let mut world = World::new(u64::from(nodes), truth, log);
        world.run_until(SECOND);
        let f = Profile::new(nodes as usize).unwrap().losses();
        let mut kept = Vec::new();
        for round in 0..SITES {
            for byte in 0..4u8 {
                let (name, response) =
                    put(&mut world, id(1 + u64::from(byte)), [byte, round as u8].repeat(300));
                assert_eq!(response, Response::Put(Fate::Added));
                kept.push(name);
            }
            until_whole(&mut world);
            stands_as_planned(&world);
            let (gone, there): (Vec<NodeId>, Vec<NodeId>) =
                (1..=u64::from(nodes)).map(id).partition(|node| node.0.get() % SITES == round);
            gone.iter().for_each(|node| world.crash(*node));
            let gets: Vec<_> = kept
                .iter()
                .zip(there.iter().cycle())
                .map(|(name, through)| world.ask(*through, Request::Get(*name)).unwrap())
                .collect();
            world.run_until(world.now + 4 * SECOND);
            for get in gets {
                let got = world.replies.remove(&get);
                assert!(matches!(got, Some(Response::Got(Some(_)))), "{nodes} nodes, site {round}: {got:?}");
            }
            let bears = gone.len() <= f;
            *outcomes.entry(bears).or_insert(0) += 1;
            match put(&mut world, there[0], vec![round as u8; 700]) {
                (name, Response::Put(Fate::Added)) if bears => kept.push(name),
                (_, Response::Refused(Refused::NotDurable { have, need, without })) if !bears => {
                    assert_eq!((usize::from(have), usize::from(need)), (there.len(), nodes as usize - f));
                    assert!(without.iter().all(|(node, lack)| gone.contains(node) && *lack == Lack::Silent));
                }
                (_, other) => panic!("{nodes} nodes, site {round}: {other:?}"),
            }
            gone.iter().for_each(|node| world.start(*node));
            until_whole(&mut world);
        }
        // Without one node of the largest site.
        members::do_it(&mut world, What::Draining(id(4)));
        until_whole(&mut world);
        stands_as_planned(&world);
    }
    assert!(outcomes.len() == 2, "both are played: {outcomes:?}");
}
