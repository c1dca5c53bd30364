use crate::Error;
use crate::identity::Identity;
use terachat_core_store::LocalStore;
use terachat_core_store::store::{CheckReport, Storage};
use terachat_vault::{Entropy, MasterKeySource};

/// Reads and checks everything a profile keeps: see [`LocalStore::check`]. For a profile that does not open too, as long as
/// its keys do.
///
/// # Errors
/// [`Error::NoProfile`], [`Error::Keyring`], and [`Error::Store`] when the disk cannot be read at all.
pub fn check_profile(
    storage: Box<dyn Storage>,
    source: &mut dyn MasterKeySource,
    entropy: Box<dyn Entropy + Send>,
) -> Result<CheckReport, Error> {
    let (identity, _) = Identity::open(&*storage, source)?;
    Ok(LocalStore::check(storage, &identity.store_key, entropy)?)
}
