//! The control log as a pure function of the set of its events: whatever order they come in.
mod archive;
mod devices;
mod explain;
mod naive;
mod orders;
mod permissions;
mod plain_roles;
mod schedules;
mod vectors;

use super::*;
use crate::crdt::Stamp;
use crate::model::{Card, ControlTransaction, Permission, Pin, Revocation, vouched};
use proptest::prelude::*;
use terachat_event::DeviceKey;
use terachat_vault::Secret;

struct Person {
    user: DeviceKey,
    device: DeviceKey,
    card: Card,
}

fn person(n: u8) -> Person {
    let device = DeviceKey::from_seed(&Secret::take(&mut [n; 32]));
    let user = DeviceKey::from_seed(&Secret::take(&mut [n ^ 0x80; 32]));
    let card = Card::issue(&user, &format!("p{n}"), &device);
    Person { user, device, card }
}

/// What one replica knows and appends to; hashes are made up, signatures are checked elsewhere.
#[derive(Default, Clone)]
struct Replica {
    events: Vec<ControlEvent>,
}

impl Replica {
    fn log(&self) -> ControlLog {
        let mut log = ControlLog::default();
        self.events.iter().for_each(|event| log.insert(event.clone()));
        log
    }

    fn append(&mut self, by: &Person, ops: Vec<ControlOp>) -> EventHash {
        let parents = self.log().heads();
        let author = by.device.id();
        let lamport = self.events.iter().map(|event| event.stamp.lamport).max().unwrap_or(0) + 1;
        let seq = self.events.iter().filter(|event| event.stamp.author == author).count() as u64 + 1;
        let bytes = [
            &author.0[..],
            &seq.to_le_bytes(),
            &lamport.to_le_bytes(),
            &ControlTransaction(ops.clone()).encode(),
        ]
        .concat();
        let hash = EventHash(*blake3::hash(&bytes).as_bytes());
        let stamp = Stamp { lamport, author, seq };
        let transaction = ControlTransaction(ops);
        let vouched = vouched(std::iter::once(&transaction))[0];
        self.events.push(ControlEvent { stamp, hash, parents, transaction, wall_ms: 0, vouched });
        hash
    }

    fn merge(&mut self, other: &Self) {
        for event in &other.events {
            if !self.events.iter().any(|known| known.hash == event.hash) {
                self.events.push(event.clone());
            }
        }
    }
}

fn founded(people: &[Person], ranks: &[u8]) -> Replica {
    let mut replica = Replica::default();
    replica.append(
        &people[0],
        vec![ControlOp::Genesis { name: "s".into(), owner: people[0].card.clone(), salt: [0; 16] }],
    );
    for (person, rank) in people[1..].iter().zip(ranks) {
        let admit = ControlOp::Admit {
            card: person.card.clone(),
            rank: Rank::new(*rank).unwrap(),
            key_package: vec![],
        };
        replica.append(&people[0], vec![admit]);
    }
    replica
}

fn remove(person: &Person) -> ControlOp {
    ControlOp::Remove { user: person.card.user, pins: Vec::<Pin>::new() }
}

fn revoke(person: &Person) -> ControlOp {
    let revocation = Revocation::issue(&person.user, person.device.id(), None);
    ControlOp::RevokeDevice { revocation, pins: Vec::new() }
}

fn rank_of(log: &ControlLog, person: &Person) -> Option<u8> {
    log.state().rank_of(&person.device.id()).map(Rank::get)
}

#[test]
fn a_removal_voids_what_its_target_did_without_knowing_of_it() {
    let people: Vec<Person> = (1..5).map(person).collect();
    let (mut a, mut b) = (founded(&people, &[80, 10]), Replica::default());
    b.merge(&a);
    a.append(&people[0], vec![remove(&people[1])]);
    // B, removed meanwhile, promotes a friend and lets another in.
    let promote = ControlOp::SetRank { user: people[2].card.user, rank: Rank::MODERATOR, pins: vec![] };
    b.append(&people[1], vec![promote]);
    let admit = ControlOp::Admit { card: people[3].card.clone(), rank: Rank::MEMBER, key_package: vec![] };
    b.append(&people[1], vec![admit]);
    assert_eq!(rank_of(&b.log(), &people[2]), Some(50));
    a.merge(&b);
    b.merge(&a);
    for replica in [&a, &b] {
        let log = replica.log();
        assert_eq!(
            (rank_of(&log, &people[1]), rank_of(&log, &people[2]), rank_of(&log, &people[3])),
            (None, Some(10), None)
        );
    }
}

#[test]
fn of_removals_that_cut_each_other_off_the_higher_rank_holds() {
    let people: Vec<Person> = (1..4).map(person).collect();
    // A (100) makes B (50) an admin; C (80), who has not heard of it, removes B while B removes C.
    let mut base = founded(&people, &[50, 80]);
    let mut c = base.clone();
    let raise = ControlOp::SetRank { user: people[1].card.user, rank: Rank::new(90).unwrap(), pins: vec![] };
    base.append(&people[0], vec![raise]);
    let mut b = base.clone();
    b.append(&people[1], vec![remove(&people[2])]);
    c.append(&people[2], vec![remove(&people[1])]);
    b.merge(&c);
    c.merge(&b);
    for replica in [&b, &c] {
        let log = replica.log();
        assert_eq!(
            (rank_of(&log, &people[1]), rank_of(&log, &people[2])),
            (Some(90), None),
            "rank 90 beats 80"
        );
    }
}

#[test]
fn nobody_rises_by_any_route() {
    let people: Vec<Person> = (1..5).map(person).collect();
    let base = founded(&people, &[50, 10]);
    let user = |n: usize| people[n].card.user;
    let set = |n: usize, rank: u8| ControlOp::SetRank {
        user: user(n),
        rank: Rank::new(rank).unwrap(),
        pins: vec![],
    };
    let admit = |rank: u8| ControlOp::Admit {
        card: people[3].card.clone(),
        rank: Rank::new(rank).unwrap(),
        key_package: vec![],
    };
    for (by, ops) in [
        (2, vec![set(2, 100)]),
        (2, vec![admit(5)]),
        (1, vec![set(1, 60)]),
        (1, vec![admit(50)]),
        (1, vec![admit(49), set(0, 10)]),
        (2, vec![remove(&people[0])]),
        (1, vec![ControlOp::Genesis { name: "x".into(), owner: people[1].card.clone(), salt: [0; 16] }]),
        (3, vec![ControlOp::CreateChannel { name: "x".into() }]),
    ] {
        let mut replica = base.clone();
        let hash = replica.append(&people[by], ops.clone());
        let (log, before) = (replica.log(), base.log());
        assert_eq!(log.state(), before.state(), "{ops:?} by {by}");
        assert!(log.events().any(|(event, verdict)| event.hash == hash && verdict != Verdict::Counts));
    }
}

#[track_caller]
fn same(kept: &Resolved, anew: &Resolved) {
    assert_eq!(kept.state, anew.state);
    assert_eq!((&kept.void, &kept.orphans), (&anew.void, &anew.orphans));
}

/// Compares a log with the rules written down plainly.
#[track_caller]
fn by_the_rules(log: &ControlLog) {
    let events: Vec<ControlEvent> = log.nodes.iter().map(|node| node.event.clone()).collect();
    let (state, verdicts) = naive::resolve(&events, &log.frozen);
    let found: Vec<_> = log.events().map(|(event, verdict)| (event.hash, verdict)).collect();
    assert_eq!(found, verdicts);
    assert_eq!(*log.state(), state);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    /// Three admins act on three replicas that meet now and then; every order of delivery gives one state.
    #[test]
    fn any_causal_order_gives_one_state(steps in prop::collection::vec((0..3usize, 0..8u8, 0..5usize, 0..100u8, 0..4u8), 1..14), shuffles in prop::collection::vec(any::<u64>(), 3)) {
        let people: Vec<Person> = (1..6).map(person).collect();
        let base = founded(&people, &[80, 60, 10]);
        let mut replicas = vec![base; 3];
        for (at, what, target, rank, meet) in steps {
            let op = match what {
                0 => remove(&people[target]),
                1 | 2 => ControlOp::SetRank { user: people[target].card.user, rank: Rank::new(rank).unwrap(), pins: vec![] },
                3 => ControlOp::Admit { card: people[target].card.clone(), rank: Rank::new(rank).unwrap(), key_package: vec![] },
                4 => revoke(&people[target]),
                5 | 6 => {
                    // Of few roles, so that they are somebody's.
                    let role = Rank::new([80, 60, 10, 50, 70][target]).unwrap();
                    let changed = Permissions::from_bits(u64::from(rank) << 1);
                    let (give, take) = match what {
                        5 => (Permissions::NONE, changed),
                        _ => (changed, Permissions::from(Permission::Post).without(changed)),
                    };
                    ControlOp::ChangeRole { rank: role, give, take, pins: vec![] }
                }
                _ => ControlOp::CreateChannel { name: format!("c{rank}") },
            };
            replicas[at].append(&people[at], vec![op]);
            if meet == 0 {
                let other = replicas[(at + 1) % 3].clone();
                replicas[at].merge(&other);
            }
        }
        let mut all = replicas[0].clone();
        all.merge(&replicas[1]);
        all.merge(&replicas[2]);
        let expected = all.log();
        for (event, verdict) in expected.events() {
            let told = expected.explain(&event.hash, &BTreeMap::new()).expect("it is here");
            prop_assert_eq!(told.verdict, verdict, "an explanation explains what is so");
        }
        for seed in shuffles {
            // A random topological order: of those whose parents are in, one by the seed.
            let (mut left, mut log, mut state) = (all.events.clone(), ControlLog::default(), seed);
            while !left.is_empty() {
                let ready: Vec<usize> = (0..left.len()).filter(|at| left[*at].parents.iter().all(|parent| log.contains(parent))).collect();
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                log.insert(left.remove(ready[(state >> 33) as usize % ready.len()]));
            }
            prop_assert_eq!(log.state(), expected.state());
            by_the_rules(&log);
            let verdicts = |log: &ControlLog| log.events().map(|(event, verdict)| (event.hash, verdict)).collect::<Vec<_>>();
            prop_assert_eq!(verdicts(&log), verdicts(&expected));
            prop_assert_eq!(log.epochs(&BTreeSet::new()), expected.epochs(&BTreeSet::new()));
            for checkpoint in log.checkpoints.iter() {
                let tip = log.nodes.iter().find(|node| node.event.stamp.event() == checkpoint.tip).unwrap();
                let anew = log.resolve_noting(&[tip.event.hash], |_| {});
                same(&checkpoint.resolved, &anew);
                prop_assert_eq!(checkpoint.len, log.inside(&[tip.event.hash]).len());
            }
            // What checkpoints and views led to is what all events lead to from the beginning.
            for heads in log.nodes.iter().map(|node| vec![node.event.hash]).chain([log.heads()]).collect::<Vec<_>>() {
                same(&log.view_at(&heads).resolved, &log.resolve_noting(&heads, |_| {}));
            }
            same(log.current(), &log.resolve_noting(&log.heads(), |_| {}));
        }
    }
}

#[test]
fn a_settled_log_is_restored_as_it_was() {
    let owner = person(1);
    let mut replica = founded(std::slice::from_ref(&owner), &[]);
    replica.append(&owner, vec![ControlOp::CreateChannel { name: "c".into() }]);
    let take = Permission::Pin.into();
    let change = ControlOp::ChangeRole { rank: Rank::MODERATOR, give: Permissions::NONE, take, pins: vec![] };
    replica.append(&owner, vec![change]);
    let mut log = replica.log();
    let authors = log.settled().expect("every event counts");
    let mut restored = ControlLog::restore(replica.events.clone(), &authors, log.shared_state());
    assert_eq!((restored.state(), restored.heads()), (log.state(), log.heads()));
    assert_eq!(restored.settled(), log.settled());
    for event in &replica.events {
        assert_eq!(restored.state_at(&[event.hash]), log.state_at(&[event.hash]));
    }
}
