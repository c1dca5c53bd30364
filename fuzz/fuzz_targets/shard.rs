//! Shards, and what a stripe's record says of them. What is read is written as the same bytes.
#![no_main]
use libfuzzer_sys::fuzz_target;
use terachat_shard::{Shard, StripeRecord};

fuzz_target!(|bytes: &[u8]| {
    let Ok(shard) = Shard::decode(bytes) else { return };
    assert_eq!(shard.encode(), bytes);
    let shards = shard.counts().indices().map(|_| (shard.hash(), None)).collect();
    let len = (shard.payload().len() * shard.counts().data()) as u64;
    // Its own record takes it at its place; a shard can be longer than a stripe's may be together.
    if let Ok(record) = StripeRecord::new(shard.stripe(), shard.counts(), len, shards) {
        assert_eq!(record.accept(shard.index(), bytes), Ok(shard));
    }
});
