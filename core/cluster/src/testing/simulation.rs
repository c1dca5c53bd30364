//! A whole cluster in one thread: nodes, disks whose power is cut, that are full, slow, dead or rot, buckets that fail or answer late, clocks
//! that jump, a network that loses, delays, doubles and parts, nodes that lie, members that come and go, boards whose records are
//! left, renewed and end, slots that several claim. One seed is one run. After every run all is mended, and then everything that was acknowledged is there,
//! everything is whole, and no node has enough of a stripe to read it.
//!
//! `TERACHAT_CLUSTER_SEEDS=FROM..TO` plays other seeds than the few of each run.
mod board;
mod full;
mod keeping;
mod members;
mod sites;
mod slots;
mod trace;
mod world;

use crate::testing::{Dice, founded, seeds};
use crate::{Fate, ItemName, Lack, NodeStatus, Refused, Request, Response};
use board::BoardPlay;
use members::Deeds;
use slots::SlotPlay;
use std::collections::{BTreeMap, BTreeSet};
use terachat_shard::{NodeId, Profile};
use terachat_storage::Fault;
use trace::Trace;
use world::{World, id};

const SECOND: u64 = 1_000_000;
const DAY_MS: i64 = 24 * 3_600_000;

/// What clients did and were told.
#[derive(Default)]
struct Clients {
    /// Asked to be kept, not answered yet.
    putting: BTreeMap<crate::Call, (ItemName, Vec<u8>)>,
    getting: BTreeMap<crate::Call, ItemName>,
    /// Acknowledged: kept, whatever happens.
    kept: BTreeMap<ItemName, Vec<u8>>,
    forgetting: BTreeMap<crate::Call, ItemName>,
    /// May be forgotten, or not: the answer never came.
    forgotten: BTreeSet<ItemName>,
    board: BoardPlay,
    slots: SlotPlay,
    acknowledged: usize,
    refused: usize,
}

impl Clients {
    fn hear(&mut self, world: &mut World) {
        for call in world.unanswered.drain(..) {
            self.putting.remove(&call);
            self.getting.remove(&call);
            self.forgetting.remove(&call);
            self.board.unanswered(call);
            self.slots.unanswered(call);
        }
        for (call, response) in std::mem::take(&mut world.replies) {
            if let Some((name, bytes)) = self.putting.remove(&call) {
                match response {
                    Response::Put(Fate::Added | Fate::Known) => {
                        self.acknowledged += 1;
                        self.kept.insert(name, bytes);
                    }
                    Response::Put(Fate::Taken) => {
                        panic!("names are hashes here, so nothing else can have this one")
                    }
                    Response::Put(Fate::Gone) => {
                        assert!(self.forgotten.contains(&name), "nobody forgot {name}")
                    }
                    Response::Refused(_) => self.refused += 1,
                    other => panic!("{other:?} is no answer to a put"),
                }
            } else if let Some(name) = self.getting.remove(&call) {
                self.check_got(&name, response, false);
            } else if let Some(name) = self.forgetting.remove(&call)
                && response == Response::Forgotten
            {
                self.kept.remove(&name);
            } else if !self.slots.hear(world.now_ms(), call, &response) {
                self.board.hear(world.now_ms(), call, response);
            }
        }
    }

    fn check_got(&self, name: &ItemName, response: Response, must: bool) {
        match response {
            Response::Got(Some(bytes)) => assert_eq!(ItemName::of_blob(&bytes), *name, "other bytes"),
            Response::Got(None) => {
                assert!(self.forgotten.contains(name), "{name} was acknowledged and is not there");
            }
            Response::Refused(why) => assert!(!must, "{name} cannot be read: {why}"),
            other => panic!("{other:?} is no answer to a get"),
        }
    }
}

/// What came of a run before everything was mended.
#[derive(Debug, Default)]
struct Played {
    acknowledged: usize,
    refused: usize,
    on_the_board: usize,
    /// Claims that were first, and those that were not.
    claims: (usize, usize),
    deeds: Deeds,
}

/// One run.
fn play(seed: u64) -> Played {
    play_seen(seed, Trace::default())
}

/// One run, and who looks on.
fn play_seen(seed: u64, trace: Trace) -> Played {
    let mut dice = Dice(seed ^ 0x5eed);
    let nodes = 1 + dice.below(8);
    let (truth, log) = founded(nodes as u32);
    let mut world = World::seen(seed, truth, log, trace);
    let mut clients = Clients::default();
    world.run_until(SECOND);
    // Whose disks may lose what they acknowledged: as many as may be, also with a node less, the same for the whole run.
    let fewest = if nodes >= 5 { nodes - 1 } else { nodes };
    let f = Profile::new(fewest as usize).unwrap().losses() as u64;
    let bad: Vec<NodeId> = (0..f).map(|at| id(1 + (seed + at) % nodes)).collect();
    // Whose clocks may show anything: fewer than half.
    let wrong: Vec<NodeId> = (0..(fewest - 1) / 2).map(|at| id(1 + (seed / 7 + at) % nodes)).collect();
    let mut deeds = Deeds::default();
    let mut down: BTreeSet<NodeId> = BTreeSet::new();
    for _ in 0..60 + dice.below(60) {
        let members: Vec<NodeId> = world.truth.roster().members().map(|(node, _)| node).collect();
        let any = |dice: &mut Dice| members[dice.below(members.len() as u64) as usize];
        match dice.below(40) {
            0 => world.lossy = dice.below(30),
            1 => {
                let node = any(&mut dice);
                world.crash(node);
                down.insert(node);
            }
            2 | 3 => {
                if let Some(node) = down.pop_first() {
                    world.start(node);
                }
            }
            4 => {
                let (one, other) = (any(&mut dice), any(&mut dice));
                if one != other {
                    world.cut(one, other);
                    if dice.below(2) == 0 {
                        world.cut(other, one);
                    }
                }
            }
            5 => world.mend_network(),
            6 if !bad.is_empty() => {
                let node = bad[dice.below(bad.len() as u64) as usize];
                match dice.below(6) {
                    0 => {
                        world.wipe(node);
                        down.insert(node);
                    }
                    1 => world.machine(node).lies = true,
                    2 => world.machine(node).lies = false,
                    3 => world.machine(node).dead = true,
                    4 => world.machine(node).dead = false,
                    _ => world.rot(node),
                }
            }
            7 => world.machine(any(&mut dice)).slow = 1 + dice.below(100),
            // A disk that is full or fails for a moment, or whose power goes in the midst of what it does.
            18 => {
                let node = any(&mut dice);
                world.start(node);
                let at = world.machine(node).disk.operations() + dice.below(6);
                let fault = [Fault::Full, Fault::Io, Fault::PowerCut][dice.below(3) as usize];
                world.machine(node).disk.fail_at(at, fault);
                if fault == Fault::PowerCut {
                    let until = world.now + dice.below(100_000);
                    world.run_until(until);
                    world.crash(node);
                    down.insert(node);
                }
            }
            19 => world.machine(any(&mut dice)).clock += dice.below(20 * SECOND),
            8 | 20 | 21 if nodes >= 5 => deeds.play(&mut world, &mut dice, nodes, &bad),
            9 => {
                let held: Vec<ItemName> = clients.kept.keys().copied().collect();
                if !held.is_empty() {
                    let name = held[dice.below(held.len() as u64) as usize];
                    clients.forgotten.insert(name);
                    let through = any(&mut dice);
                    if let Some(call) = world.ask(through, Request::Forget(vec![name])) {
                        clients.forgetting.insert(call, name);
                    }
                }
            }
            10..=17 => {
                for _ in 0..1 + dice.below(6) {
                    let bytes: Vec<u8> = (0..1 + dice.below(1500)).map(|_| dice.next() as u8).collect();
                    let name = ItemName::of_blob(&bytes);
                    let through = any(&mut dice);
                    let request = Request::Put { name, bytes: bytes.clone(), expires_ms: 0 };
                    if let Some(call) = world.ask(through, request) {
                        clients.putting.insert(call, (name, bytes));
                    }
                }
            }
            28 if !wrong.is_empty() => {
                let node = wrong[dice.below(wrong.len() as u64) as usize];
                world.machine(node).wall_ms = dice.below(400) as i64 * DAY_MS - 200 * DAY_MS;
            }
            29..=35 => {
                for _ in 0..1 + dice.below(4) {
                    let through = any(&mut dice);
                    clients.board.play(&mut world, &mut dice, through);
                }
            }
            36..=39 => {
                for _ in 0..1 + dice.below(4) {
                    let through = any(&mut dice);
                    clients.slots.play(&mut world, &mut dice, through);
                }
            }
            _ => {
                let held: Vec<ItemName> = clients.kept.keys().copied().collect();
                if !held.is_empty() {
                    let name = held[dice.below(held.len() as u64) as usize];
                    let through = any(&mut dice);
                    if let Some(call) = world.ask(through, Request::Get(name)) {
                        clients.getting.insert(call, name);
                    }
                }
            }
        }
        let until = world.now + dice.below(400_000);
        world.run_until(until);
        clients.hear(&mut world);
    }
    mend_everything(&mut world, &mut clients);
    Played {
        acknowledged: clients.acknowledged,
        refused: clients.refused,
        on_the_board: clients.board.acknowledged,
        claims: (clients.slots.first, clients.slots.second),
        deeds,
    }
}

/// All nodes run, all ways are open, nobody lies: then all is there and whole, sooner or later.
fn mend_everything(world: &mut World, clients: &mut Clients) {
    world.lossy = 0;
    world.mend_network();
    let members: Vec<NodeId> = world.truth.roster().members().map(|(node, _)| node).collect();
    for node in &members {
        world.machine(*node).lies = false;
        world.machine(*node).dead = false;
        world.machine(*node).slow = 1;
        world.start(*node);
    }
    let whole = |world: &World| world.health().is_some_and(|(in_place, shards)| in_place == shards);
    let active = world.truth.roster().active().count();
    let draining = |world: &World, node: &NodeId| {
        world.truth.roster().node(*node).map(|record| record.status) == Some(NodeStatus::Draining)
    };
    // What still keeps a run from its end.
    let unsettled = |world: &mut World| -> Option<String> {
        if !whole(world) {
            return Some(format!("health is {}", world.health_text()));
        }
        let misfit = |stripe: &&crate::Stripe| stripe.record.counts().total() != active;
        if let Some(stripe) = world.truth.stripes().values().find(misfit) {
            return Some(format!("{:?} is cut for others than {active}", stripe.record));
        }
        // What was forgotten is gone with its stripe's key.
        let truth = &world.truth;
        let holed = |stripe: &&crate::Stripe| {
            truth.live_bytes(stripe) + crate::PACKAGE_OVERHEAD < stripe.record.len() as usize
        };
        if let Some(stripe) = truth.stripes().values().find(holed) {
            return Some(format!("{:?} has what was forgotten", stripe.record));
        }
        for node in &members {
            for (stripe, count) in world.shards_on(*node) {
                let Some(stripe) = world.truth.stripes().get(&stripe) else { continue };
                let enough = stripe.record.counts().data();
                if draining(world, node) || enough > 1 && count >= enough {
                    return Some(format!("{node} has {count} shards of {:?}", stripe.record));
                }
            }
        }
        None
    };
    let begun = world.now;
    // Longer than anybody counts as away, than a request is answered, and than a few rounds take.
    world.run_until(begun + 8 * SECOND);
    while let Some(why) = unsettled(world) {
        assert!(world.now < begun + 120 * SECOND, "not all is mended: {why}");
        world.run_until(world.now + SECOND);
    }
    clients.hear(world);
    assert!(clients.putting.is_empty() && clients.getting.is_empty(), "somebody was never answered");
    clients.board.ask_for_all(world, &members);
    clients.slots.ask_for_all(world, &members);
    let kept: Vec<ItemName> = clients.kept.keys().copied().collect();
    for (at, name) in kept.iter().enumerate() {
        let through = members[at % members.len()];
        let call = world.ask(through, Request::Get(*name)).expect("all run");
        clients.getting.insert(call, *name);
    }
    world.run_until(world.now + 5 * SECOND);
    for (call, response) in std::mem::take(&mut world.replies) {
        if let Some(name) = clients.getting.remove(&call) {
            clients.check_got(&name, response, true);
        } else if !clients.slots.hear(world.now_ms(), call, &response) {
            clients.board.hear(world.now_ms(), call, response);
        }
    }
    clients.board.end(world, members[0]);
    clients.slots.end(world);
    assert!(clients.getting.is_empty(), "somebody was never answered");
    world.truth.chronicle().audit(world.truth.roster()).unwrap();
    let restored = crate::State::restore(&world.truth.snapshot()).unwrap();
    assert_eq!(restored, world.truth);
}

#[test]
fn nothing_acknowledged_is_lost_and_all_becomes_whole() {
    let mut all = Played::default();
    let seeds = seeds("TERACHAT_CLUSTER_SEEDS", 0..300);
    for seed in seeds.clone() {
        let played = std::panic::catch_unwind(|| play(seed)).unwrap_or_else(|_| panic!("seed {seed}"));
        all.acknowledged += played.acknowledged;
        all.refused += played.refused;
        all.on_the_board += played.on_the_board;
        all.claims = (all.claims.0 + played.claims.0, all.claims.1 + played.claims.1);
        all.deeds.add(played.deeds);
    }
    println!("{all:?}");
    // Of a single run the network may have been parted all the time; many together play what they are for.
    if seeds.count() >= 20 {
        assert!(all.acknowledged > all.refused && all.on_the_board > 0, "{all:?}");
        assert!(all.claims.0 > 0 && all.claims.1 > 0, "{all:?}");
        let Deeds { drained, returned, left, forced, joined } = all.deeds;
        assert!([drained, returned, left, forced, joined].iter().all(|times| *times > 0), "{all:?}");
    }
}

/// A cluster of so many nodes at work, how many it bears to lose, and each set of as many, a bit a node.
fn with_sets_of_losses(nodes: u32) -> (World, usize, impl Iterator<Item = u32>) {
    let (truth, log) = founded(nodes);
    let mut world = World::new(u64::from(nodes), truth, log);
    world.run_until(SECOND);
    let f = Profile::new(nodes as usize).unwrap().losses();
    (world, f, (0..1u32 << nodes).filter(move |set| set.count_ones() as usize == f))
}

/// Of so many nodes those in a set, and the others.
fn parted(nodes: u32, set: u32) -> (Vec<NodeId>, Vec<NodeId>) {
    let (within, without): (Vec<u64>, Vec<u64>) =
        (1..=u64::from(nodes)).partition(|node| set >> (node - 1) & 1 == 1);
    (within.into_iter().map(id).collect(), without.into_iter().map(id).collect())
}

/// Whichever f nodes are lost, of four to ten: what was acknowledged is read, and new things are acknowledged.
#[test]
fn every_set_of_losses_is_borne() {
    for nodes in 4..=10u32 {
        let (mut world, _, sets) = with_sets_of_losses(nodes);
        let mut kept: Vec<ItemName> = Vec::new();
        for lost in sets {
            let (gone, there) = parted(nodes, lost);
            gone.iter().for_each(|node| world.crash(*node));
            let through = there[kept.len() % there.len()];
            let gets: Vec<_> =
                kept.iter().rev().take(3).map(|name| world.ask(through, Request::Get(*name))).collect();
            let bytes = lost.to_le_bytes().repeat(40);
            let name = ItemName::of_blob(&bytes);
            let put = world.ask(through, Request::Put { name, bytes, expires_ms: 0 }).unwrap();
            world.run_until(world.now + SECOND);
            for get in gets {
                let got = world.replies.remove(&get.unwrap());
                assert!(
                    matches!(got, Some(Response::Got(Some(_)))),
                    "{nodes} nodes without {lost:b}: {got:?}"
                );
            }
            let acknowledged = world.replies.remove(&put);
            assert_eq!(acknowledged, Some(Response::Put(Fate::Added)), "{nodes} nodes without {lost:b}");
            kept.push(name);
            gone.iter().for_each(|node| world.start(*node));
            world.run_until(world.now + SECOND / 2);
        }
        assert!(kept.len() >= nodes as usize, "{nodes} nodes were lost in {} ways", kept.len());
    }
}

/// Whatever was acknowledged while any f nodes of four to ten were away is read after the disks of f others are lost as well, from the
/// k shards that are left; and then all becomes whole again.
#[test]
fn what_was_acknowledged_without_f_nodes_is_read_without_f_more() {
    for nodes in 4..=10u32 {
        let (mut world, f, sets) = with_sets_of_losses(nodes);
        let mut kept: Vec<ItemName> = Vec::new();
        for away in sets {
            let (gone, others) = parted(nodes, away);
            // Other ones for each set, so that in time all are lost with all.
            let turned = |at: usize| others[(at + kept.len()) % others.len()];
            let (lost, through) = ((0..f).map(turned).collect::<Vec<NodeId>>(), turned(f));
            gone.iter().for_each(|node| world.crash(*node));
            let bytes = away.to_le_bytes().repeat(40);
            let name = ItemName::of_blob(&bytes);
            let put = world.ask(through, Request::Put { name, bytes, expires_ms: 0 }).unwrap();
            world.run_until(world.now + SECOND);
            let acknowledged = world.replies.remove(&put);
            assert_eq!(acknowledged, Some(Response::Put(Fate::Added)), "{nodes} nodes without {away:b}");
            kept.push(name);
            lost.iter().for_each(|node| world.wipe(*node));
            let get = world.ask(through, Request::Get(name)).unwrap();
            world.run_until(world.now + SECOND);
            let got = world.replies.remove(&get);
            assert!(
                matches!(got, Some(Response::Got(Some(_)))),
                "{nodes} nodes without {away:b} and then {lost:?}: {got:?}"
            );
            gone.iter().chain(&lost).for_each(|node| world.start(*node));
            let begun = world.now;
            world.run_until(begun + SECOND);
            while world.health().is_none_or(|(in_place, shards)| in_place != shards) {
                assert!(world.now < begun + 60 * SECOND, "{nodes} nodes: {}", world.health_text());
                world.run_until(world.now + SECOND / 4);
            }
        }
        let gets: Vec<_> = kept.iter().map(|name| world.ask(id(1), Request::Get(*name)).unwrap()).collect();
        world.run_until(world.now + 2 * SECOND);
        for get in gets {
            assert!(matches!(world.replies.remove(&get), Some(Response::Got(Some(_)))), "{nodes} nodes");
        }
    }
}

/// Who comes and goes all the time holds up nobody else's repair.
#[test]
fn a_node_that_flaps_does_not_stop_the_mending() {
    let (truth, log) = founded(7);
    let mut world = World::new(3, truth, log);
    world.run_until(SECOND);
    for byte in 0..20u8 {
        let bytes = vec![byte; 1500];
        let name = ItemName::of_blob(&bytes);
        let put = world.ask(id(1), Request::Put { name, bytes, expires_ms: 0 }).unwrap();
        world.run_until(world.now + SECOND / 5);
        assert_eq!(world.replies.remove(&put), Some(Response::Put(Fate::Added)));
    }
    world.wipe(id(6));
    world.start(id(6));
    let has_all = |world: &mut World| world.shards_on(id(6)).len() == world.truth.stripes().len();
    let begun = world.now;
    while !has_all(&mut world) {
        assert!(world.now < begun + 40 * SECOND, "{} of its shards are back", world.shards_on(id(6)).len());
        // Never away for as long as counts, and hardly ever there.
        world.crash(id(7));
        world.run_until(world.now + 5 * SECOND / 2);
        world.start(id(7));
        world.run_until(world.now + SECOND / 20);
    }
}

/// With one node more lost than may be: what cannot be read says which shards are missing, and nothing is acknowledged.
#[test]
fn too_many_losses_are_said() {
    let (truth, log) = founded(4);
    let mut world = World::new(1, truth, log);
    world.run_until(SECOND);
    let put = |world: &mut World, byte: u8| {
        let bytes = vec![byte; 300];
        let name = ItemName::of_blob(&bytes);
        let call = world.ask(id(1), Request::Put { name, bytes, expires_ms: 0 }).unwrap();
        world.run_until(world.now + 4 * SECOND);
        (name, world.replies.remove(&call).expect("an answer"))
    };
    let (name, response) = put(&mut world, 1);
    assert_eq!(response, Response::Put(Fate::Added));
    world.crash(id(3));
    world.crash(id(4));
    let (_, response) = put(&mut world, 2);
    let Response::Refused(Refused::NotDurable { have: 2, need: 3, without }) = response else {
        panic!("{response:?}");
    };
    assert_eq!(without, [(id(3), Lack::Silent), (id(4), Lack::Silent)]);
    world.crash(id(2));
    let get = world.ask(id(1), Request::Get(name)).unwrap();
    world.run_until(world.now + 4 * SECOND);
    let Some(Response::Refused(Refused::Unreadable { have: 1, need: 2, lacking })) =
        world.replies.remove(&get)
    else {
        panic!("one of two shards is not enough");
    };
    assert_eq!(lacking.len(), 3);
    assert!(
        lacking.iter().all(|(_, holder, lack)| *holder != Some(id(1)) && *lack == Lack::Silent),
        "{lacking:?}"
    );
    let unknown = world.ask(id(1), Request::Get(ItemName::of_blob(b"never put"))).unwrap();
    world.run_until(world.now + SECOND);
    let response = world.replies.remove(&unknown);
    assert_eq!(response, Some(Response::Refused(Refused::NoMajority)), "others may know it");
}

/// A failing seed is worth something only if it fails again: every event, message, call of a disk, entry and answer comes in the
/// same order with the same bytes.
#[test]
fn one_seed_replays_exactly() {
    let run = |seed| {
        let trace = Trace::on();
        let played = play_seen(seed, trace.clone());
        (trace.steps(), format!("{played:?}"))
    };
    // Enough nodes that members come and go; bad disks, buckets and wrong clocks are among them.
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for seed in seeds("TERACHAT_REPLAY_SEEDS", 4..8) {
        let ((first, played), (second, again)) = (run(seed), run(seed));
        let parted = first.iter().zip(&second).position(|(one, other)| one != other);
        let at = parted.map(|at| &first[at.saturating_sub(3)..=at]);
        assert_eq!(at, None, "seed {seed}, which parts in step {parted:?}");
        assert_eq!((first.len(), played), (second.len(), again), "seed {seed}");
        first.into_iter().for_each(|(what, _)| *seen.entry(what).or_default() += 1);
    }
    for what in ["event", "outputs", "entry", "append", "sync", "read", "put", "get"] {
        assert!(seen.get(what).is_some_and(|times| *times > 50), "of {what} too little is seen: {seen:?}");
    }
    assert_ne!(run(4).0.last(), run(5).0.last());
}
