//! Disks that are full: while they are no more than may be lost writing goes on; with one more it is refused, and nothing is half done.
use super::SECOND;
use super::world::{World, id};
use crate::testing::founded;
use crate::{Fate, ItemName, Lack, Refused, Request, Response};
use std::collections::BTreeSet;
use terachat_shard::{NodeId, Profile};
use terachat_storage::Fault;

/// More changes than a test makes.
const ALL: u64 = 20_000;

/// From now on its disk takes nothing, until it is started again.
fn fill(world: &mut World, node: NodeId) {
    let disk = &world.machine(node).disk;
    let now = disk.operations();
    (now..now + ALL).for_each(|at| disk.fail_at(at, Fault::Full));
}

fn put(world: &mut World, through: NodeId, byte: u8) -> (ItemName, Response) {
    let bytes = vec![byte; 900];
    let name = ItemName::of_blob(&bytes);
    let call = world.ask(through, Request::Put { name, bytes, expires_ms: 0 }).expect("it runs");
    world.run_until(world.now + 4 * SECOND);
    (name, world.replies.remove(&call).expect("an answer"))
}

fn get(world: &mut World, through: NodeId, name: ItemName) -> Response {
    let call = world.ask(through, Request::Get(name)).expect("it runs");
    world.run_until(world.now + 4 * SECOND);
    world.replies.remove(&call).expect("an answer")
}

#[test]
fn with_more_full_disks_than_may_be_lost_nothing_is_half_acknowledged() {
    for nodes in 4..=10u32 {
        let (truth, log) = founded(nodes);
        let mut world = World::new(u64::from(nodes), truth, log);
        world.run_until(SECOND);
        let f = Profile::new(nodes as usize).unwrap().losses();
        let (through, full) = (id(u64::from(nodes)), |at: usize| id(1 + at as u64));
        let mut kept = vec![put(&mut world, through, 0)];
        for at in 0..f {
            fill(&mut world, full(at));
            kept.push(put(&mut world, through, 1 + at as u8));
            // Also through one whose own disk is full.
            kept.push(put(&mut world, full(at), 101 + at as u8));
        }
        for (name, response) in &kept {
            assert_eq!(*response, Response::Put(Fate::Added), "{nodes} nodes, {f} of them full");
            assert!(matches!(get(&mut world, through, *name), Response::Got(Some(_))));
        }

        fill(&mut world, full(f));
        for (by, byte) in [(through, 201), (full(0), 202)] {
            let (name, response) = put(&mut world, by, byte);
            let Response::Refused(Refused::NotDurable { have, need, without }) = response else {
                panic!("{nodes} nodes, {} of them full: {response:?}", f + 1);
            };
            // It is refused as soon as so many have failed that it cannot be enough, whoever else is still writing.
            assert!(usize::from(have) < nodes as usize - f && usize::from(need) == nodes as usize - f);
            let failed = without.iter().filter(|(_, lack)| *lack == Lack::Disk).map(|(node, _)| *node);
            assert_eq!(failed.collect::<BTreeSet<NodeId>>(), (0..=f).map(full).collect());
            assert_eq!(get(&mut world, through, name), Response::Got(None), "it was refused");
            assert!(world.truth.item(&name).is_none());
        }
        for (name, _) in &kept {
            assert!(
                matches!(get(&mut world, full(f), *name), Response::Got(Some(_))),
                "what was kept is read"
            );
        }

        // Space is freed: what was refused is taken, and what the full ones lack is made anew there.
        for at in 0..=f {
            world.crash(full(at));
            world.start(full(at));
        }
        world.run_until(world.now + SECOND);
        let begun = world.now;
        for byte in [201, 202] {
            kept.push(put(&mut world, through, byte));
            assert_eq!(kept.last().unwrap().1, Response::Put(Fate::Added));
        }
        while world.health().is_none_or(|(in_place, shards)| in_place != shards) {
            assert!(world.now < begun + 60 * SECOND, "{nodes} nodes: {}", world.health_text());
            world.run_until(world.now + SECOND / 4);
        }
        for (name, _) in &kept {
            assert!(matches!(get(&mut world, through, *name), Response::Got(Some(_))));
        }
    }
}
