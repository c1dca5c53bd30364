use super::{CACHE, Store, name};
use anyhow::Result;
use rusqlite::{Connection, params};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// SQLCipher with a raw key (no key derivation in what is measured), write-ahead log, and a sync at each commit.
pub(crate) struct SqlCipher(Mutex<Connection>);

impl SqlCipher {
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let connection = Connection::open(folder.join("records.db"))?;
        let key = "0123456789abcdef".repeat(4);
        connection.execute_batch(&format!("PRAGMA key = \"x'{key}'\";"))?;
        connection.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -{};
             CREATE TABLE records (id TEXT PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID;",
            CACHE / 1024
        ))?;
        Ok(Self(Mutex::new(connection)))
    }
}

impl Store for SqlCipher {
    fn put(&self, records: &[(u64, &[u8])]) -> Result<()> {
        let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT OR REPLACE INTO records VALUES (?1, ?2)")?;
            for (id, bytes) in records {
                insert.execute(params![name(*id), bytes])?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn get(&self, id: u64) -> Result<usize> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut select = connection.prepare_cached("SELECT bytes FROM records WHERE id = ?1")?;
        Ok(select.query_row([name(id)], |row| Ok(row.get_ref(0)?.as_blob()?.len()))?)
    }
}
