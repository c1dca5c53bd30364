//! Objects that change, are cut or are gone. It costs what it touches and nothing else, and what it touches is told.
use super::super::Objects;
use super::*;
use crate::Sound;
use proptest::prelude::*;

const STRIPES: u8 = 12;

fn bytes_of(key: &Key) -> Vec<u8> {
    shard(key.0.0[0], key.1, 300 + usize::from(key.0.0[0]) * 40)
}

/// Names and bytes of objects, and the shards that a store over them has.
type Filled = (Vec<(String, Vec<u8>)>, BTreeMap<Key, Vec<u8>>);

/// A bucket with shards, drops and compactions behind it, and what it holds.
fn filled() -> Filled {
    let (objects, mut dice) = (MemoryObjects::default(), Dice(1));
    let (mut store, mut kept) = (open(&objects), BTreeMap::new());
    for stripe in 0..STRIPES {
        let keys = [0, 1].map(|index| (StripeId([stripe; 16]), index));
        let shards = keys.map(|key| bytes_of(&key));
        put(&mut store, &[&shards[0], &shards[1]], &mut dice).unwrap();
        kept.extend(keys.into_iter().zip(shards));
        if stripe % 4 == 3 {
            let gone = (StripeId([stripe - 2; 16]), 0);
            store.give_up(&[gone], &mut dice).unwrap();
            kept.remove(&gone);
            store.compact(90, 3_000, &mut dice).unwrap();
        }
    }
    holds(&store, &kept);
    let all = objects.list().unwrap();
    let bytes = |(name, _): (String, u64)| (name.clone(), objects.object(&name).unwrap());
    (all.into_iter().map(bytes).collect(), kept)
}

fn bucket(objects: &[(String, Vec<u8>)]) -> MemoryObjects {
    let bucket = MemoryObjects::default();
    objects.iter().for_each(|(name, bytes)| bucket.replace(name, Some(bytes.clone())));
    bucket
}

/// How many shards are whole in what is there. What is given out is what was put, and what is not whole is known to be rotten.
fn survivors(objects: &MemoryObjects, all: &BTreeMap<Key, Vec<u8>>) -> usize {
    let mut store = open(objects);
    while !store.scrub(1 << 20).unwrap().through {}
    let mut whole = 0;
    for held in store.held().collect::<Vec<_>>() {
        let key = (held.stripe, held.index);
        match get(&store, key) {
            Ok(bytes) => {
                assert_eq!(held.sound, Sound::Yes);
                // One that was given up may be back if the drop that said so is what is lost.
                assert_eq!(bytes, Some(bytes_of(&key)));
                whole += usize::from(all.contains_key(&key));
            }
            Err(error) => {
                assert_eq!(error, Error::Rotten { stripe: key.0, index: key.1 });
                assert_eq!(held.sound, Sound::Rotten);
            }
        }
    }
    whole
}

#[test]
fn a_byte_that_changes_costs_a_shard_or_what_one_object_has() {
    let (objects, kept) = filled();
    let most =
        objects.iter().map(|(_, bytes)| u32::from_le_bytes(bytes[4..8].try_into().unwrap())).max().unwrap();
    for (name, bytes) in &objects {
        let payload: u64 = 40 + u64::from(u32::from_le_bytes(bytes[4..8].try_into().unwrap())) * 56 + 32;
        for at in (0..bytes.len()).step_by(3) {
            let rotten = bucket(&objects);
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x40;
            rotten.replace(name, Some(bytes));
            let whole = survivors(&rotten, &kept);
            let may = if at as u64 > payload + 17 * 12 { 1 } else { most as usize };
            assert!(whole + may >= kept.len(), "byte {at} of {name}: {whole} of {} are left", kept.len());
        }
    }
}

/// One that the service does not give, whatever is done, costs its shards: it does not hold up the others. While the service gives nothing,
/// nothing is lost.
#[test]
fn an_object_that_is_never_given_costs_what_it_has() {
    let (objects, kept) = filled();
    let payloads = |bytes: &[u8]| {
        kept.values().filter(|shard| bytes.windows(shard.len()).any(|part| part == &shard[..])).count()
    };
    for (name, bytes) in objects.iter().filter(|(_, bytes)| payloads(bytes) > 0) {
        let there = bucket(&objects);
        let mut store = open(&there);
        let count =
            |store: &BucketStore, sound: Sound| store.held().filter(|held| held.sound == sound).count();
        there.fail_reads(true);
        assert!(store.scrub(1 << 20).is_err());
        assert_eq!(count(&store, Sound::Rotten), 0);
        there.fail_reads(false);
        there.hold_back(name);
        while !store.scrub(1 << 20).unwrap().through {}
        let lost = count(&store, Sound::Rotten);
        assert!(lost > 0 && lost <= payloads(bytes), "{name}: {lost} of {}", payloads(bytes));
        assert_eq!(count(&store, Sound::Yes) + lost, kept.len());
        store.rewind();
        let whole = (StripeId([0; 16]), StripeId([0xff; 16]));
        assert!(store.verify(whole.0, whole.1, u64::MAX).is_ok());
    }
}

#[test]
fn an_object_that_is_cut_or_gone_costs_what_is_missing() {
    let (objects, kept) = filled();
    for (name, bytes) in &objects {
        for len in (0..bytes.len()).step_by(41) {
            let cut = bucket(&objects);
            cut.replace(name, Some(bytes[..len].to_vec()));
            assert!(survivors(&cut, &kept) + bytes.len() / 356 >= kept.len());
            // Gone while the store is open.
            let mut store = open(&cut);
            cut.replace(name, None);
            while !store.scrub(1 << 20).unwrap().through {}
            let rotten: Vec<Key> = store
                .held()
                .filter(|held| held.sound == Sound::Rotten)
                .map(|held| (held.stripe, held.index))
                .collect();
            let mut dice = Dice(7);
            for key in rotten {
                put(&mut store, &[&bytes_of(&key)], &mut dice).unwrap();
            }
            assert_eq!(store.usage().rotten, 0);
            while store.compact(99, 8_000, &mut dice).unwrap() != crate::Compacted::default() {}
            assert!(open(&cut).held().all(|held| held.sound != Sound::Rotten));
        }
    }
}

/// What is in the middle of an object is read with what is beside it; if the object has become short, what is left of it is found.
#[test]
fn what_is_left_of_a_short_object_is_found() {
    let (objects, mut dice) = (MemoryObjects::default(), Dice(1));
    let mut store = open(&objects);
    let shards: Vec<Vec<u8>> = (0..5).map(|stripe| shard(stripe, 0, 1000)).collect();
    put(&mut store, &shards.iter().map(|bytes| &bytes[..]).collect::<Vec<_>>(), &mut dice).unwrap();
    let (name, len) = objects.list().unwrap().remove(0);
    let bytes = objects.object(&name).unwrap();
    objects.replace(&name, Some(bytes[..len as usize - 1500].to_vec()));
    let rotten = store.scrub(1 << 20).unwrap().rotten;
    assert_eq!(rotten, [3, 4].map(|stripe| (StripeId([stripe; 16]), 0)));
    let (store, opened) = BucketStore::open(Box::new(objects.clone()), BucketOptions::default()).unwrap();
    assert_eq!((opened.objects, opened.short, store.usage().rotten), (1, 1, 2));
}

/// Other objects in the bucket, and one under another's name, are left alone and are nobody's shards.
#[test]
fn strangers_objects_are_left_alone() {
    let (objects, kept) = filled();
    let there = bucket(&objects);
    there.replace("readme.txt", Some(b"hello".to_vec()));
    let other = "00000000000000ff-00000000000000000000000000000001";
    there.replace(other, Some(objects[0].1.clone()));
    let (store, opened) =
        BucketStore::open(Box::new(there.clone()), BucketOptions { object_len: 16 << 10 }).unwrap();
    assert_eq!((opened.strangers, opened.unreadable), (1, 1));
    holds(&store, &kept);
    assert!(there.object("readme.txt").is_some() && there.object(other).is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Any bytes in any object: an error that is typed, or a store that works.
    #[test]
    fn any_bytes_open_or_are_refused(objects in prop::collection::btree_map("000000000000000[0-4]-0000000000000000000000000000000[0-2]", prop::collection::vec(any::<u8>(), 0..3000), 0..5)) {
        let bucket = MemoryObjects::default();
        for (name, bytes) in objects {
            bucket.replace(&name, Some(bytes));
        }
        let mut store = open(&bucket);
        put(&mut store, &[&shard(1, 1, 100)], &mut Dice(1)).unwrap();
        prop_assert_eq!(get(&store, (StripeId([1; 16]), 1)).unwrap(), Some(shard(1, 1, 100)));
    }
}
