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

/// The name of a record: as random as the names that people's systems give, in a form that all stores take.
pub(crate) fn name(id: u64) -> String {
    // The finalizer of SplitMix64: another name for each id, and no order.
    let mix = |n: u64| {
        let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        n ^ (n >> 31)
    };
    let high = mix(id.wrapping_add(0x9e37_79b9_7f4a_7c15));
    format!("{high:016x}{:016x}", mix(high))
}
