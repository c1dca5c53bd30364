//! Stories by a seed, of several who decide at once, against each other and by old knowledge: in whatever order they arrive, what
//! the log gives is what the rules give. `TERACHAT_SCHEDULE_SEEDS=FROM..TO` plays other stories than those of each run.
use super::*;
use crate::model::{GroupCommit, Held, Named, Permission, Permissions, ReInit, Renewal};
use crate::testing::{Dice, seeds};
use std::ops::Range;

const SEEDS: Range<u64> = 0..60;
const STEPS: u64 = 26;
const ORDERS: usize = 4;

struct Story {
    dice: Dice,
    people: Vec<Person>,
    known: Vec<Replica>,
    /// Whether devices are taken back: then nothing is added beside others, and all is settled.
    revokes: bool,
    /// Whether roles are changed.
    changes_roles: bool,
    /// Whether archives are required, which nobody then removes, and what is held.
    archives: bool,
}

/// Nobody here looks into it.
fn reinit(suite: u16) -> ReInit {
    let commit = GroupCommit {
        previous: EventHash([0; 32]),
        epoch: 1,
        message: Vec::new(),
        welcome: Vec::new(),
        tree: [0; 32],
        links: Vec::new(),
    };
    ReInit { suite, commit, ratchet_tree: Vec::new() }
}

impl Story {
    fn play(seed: u64) -> Self {
        let dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let people: Vec<Person> = (1..10).map(person).collect();
        let mut base = founded(&people[..6], &[80, 80, 60, 50, 10]);
        let give = [Permission::ManageArchive, Permission::ManageSuite].into_iter().collect();
        let change = |rank| ControlOp::ChangeRole {
            rank: Rank::new(rank).unwrap(),
            give,
            take: Permissions::NONE,
            pins: Vec::new(),
        };
        if seed % 5 < 2 {
            // A guest may be an archive, and administrators say so.
            let guest =
                ControlOp::Admit { card: people[6].card.clone(), rank: Rank::GUEST, key_package: Vec::new() };
            base.append(&people[0], vec![change(80), change(60), guest]);
        }
        let known = people.iter().map(|_| base.clone()).collect();
        let (revokes, changes_roles, archives) = (seed.is_multiple_of(3), seed % 4 < 2, seed % 5 < 2);
        let mut story = Self { dice, people, known, revokes, changes_roles, archives };
        (0..STEPS).for_each(|_| story.step());
        story
    }

    fn step(&mut self) {
        let by = self.dice.below(self.people.len() as u64) as usize;
        if self.dice.below(3) == 0 {
            let from = self.known[self.dice.below(6) as usize].clone();
            return self.known[by].merge(&from);
        }
        let is_known = self.known[by].log().names(&self.people[by].device.id());
        if is_known {
            let ops = (0..=self.dice.below(8) / 7).map(|_| self.operation(by)).collect();
            self.known[by].append(&self.people[by], ops);
        }
    }

    fn operation(&mut self, by: usize) -> ControlOp {
        let whom = self.dice.below(self.people.len() as u64) as usize;
        if self.revokes && self.dice.below(8) == 0 {
            return revoke(&self.people[whom]);
        }
        let user = self.people[whom].card.user;
        let rank = Rank::new([0, 10, 30, 50, 60, 80, 90][self.dice.below(7) as usize]).unwrap();
        let channels: Vec<ChannelId> = self.known[by].log().state().channels.keys().copied().collect();
        let channel = self.dice.pick(&channels).copied();
        if self.changes_roles && self.dice.below(4) == 0 {
            let of = self.people[whom].device.id();
            let some =
                |dice: &mut Dice| Permissions::from_bits(1 << dice.below(Permission::ALL.len() as u64 + 1));
            let (first, second) = (some(&mut self.dice), some(&mut self.dice));
            let (give, take) = match self.dice.below(4) {
                0 => (first, Permissions::NONE),
                1 => (first, second.without(first)),
                _ => (Permissions::NONE, first.with(second)),
            };
            let pins = vec![Pin { channel, device: of, seq: self.dice.below(9), hash: EventHash([0; 32]) }];
            return ControlOp::ChangeRole { rank, give, take, pins };
        }
        if self.archives && self.dice.below(4) == 0 {
            let (device, required) = (self.people[whom].device.id(), self.dice.below(3) > 0);
            let on = match channel.filter(|_| self.dice.below(2) == 0) {
                Some(channel) => Held::Channel(channel),
                None => Held::Member(user),
            };
            return match self.dice.below(7) {
                0 => ControlOp::WantSuite { suite: self.dice.below(3) as u16 },
                1 => ControlOp::ReInit(reinit(self.dice.below(3) as u16)),
                2 => ControlOp::Hold { on, stands: required },
                3 => ControlOp::SetRenewal(Renewal { days: 1 + self.dice.below(3) as u16, messages: 100 }),
                _ => ControlOp::RequireArchive { device, required },
            };
        }
        match (self.dice.below(11), channel) {
            (0..2, _) => remove(&self.people[whom]),
            (2..5, _) => {
                let pins = vec![Pin {
                    channel,
                    device: self.people[whom].device.id(),
                    seq: self.dice.below(9),
                    hash: EventHash([0; 32]),
                }];
                ControlOp::SetRank { user, rank, pins }
            }
            // Who is there already, or is admitted by somebody else at this moment.
            (5..7, _) => {
                ControlOp::Admit { card: self.people[whom].card.clone(), rank, key_package: Vec::new() }
            }
            // A further device, which was somebody else's or is one that decides by itself.
            (7, _) => {
                let owner = DeviceKey::from_seed(&Secret::take(&mut [(whom as u8 + 1) ^ 0x80; 32]));
                let device = &self.people[self.dice.below(9) as usize].device;
                let card = Card::issue(&owner, "further", device);
                ControlOp::Admit { card, rank, key_package: Vec::new() }
            }
            (8, Some(channel)) => ControlOp::Place { channel, category: None, after: None },
            (9, Some(channel)) => {
                ControlOp::SetName { of: Named::Channel(channel), name: format!("by {by}") }
            }
            (10, Some(_)) => ControlOp::SetName { of: Named::Space, name: format!("by {by}") },
            _ => ControlOp::CreateChannel { name: format!("by {by}") },
        }
    }

    /// All events in an order in which they may arrive.
    fn arrivals(&mut self) -> Vec<ControlEvent> {
        let mut all = Replica::default();
        self.known.iter().for_each(|known| all.merge(known));
        let (mut left, mut arrived) = (all.events, Vec::<ControlEvent>::new());
        while !left.is_empty() {
            let is_ready = |event: &ControlEvent| {
                event.parents.iter().all(|parent| arrived.iter().any(|event| event.hash == *parent))
            };
            let ready: Vec<usize> = (0..left.len()).filter(|at| is_ready(&left[*at])).collect();
            let next = *self.dice.pick(&ready).expect("a story has no rings");
            arrived.push(left.remove(next));
        }
        arrived
    }
}

#[test]
fn what_is_added_beside_others_is_what_the_rules_give() {
    let (mut added, mut settled) = (0, 0);
    for seed in seeds("TERACHAT_SCHEDULE_SEEDS", SEEDS) {
        eprintln!("story {seed}");
        let mut story = Story::play(seed);
        for _ in 0..ORDERS {
            let mut log = ControlLog::default();
            let arrivals = story.arrivals();
            let proof = story.dice.below(2 * arrivals.len() as u64) as usize;
            for (at, event) in arrivals.into_iter().enumerate() {
                if at == proof {
                    let forked = story.people[story.dice.below(5) as usize].device.id();
                    log.freeze(forked, 1 + story.dice.below(6));
                }
                let before = log.heads().into_iter().filter(|head| !event.parents.contains(head)).count();
                log.insert(event);
                match (before, log.current.get()) {
                    (0, _) => {}
                    (_, Some(_)) => added += 1,
                    (_, None) => settled += 1,
                }
                // Somebody looks, at times.
                if story.dice.below(3) > 0 {
                    same(log.current(), &log.resolve_noting(&log.heads(), |_| {}));
                }
            }
            by_the_rules(&log);
            let heads: Vec<_> = log.nodes.iter().map(|node| vec![node.event.hash]).collect();
            for heads in heads {
                same(&log.view_at(&heads).resolved, &log.resolve_noting(&heads, |_| {}));
            }
        }
    }
    assert!(added > 100 && settled > 100, "{added} added beside others, {settled} settled again");
}
