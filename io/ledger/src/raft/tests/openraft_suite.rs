//! openraft's own tests of a log and a state machine.
use crate::disk::Disk;
use crate::raft::log::Log;
use crate::raft::state::State;
use crate::raft::types::{Id, Types};
use crate::suite::{Tally, node};
use openraft::StorageError;
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
