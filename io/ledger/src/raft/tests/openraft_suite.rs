//! openraft's own tests of a log and a state machine.
use crate::disk::Disk;
use crate::raft::log::Log;
use crate::raft::state::State;
use crate::raft::types::{Id, Types};
use crate::suite::{Tally, node, within};
use openraft::StorageError;
use openraft::storage::RaftLogStorage;
use openraft::testing::{StoreBuilder, Suite};
use std::sync::{Arc, Mutex};
use terachat_storage::MemoryStorage;
use tokio::sync::watch;

struct Builder;

impl StoreBuilder<Types, Log, State> for Builder {
    async fn build(&self) -> Result<((), Log, State), StorageError<u64>> {
        let (disk, found) = Disk::open(Box::new(MemoryStorage::default()), node(1), 300).unwrap();
        let disk = Arc::new(Mutex::new(disk));
        let state = State::new(Arc::clone(&disk), Box::new(Tally::default()), None).unwrap();
        // It purges without a snapshot.
        let (_, durable) = watch::channel(Ok(Some(Id { term: u64::MAX, node: 0, index: 0 })));
        Ok(((), Log::new(disk, found, durable), state))
    }
}

#[test]
fn the_store_conforms_to_openraft() {
    Suite::test_all(Builder).unwrap();
}

/// openraft 0.9 gives up entries as soon as it has asked for the snapshot in their place; see `Log::purge`.
#[tokio::test(start_paused = true)]
async fn entries_go_once_the_snapshot_in_their_place_is_durable() {
    for outcome in [Ok(Some(Id { term: 1, node: 1, index: 9 })), Err(())] {
        let (disk, found) = Disk::open(Box::new(MemoryStorage::default()), node(1), 300).unwrap();
        let (sender, durable) = watch::channel(Ok(Some(Id { term: 1, node: 1, index: 8 })));
        let mut log = Log::new(Arc::new(Mutex::new(disk)), found, durable);
        let purge =
            tokio::spawn(async move { log.purge(Id { term: 1, node: 1, index: 9 }.into()).await.is_ok() });
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(!purge.is_finished(), "the snapshot is not there yet");
        sender.send(outcome).unwrap();
        assert_eq!(within(purge).await.unwrap(), outcome.is_ok());
    }
}
