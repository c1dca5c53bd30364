use super::{CACHE, Store, name};
use anyhow::{Context, Result};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use std::path::Path;

/// fjall alone: what the vault stands on.
pub(crate) struct Bare {
    database: Database,
    records: Keyspace,
}

impl Bare {
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        let database = Database::builder(folder).cache_size(CACHE).open()?;
        let records = database.keyspace("records", KeyspaceCreateOptions::default)?;
        Ok(Self { database, records })
    }
}

impl Store for Bare {
    fn put(&self, records: &[(u64, &[u8])]) -> Result<()> {
        let mut batch = self.database.batch();
        for (id, bytes) in records {
            batch.insert(&self.records, name(*id), *bytes);
        }
        batch.commit()?;
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }

    fn get(&self, id: u64) -> Result<usize> {
        Ok(self.records.get(name(id))?.context("it was put")?.len())
    }
}
