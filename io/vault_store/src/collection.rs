//! The collections that are open.
use crate::bytes::Reader;
use crate::engine::{Engine, Id, Space, key};
use crate::pages::Slots;
use crate::small::SmallKey;
use crate::{CollectionOptions, Error};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use terachat_vault::{Algorithm, Keyring};

/// One collection.
pub(crate) struct Collection {
    pub(crate) id: Id,
    pub(crate) name: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) versions_max: AtomicU32,
    pub(crate) slots: Slots,
    /// Whether a record of it was ever erased.
    pub(crate) erased: AtomicBool,
    /// Whether it is there: false for the one that stands for all that are not.
    pub(crate) exists: bool,
}

impl Collection {
    pub(crate) fn new(id: Id, name: &str, options: &CollectionOptions) -> Self {
        Self {
            id,
            name: name.to_owned(),
            algorithm: options.algorithm,
            versions_max: options.versions_max.into(),
            slots: Slots::default(),
            erased: AtomicBool::new(false),
            exists: true,
        }
    }

    pub(crate) fn options(&self) -> CollectionOptions {
        CollectionOptions {
            algorithm: self.algorithm,
            versions_max: self.versions_max.load(Ordering::Relaxed),
        }
    }
}

pub(crate) struct Collections {
    open: RwLock<HashMap<String, Arc<Collection>>>,
    nowhere: Arc<Collection>,
}

impl Collections {
    /// The collections of the keyring, with the options that are stored for them.
    pub(crate) fn load(engine: &Engine, small: &SmallKey, keyring: &Keyring) -> Result<Self, Error> {
        let mut open = HashMap::new();
        for (id, keys) in keyring.collections() {
            let row = options_row(id);
            let stored = engine.get(Space::Index, &row)?;
            let plain = stored.and_then(|sealed| small.open(&row, &sealed));
            let versions_max = plain.and_then(|plain| Reader(plain.expose_secret()).u32().ok());
            let mut options =
                CollectionOptions { algorithm: keys.algorithm(), ..CollectionOptions::default() };
            options.versions_max = versions_max.unwrap_or(options.versions_max);
            let collection = Collection::new(*id, keys.name(), &options);
            let gone = [&[key::GONE][..], id].concat();
            let erased = engine.rows(Space::Index, &gone, &gone).next().transpose()?.is_some();
            collection.erased.store(erased, Ordering::Relaxed);
            open.insert(keys.name().to_owned(), Arc::new(collection));
        }
        // An id that no name has: names are hashed in another domain.
        let id = keyring.blind(b"nowhere", b"");
        let nowhere = Collection { exists: false, ..Collection::new(id, "", &CollectionOptions::default()) };
        Ok(Self { open: RwLock::new(open), nowhere: Arc::new(nowhere) })
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<Collection>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// The collection, or what stands for all that are not there or not allowed.
    pub(crate) fn resolve(&self, name: &str, allowed: bool) -> Arc<Collection> {
        self.get(name).filter(|_| allowed).unwrap_or_else(|| self.nowhere.clone())
    }

    pub(crate) fn by_id(&self, id: &Id) -> Option<Arc<Collection>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.values().find(|collection| collection.id == *id).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Collection>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = open.values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    pub(crate) fn insert(&self, collection: Arc<Collection>) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.insert(collection.name.clone(), collection);
    }

    pub(crate) fn remove(&self, name: &str) {
        self.open.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

/// Where a collection's options stand.
pub(crate) fn options_row(id: &Id) -> Vec<u8> {
    key::meta(&[&b"options "[..], id].concat())
}

/// Where a collection's totals stand.
pub(crate) fn totals_row(id: &Id) -> Vec<u8> {
    key::meta(&[&b"totals "[..], id].concat())
}
