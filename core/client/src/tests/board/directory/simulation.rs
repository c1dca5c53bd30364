//! Many who invite one person, in any order, with a board that keeps its word: no single-use key package is used twice, every
//! invitation is heard, and the newcomer is in every space in the end.
use super::*;
use std::collections::BTreeMap;

const HOSTS: [&str; 6] = ["h0", "h1", "h2", "h3", "h4", "h5"];

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

fn play(seed: u64, spaces: usize, syncs: bool) -> usize {
    let mut random = Random(seed);
    let mut board = MemoryBoard::new();
    let mut world = World::new(&HOSTS);
    world.enter("bob", 50 + seed);
    world.offer("bob", &mut board, false);
    let mut open: Vec<(&'static str, String)> = Vec::new();
    for nth in 0..spaces {
        let host = HOSTS[nth % HOSTS.len()];
        world.founds(host, &format!("s{nth}"), false);
        open.push((host, format!("s{nth}")));
    }
    let all = open.clone();
    let mut last_resort = 0;
    while !open.is_empty() {
        match random.below(8) {
            0..=4 => {
                let at = usize::try_from(random.below(open.len() as u64)).unwrap();
                let (host, space) = open.swap_remove(at);
                last_resort += world.invite_person(host, &space, "bob", &mut board).last_resort;
            }
            5 if syncs => {
                world.fetch("bob", &board);
                world.publish("bob", &mut board);
            }
            6 if syncs => {
                world.fetch("bob", &board);
            }
            _ => world.now += random.below(2 * DAY_MS),
        }
    }
    world.fetch("bob", &board);
    let user = world.user("bob");
    let mut used: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for (host, space) in &all {
        for by in world.admitted_by(host, space, &user) {
            *used.entry(by).or_default() += 1;
        }
    }
    assert_eq!(used.values().sum::<usize>(), spaces, "seed {seed}");
    for (by, times) in used {
        let of_last_resort = terachat_group::KeyPackage::parse(&by).unwrap().is_last_resort();
        assert!(times == 1 || of_last_resort, "seed {seed}: a single-use key package was used {times} times");
    }
    for (_, space) in &all {
        world.ask("bob", Request::Join { invitation: space.clone() });
    }
    world.fetch("bob", &board);
    for (host, space) in &all {
        world.is_heard("bob", space, host, &mut board);
    }
    last_resort
}

#[test]
fn no_key_package_is_used_twice_and_the_newcomer_always_joins() {
    for seed in 0..4 {
        play(seed, 12, true);
    }
}

/// More than there are while nobody replenishes: the one of last resort serves for the rest.
#[test]
fn more_invitations_than_key_packages_all_arrive() {
    let last_resort: usize = (10..12).map(|seed| play(seed, 24, false)).sum();
    assert_eq!(last_resort, 2 * (24 - SINGLE_USE));
}
