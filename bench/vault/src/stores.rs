//! What is compared: the same few verbs over each store, each durable when it returns.
mod bare;
mod sealed;
mod sled;
mod sqlcipher;

use anyhow::Result;
use std::path::Path;

pub(crate) use self::sled::Sled;
pub(crate) use bare::Bare;
pub(crate) use sealed::{COLLECTION, Sealed};
pub(crate) use sqlcipher::SqlCipher;

/// A store of records by number.
pub(crate) trait Store: Sync {
    /// Stores these together; on the disk when it returns.
    fn put(&self, records: &[(u64, &[u8])]) -> Result<()>;

    /// How many bytes the record has, all of them read and checked as far as the store checks.
    fn get(&self, id: u64) -> Result<usize>;
}

/// The stores by name, each made in a folder of its own. The first is ours, the second what it stands on.
pub(crate) fn all(folder: &Path) -> Result<Vec<(&'static str, Box<dyn Store>)>> {
    let place = |name: &str| folder.join(name);
    Ok(vec![
        ("vault", Box::new(Sealed::create(&place("vault"))?)),
        ("bare fjall", Box::new(Bare::create(&place("fjall"))?)),
        ("sled", Box::new(Sled::create(&place("sled"))?)),
        ("SQLCipher", Box::new(SqlCipher::create(&place("sqlcipher"))?)),
    ])
}

/// Bytes of cache for each of them.
pub(crate) const CACHE: u64 = 256 << 20;

/// The name of a record in stores that have names.
pub(crate) fn name(id: u64) -> String {
    format!("template-{id:08}")
}
