//! The one test suite that every [`ShardStore`] passes, for other crates' tests as well. It panics on the first breach.
use super::{Compacted, Held, ShardStore, Sound};
use crate::Error;
use std::collections::BTreeMap;
use terachat_shard::{Counts, Shard, StripeId};
use terachat_vault::Entropy;

/// Where a store's shards lie.
pub trait Place {
    /// The store over what lies there. The one that was opened before is gone by then.
    fn open(&mut self) -> Box<dyn ShardStore>;

    /// Flips a bit of the last of these bytes, wherever they lie. No store is open.
    fn rot(&mut self, bytes: &[u8]);
}

/// Checks everything [`ShardStore`] promises while the process does not end and nothing fails. `fresh` gives an empty place at each call.
///
/// # Panics
/// When a promise does not hold, saying which.
pub fn conforms<'p>(fresh: &mut dyn FnMut() -> Box<dyn Place + 'p>) {
    keeps_and_gives(&mut *fresh());
    keeps_one_shard_under_a_name(&mut *fresh());
    gives_up(&mut *fresh());
    counts(&mut *fresh());
    tells_what_rots(&mut *fresh());
    has_space_back(&mut *fresh());
}

/// Bytes that are a number's.
struct Numbers(u64);

impl Entropy for Numbers {
    fn fill(&mut self, out: &mut [u8]) {
        self.0 += 1;
        blake3::Hasher::new().update(&self.0.to_le_bytes()).finalize_xof().fill(out);
    }
}

fn shard(stripe: u8, index: u8, len: usize) -> Vec<u8> {
    let mut payload = vec![0; len];
    blake3::Hasher::new().update(&[stripe, index]).finalize_xof().fill(&mut payload);
    let counts = Counts::new(4, 2).expect("there is such a code");
    Shard::new(id(stripe), counts, index, &payload).expect("it is short enough").encode()
}

fn id(stripe: u8) -> StripeId {
    StripeId([stripe; 16])
}

fn put(store: &mut dyn ShardStore, shards: &[&[u8]]) -> Result<(), Error> {
    let shards: Vec<Shard<'_>> =
        shards.iter().map(|bytes| Shard::decode(bytes).expect("it was made here")).collect();
    store.put(&shards, &mut Numbers(store.usage().shards))
}

fn ok<T>(result: Result<T, Error>) -> T {
    result.expect("this call conforms, so the store must carry it out")
}

fn give_up(store: &mut dyn ShardStore, shards: &[(StripeId, u8)]) -> usize {
    ok(store.give_up(shards, &mut Numbers(9)))
}

fn all(store: &mut dyn ShardStore) -> Vec<Held> {
    ok(store.verify(id(0), id(u8::MAX), u64::MAX));
    store.count(id(0), id(u8::MAX))
}

/// That it has exactly these shards.
#[track_caller]
fn holds(store: &mut dyn ShardStore, expected: &BTreeMap<(StripeId, u8), Vec<u8>>) {
    let names: Vec<(StripeId, u8)> = expected.keys().copied().collect();
    let held = all(store);
    assert_eq!(held.iter().map(|held| (held.stripe, held.index)).collect::<Vec<_>>(), names);
    for ((name, bytes), got) in expected.iter().zip(store.get_all(&names)) {
        assert!(got.as_ref() == Ok(&Some(bytes.clone())), "{name:?}: {:?}", got.map(|got| got.is_some()));
    }
    let usage = store.usage();
    assert_eq!(usage.shards, names.len() as u64);
    assert_eq!(usage.live_bytes, expected.values().map(|bytes| bytes.len() as u64).sum::<u64>());
}

fn keeps_and_gives(place: &mut dyn Place) {
    let mut store = place.open();
    assert!(all(&mut *store).is_empty() && store.get_all(&[]).is_empty());
    assert_eq!(store.get_all(&[(id(1), 0)]), [Ok(None)]);
    ok(put(&mut *store, &[]));
    let mut kept = BTreeMap::new();
    for stripe in 1..9 {
        // Of all lengths, several in a call.
        let shards: Vec<Vec<u8>> = (0..6)
            .map(|index| shard(stripe, index, 1 + usize::from(stripe) * 700 * usize::from(index)))
            .collect();
        ok(put(&mut *store, &shards.iter().map(|bytes| &bytes[..]).collect::<Vec<_>>()));
        kept.extend(shards.into_iter().zip(0..).map(|(bytes, index)| ((id(stripe), index), bytes)));
    }
    let long = shard(9, 1, 5 << 20);
    ok(put(&mut *store, &[&long]));
    kept.insert((id(9), 1), long);
    holds(&mut *store, &kept);
    // In any order, also twice, with some that are not there in between.
    let asked = [(id(3), 2), (id(77), 0), (id(3), 1), (id(3), 2), (id(1), 0), (id(3), 7)];
    let expected: Vec<_> = asked.iter().map(|name| Ok(kept.get(name).cloned())).collect();
    assert!(store.get_all(&asked) == expected, "each answer stands where its question stood");
    assert_eq!(store.places(id(3)), [0, 1, 2, 3, 4, 5]);
    assert!(store.places(id(10)).is_empty());
    drop(store);
    holds(&mut *place.open(), &kept);
}

fn keeps_one_shard_under_a_name(place: &mut dyn Place) {
    let mut store = place.open();
    let (first, other) = (shard(1, 0, 100), shard(1, 0, 200));
    ok(put(&mut *store, &[&first]));
    ok(put(&mut *store, &[&first, &first]));
    let usage = store.usage();
    ok(put(&mut *store, &[&first]));
    assert_eq!(store.usage(), usage, "what is kept is not written again");
    let taken = Err(Error::Taken { stripe: id(1), index: 0 });
    assert_eq!(put(&mut *store, &[&shard(2, 0, 10), &other]), taken);
    assert!(store.places(id(2)).is_empty(), "none of the call is kept");
    // When the first was given up, the name is free.
    assert_eq!(give_up(&mut *store, &[(id(1), 0)]), 1);
    ok(put(&mut *store, &[&other]));
    let kept = BTreeMap::from([((id(1), 0), other)]);
    holds(&mut *store, &kept);
    drop(store);
    holds(&mut *place.open(), &kept);
}

fn gives_up(place: &mut dyn Place) {
    let mut store = place.open();
    let mut kept: BTreeMap<_, _> =
        (1..=20).map(|stripe| ((id(stripe), stripe % 4), shard(stripe, stripe % 4, 900))).collect();
    let shards: Vec<&[u8]> = kept.values().map(|bytes| &bytes[..]).collect();
    ok(put(&mut *store, &shards));
    assert_eq!(give_up(&mut *store, &[]), 0);
    let gone: Vec<_> = kept.keys().copied().take(12).collect();
    let nobody = [(id(1), 3), (id(99), 0), gone[0]];
    assert_eq!(give_up(&mut *store, &[&gone[..], &nobody].concat()), 12, "only what was there, each once");
    assert_eq!(give_up(&mut *store, &gone), 0);
    kept.retain(|name, _| !gone.contains(name));
    holds(&mut *store, &kept);
    drop(store);
    let mut store = place.open();
    holds(&mut *store, &kept);
    // It may come again.
    let back = shard(1, 1, 900);
    ok(put(&mut *store, &[&back]));
    kept.insert((id(1), 1), back);
    drop(store);
    holds(&mut *place.open(), &kept);
}

fn counts(place: &mut dyn Place) {
    let mut store = place.open();
    let shards: Vec<Vec<u8>> = (1..=9).map(|stripe| shard(stripe, 0, 1000)).collect();
    ok(put(&mut *store, &shards.iter().map(|bytes| &bytes[..]).collect::<Vec<_>>()));
    drop(store);
    let mut store = place.open();
    let unread = |store: &dyn ShardStore| {
        let held = store.count(id(3), id(5));
        held.iter().filter(|held| held.sound == Sound::Unknown).count()
    };
    while ok(store.verify(id(3), id(5), 1)) > 0 {}
    assert_eq!(unread(&*store), 0);
    assert_eq!(ok(store.verify(id(5), id(3), u64::MAX)), 0);
    let held = store.count(id(3), id(5));
    assert_eq!(held.iter().map(|held| held.stripe).collect::<Vec<_>>(), [id(3), id(4), id(5)]);
    for held in held {
        let bytes = &shards[usize::from(held.stripe.0[0]) - 1];
        let hash = Shard::decode(bytes).expect("it was made here").hash();
        assert_eq!((held.hash, held.len as usize, held.sound), (hash, bytes.len(), Sound::Yes));
    }
    assert!(store.count(id(5), id(3)).is_empty());
    // Everything is read once, a little at a time, and then it begins anew.
    let (mut bytes, mut steps) = (0, 0);
    loop {
        let step = ok(store.scrub(2500));
        assert!(step.rotten.is_empty());
        (bytes, steps) = (bytes + step.bytes, steps + 1);
        if step.through {
            break;
        }
    }
    assert!(bytes == 9 * 1056 && steps > 2, "{bytes} bytes in {steps} steps");
    assert_eq!(ok(store.scrub(1)).bytes, 1056);
    // Or when it is told to.
    store.rewind();
    let step = ok(store.scrub(u64::MAX));
    assert_eq!((step.bytes, step.through), (9 * 1056, true));
}

fn tells_what_rots(place: &mut dyn Place) {
    let mut store = place.open();
    let kept: BTreeMap<_, _> = (1..=6).map(|stripe| ((id(stripe), 0), shard(stripe, 0, 2000))).collect();
    let shards: Vec<&[u8]> = kept.values().map(|bytes| &bytes[..]).collect();
    ok(put(&mut *store, &shards));
    drop(store);
    place.rot(&kept[&(id(2), 0)]);
    place.rot(&kept[&(id(5), 0)]);
    let mut store = place.open();
    let rotten = |stripe| Err(Error::Rotten { stripe: id(stripe), index: 0 });
    let got = store.get_all(&[(id(1), 0), (id(2), 0), (id(3), 0)]);
    assert!(got[1] == rotten(2) && got[0].is_ok() && got[2].is_ok());
    store.condemn(id(2), 0);
    // What was read when the store was opened is known already.
    assert!((1..=2).contains(&store.usage().rotten));
    assert!(store.places(id(2)).is_empty(), "a rotten one is in nobody's way");
    let step = ok(store.scrub(1 << 20));
    assert!(step.through && step.rotten == [(id(2), 0), (id(5), 0)], "{step:?}");
    let sound = |held: &Held| (held.stripe.0[0], held.sound == Sound::Yes);
    let held: Vec<(u8, bool)> = all(&mut *store).iter().map(sound).collect();
    assert_eq!(held, [(1, true), (2, false), (3, true), (4, true), (5, false), (6, true)]);
    // No copy is made of it that would pass for a sound one.
    for _ in 0..20 {
        ok(store.compact(100, 1 << 20, &mut Numbers(7)));
    }
    assert_eq!(store.usage().rotten, 2);
    // A sound one takes its place; the other is given up.
    ok(put(&mut *store, &[&kept[&(id(2), 0)]]));
    assert_eq!(give_up(&mut *store, &[(id(5), 0)]), 1);
    let left: BTreeMap<_, _> = kept.into_iter().filter(|(name, _)| name.0 != id(5)).collect();
    assert_eq!(store.usage().rotten, 0);
    holds(&mut *store, &left);
    drop(store);
    holds(&mut *place.open(), &left);
}

fn has_space_back(place: &mut dyn Place) {
    let mut store = place.open();
    let mut kept = BTreeMap::new();
    for stripe in 1..=60 {
        let bytes = shard(stripe, 0, 3000);
        ok(put(&mut *store, &[&bytes]));
        kept.insert((id(stripe), 0), bytes);
    }
    let full = store.usage().disk_bytes;
    let gone: Vec<_> = kept.keys().filter(|name| name.0.0[0] % 5 != 0).copied().collect();
    for some in gone.chunks(3) {
        assert_eq!(give_up(&mut *store, some), some.len());
    }
    kept.retain(|name, _| !gone.contains(name));
    for round in 0.. {
        assert!(round < 1000, "compaction goes on for ever");
        let step = ok(store.compact(90, 20_000, &mut Numbers(round)));
        if step == Compacted::default() {
            break;
        }
        if round % 5 == 0 {
            holds(&mut *store, &kept);
        }
    }
    holds(&mut *store, &kept);
    let usage = store.usage();
    assert!(usage.disk_bytes < full / 2, "{} of {full} bytes are left for {usage:?}", usage.disk_bytes);
    drop(store);
    let mut store = place.open();
    holds(&mut *store, &kept);
    assert!(!all(&mut *store).iter().any(|held| gone.contains(&(held.stripe, held.index))));
}
