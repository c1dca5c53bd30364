//! `TERACHAT_BUCKET_SEEDS=FROM..TO` plays other failures than the hundred of each run.
mod damage;
mod failures;
mod model;

use super::{BucketOptions, BucketStore, MemoryObjects};
use crate::shards::Key;
use crate::shards::suite::{Place, conforms};
use crate::testing::Dice;
use crate::{Error, ShardStore};
use std::collections::BTreeMap;
use terachat_shard::{Counts, Shard, StripeId};

/// A shard as its bytes, of this stripe and with this much of a payload that its numbers decide.
fn shard(stripe: u8, index: u8, len: usize) -> Vec<u8> {
    let mut payload = vec![0; len];
    blake3::Hasher::new().update(&[stripe, index]).finalize_xof().fill(&mut payload);
    let counts = Counts::new(4, 2).unwrap();
    Shard::new(StripeId([stripe; 16]), counts, index, &payload).unwrap().encode()
}

fn open(objects: &MemoryObjects) -> BucketStore {
    BucketStore::open(Box::new(objects.clone()), BucketOptions { object_len: 16 << 10 }).unwrap().0
}

fn put(store: &mut BucketStore, shards: &[&[u8]], dice: &mut Dice) -> Result<(), Error> {
    let shards: Vec<Shard<'_>> = shards.iter().map(|bytes| Shard::decode(bytes).unwrap()).collect();
    store.put(&shards, dice)
}

fn get(store: &BucketStore, key: Key) -> Result<Option<Vec<u8>>, Error> {
    store.get_all(&[key]).remove(0)
}

/// That the store has exactly these shards.
fn holds(store: &BucketStore, expected: &BTreeMap<Key, Vec<u8>>) {
    let held: Vec<Key> = store.held().map(|held| (held.stripe, held.index)).collect();
    assert_eq!(held, expected.keys().copied().collect::<Vec<_>>());
    for (key, got) in held.iter().zip(store.get_all(&held)) {
        assert_eq!(got.as_ref(), Ok(&Some(expected[key].clone())), "{key:?}");
    }
}

struct InMemory(MemoryObjects);

impl Place for InMemory {
    fn open(&mut self) -> Box<dyn ShardStore> {
        Box::new(open(&self.0))
    }

    fn rot(&mut self, bytes: &[u8]) {
        for (name, _) in super::Objects::list(&self.0).unwrap() {
            let mut object = self.0.object(&name).unwrap();
            if let Some(at) = object.windows(bytes.len()).position(|window| window == bytes) {
                object[at + bytes.len() - 1] ^= 1;
                self.0.replace(&name, Some(object));
            }
        }
    }
}

#[test]
fn conforms_as_a_store_on_a_disk_does() {
    conforms(&mut || Box::new(InMemory(MemoryObjects::default())));
}

#[test]
fn the_shards_of_a_call_are_one_object() {
    let (objects, mut dice) = (MemoryObjects::default(), Dice(1));
    let mut store = open(&objects);
    let shards: Vec<Vec<u8>> = (0..60).map(|stripe| shard(stripe, 0, 100)).collect();
    put(&mut store, &shards.iter().map(|bytes| &bytes[..]).collect::<Vec<_>>(), &mut dice).unwrap();
    assert_eq!((objects.calls(), store.usage().segments), (1, 1));
    // More than fits into one object are several.
    let long: Vec<Vec<u8>> = (0..5).map(|stripe| shard(stripe, 1, 6_000)).collect();
    put(&mut store, &long.iter().map(|bytes| &bytes[..]).collect::<Vec<_>>(), &mut dice).unwrap();
    assert_eq!(store.usage().segments, 4);
    let gone: Vec<Key> = (0..60).map(|stripe| (StripeId([stripe; 16]), 0)).collect();
    assert_eq!(store.give_up(&gone, &mut dice), Ok(60));
    assert_eq!(objects.calls(), 5);
}

#[test]
fn options_have_bounds() {
    for (object_len, fits) in [(4095, false), (4096, true), (64 << 20, true), ((64 << 20) + 1, false)] {
        let opened = BucketStore::open(Box::new(MemoryObjects::default()), BucketOptions { object_len });
        assert_eq!(opened.err(), (!fits).then_some(Error::ObjectLen(object_len)));
    }
}

/// Many small objects become few, and each shard is copied some few times.
#[test]
fn small_objects_are_put_together() {
    let (objects, mut dice) = (MemoryObjects::default(), Dice(1));
    let (mut store, mut kept, mut copied) = (open(&objects), BTreeMap::new(), 0);
    for number in 0..=255u8 {
        let bytes = shard(number, 0, 200);
        put(&mut store, &[&bytes], &mut dice).unwrap();
        kept.insert((StripeId([number; 16]), 0), bytes);
        copied += store.compact(60, 8 << 20, &mut dice).unwrap().copied;
    }
    holds(&store, &kept);
    let usage = store.usage();
    assert!(usage.segments < 20, "{usage:?}");
    assert!(copied < 3 * usage.live_bytes, "{copied} of {usage:?}");
    holds(&open(&objects), &kept);
}
