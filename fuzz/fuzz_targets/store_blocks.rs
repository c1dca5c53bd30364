//! The store over a log whose blocks are well sealed and hold anything: records, batches, chunks, snapshots. This is
//! how the decoders of `docs/format/store.md` are reached, which are not public.
#![no_main]
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;
use terachat_core_store::LocalStore;
use terachat_core_store::store::storage::MemoryStorage;
use terachat_core_store::store::{Block, CommitLog};
use terachat_fuzz::{Counter, secret, world};

#[derive(Arbitrary, Debug)]
struct Input {
    on_a_world: bool,
    snapshot: Option<Vec<Vec<u8>>>,
    blocks: Vec<(u8, Vec<u8>)>,
}

fuzz_target!(|input: Input| {
    let key = secret(9);
    let storage = if input.on_a_world { world_files() } else { Box::new(MemoryStorage::new()) };
    let (mut log, _) = CommitLog::open(storage, &key, &mut Counter::default()).expect("nothing is damaged");
    for (kind, body) in input.blocks.iter().take(16) {
        log.commit(&[Block::plain(kind % 5 + 1, body)]).expect("memory takes it");
    }
    if let Some(snapshot) = &input.snapshot {
        log.replace_snapshot(snapshot).expect("memory takes it");
    }
    if let Ok(mut store) = LocalStore::open(log.into_storage(), &key, Box::new(Counter::default())) {
        for log in store.logs() {
            let _ = store.state_hash(&log);
        }
        let _ = store.audit_state_integrity();
        let _ = store.snapshot();
    }
});

/// The files of a store that holds a space and a channel.
fn world_files() -> Box<MemoryStorage> {
    static FILES: OnceLock<MemoryStorage> = OnceLock::new();
    Box::new(FILES.get_or_init(|| world(3).files.copy()).clone())
}
