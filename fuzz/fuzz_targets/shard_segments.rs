//! A node's shards after something happened to its files: a typed error or a store that works, never a panic, and what it gives out
//! is what was put.
#![no_main]
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use terachat_cluster::{Options, SegmentStore};
use terachat_fuzz::Counter;
use terachat_fuzz::damage::{Damage, apply};
use terachat_shard::{Counts, Shard, StripeId};
use terachat_storage::CrashStorage;

#[derive(Arbitrary, Debug)]
enum Step {
    Put(u8, u8),
    GiveUp(u8, u8),
    Compact(u8),
}

#[derive(Arbitrary, Debug)]
struct Input {
    steps: Vec<Step>,
    damage: Vec<Damage>,
}

/// The payload that this shard has whenever it is put.
fn payload(stripe: u8, index: u8) -> Vec<u8> {
    vec![stripe ^ index; 1 + usize::from(stripe) * 9]
}

fn open(disk: &CrashStorage) -> Option<SegmentStore> {
    Some(SegmentStore::open(Box::new(disk.clone()), Options { segment_len: 4 << 10 }).ok()?.0)
}

fn put(store: &mut SegmentStore, stripe: u8, index: u8) {
    let payload = payload(stripe, index);
    let counts = Counts::new(4, 2).expect("there is such a code");
    let shard = Shard::new(StripeId([stripe; 16]), counts, index % 6, &payload).expect("it is small");
    // Two indices may be one shard's, with another payload.
    let _ = store.put(&[shard], &mut Counter::default());
}

fuzz_target!(|input: Input| {
    let mut disk = CrashStorage::new(0);
    let mut store = open(&disk).expect("an empty folder opens");
    for step in input.steps.iter().take(64) {
        match step {
            Step::Put(stripe, index) => put(&mut store, *stripe, *index),
            Step::GiveUp(stripe, index) => {
                let names = [(StripeId([*stripe; 16]), index % 6)];
                store.give_up(&names, &mut Counter::default()).expect("the disk is well");
            }
            Step::Compact(percent) => {
                store.compact(*percent, 1 << 20, &mut Counter::default()).expect("the disk is well");
            }
        }
    }
    drop(store);
    input.damage.iter().take(8).for_each(|damage| apply(&mut disk, damage));
    let Some(mut store) = open(&disk) else { return };
    while !store.scrub(1 << 20).expect("the disk is well").through {}
    for held in store.held().collect::<Vec<_>>() {
        let Ok(found) = store.get(held.stripe, held.index) else { continue };
        let bytes = found.expect("it is held");
        let shard = Shard::decode(&bytes).expect("it was compared");
        assert!(
            (0..=u8::MAX).any(|index| payload(held.stripe.0[0], index) == shard.payload()),
            "nobody put this"
        );
    }
    put(&mut store, 1, 1);
});
