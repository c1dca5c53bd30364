use super::raw::{self, Mapping};
use super::{Status, wipe};
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is mapped and locked at once, in bytes.
pub const CHUNK_LEN: usize = 256 * 1024;
/// What is tried when a whole chunk is more than may still be locked.
const SMALL_CHUNK_LEN: usize = 16 * 1024;
/// What a size class gets at once; also the longest slot.
pub(crate) const SLOT_LEN_MAX: usize = 4096;
/// The shortest slot, and every slot's least alignment.
pub(crate) const SLOT_LEN_MIN: usize = 32;
const CLASSES: usize = 8;
const _: () = assert!(SLOT_LEN_MIN << (CLASSES - 1) == SLOT_LEN_MAX);

type Bytes = &'static mut [u8];

/// Free slots by class: 32, 64, … 4096 bytes, all of them zero.
static FREE: [Mutex<Vec<Bytes>>; CLASSES] = [const { Mutex::new(Vec::new()) }; CLASSES];
/// Pages of [`SLOT_LEN_MAX`] that no class has yet. Locked after a class, never before.
static SPARE: Mutex<Vec<Bytes>> = Mutex::new(Vec::new());

/// A slot of pinned memory, zero when it is new; wiped and given back on drop.
pub(crate) struct Slot(Bytes);

impl Slot {
    /// The longest slot there is.
    pub(crate) const LEN_MAX: usize = SLOT_LEN_MAX;

    /// A slot of the smallest class that holds `len` bytes, at most [`SLOT_LEN_MAX`]; aligned to its own length.
    pub(crate) fn new(len: usize) -> Self {
        let class = class(len);
        let mut free = lock(&FREE[class]);
        if let Some(bytes) = free.pop() {
            return Self(bytes);
        }
        let (page, unlocked) = page();
        free.extend(page.chunks_exact_mut(SLOT_LEN_MIN << class));
        let bytes = free.pop().expect("a page holds at least one slot");
        drop(free);
        if unlocked {
            warn_unlocked();
        }
        Self(bytes)
    }
}

impl Deref for Slot {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0
    }
}

impl DerefMut for Slot {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.0
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.0);
        wipe(bytes);
        lock(&FREE[class(bytes.len())]).push(bytes);
    }
}

fn class(len: usize) -> usize {
    assert!(len <= SLOT_LEN_MAX, "longer values get pages of their own");
    let classes = len.max(SLOT_LEN_MIN).next_power_of_two().trailing_zeros() - SLOT_LEN_MIN.trailing_zeros();
    classes as usize
}

/// A page for a class, and whether new pages had to be used that could not be locked.
fn page() -> (Bytes, bool) {
    let mut spare = lock(&SPARE);
    let mut unlocked = false;
    loop {
        if let Some(page) = spare.pop() {
            return (page, unlocked);
        }
        let (mapping, locked) = chunk(CHUNK_LEN)
            .filter(|(_, locked)| *locked)
            .or_else(|| chunk(SMALL_CHUNK_LEN))
            .unwrap_or_else(|| super::out_of_memory(SMALL_CHUNK_LEN));
        unlocked |= !locked;
        spread(&mut spare, mapping);
    }
}

/// New pages, and whether they are locked.
fn chunk(len: usize) -> Option<(Mapping, bool)> {
    let mut mapping = Mapping::new(len)?;
    let locked = mapping.lock();
    Some((mapping, locked))
}

fn spread(spare: &mut Vec<Bytes>, mapping: Mapping) {
    spare.extend(mapping.leak().chunks_exact_mut(SLOT_LEN_MAX));
}

/// Maps `len` bytes; unless `unlocked` ones will do, only if they can be locked.
pub(super) fn reserve(len: usize, unlocked: bool) -> bool {
    let Some((mapping, locked)) = chunk(len) else { return false };
    if !locked && !unlocked {
        return false;
    }
    spread(&mut lock(&SPARE), mapping);
    if !locked {
        warn_unlocked();
    }
    true
}

/// Loud, but not once for each of many keys: there is one growth for some hundreds of them.
fn warn_unlocked() {
    if !raw::LOCKS {
        // A browser's tab has nothing to lock, which is no news.
        return;
    }
    tracing::warn!(
        limit = ?raw::lock_limit(),
        "keys are in memory that may be swapped out: the system refused to lock more (`ulimit -l`, `LimitMEMLOCK=`)"
    );
}

pub(super) fn status() -> Status {
    let free: usize = FREE.iter().map(|free| lock(free).iter().map(|slot| slot.len()).sum::<usize>()).sum();
    let idle = free + lock(&SPARE).len() * SLOT_LEN_MAX;
    let mut status = Status::default();
    for region in raw::regions() {
        match (region.holds_slots, region.locked) {
            (true, true) => status.pinned_len += region.range.len(),
            (true, false) => status.unpinned_len += region.range.len(),
            (false, true) => status.long_pinned_len += region.range.len(),
            (false, false) => status.long_unpinned_len += region.range.len(),
        }
    }
    status.used_len = (status.pinned_len + status.unpinned_len).saturating_sub(idle);
    status
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing here panics while it holds a lock; and if it did, a list of slots is whole at every step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
