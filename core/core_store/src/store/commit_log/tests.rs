// Test data is small, and noise is meant to be cut to a byte.
#![allow(clippy::cast_possible_truncation)]
use super::*;
use crate::store::storage::{CrashStorage, Fault, MemoryStorage};
use crate::store::{StorageError, StorageErrorKind};
use proptest::prelude::*;

/// Small segments, so that every story crosses several.
const OPTIONS: LogOptions = LogOptions { segment_len_max: 3000 };

/// Numbers from a seed: what a test needs, and nothing secret.
pub(super) struct Seeded(pub(super) u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 ^ (self.0 >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd) >> 11
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill_with(|| self.next() as u8);
    }
}

fn key(byte: u8) -> Secret<32> {
    Secret::take(&mut [byte; 32])
}

fn open(storage: Box<dyn Storage>, seed: u64) -> Result<(CommitLog, Recovered), Error> {
    CommitLog::open_with(storage, &key(1), &mut Seeded(seed), OPTIONS)
}

type Commit = Vec<(u8, Vec<u8>)>;

fn as_blocks(commit: &Commit) -> Vec<Block<'_>> {
    commit.iter().map(|(kind, body)| Block::plain(*kind, body)).collect()
}

/// A commit of one to three blocks, now and then a large one, text or noise.
fn some_commit(random: &mut Seeded) -> Commit {
    let blocks = 1 + random.below(3);
    let block = |random: &mut Seeded| {
        let len = if random.below(8) == 0 { random.below(3000) } else { random.below(120) };
        let noise = random.below(2) == 0;
        let body = (0..len).map(|i| if noise { random.next() as u8 } else { (i % 7) as u8 }).collect();
        (random.next() as u8, body)
    };
    (0..blocks).map(|_| block(random)).collect()
}

/// All commits in the log, the blocks read both ways.
fn contents(log: &CommitLog) -> Result<Vec<Commit>, Error> {
    let mut commits = vec![Commit::new()];
    for block in log.blocks(None)? {
        let block = block?;
        assert_eq!(log.read(block.at)?, block.body);
        commits.last_mut().unwrap().push((block.kind, block.body));
        if block.ends_commit {
            commits.push(Commit::new());
        }
    }
    assert!(commits.pop().unwrap().is_empty(), "half a commit");
    Ok(commits)
}

fn filled(commits: usize) -> (MemoryStorage, Vec<Commit>) {
    let mut random = Seeded(5);
    let (mut log, _) = open(Box::new(MemoryStorage::new()), 1).unwrap();
    let model: Vec<Commit> = (0..commits).map(|_| some_commit(&mut random)).collect();
    for commit in &model {
        log.commit(&as_blocks(commit)).unwrap();
    }
    (copy(&*log.into_storage()), model)
}

fn copy(storage: &dyn Storage) -> MemoryStorage {
    let mut copy = MemoryStorage::new();
    for file in storage.list().unwrap() {
        let len = storage.size(&file).unwrap().unwrap() as usize;
        copy.replace(&file, &storage.read(&file, 0, len).unwrap()).unwrap();
    }
    copy
}

#[test]
fn commits_come_back_in_order_after_reopening() {
    let (storage, model) = filled(100);
    assert!(storage.list().unwrap().len() > 3, "several segments");
    let (mut log, recovered) = open(Box::new(storage), 2).unwrap();
    assert_eq!((recovered.bytes_cut, recovered.bytes), (0, log.bytes()));
    assert_eq!(contents(&log).unwrap(), model);
    let at = log.commit(&[Block::plain(9, b"after")]).unwrap()[0];
    assert_eq!((log.last(), log.read(at).unwrap()), (Some(at), b"after".to_vec()));
    assert!(recovered.last < Some(at), "references are ordered");
    assert_eq!(BlockRef::from_bytes(at.to_bytes()), at);
    let after: Vec<_> = log.blocks(recovered.last).unwrap().map(|block| block.unwrap().kind).collect();
    assert_eq!(after, [9]);
}

#[test]
fn a_commit_is_one_append_and_one_sync() {
    let disk = CrashStorage::new(1);
    let (mut log, _) = open(Box::new(disk.clone()), 1).unwrap();
    for _ in 0..5 {
        let before = (disk.operations(), disk.syncs());
        log.commit(&[Block::plain(1, b"a"), Block::plain(2, b"b")]).unwrap();
        assert_eq!((disk.operations(), disk.syncs()), (before.0 + 2, before.1 + 1));
    }
    let before = disk.syncs();
    for _ in 0..10 {
        log.append(&[Block::plain(1, b"grouped")]).unwrap();
    }
    assert_eq!(disk.syncs(), before);
    log.sync().unwrap();
    log.sync().unwrap();
    assert_eq!(disk.syncs(), before + 1, "many commits, one sync");
}

#[test]
fn a_small_commit_costs_31_bytes() {
    let (mut log, _) = open(Box::new(MemoryStorage::new()), 1).unwrap();
    log.commit(&[Block::plain(1, b"first")]).unwrap();
    let before = log.bytes();
    log.commit(&[Block::plain(1, b"hello")]).unwrap();
    assert_eq!(log.bytes() - before, 5 + 31);
}

#[test]
fn impossible_commits_are_refused_and_change_nothing() {
    let (mut log, _) = open(Box::new(MemoryStorage::new()), 1).unwrap();
    let before = log.bytes();
    assert_eq!(log.commit(&[]), Err(Error::Empty));
    let huge = vec![0; BODY_LEN_MAX + 1];
    assert!(matches!(log.commit(&[Block::plain(0, &huge)]), Err(Error::TooLarge { .. })));
    let many = [Block::plain(0, &huge[1..]); 17];
    assert!(matches!(log.commit(&many), Err(Error::TooLarge { .. })));
    assert_eq!(log.bytes(), before);
    let at = log.commit(&[Block::plain(0, &huge[1..])]).unwrap()[0];
    assert_eq!(log.read(at).unwrap().len(), BODY_LEN_MAX);
}

#[test]
fn a_wrong_key_a_foreign_file_and_a_newer_version_are_told_apart() {
    let (storage, _) = filled(10);
    let file = file_name(1);
    let open_as = |storage: MemoryStorage, byte: u8| {
        CommitLog::open_with(Box::new(storage), &key(byte), &mut Seeded(3), OPTIONS).map(|_| ()).unwrap_err()
    };
    assert_eq!(open_as(storage.clone(), 2), Error::WrongKey);
    let changed = |at: usize, byte: u8| {
        let mut storage = storage.clone();
        let mut bytes = storage.read(&file, 0, storage.size(&file).unwrap().unwrap() as usize).unwrap();
        bytes[at] = byte;
        storage.replace(&file, &bytes).unwrap();
        open_as(storage, 1)
    };
    assert_eq!(changed(0, b'X'), Error::Foreign { file: file.clone() });
    assert_eq!(changed(6, 9), Error::NewerVersion { file: file.clone(), found: 9, known: 2 });
    assert!(matches!(changed(50, 9), Error::Damaged { segment: 1, .. }));
    let mut renamed = storage.clone();
    let (other, _) = {
        let (log, recovered) = open(Box::new(MemoryStorage::new()), 77).unwrap();
        (log.into_storage(), recovered)
    };
    renamed.replace(&file, &other.read(&file, 0, segment::HEADER_LEN).unwrap()).unwrap();
    assert!(
        matches!(open_as(renamed, 1), Error::Foreign { .. }),
        "a segment of another log under the same key"
    );
    let mut gap = storage.clone();
    gap.remove(&file).unwrap();
    assert_eq!(open_as(gap, 1), Error::Missing { segment: 1 });
}

#[test]
fn blocks_cannot_be_moved() {
    let (mut log, _) = open(Box::new(MemoryStorage::new()), 1).unwrap();
    let a = log.commit(&[Block::plain(1, b"pay 1")]).unwrap()[0];
    let b = log.commit(&[Block::plain(1, b"pay 2")]).unwrap()[0];
    let mut storage = log.into_storage();
    let file = file_name(1);
    let frame_len = 5 + frame::OVERHEAD;
    let len = storage.size(&file).unwrap().unwrap() as usize;
    let mut bytes = storage.read(&file, 0, len).unwrap();
    let (x, y) = (a.offset as usize, b.offset as usize);
    for i in 0..frame_len {
        bytes.swap(x + i, y + i);
    }
    storage.replace(&file, &bytes).unwrap();
    assert!(matches!(open(storage, 2), Err(Error::Damaged { .. })));
}

#[test]
fn the_snapshot_names_what_it_covers() {
    let (mut log, recovered) = open(Box::new(MemoryStorage::new()), 1).unwrap();
    assert!(recovered.last.is_none() && log.snapshot().unwrap().is_none());
    log.replace_snapshot(&[b"empty"]).unwrap();
    let empty = log.snapshot().unwrap().unwrap();
    assert_eq!((empty.covers, log.snapshot_part(&empty, 0).unwrap()), (None, b"empty".to_vec()));
    let mut random = Seeded(3);
    for _ in 0..60 {
        log.commit(&as_blocks(&some_commit(&mut random))).unwrap();
    }
    log.append(&[Block::plain(1, b"covered")]).unwrap();
    let parts: [&[u8]; 3] = [&[7; 100_000], b"", b"third"];
    log.replace_snapshot(&parts).unwrap();
    assert!(log.snapshot_part(&empty, 0).is_err(), "another has taken its place");
    let covers = log.last();
    log.commit(&[Block::plain(2, b"newer")]).unwrap();
    let (log, recovered) = open(log.into_storage(), 2).unwrap();
    assert_eq!(recovered.snapshot, covers);
    let snapshot = log.snapshot().unwrap().unwrap();
    assert_eq!((snapshot.covers, snapshot.parts()), (covers, 3));
    for (number, part) in parts.iter().enumerate() {
        assert_eq!(log.snapshot_part(&snapshot, number).unwrap(), *part);
    }
    assert!(matches!(log.snapshot_part(&snapshot, 3), Err(Error::Snapshot { .. })));
    let newer: Vec<_> = log.blocks(covers).unwrap().map(|block| block.unwrap().body).collect();
    assert_eq!(newer, [b"newer"]);
    let mut storage = log.into_storage();
    assert!(storage.size(snapshot::FILE).unwrap().unwrap() < 1000, "compressed");
    let len = storage.size(snapshot::FILE).unwrap().unwrap();
    let bytes = storage.read(snapshot::FILE, 0, len as usize).unwrap();
    for at in 84..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        storage.replace(snapshot::FILE, &changed).unwrap();
        let (log, _) = open(storage, 3).unwrap();
        let whole = log.snapshot().and_then(|snapshot| {
            let snapshot = snapshot.unwrap();
            (0..snapshot.parts()).try_for_each(|number| log.snapshot_part(&snapshot, number).map(drop))
        });
        assert!(matches!(whole, Err(Error::Snapshot { .. })), "byte {at}");
        storage = log.into_storage();
        storage.replace(snapshot::FILE, &bytes[..at]).unwrap();
        let (log, _) = open(storage, 3).unwrap();
        assert!(matches!(log.snapshot(), Err(Error::Snapshot { .. })), "cut at {at}");
        storage = log.into_storage();
    }
}

#[test]
fn a_log_cut_below_its_snapshot_is_noticed() {
    let (mut log, _) = open(Box::new(MemoryStorage::new()), 1).unwrap();
    log.commit(&[Block::plain(1, b"one")]).unwrap();
    let before = log.bytes();
    log.commit(&[Block::plain(1, b"two")]).unwrap();
    log.replace_snapshot(&[b"state"]).unwrap();
    let len = log.bytes();
    let storage = log.into_storage();
    for cut in before..len {
        let mut shorter = copy(&*storage);
        shorter.truncate(&file_name(1), cut).unwrap();
        let error = open(Box::new(shorter), 2).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::Shortened | Error::Damaged { .. }), "{error:?}");
    }
}

/// What the world knows of a log under test: commits acknowledged, then commits that may or may not be there.
#[derive(Default)]
struct Model {
    acknowledged: Vec<Commit>,
    pending: Vec<Commit>,
}

impl Model {
    /// Everything acknowledged, then a prefix of what was under way.
    fn check(&mut self, found: Vec<Commit>, seed: u64) {
        let all: Vec<Commit> = self.acknowledged.iter().chain(&self.pending).cloned().collect();
        assert!(found.len() >= self.acknowledged.len(), "seed {seed}: an acknowledged commit is lost");
        assert!(all.starts_with(&found), "seed {seed}: not what was committed, or not in this order");
        *self = Self { acknowledged: found, pending: Vec::new() };
    }

    fn acknowledge(&mut self) {
        self.acknowledged.append(&mut self.pending);
    }
}

/// One life of a log on a disk with faults, ended by a power cut.
fn live(disk: &CrashStorage, model: &mut Model, random: &mut Seeded, seed: u64) -> Result<(), Error> {
    let (mut log, _) = open(Box::new(disk.clone()), random.next())?;
    model.check(contents(&log)?, seed);
    for _ in 0..random.below(25) {
        let commit = some_commit(random);
        let result = match random.below(10) {
            0 => log.sync().map(|()| model.acknowledge()),
            1 => log
                .replace_snapshot(&[format!("{} commits", model.acknowledged.len())])
                .map(|()| model.acknowledge()),
            2..5 => {
                let result = log.append(&as_blocks(&commit)).map(|_| ());
                // An append that failed and could not be cut may be back after a power cut.
                model.pending.push(commit);
                result
            }
            _ => {
                let result = log.commit(&as_blocks(&commit)).map(|_| ());
                model.pending.push(commit);
                result.map(|()| model.acknowledge())
            }
        };
        let Err(error) = result else { continue };
        assert!(matches!(error, Error::Storage(_) | Error::Withdrawn { .. }), "seed {seed}: {error}");
        // The log goes on: what it now holds is a prefix of what it was given, with all that was acknowledged.
        if log.sync().is_ok()
            && let Ok(found) = contents(&log)
        {
            model.check(found, seed);
        } else {
            return Ok(());
        }
    }
    Ok(())
}

/// Thousands of lives, each with a power cut at some operation or at its end, and now and then a full or failing
/// disk on the way.
#[test]
fn power_cuts_and_full_disks_lose_nothing_acknowledged() {
    let (mut acknowledged, mut cuts) = (0, 0);
    for seed in 0..3000 {
        let mut random = Seeded(seed);
        let mut disk = CrashStorage::new(seed);
        let mut model = Model::default();
        for _ in 0..3 {
            for _ in 0..random.below(3) {
                let fault = if random.below(2) == 0 { Fault::Full } else { Fault::Io };
                disk.fail_at(random.below(60), fault);
            }
            disk.fail_at(random.below(120), Fault::PowerCut);
            match live(&disk, &mut model, &mut random, seed) {
                Ok(()) | Err(Error::Storage(_) | Error::Withdrawn { .. }) => {}
                Err(other) => panic!("seed {seed}: {other}"),
            }
            disk = disk.crash();
        }
        let (log, recovered) = open(Box::new(disk), 99).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        model.check(contents(&log).unwrap(), seed);
        acknowledged += model.acknowledged.len();
        cuts += usize::from(recovered.bytes_cut > 0);
    }
    assert!(acknowledged > 30_000 && cuts > 300, "the test reaches what it is for: {acknowledged}, {cuts}");
}

#[test]
fn a_full_disk_is_an_error_and_the_commit_can_be_tried_again() {
    let disk = CrashStorage::new(8);
    let (mut log, _) = open(Box::new(disk.clone()), 1).unwrap();
    log.append(&[Block::plain(1, b"kept")]).unwrap();
    let commit = [Block::plain(2, &[9; 700])];
    for fault_after in [0, 1] {
        disk.fail_at(disk.operations(), Fault::Full);
        // The second time the cut fails as well and is left for later.
        disk.fail_at(disk.operations() + fault_after, Fault::Full);
        let error = log.append(&commit).unwrap_err();
        assert!(matches!(error, Error::Storage(StorageError { kind: StorageErrorKind::Full, .. })));
        assert_eq!(contents(&log).unwrap().len(), 1, "readable meanwhile");
    }
    log.commit(&commit).unwrap();
    let (log, recovered) = open(Box::new(disk.crash()), 2).unwrap();
    assert_eq!(recovered.bytes_cut, 0);
    assert_eq!(contents(&log).unwrap(), [vec![(1, b"kept".to_vec())], vec![(2, vec![9; 700])]]);
}

#[test]
fn a_failed_sync_withdraws_what_it_could_not_make_durable() {
    let disk = CrashStorage::new(8);
    let (mut log, _) = open(Box::new(disk.clone()), 1).unwrap();
    log.commit(&[Block::plain(1, b"kept")]).unwrap();
    log.append(&[Block::plain(2, b"withdrawn")]).unwrap();
    disk.fail_at(disk.operations() + 1, Fault::Io);
    assert!(matches!(log.commit(&[Block::plain(3, b"too")]), Err(Error::Withdrawn { .. })));
    assert_eq!(contents(&log).unwrap(), [vec![(1, b"kept".to_vec())]]);
    log.commit(&[Block::plain(4, b"later")]).unwrap();
    let (log, _) = open(Box::new(disk.crash()), 2).unwrap();
    assert_eq!(contents(&log).unwrap(), [vec![(1, b"kept".to_vec())], vec![(4, b"later".to_vec())]]);
}

/// Two openings after one crash write different bytes at one place: no pair of key and nonce is used twice.
#[test]
fn every_opening_seals_under_its_own_key() {
    let (storage, _) = filled(3);
    let written = |seed: u64| {
        let (mut log, _) = open(Box::new(storage.clone()), seed).unwrap();
        let at = log.commit(&[Block::plain(1, &[0; 40])]).unwrap()[0];
        let storage = log.into_storage();
        storage.read(&file_name(at.segment), at.offset.into(), 14 + 40).unwrap()
    };
    let (a, b) = (written(10), written(11));
    assert_eq!(a[..14], b[..14], "the same block at the same place");
    assert!(a[14..].iter().zip(&b[14..]).filter(|(a, b)| a == b).count() < 10);
}

/// A retry after a failed append goes to the same place with other bytes: it too has its own key.
#[test]
fn a_retry_seals_under_its_own_key() {
    let disk = CrashStorage::new(1);
    let (mut log, _) = open(Box::new(disk.clone()), 1).unwrap();
    let a = log.commit(&[Block::plain(1, b"a")]).unwrap()[0];
    disk.fail_at(disk.operations(), Fault::Full);
    log.commit(&[Block::plain(1, b"b")]).unwrap_err();
    let b = log.commit(&[Block::plain(1, b"c")]).unwrap()[0];
    assert_ne!(a.session, b.session);
}

fn flip(storage: &mut MemoryStorage, file: &str, at: usize, bits: u8) {
    let len = storage.size(file).unwrap().unwrap() as usize;
    let mut bytes = storage.read(file, 0, len).unwrap();
    bytes[at % len] ^= bits;
    storage.replace(file, &bytes).unwrap();
}

/// Every single flipped bit in a log whose commits were all acknowledged is an error, at the latest when the block
/// is read; it never makes the log shorter.
#[test]
fn every_flipped_bit_is_reported() {
    let (storage, model) = filled(12);
    for file in storage.list().unwrap() {
        let is_of_two = secrets::FILES.contains(&file.as_str());
        for at in 0..storage.size(&file).unwrap().unwrap() as usize {
            let mut damaged = storage.clone();
            flip(&mut damaged, &file, at, 1 << (at % 8));
            let found = open(Box::new(damaged.clone()), 2).and_then(|(log, _)| contents(&log));
            if is_of_two {
                // The other one has it all, and both are whole again.
                assert_eq!(found.unwrap(), model, "{file} byte {at}");
                continue;
            }
            assert!(found.is_err(), "{file} byte {at}: {} of {} commits", found.unwrap().len(), model.len());
        }
    }
}

#[test]
fn a_damaged_block_is_named_and_the_others_are_still_read() {
    let (mut storage, _) = filled(0);
    let (mut log, _) = open(Box::new(storage.clone()), 1).unwrap();
    let at: Vec<_> = (0..5u8).map(|i| log.commit(&[Block::plain(i, &[i; 50])]).unwrap()[0]).collect();
    storage = copy(&*log.into_storage());
    flip(&mut storage, &file_name(1), at[2].offset as usize + 20, 4);
    let (log, _) = open(Box::new(storage), 2).unwrap();
    let error = log.read(at[2]).unwrap_err();
    assert!(matches!(error, Error::Damaged { segment: 1, block, .. } if block == at[2].number), "{error}");
    assert!(error.to_string().contains("backup"));
    let kinds: Vec<_> = log.blocks(None).unwrap().map(|block| block.ok().map(|block| block.kind)).collect();
    assert_eq!(kinds, [Some(0), Some(1), None, Some(3), Some(4)]);
}

#[test]
fn secrets_outlive_one_of_their_two_files() {
    let (storage, model) = filled(100);
    for file in secrets::FILES {
        let mut one = copy(&storage);
        one.remove(file).unwrap();
        let (log, _) = open(Box::new(one), 2).unwrap();
        assert_eq!(contents(&log).unwrap(), model);
        let healed = log.into_storage();
        let read = |file: &str| healed.read(file, 0, healed.size(file).unwrap().unwrap() as usize).unwrap();
        assert_eq!(read(secrets::FILES[0]), read(secrets::FILES[1]));
    }
    let mut none = copy(&storage);
    secrets::FILES.iter().for_each(|file| none.remove(file).unwrap());
    assert!(open(Box::new(none), 2).and_then(|(log, _)| contents(&log)).is_err());
}

/// Whoever has the store's key and finds the old segment's file on the medium, as it was, opens nothing of it.
#[test]
fn what_a_rewritten_segment_held_opens_with_no_key_that_is_left() {
    let (mut log, _) = open(Box::new(MemoryStorage::new()), 1).unwrap();
    let at = log.commit(&[Block::plain(1, b"sesame")]).unwrap()[0];
    log.replace_snapshot(&[b"sesame"]).unwrap();
    log.roll().unwrap();
    log.commit(&[Block::plain(2, b"behind it")]).unwrap();
    let old = copy(&*log.segments.storage);
    let read = |file: &str| old.read(file, 0, old.size(file).unwrap().unwrap() as usize).unwrap();
    let opens = |storage: MemoryStorage| {
        let (log, _) = open(Box::new(storage), 2)?;
        log.read(at)
    };
    assert_eq!(opens(copy(&old)).unwrap(), b"sesame");
    log.rewrite(1, &[vec![Block::plain(1, b"something else")]]).unwrap();
    // All of the folder as it was, but for the secrets.
    let now = log.into_storage();
    let mut found = copy(&old);
    for file in secrets::FILES {
        let len = now.size(file).unwrap().unwrap() as usize;
        found.replace(file, &now.read(file, 0, len).unwrap()).unwrap();
    }
    assert!(matches!(opens(copy(&found)), Err(Error::Damaged { segment: 1, .. })));
    let (log, _) = open(Box::new(copy(&found)), 2).unwrap();
    let snapshot = log.snapshot().unwrap().unwrap();
    assert!(matches!(log.snapshot_part(&snapshot, 0), Err(Error::Snapshot { .. })));
    // That it is the secrets: with the old ones all opens.
    secrets::FILES.iter().for_each(|file| found.replace(file, &read(file)).unwrap());
    assert_eq!(opens(found).unwrap(), b"sesame");
}

#[test]
fn references_that_point_nowhere_are_refused() {
    let (storage, _) = filled(20);
    let (log, recovered) = open(Box::new(storage), 1).unwrap();
    let last = recovered.last.unwrap();
    for bad in [
        BlockRef { segment: 0, ..last },
        BlockRef { segment: 99, ..last },
        BlockRef { offset: u32::MAX, ..last },
        BlockRef { offset: last.offset + 1, ..last },
        BlockRef { number: 7777, ..last },
        BlockRef { session: u32::MAX, ..last },
        BlockRef { session: last.offset, ..last },
        BlockRef {
            segment: 1,
            offset: segment::HEADER_LEN as u32,
            number: 0,
            session: segment::HEADER_LEN as u32,
        },
    ] {
        assert!(log.read(bad).is_err(), "{bad:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    /// Any damage: no panic, and what is read is a prefix of what was committed or an error. Only an unmarked
    /// shortening of the last segment may pass for a crash, and then whole commits are gone from the end.
    #[test]
    fn damage_is_an_error_or_a_shorter_log(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 0..4),
        file: prop::sample::Index,
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let (mut storage, model) = filled(25);
        let files = storage.list().unwrap();
        let file = &files[file.index(files.len())];
        for (at, bits) in &flips {
            let len = storage.size(file).unwrap().unwrap() as usize;
            flip(&mut storage, file, at.index(len), *bits);
        }
        if let Some(cut) = cut {
            let len = storage.size(file).unwrap().unwrap();
            storage.truncate(file, cut.index(len as usize) as u64).unwrap();
        }
        if let Ok(found) = open(Box::new(storage), 2).and_then(|(log, _)| contents(&log)) {
            prop_assert!(model.starts_with(&found));
            prop_assert!(found.len() == model.len() || (cut.is_some() && Some(file) == files.last()));
        }
    }

    /// A file of ours full of anything at all.
    #[test]
    fn noise_never_panics(noise: Vec<u8>, keep in 0..200usize) {
        let (mut storage, _) = filled(2);
        let file = file_name(1);
        let len = storage.size(&file).unwrap().unwrap() as usize;
        let mut bytes = storage.read(&file, 0, keep.min(len)).unwrap();
        bytes.extend(noise);
        storage.replace(&file, &bytes).unwrap();
        let _ = open(Box::new(storage), 2).map(|(log, _)| log.blocks(None).unwrap().count());
    }
}
