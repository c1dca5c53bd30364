//! openraft's own tests of a log and a state machine.
use crate::disk::Disk;
use crate::raft::log::Log;
use crate::raft::state::State;
use crate::raft::types::Types;
use crate::suite::{Tally, node};
use openraft::StorageError;
use openraft::testing::{StoreBuilder, Suite};
use std::sync::{Arc, Mutex};
use terachat_storage::MemoryStorage;

struct Builder;

impl StoreBuilder<Types, Log, State> for Builder {
    async fn build(&self) -> Result<((), Log, State), StorageError<u64>> {
        let (disk, found) = Disk::open(Box::new(MemoryStorage::default()), node(1), 300).unwrap();
        let disk = Arc::new(Mutex::new(disk));
        let state = State::new(Arc::clone(&disk), Box::new(Tally::default()), None).unwrap();
        Ok(((), Log::new(disk, found), state))
    }
}

#[test]
fn the_store_conforms_to_openraft() {
    Suite::test_all(Builder).unwrap();
}
