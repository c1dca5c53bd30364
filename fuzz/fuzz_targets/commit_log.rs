//! Recovery of a commit log whose files were damaged: a typed error or the acknowledged blocks, never a panic, and
//! never a block that was not written.
#![no_main]
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use terachat_core_store::store::storage::MemoryStorage;
use terachat_core_store::store::{Block, CommitLog, LogOptions, Storage};
use terachat_fuzz::damage::{Damage, apply};
use terachat_fuzz::{Counter, secret};

#[derive(Arbitrary, Debug)]
struct Input {
    small_segments: bool,
    snapshot: bool,
    commits: Vec<Vec<(u8, Vec<u8>)>>,
    damage: Vec<Damage>,
}

fuzz_target!(|input: Input| {
    let options =
        if input.small_segments { LogOptions { segment_len_max: 512 } } else { LogOptions::default() };
    let open = |storage: Box<dyn Storage>| {
        CommitLog::open_with(storage, &secret(1), &mut Counter::default(), options)
    };
    let (mut log, _) = open(Box::new(MemoryStorage::new())).expect("an empty folder opens");
    let mut written = Vec::new();
    for commit in input.commits.iter().take(16) {
        let blocks: Vec<_> = commit.iter().take(8).map(|(kind, body)| Block::plain(kind | 1, body)).collect();
        if log.commit(&blocks).is_ok() {
            written.extend(commit.iter().take(8).map(|(kind, body)| (kind | 1, body.clone())));
        }
    }
    if input.snapshot {
        log.replace_snapshot(&[b"state"]).expect("memory takes it");
    }
    let mut storage = log.into_storage();
    for damage in input.damage.iter().take(8) {
        apply(&mut *storage, damage);
    }
    let Ok((mut log, _)) = open(storage) else { return };
    let _ = log.snapshot();
    if let Ok(blocks) = log.blocks(None) {
        let mut read = Vec::new();
        for block in blocks {
            let Ok(block) = block else { break };
            read.push((block.kind, block.body));
        }
        // Whole commits may be gone from the very end (docs/format/commit-log.md); nothing else may differ.
        assert!(written.starts_with(&read), "a block that was never written");
    }
    let _ = log.commit(&[Block::plain(1, b"after")]);
});
