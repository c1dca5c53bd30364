//! Whatever is done, in any order and with the store opened anew at any time: it holds what a map would.
use super::*;
use crate::testing::steps::{Step, steps};
use crate::{Compacted, Sound};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn it_holds_what_a_map_would(steps in steps(), seed: u64) {
        let (objects, mut dice) = (MemoryObjects::default(), Dice(seed));
        let (mut store, mut map) = (open(&objects), BTreeMap::new());
        for step in steps {
            match step {
                Step::Put(names) => {
                    // A name that is taken keeps its bytes: another length is another shard.
                    let mut fresh = map.clone();
                    let shards: Vec<Vec<u8>> = names.iter().map(|(s, i, len)| shard(*s, *i, *len)).collect();
                    let mut taken = false;
                    for ((stripe, index, _), bytes) in names.iter().zip(&shards) {
                        let kept = fresh.entry((StripeId([*stripe; 16]), *index)).or_insert_with(|| bytes.clone());
                        taken |= kept != bytes;
                    }
                    let shards: Vec<&[u8]> = shards.iter().map(|bytes| &bytes[..]).collect();
                    let done = put(&mut store, &shards, &mut dice);
                    prop_assert_eq!(matches!(done, Err(Error::Taken { .. })), taken);
                    if !taken {
                        map = fresh;
                    }
                }
                Step::GiveUp(names) => {
                    let names: Vec<Key> = names.iter().map(|(s, i)| (StripeId([*s; 16]), *i)).collect();
                    let before = map.len();
                    map.retain(|key, _| !names.contains(key));
                    prop_assert_eq!(store.give_up(&names, &mut dice), Ok(before - map.len()));
                }
                Step::Compact(percent, budget) => drop(store.compact(percent, budget, &mut dice).unwrap()),
                Step::Scrub(budget) => prop_assert_eq!(store.scrub(budget).unwrap().rotten, vec![]),
                Step::Reopen => {
                    let usage = store.usage();
                    store = open(&objects);
                    prop_assert_eq!(store.usage(), usage);
                }
            }
            holds(&store, &map);
        }
        while !store.scrub(10_000).unwrap().through {}
        prop_assert!(store.held().all(|held| held.sound == Sound::Yes));
        // Compaction comes to an end, and what it leaves is little more than what counts.
        for round in 0.. {
            prop_assert!(round < 1000, "compaction goes on for ever");
            if store.compact(99, 4000, &mut dice).unwrap() == Compacted::default() {
                break;
            }
        }
        holds(&open(&objects), &map);
        let usage = store.usage();
        let there: u64 = super::super::Objects::list(&objects).unwrap().iter().map(|(_, len)| len).sum();
        prop_assert_eq!(usage.disk_bytes, there);
        // Each object and each shard has something of its own, and what is 99 % alive is left.
        let bound = usage.live_bytes * 100 / 99 + 80 * (usage.shards + usage.segments) + 100 * usage.segments;
        prop_assert!(there <= bound, "{} bytes for {:?}", there, usage);
    }
}
