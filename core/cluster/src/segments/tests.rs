//! `TERACHAT_SEGMENT_SEEDS=FROM..TO` plays other power cuts than the few hundred of each run.
mod damage;
mod model;
mod power_cuts;
mod worn;

use super::{Key, Options, SegmentStore};
use crate::shards::suite::{Place, conforms};
pub(super) use crate::testing::Dice;
use crate::{ShardStore, Sound, Usage};
use std::collections::BTreeMap;
use terachat_shard::{Counts, Shard, StripeId};
use terachat_storage::{CrashStorage, Storage};

/// A shard as its bytes, of this stripe and with this much of a payload that its numbers decide.
pub(super) fn shard(stripe: u8, index: u8, len: usize) -> Vec<u8> {
    let mut payload = vec![0; len];
    blake3::Hasher::new().update(&[stripe, index]).finalize_xof().fill(&mut payload);
    let counts = Counts::new(4, 2).unwrap();
    Shard::new(StripeId([stripe; 16]), counts, index, &payload).unwrap().encode()
}

pub(super) fn open(storage: &(impl Storage + Clone + 'static)) -> SegmentStore {
    open_with(storage, 4 << 10)
}

pub(super) fn open_with(storage: &(impl Storage + Clone + 'static), segment_len: u32) -> SegmentStore {
    SegmentStore::open(Box::new(storage.clone()), Options { segment_len }).unwrap().0
}

pub(super) fn put(store: &mut SegmentStore, shards: &[&[u8]], dice: &mut Dice) -> Result<(), crate::Error> {
    let shards: Vec<Shard<'_>> = shards.iter().map(|bytes| Shard::decode(bytes).unwrap()).collect();
    store.put(&shards, dice)
}

/// That the store has exactly these shards.
pub(super) fn holds(store: &SegmentStore, expected: &BTreeMap<Key, Vec<u8>>) {
    let held: Vec<Key> = store.held().map(|held| (held.stripe, held.index)).collect();
    assert_eq!(held, expected.keys().copied().collect::<Vec<_>>());
    for (key, bytes) in expected {
        assert_eq!(store.get(key.0, key.1).as_ref(), Ok(&Some(bytes.clone())), "{key:?}");
    }
    counts_right(store);
}

/// What is counted with each change is what counting everything comes to.
pub(super) fn counts_right(store: &SegmentStore) {
    let mut usage = Usage { shards: 0, rotten: 0, live_bytes: 0, ..store.usage() };
    for held in store.held() {
        usage.shards += 1;
        usage.rotten += u64::from(held.sound == Sound::Rotten);
        usage.live_bytes += u64::from(held.len);
    }
    assert_eq!(store.usage(), usage);
}

struct OnADisk(CrashStorage);

impl Place for OnADisk {
    fn open(&mut self) -> Box<dyn ShardStore> {
        Box::new(open_with(&self.0, 16 << 10))
    }

    fn rot(&mut self, bytes: &[u8]) {
        for file in self.0.list().unwrap() {
            let len = self.0.size(&file).unwrap().unwrap() as usize;
            let mut content = self.0.read(&file, 0, len).unwrap();
            if let Some(at) = content.windows(bytes.len()).position(|window| window == bytes) {
                content[at + bytes.len() - 1] ^= 1;
                self.0.replace(&file, &content).unwrap();
            }
        }
    }
}

#[test]
fn conforms_as_a_store_in_a_bucket_does() {
    conforms(&mut || Box::new(OnADisk(CrashStorage::new(1))));
}

/// What lies in closed segments is not read to open them, and then so much at once as is asked for.
#[test]
fn what_is_to_be_counted_is_read_in_steps() {
    let (storage, mut dice) = (CrashStorage::new(1), Dice(1));
    let mut store = open(&storage);
    let shards: Vec<Vec<u8>> = (1..=9).map(|stripe| shard(stripe, 0, 2000)).collect();
    shards.iter().for_each(|bytes| put(&mut store, &[bytes], &mut dice).unwrap());
    drop(store);
    let mut store = open(&storage);
    let (first, last) = (StripeId([2; 16]), StripeId([5; 16]));
    let unread = |store: &SegmentStore| {
        store.count(first, last).iter().filter(|held| held.sound == Sound::Unknown).count()
    };
    let len = shards[0].len() as u64;
    assert_eq!(unread(&store), 4);
    for (budget, bytes, left) in [(1, len, 3), (len + 1, 2 * len, 1), (u64::MAX, len, 0), (1, 0, 0)] {
        assert_eq!((store.verify(first, last, budget), unread(&store)), (Ok(bytes), left), "{budget}");
    }
    assert_eq!(store.count(first, last).len(), 4);
    assert_eq!(store.verify(last, first, u64::MAX), Ok(0));
}
