//! Whatever is done, in any order and with the store opened anew at any time: it holds what a map would.
use super::*;
use crate::testing::steps::{Step, steps};
use crate::{Error, Sound};
use proptest::prelude::*;
use terachat_storage::CrashStorage;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn it_holds_what_a_map_would(steps in steps(), seed: u64) {
        let (disk, mut dice) = (CrashStorage::new(seed), Dice(seed));
        let (mut store, mut map) = (open(&disk), BTreeMap::new());
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
                Step::Compact(percent, budget) => {
                    store.compact(percent, budget, &mut dice).unwrap();
                }
                Step::Scrub(budget) => prop_assert_eq!(store.scrub(budget).unwrap().rotten, vec![]),
                Step::Reopen => store = open(&disk),
            }
            holds(&store, &map);
        }
        while !store.scrub(10_000).unwrap().through {}
        prop_assert!(store.held().all(|held| held.sound == Sound::Yes));
        // Compaction comes to an end, and what it leaves is little more than what counts.
        for round in 0.. {
            prop_assert!(round < 1000, "compaction goes on for ever");
            let step = store.compact(99, 4000, &mut dice).unwrap();
            if step == crate::Compacted::default() {
                break;
            }
        }
        holds(&open(&disk), &map);
        let on_disk: u64 = disk.list().unwrap().iter().filter(|file| file.starts_with("shard-")).map(|file| disk.size(file).unwrap().unwrap()).sum();
        prop_assert_eq!(store.usage().disk_bytes, on_disk);
        let usage = store.usage();
        // The open segment may have waste; each segment and shard has something of its own.
        let bound = usage.live_bytes + 200 * (usage.shards + usage.segments) + (8 << 10);
        prop_assert!(on_disk <= bound, "{} bytes for {:?}", on_disk, usage);
    }
}

/// Opening a node that has much does not read it.
#[test]
fn closed_segments_are_not_read_when_the_store_is_opened() {
    let (disk, mut dice) = (CrashStorage::new(1), Dice(1));
    let mut store = open_with(&disk, 64 << 10);
    for stripe in 0..100 {
        put(&mut store, &[&shard(stripe, 0, 10_000)], &mut dice).unwrap();
    }
    assert!(store.usage().segments > 10);
    let (store, opened) =
        SegmentStore::open(Box::new(disk.clone()), Options { segment_len: 64 << 10 }).unwrap();
    assert!(opened.scanned <= 64 << 10, "{opened:?}");
    assert_eq!((opened.cut, opened.unreadable, opened.without_index), (0, 0, 0));
    assert_eq!(store.usage().shards, 100);
}

#[test]
fn many_shards_share_one_sync() {
    let (disk, mut dice) = (CrashStorage::new(1), Dice(1));
    let mut store = open_with(&disk, 1 << 20);
    put(&mut store, &[&shard(0, 0, 10)], &mut dice).unwrap();
    let before = disk.syncs();
    let shards: Vec<Vec<u8>> = (1..50).map(|stripe| shard(stripe, 0, 100)).collect();
    put(&mut store, &shards.iter().map(|bytes| &bytes[..]).collect::<Vec<_>>(), &mut dice).unwrap();
    assert_eq!(disk.syncs(), before + 1);
}
