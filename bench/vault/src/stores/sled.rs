use super::{CACHE, Store, name};
use anyhow::{Context, Result};
use std::fs::File;
use std::path::Path;

/// sled with the settings that people use, flushed after each write. Nothing is sealed.
///
/// Its flush writes by `sync_file_range`, of which the manual says that after a crash the data may not be there: neither the file's
/// new length nor the drive's cache is written. So there are two of it: as it is, and with its file synced after each flush, which is
/// what the word durable asks for and what the others do.
pub(crate) struct Sled {
    database: sled::Db,
    synced: Option<File>,
}

impl Sled {
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        let config = sled::Config::new().path(folder).cache_capacity(CACHE).flush_every_ms(Some(1000));
        Ok(Self { database: config.open()?, synced: None })
    }

    /// With a sync of its file after each flush.
    pub(crate) fn create_synced(folder: &Path) -> Result<Self> {
        let sled = Self::create(folder)?;
        let synced = File::open(folder.join("db")).context("sled's file is not where it used to be")?;
        Ok(Self { synced: Some(synced), ..sled })
    }
}

impl Store for Sled {
    fn put(&self, records: &[(u64, &[u8])]) -> Result<()> {
        let mut batch = sled::Batch::default();
        for (id, bytes) in records {
            batch.insert(name(*id).as_bytes(), *bytes);
        }
        self.database.apply_batch(batch)?;
        self.database.flush()?;
        Ok(self.synced.as_ref().map_or(Ok(()), File::sync_data)?)
    }

    fn get(&self, id: u64) -> Result<usize> {
        Ok(self.database.get(name(id))?.context("it was put")?.len())
    }
}
