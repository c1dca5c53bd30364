//! Key pages: which slot the next record gets, and the opened pages in memory.
use crate::bytes::Reader;
use crate::engine::{Engine, Id, Space, key};
use crate::entropy::ThreadEntropy;
use crate::{Config, Error};
use quick_cache::sync::Cache;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use terachat_vault::{
    Algorithm, Dek, KEY_PAGE_SLOTS, KeyPage, KeyPageAddress, Keyring, RecordKeyId, SealedKeyPage,
};

/// An opened page.
pub(crate) struct Page {
    pub(crate) collection: Id,
    pub(crate) generation: u32,
    pub(crate) number: u32,
    pub(crate) keys: KeyPage,
    /// Whether its row is in the database. A new page's is written together with the first record under it.
    pub(crate) stored: AtomicBool,
}

impl Page {
    fn address(&self) -> KeyPageAddress {
        KeyPageAddress { collection: self.collection, generation: self.generation, page: self.number }
    }
}

type PageId = (Id, u32, u32);

/// All pages of a vault.
pub(crate) struct Pages {
    cache: Cache<PageId, Arc<Page>>,
    /// How many sweeps there were. What was opened across one may have keys that it destroyed.
    sweeps: AtomicU64,
    pub(crate) hits: AtomicU64,
    pub(crate) misses: AtomicU64,
}

/// Why a record has no key.
pub(crate) enum NoKey {
    /// It, or its page, or its generation, is gone: erased just now, or for ever.
    Gone,
    /// The page is there and does not open.
    Damaged,
    /// The database failed.
    Storage(Error),
}

impl Pages {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            cache: Cache::new(config.page_cache),
            sweeps: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The page with the key of a record that is stored.
    pub(crate) fn page(
        &self,
        engine: &Engine,
        keyring: &RwLock<Keyring>,
        collection: &Id,
        id: RecordKeyId,
    ) -> Result<Arc<Page>, NoKey> {
        let name = (*collection, id.generation, id.page);
        if let Some(page) = self.cache.get(&name) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(page);
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let sweeps = self.sweeps.load(Ordering::Acquire);
        let page = {
            let keyring = keyring.read().unwrap_or_else(PoisonError::into_inner);
            let keys = keyring.collection(collection).ok_or(NoKey::Gone)?;
            let dek = keys.dek(id.generation).ok_or(NoKey::Gone)?;
            let address =
                KeyPageAddress { collection: *collection, generation: id.generation, page: id.page };
            Arc::new(load(engine, keys.algorithm(), dek, &address)?)
        };
        self.cache.insert(name, page.clone());
        if self.sweeps.load(Ordering::Acquire) != sweeps {
            self.cache.remove(&name);
        }
        Ok(page)
    }

    /// Makes a page known that was just made.
    fn insert(&self, page: Arc<Page>) {
        self.cache.insert((page.collection, page.generation, page.number), page);
    }

    /// Forgets pages whose keys were destroyed.
    pub(crate) fn forget(&self, gone: impl Fn(&Id, u32, u32) -> bool) {
        self.sweeps.fetch_add(1, Ordering::AcqRel);
        self.cache.retain(|(collection, generation, page), _| !gone(collection, *generation, *page));
    }
}

/// Reads and opens a page under the DEK that the caller holds.
pub(crate) fn load(
    engine: &Engine,
    algorithm: Algorithm,
    dek: &Dek,
    address: &KeyPageAddress,
) -> Result<Page, NoKey> {
    let KeyPageAddress { collection, generation, page } = *address;
    let row = key::page(&collection, generation, dek.epoch, page);
    let row = engine.get(Space::Index, &row).map_err(NoKey::Storage)?.ok_or(NoKey::Gone)?;
    let (punctured, entry) = read_row(&row).ok_or(NoKey::Damaged)?;
    let slots = match punctured {
        0 => None,
        epoch => {
            let row = key::slots(&collection, generation, page, epoch);
            Some(engine.get(Space::Index, &row).map_err(NoKey::Storage)?.ok_or(NoKey::Gone)?.to_vec())
        }
    };
    let sealed = SealedKeyPage { entry: entry.to_vec(), slots };
    let keys = KeyPage::open(algorithm, &dek.root, address, &sealed).map_err(|_| NoKey::Damaged)?;
    Ok(Page { collection, generation, number: page, keys, stored: AtomicBool::new(true) })
}

/// A page's row: the epoch of the sweep that punctured it last (0: none did), then its entry.
pub(crate) fn write_row(punctured: u64, entry: &[u8]) -> Vec<u8> {
    [&punctured.to_le_bytes()[..], entry].concat()
}

/// The two parts of a page's row.
pub(crate) fn read_row(row: &[u8]) -> Option<(u64, &[u8])> {
    let mut reader = Reader(row);
    Some((reader.u64().ok()?, reader.0))
}

/// The row of a new page under the DEK as it is now.
pub(crate) fn new_row(page: &Page, algorithm: Algorithm, dek: &Dek) -> (Vec<u8>, Vec<u8>) {
    let sealed = page.keys.seal(algorithm, &dek.root, &page.address(), &mut ThreadEntropy);
    (key::page(&page.collection, page.generation, dek.epoch, page.number), write_row(0, &sealed.entry))
}

/// Gives out the slots of one collection.
#[derive(Default)]
pub(crate) struct Slots(Mutex<Option<Open>>);

struct Open {
    page: Arc<Page>,
    next_slot: u16,
}

/// A slot for one record.
pub(crate) struct Slot {
    pub(crate) id: RecordKeyId,
    pub(crate) page: Arc<Page>,
}

impl Slots {
    /// The next free slot of this generation.
    pub(crate) fn next(
        &self,
        engine: &Engine,
        pages: &Pages,
        keyring: &RwLock<Keyring>,
        collection: &Id,
    ) -> Result<Slot, Error> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = {
            let keyring = keyring.read().unwrap_or_else(PoisonError::into_inner);
            keyring.collection(collection).ok_or(Error::NotFound)?.current()
        };
        let fits = |open: &&mut Open| open.page.generation == generation && open.next_slot < KEY_PAGE_SLOTS;
        if open.as_mut().filter(fits).is_none() {
            let number = match open.take() {
                Some(open) if open.page.generation == generation => open.page.number + 1,
                _ => next_number(engine, keyring, collection, generation)?,
            };
            let keys = KeyPage::generate(&mut ThreadEntropy);
            let page =
                Page { collection: *collection, generation, number, keys, stored: AtomicBool::new(false) };
            let page = Arc::new(page);
            pages.insert(page.clone());
            *open = Some(Open { page, next_slot: 0 });
        }
        let open = open.as_mut().expect("it was just put in");
        let id = RecordKeyId { generation, page: open.page.number, slot: open.next_slot };
        open.next_slot += 1;
        Ok(Slot { id, page: open.page.clone() })
    }

    /// Gives no more slots of the open page: its stored row is about to be another.
    pub(crate) fn retire(&self) {
        if let Some(open) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            open.next_slot = KEY_PAGE_SLOTS;
        }
    }
}

/// The number after the last stored page's.
fn next_number(
    engine: &Engine,
    keyring: &RwLock<Keyring>,
    collection: &Id,
    generation: u32,
) -> Result<u32, Error> {
    let epoch = {
        let keyring = keyring.read().unwrap_or_else(PoisonError::into_inner);
        let keys = keyring.collection(collection).ok_or(Error::NotFound)?;
        keys.dek(generation).ok_or(Error::NotFound)?.epoch
    };
    let prefix = key::pages(collection, generation, epoch);
    let Some((row, _)) = engine.last(Space::Index, &prefix)? else { return Ok(0) };
    let number = row.get(prefix.len()..).and_then(|number| number.try_into().ok()).map(u32::from_be_bytes);
    Ok(number.map_or(0, |number| number + 1))
}
