use super::{CACHE, Store, name};
use anyhow::{Context, Result};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use std::path::Path;

/// fjall alone with its own defaults, and the same sync for each commit as the vault asks for: what the vault stands on.
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
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for (id, bytes) in records {
            batch.insert(&self.records, name(*id), *bytes);
        }
        Ok(batch.commit()?)
    }

    fn get(&self, id: u64) -> Result<usize> {
        Ok(self.records.get(name(id))?.context("it was put")?.len())
    }
}
