//! Any objects in a bucket, with heads that are whole: a typed error or a store that works, never a panic, and what it gives out is a
//! shard of the name and hash that it says.
#![no_main]
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use terachat_cluster::{BucketOptions, BucketStore, MemoryObjects, ShardStore};
use terachat_fuzz::Counter;
use terachat_shard::{Counts, Shard, StripeId};

#[derive(Arbitrary, Debug)]
struct Object {
    number: u8,
    shards: u8,
    drops: u8,
    /// The lists, and what is behind the head.
    rest: Vec<u8>,
    /// The head gets no hash that fits.
    rotten: bool,
}

impl Object {
    fn name(&self) -> String {
        format!("{:016x}-{:032x}", self.number, self.number)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![1, 0, 0, 0, self.shards % 8, 0, 0, 0, self.drops % 8, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend_from_slice(&u64::from(self.number).to_le_bytes());
        bytes.extend_from_slice(&u128::from(self.number).to_be_bytes());
        let lists = usize::from(self.shards % 8) * 56 + usize::from(self.drops % 8) * 17;
        let (lists, behind) = self.rest.split_at(lists.min(self.rest.len()));
        bytes.extend_from_slice(lists);
        let hash = match self.rotten {
            true => [0; 32],
            false => blake3::derive_key("terachat 2026-11 shard object", &bytes),
        };
        [&bytes[..], &hash, behind].concat()
    }
}

fuzz_target!(|objects: Vec<Object>| {
    let bucket = MemoryObjects::default();
    objects.iter().take(16).for_each(|object| bucket.replace(&object.name(), Some(object.bytes())));
    let options = BucketOptions { object_len: 4 << 10 };
    let (mut store, _) =
        BucketStore::open(Box::new(bucket.clone()), options.clone()).expect("version 1, or rotten");
    while !store.scrub(1 << 20).expect("the bucket is well").through {}
    let mut kept: BTreeMap<(StripeId, u8), Vec<u8>> = BTreeMap::new();
    for held in store.held().collect::<Vec<_>>() {
        let name = (held.stripe, held.index);
        let Ok(Some(bytes)) = store.get_all(&[name]).remove(0) else { continue };
        let shard = Shard::decode(&bytes).expect("it was compared");
        assert_eq!((shard.stripe(), shard.index(), shard.hash()), (name.0, name.1, held.hash));
        kept.insert(name, bytes);
    }
    let counts = Counts::new(4, 2).expect("there is such a code");
    let shard = Shard::new(StripeId([1; 16]), counts, 1, b"payload").expect("it is small");
    // Another may be kept under its name.
    if store.put(&[shard], &mut Counter::default()).is_ok() {
        kept.insert((shard.stripe(), 1), shard.encode());
    }
    for _ in 0..8 {
        store.compact(90, 1 << 20, &mut Counter::default()).expect("the bucket is well");
    }
    let (store, _) = BucketStore::open(Box::new(bucket), options).expect("it was opened before");
    for (name, bytes) in kept {
        assert_eq!(store.get_all(&[name]).remove(0), Ok(Some(bytes)));
    }
});
