//! What the MLS library stands on: cryptography for the ciphersuites, randomness from one seed, storage in
//! memory.
mod codec;
mod crypto;
mod message_root;
mod random;
mod store;
#[cfg(test)]
mod vectors;

pub(crate) use codec::StateKind;
pub(crate) use crypto::Crypto;
pub(crate) use message_root::MessageRoot;
pub(crate) use random::Seed;
pub(crate) use store::{Cells, Store};

use openmls_traits::OpenMlsProvider;

/// One verb's provider: it works on a copy of the group's cells, which the caller takes over or drops.
pub(crate) struct Engine {
    store: Store,
    crypto: Crypto,
}

impl Engine {
    /// For verbs that make something new.
    pub(crate) fn new(cells: Cells, seed: Seed) -> Self {
        Self { store: Store::new(cells), crypto: Crypto::new(Some(seed)) }
    }

    /// For verbs that only read: every request for randomness fails.
    pub(crate) fn reading(cells: Cells) -> Self {
        Self { store: Store::new(cells), crypto: Crypto::new(None) }
    }

    pub(crate) fn into_cells(self) -> Cells {
        self.store.into_cells()
    }
}

impl OpenMlsProvider for Engine {
    type CryptoProvider = Crypto;
    type RandProvider = Crypto;
    type StorageProvider = Store;

    fn storage(&self) -> &Store {
        &self.store
    }

    fn crypto(&self) -> &Crypto {
        &self.crypto
    }

    fn rand(&self) -> &Crypto {
        &self.crypto
    }
}
