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

/// The stores by name, each made in a folder of its own: all of them, or those whose names begin with one of `only`. The first is
/// ours, the second what it stands on.
pub(crate) fn all(folder: &Path, only: &[String]) -> Result<Vec<(&'static str, Box<dyn Store>)>> {
    type Make = fn(&Path) -> Result<Box<dyn Store>>;
    let kinds: [(&str, Make); 5] = [
        ("vault", |place| Ok(Box::new(Sealed::create(place)?))),
        ("bare fjall", |place| Ok(Box::new(Bare::create(place)?))),
        ("sled, synced", |place| Ok(Box::new(Sled::create_synced(place)?))),
        ("sled as it is", |place| Ok(Box::new(Sled::create(place)?))),
        ("SQLCipher", |place| Ok(Box::new(SqlCipher::create(place)?))),
    ];
    let asked = |name: &str| only.is_empty() || only.iter().any(|only| name.starts_with(only.as_str()));
    let asked = kinds.into_iter().filter(|(name, _)| asked(name));
    asked.map(|(name, make)| Ok((name, make(&folder.join(name))?))).collect()
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
