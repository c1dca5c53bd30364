//! Rot: bytes that change, files that are gone. It costs what it touches and nothing else, and what it touches is told.
use super::super::frame::{HEAD_LEN, Kind, write_drops};
use super::super::segment::Segment;
use super::*;
use crate::{Error, Sound};
use proptest::prelude::*;
use terachat_shard::SHARD_HEADER_LEN;
use terachat_storage::MemoryStorage;

const STRIPES: u8 = 12;

/// A store's files, with shards, drops and a compaction behind it, and what it holds.
fn filled() -> (MemoryStorage, BTreeMap<Key, Vec<u8>>) {
    let (disk, mut dice) = (Shared::default(), Dice(1));
    let mut store = open(&disk);
    let mut kept = BTreeMap::new();
    for stripe in 0..STRIPES {
        for index in 0..2 {
            let bytes = shard(stripe, index, 300 + usize::from(stripe) * 40);
            put(&mut store, &[&bytes], &mut dice).unwrap();
            kept.insert((StripeId([stripe; 16]), index), bytes);
        }
        if stripe % 4 == 3 {
            let gone = (StripeId([stripe - 2; 16]), 0);
            store.give_up(&[gone], &mut dice).unwrap();
            kept.remove(&gone);
        }
    }
    store.compact(90, 100_000, &mut dice).unwrap();
    holds(&store, &kept);
    drop(store);
    (disk.0.lock().unwrap().clone(), kept)
}

/// Files that several stores may have, one after the other.
#[derive(Clone, Default)]
struct Shared(std::sync::Arc<std::sync::Mutex<MemoryStorage>>);

impl Storage for Shared {
    fn append(&mut self, file: &str, bytes: &[u8]) -> Result<u64, terachat_storage::StorageError> {
        self.0.lock().unwrap().append(file, bytes)
    }
    fn read(&self, file: &str, offset: u64, len: usize) -> Result<Vec<u8>, terachat_storage::StorageError> {
        self.0.lock().unwrap().read(file, offset, len)
    }
    fn size(&self, file: &str) -> Result<Option<u64>, terachat_storage::StorageError> {
        self.0.lock().unwrap().size(file)
    }
    fn sync(&mut self, file: &str) -> Result<(), terachat_storage::StorageError> {
        self.0.lock().unwrap().sync(file)
    }
    fn truncate(&mut self, file: &str, len: u64) -> Result<(), terachat_storage::StorageError> {
        self.0.lock().unwrap().truncate(file, len)
    }
    fn replace(&mut self, file: &str, bytes: &[u8]) -> Result<(), terachat_storage::StorageError> {
        self.0.lock().unwrap().replace(file, bytes)
    }
    fn remove(&mut self, file: &str) -> Result<(), terachat_storage::StorageError> {
        self.0.lock().unwrap().remove(file)
    }
    fn list(&self) -> Result<Vec<String>, terachat_storage::StorageError> {
        self.0.lock().unwrap().list()
    }
}

/// Shards that are whole in a store over these files, and those it knows to be rotten. What it gives out is what was put.
fn survivors(disk: &MemoryStorage, all: &BTreeMap<Key, Vec<u8>>) -> (usize, usize) {
    let mut store = SegmentStore::open(Box::new(disk.clone()), Options { segment_len: 4 << 10 }).unwrap().0;
    while !store.scrub(1 << 20).unwrap().through {}
    let mut whole = 0;
    for held in store.held().collect::<Vec<_>>() {
        match store.get(held.stripe, held.index) {
            Ok(bytes) => {
                assert_eq!(held.sound, Sound::Yes);
                let key = (held.stripe, held.index);
                // One that was given up may be back if the drop that said so is what has rotted.
                let known = all
                    .get(&key)
                    .cloned()
                    .unwrap_or_else(|| shard(key.0.0[0], key.1, 300 + usize::from(key.0.0[0]) * 40));
                assert_eq!(bytes, Some(known));
                whole += usize::from(all.contains_key(&key));
            }
            Err(error) => {
                assert_eq!(error, Error::Rotten { stripe: held.stripe, index: held.index });
                assert_eq!(held.sound, Sound::Rotten);
            }
        }
    }
    counts_right(&store);
    (whole, store.usage().rotten as usize)
}

/// Every byte of every file, one after the other.
#[test]
fn a_byte_that_changes_costs_at_most_one_shard() {
    let (disk, kept) = filled();
    for file in disk.list().unwrap() {
        let len = disk.size(&file).unwrap().unwrap();
        for at in (0..len).step_by(3) {
            let mut bytes = disk.read(&file, 0, len as usize).unwrap();
            bytes[at as usize] ^= 0x40;
            let mut rotten = disk.clone();
            rotten.replace(&file, &bytes).unwrap();
            let (whole, _) = survivors(&rotten, &kept);
            assert!(whole + 1 >= kept.len(), "byte {at} of {file}: {whole} of {} are left", kept.len());
        }
    }
}

#[test]
fn rot_in_a_shard_is_told_and_a_sound_one_takes_its_place() {
    let (disk, kept) = filled();
    let shared = Shared(std::sync::Arc::new(std::sync::Mutex::new(disk)));
    let (key, bytes) = kept.first_key_value().unwrap();
    for file in shared.list().unwrap().into_iter().filter(|file| file.starts_with("shard-")) {
        let len = shared.size(&file).unwrap().unwrap() as usize;
        let mut content = shared.read(&file, 0, len).unwrap();
        let found = content.windows(bytes.len()).position(|window| window == &bytes[..]);
        let Some(at) = found else { continue };
        content[at + bytes.len() - 1] ^= 1;
        shared.clone().replace(&file, &content).unwrap();
    }
    let mut store = open(&shared);
    let rotten = Error::Rotten { stripe: key.0, index: key.1 };
    assert_eq!(store.get(key.0, key.1), Err(rotten));
    store.condemn(key.0, key.1);
    counts_right(&store);
    assert_eq!(store.usage().rotten, 1);
    // A copy of it would pass for a sound one, so its segment is left alone.
    let mut dice = Dice(2);
    for _ in 0..50 {
        store.compact(100, 100_000, &mut dice).unwrap();
    }
    assert_eq!(store.usage().rotten, 1);
    put(&mut store, &[bytes], &mut dice).unwrap();
    assert_eq!(store.usage().rotten, 0);
    holds(&store, &kept);
    holds(&open(&shared), &kept);
}

#[test]
fn without_a_manifest_everything_that_was_kept_is_found() {
    let (disk, kept) = filled();
    let mut lost = disk.clone();
    lost.remove("shards").unwrap();
    let (store, opened) = SegmentStore::open(Box::new(lost), Options { segment_len: 4 << 10 }).unwrap();
    assert!(opened.rebuilt);
    for (key, bytes) in &kept {
        assert_eq!(store.get(key.0, key.1), Ok(Some(bytes.clone())));
    }
}

#[test]
fn a_segment_that_is_gone_costs_its_shards() {
    let (disk, kept) = filled();
    for file in disk.list().unwrap().into_iter().filter(|file| file.starts_with("shard-")) {
        let mut lost = disk.clone();
        lost.remove(&file).unwrap();
        let (store, opened) = SegmentStore::open(Box::new(lost), Options { segment_len: 4 << 10 }).unwrap();
        assert_eq!(opened.missing, 1);
        assert!(store.held().count() < kept.len() + 3);
    }
}

/// Whoever writes shards writes what looks like a frame into one, at the place where it will stand: that another is given up.
#[test]
fn a_frame_inside_of_a_shard_is_not_taken_for_a_node_s_own() {
    let (disk, mut dice) = (Shared::default(), Dice(1));
    let mut store = open_with(&disk, 1 << 20);
    put(&mut store, &[&shard(9, 0, 100)], &mut dice).unwrap();
    let begin = store.segments[&0].len;
    let mut payload = vec![0; 8];
    let salt_of_another = Segment::new(0, &[0; 16]);
    let body_at = begin + (HEAD_LEN + SHARD_HEADER_LEN) as u64;
    salt_of_another.key.write(
        &mut payload,
        body_at,
        Kind::Drop,
        [&write_drops(&[(StripeId([9; 16]), 0)]), &[]],
    );
    assert_eq!((body_at + 8) % 16, 0, "frames stand there");
    let counts = Counts::new(4, 2).unwrap();
    let evil = Shard::new(StripeId([1; 16]), counts, 0, &payload).unwrap().encode();
    put(&mut store, &[&evil, &shard(8, 0, 100)], &mut dice).unwrap();
    drop(store);
    // Its own frame rots, so that the next is looked for inside of it.
    let file = "shard-00000000";
    let mut bytes = disk.read(file, 0, disk.size(file).unwrap().unwrap() as usize).unwrap();
    bytes[begin as usize] ^= 0xff;
    disk.clone().replace(file, &bytes).unwrap();
    let store = open_with(&disk, 1 << 20);
    assert_eq!(store.get(StripeId([1; 16]), 0), Ok(None));
    for kept in [8, 9] {
        assert_eq!(store.get(StripeId([kept; 16]), 0), Ok(Some(shard(kept, 0, 100))));
    }
}

/// A compaction copies a shard, and before it is synced the power goes: of the copy a part is there, of what follows all. The shard
/// that it was made of is still there.
#[test]
fn a_copy_in_part_does_not_take_the_place_of_the_whole() {
    let (disk, mut dice) = (Shared::default(), Dice(1));
    let mut store = open(&disk);
    let all: Vec<Vec<u8>> = (0..4).map(|stripe| shard(stripe, 0, 1000)).collect();
    for bytes in &all {
        put(&mut store, &[bytes], &mut dice).unwrap();
    }
    store.give_up(&[(StripeId([0; 16]), 0)], &mut dice).unwrap();
    let before = disk.0.lock().unwrap().clone();
    let freed = store.compact(99, 100_000, &mut dice).unwrap();
    assert!(freed.copied > 0 && freed.freed > 0);
    drop(store);
    // The files are those of before, and behind the end of the open one is what the compaction wrote, a byte of its first shard lost.
    let (file, open_len) = ("shard-00000001", before.size("shard-00000001").unwrap().unwrap() as usize);
    let after = disk.0.lock().unwrap().clone();
    let mut bytes = after.read(file, 0, after.size(file).unwrap().unwrap() as usize).unwrap();
    assert!(bytes.len() > open_len + 2000, "it copied two");
    bytes[open_len + 500] ^= 1;
    let mut cut = before;
    cut.replace(file, &bytes).unwrap();
    let (store, _) = SegmentStore::open(Box::new(cut), Options { segment_len: 4 << 10 }).unwrap();
    for (stripe, bytes) in (0..).zip(&all).skip(1) {
        assert_eq!(store.get(StripeId([stripe; 16]), 0), Ok(Some(bytes.clone())), "{stripe}");
    }
}

/// Wherever a power cut has ended the file, in the last shard, its zeros or before: what comes next is found again.
#[test]
fn what_is_written_behind_a_torn_end_is_there() {
    for len in [301, 307, 312] {
        let (disk, mut dice) = (Shared::default(), Dice(1));
        let mut store = open(&disk);
        let (first, torn, next) = (shard(1, 0, len), shard(2, 0, len), shard(3, 0, len));
        put(&mut store, &[&first], &mut dice).unwrap();
        let before = disk.size("shard-00000000").unwrap().unwrap();
        put(&mut store, &[&torn], &mut dice).unwrap();
        let end = disk.size("shard-00000000").unwrap().unwrap();
        drop(store);
        let whole = disk.0.lock().unwrap().clone();
        for cut in before..end {
            let disk = Shared(std::sync::Arc::new(std::sync::Mutex::new(whole.clone())));
            disk.clone().truncate("shard-00000000", cut).unwrap();
            put(&mut open(&disk), &[&next], &mut dice).unwrap();
            let store = open(&disk);
            let kept =
                [(1, &first), (3, &next)].map(|(stripe, bytes)| ((StripeId([stripe; 16]), 0), bytes.clone()));
            holds(&store, &kept.into());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Any bytes in any file: an error that is typed, or a store that works.
    #[test]
    fn any_bytes_open_or_are_refused(files in prop::collection::btree_map("shards|shard-0000000[0-4]", prop::collection::vec(any::<u8>(), 0..3000), 0..5)) {
        let mut disk = MemoryStorage::new();
        for (file, bytes) in &files {
            disk.replace(file, bytes).unwrap();
        }
        if let Ok((mut store, _)) = SegmentStore::open(Box::new(disk), Options { segment_len: 4 << 10 }) {
            put(&mut store, &[&shard(1, 1, 100)], &mut Dice(1)).unwrap();
            prop_assert_eq!(store.get(StripeId([1; 16]), 1).unwrap(), Some(shard(1, 1, 100)));
        }
    }
}
