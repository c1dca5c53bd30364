use super::{CACHE, Store, name};
use anyhow::{Context, Result};
use std::path::Path;

/// sled, flushed after each write as its documentation asks of those who need durability. Nothing is sealed.
pub(crate) struct Sled(sled::Db);

impl Sled {
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        Ok(Self(sled::Config::new().path(folder).cache_capacity(CACHE).flush_every_ms(Some(1000)).open()?))
    }
}

impl Store for Sled {
    fn put(&self, records: &[(u64, &[u8])]) -> Result<()> {
        let mut batch = sled::Batch::default();
        for (id, bytes) in records {
            batch.insert(name(*id).as_bytes(), *bytes);
        }
        self.0.apply_batch(batch)?;
        self.0.flush()?;
        Ok(())
    }

    fn get(&self, id: u64) -> Result<usize> {
        Ok(self.0.get(name(id))?.context("it was put")?.len())
    }
}
