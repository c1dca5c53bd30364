//! The only file of this crate with `unsafe` in it: mapping pages, and a typed value in a slot of bytes.
//!
//! Why it cannot be done without: the standard library allocates no page of its own that could be locked, and a value of
//! somebody else's type (a key object with its tables) has to be *placed*, which is a cast of a pointer.
#![allow(
    unsafe_code,
    reason = "mapped pages become slices, slots become typed values; each block says why it holds"
)]

use super::{MemoryError, Slot};
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Range};
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

pub(super) use system::{LOCKS, lock_limit, refuse_dumps};

/// Overwrites with zeros in a way that the compiler does not leave out.
pub(crate) fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    zeroize::optimization_barrier(bytes);
}

/// Pages of their own: zeroed, left out of core dumps and of forks where the system can, with an inaccessible page on
/// either side. Wiped and unmapped on drop.
pub(crate) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: a mapping is owned memory like a Box<[u8]>; nothing in it is bound to a thread.
unsafe impl Send for Mapping {}
// SAFETY: as above; shared references only read.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// At least `len` bytes, aligned to 4096. `None` when the system has no memory left.
    pub(crate) fn new(len: usize) -> Option<Self> {
        let len = len.max(1).checked_next_multiple_of(system::page_len())?;
        let start = system::map(len)?;
        let range = start.addr().get()..start.addr().get() + len;
        let region = Region { range, locked: false, holds_slots: false };
        registry().insert(region.range.start, region);
        Some(Self { start, len })
    }

    /// Locks the pages into memory and says whether that went well. They stay locked until they are unmapped.
    pub(crate) fn lock(&mut self) -> bool {
        let locked = system::lock(self.start, self.len);
        if let Some(region) = registry().get_mut(&self.start.addr().get()) {
            region.locked = locked;
        }
        locked
    }

    /// The bytes for the rest of the process's life, to be cut into slots.
    pub(super) fn leak(self) -> &'static mut [u8] {
        let mut this = std::mem::ManuallyDrop::new(self);
        if let Some(region) = registry().get_mut(&this.start.addr().get()) {
            region.holds_slots = true;
        }
        // SAFETY: as in `deref_mut`; and since the mapping is never dropped, nothing unmaps it, and nobody else has it.
        unsafe { std::slice::from_raw_parts_mut(this.start.as_mut(), this.len) }
    }

    /// The bytes as Argon2's memory: as many blocks as fit.
    pub(crate) fn blocks(&mut self) -> &mut [argon2::Block] {
        let count = self.len / size_of::<argon2::Block>();
        // SAFETY: the mapping is aligned to 4096 and initialised, a block is an array of u64 for which all bytes are
        // valid, and the borrow is exclusive as `self`'s is.
        unsafe { std::slice::from_raw_parts_mut(self.start.cast().as_ptr(), count) }
    }
}

const _: () =
    assert!(align_of::<argon2::Block>() <= 4096 && size_of::<argon2::Block>() == argon2::Block::SIZE);

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `map` gave `len` readable and writable bytes, zeroed and so initialised, that this value owns.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Mapping {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` makes it exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        wipe(self);
        registry().remove(&self.start.addr().get());
        // SAFETY: `start` and `len` are what `map` gave, and no borrow outlives `self`.
        unsafe { system::unmap(self.start, self.len) }
    }
}

/// A range that this file mapped.
#[derive(Clone)]
pub(super) struct Region {
    pub(super) range: Range<usize>,
    pub(super) locked: bool,
    pub(super) holds_slots: bool,
}

static REGIONS: Mutex<BTreeMap<usize, Region>> = Mutex::new(BTreeMap::new());

fn registry() -> std::sync::MutexGuard<'static, BTreeMap<usize, Region>> {
    REGIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn regions() -> Vec<Region> {
    registry().values().cloned().collect()
}

/// A value with key material in it, in a slot of pinned memory: a key object of a library, with its tables.
///
/// Dropped and then wiped, byte for byte. What the value itself keeps on the heap is not pinned: meant for plain values.
pub struct Pinned<T> {
    slot: Slot,
    value: PhantomData<T>,
}

impl<T> Pinned<T> {
    /// Makes the value and burns the stack on which it was made: `DEPTH` bytes of it, see [`burn_after`].
    ///
    /// [`burn_after`]: super::burn_after
    pub fn new<const DEPTH: usize>(make: impl FnOnce() -> T) -> Self {
        const {
            assert!(
                size_of::<T>() <= super::arena::SLOT_LEN_MAX && align_of::<T>() <= super::arena::SLOT_LEN_MIN
            )
        };
        let mut slot = Slot::new(size_of::<T>());
        super::burn_after::<DEPTH, _>(|| {
            // SAFETY: the slot is at least as long as T, aligned to at least SLOT_LEN_MIN and so to T (asserted above),
            // and borrowed exclusively.
            unsafe { slot.as_mut_ptr().cast::<T>().write(make()) }
        });
        // From here on there is a T in the slot, which `drop` relies on; a panic in `make` only drops the slot.
        Self { slot, value: PhantomData }
    }
}

impl<T> Deref for Pinned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: `new` wrote a T here, and only `drop` takes it away.
        unsafe { &*self.slot.as_ptr().cast::<T>() }
    }
}

impl<T> Drop for Pinned<T> {
    fn drop(&mut self) {
        // SAFETY: as in `deref`; the slot is wiped afterwards by its own drop, and nobody sees the value again.
        unsafe { self.slot.as_mut_ptr().cast::<T>().drop_in_place() }
    }
}

#[cfg(all(unix, not(miri)))]
mod system {
    use super::{MemoryError, NonNull};
    use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mlock, mmap_anonymous, mprotect, munmap};
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    pub(crate) const LOCKS: bool = true;

    pub(super) fn page_len() -> usize {
        rustix::param::page_size()
    }

    pub(super) fn map(len: usize) -> Option<NonNull<u8>> {
        let guard = page_len();
        let whole = len.checked_add(2 * guard)?;
        // SAFETY: a new private mapping at an address of the system's choice touches nothing that exists.
        let outer =
            unsafe { mmap_anonymous(std::ptr::null_mut(), whole, ProtFlags::empty(), MapFlags::PRIVATE) }
                .ok()?;
        // SAFETY: `guard` is within the mapping that was just made.
        let start = unsafe { outer.byte_add(guard) };
        // SAFETY: the range lies within the mapping, which nobody else knows yet.
        if unsafe { mprotect(start, len, MprotectFlags::READ | MprotectFlags::WRITE) }.is_err() {
            // SAFETY: as above.
            let _ = unsafe { munmap(outer, whole) };
            return None;
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        for advice in [rustix::mm::Advice::LinuxDontDump, rustix::mm::Advice::LinuxDontFork] {
            // A child that forks without exec must not find keys; one that finds zeros instead might seal with them, so
            // the pages are simply not there for it.
            // SAFETY: neither advice changes the content of the range, which lies within the new mapping.
            let _ = unsafe { rustix::mm::madvise(start, len, advice) };
        }
        NonNull::new(start.cast())
    }

    pub(super) fn lock(start: NonNull<u8>, len: usize) -> bool {
        // SAFETY: locking changes nothing that the program can see.
        unsafe { mlock(start.as_ptr().cast(), len) }.is_ok()
    }

    /// # Safety
    /// `start` and `len` are what [`map`] gave, and nobody uses them any more.
    pub(super) unsafe fn unmap(start: NonNull<u8>, len: usize) {
        let guard = page_len();
        // SAFETY: the caller's promise; the guard pages around belong to the same mapping.
        let _ = unsafe { munmap(start.as_ptr().byte_sub(guard).cast(), len + 2 * guard) };
    }

    pub(crate) fn lock_limit() -> Option<u64> {
        getrlimit(Resource::Memlock).current
    }

    pub(crate) fn refuse_dumps() -> Result<(), MemoryError> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
            .map_err(|_| MemoryError::Dumps)?;
        let maximum = getrlimit(Resource::Core).maximum;
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum }).map_err(|_| MemoryError::Dumps)
    }
}

/// The heap, for the browser, for platforms whose locked memory this version does not know, and for miri.
#[cfg(any(not(unix), miri))]
mod system {
    use super::{MemoryError, NonNull};
    use std::alloc::{Layout, alloc_zeroed, dealloc};

    pub(crate) const LOCKS: bool = false;

    pub(super) fn page_len() -> usize {
        4096
    }

    pub(super) fn map(len: usize) -> Option<NonNull<u8>> {
        let layout = Layout::from_size_align(len, page_len()).ok()?;
        // SAFETY: `Mapping::new` asks for one page at least, never for nothing.
        NonNull::new(unsafe { alloc_zeroed(layout) })
    }

    pub(super) fn lock(_: NonNull<u8>, _: usize) -> bool {
        false
    }

    /// # Safety
    /// `start` and `len` are what [`map`] gave, and nobody uses them any more.
    pub(super) unsafe fn unmap(start: NonNull<u8>, len: usize) {
        let layout = Layout::from_size_align(len, page_len()).expect("the layout it was allocated with");
        // SAFETY: the caller's promise, and the same layout.
        unsafe { dealloc(start.as_ptr(), layout) }
    }

    pub(crate) fn lock_limit() -> Option<u64> {
        None
    }

    pub(crate) fn refuse_dumps() -> Result<(), MemoryError> {
        Err(MemoryError::Dumps)
    }
}
