//! The keys to what was said: what a backup takes along, and nothing else of the device's own.
use super::keyring::{self, is_secret};
use super::{LocalStore, records};
use crate::Error;
use terachat_vault::SecretBytes;

impl LocalStore {
    /// All epoch secrets of all spaces, as writes of records (`docs/format/store.md`).
    pub fn epoch_secrets(&self) -> SecretBytes {
        let secrets = self.records(keyring::PREFIX);
        records::encode(
            &secrets
                .map(|(name, value)| (name.to_vec(), Some(SecretBytes::copy_from(value))))
                .collect::<Vec<_>>(),
        )
    }

    /// Takes in what [`LocalStore::epoch_secrets`] gave on another device.
    ///
    /// # Errors
    /// [`Error::Malformed`] for anything else, [`Error::Store`]; nothing changed.
    pub fn keep_epoch_secrets(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let writes = records::decode(bytes)?;
        if writes.iter().any(|(name, value)| !is_secret(name) || value.is_none()) {
            return Err(Error::Malformed("a record that is no epoch secret"));
        }
        self.write_records(writes)
    }
}
