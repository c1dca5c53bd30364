//! Where keys live: pages that are locked into memory, left out of core dumps, and fenced by guard pages.
//!
//! Everything secret in this crate takes a slot of these pages and wipes it when it is dropped, by a panic too.
//! Nothing here must be called for that. A program that *insists* calls [`reserve`] once at its start, before its
//! first secret; one that wants no dumps at all calls [`refuse_dumps`]. `docs/adr/0012-keys-in-memory.md` says what is chosen
//! and why.
mod arena;
mod long;
mod raw;
mod stack;

pub use arena::CHUNK_LEN;
pub(crate) use arena::Slot;
pub(crate) use long::Long;
pub use raw::Pinned;
pub(crate) use raw::{Mapping, wipe};
pub use stack::{
    AEAD_DEPTH, AEAD_KEY_DEPTH, AGREEMENT_DEPTH, ENCAPSULATION_DEPTH, HASH_CHUNK_DEPTH, HASH_DEPTH,
    PASSPHRASE_DEPTH, SIGN_DEPTH, burn_after,
};

use std::ops::Range;

/// What to do where the system does not let this process lock memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Do not start: [`reserve`] fails.
    Require,
    /// Go on with pages that may be swapped out. They are wiped and left out of core dumps all the same.
    Allow,
}

/// Why keys are not pinned. Nothing was changed, and nothing secret was made yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The system refused to lock this much.
    #[error(
        "keys cannot be kept out of swap: the system refused to lock {wanted_kib} KiB of memory{}; \
         raise the limit (`ulimit -l 8192`, in a systemd unit `LimitMEMLOCK=8M`), or allow unpinned keys \
         (`--allow-unpinned-keys`, or TERACHAT_UNPINNED_KEYS=1) and keep swap off or encrypted",
        limit_kib.map(|kib| format!(", this process may lock {kib} KiB")).unwrap_or_default()
    )]
    Limit {
        /// What was asked for.
        wanted_kib: u64,
        /// What the process may lock in all, if it is limited.
        limit_kib: Option<u64>,
    },
    /// This platform has no locked memory that this version can use.
    #[error(
        "keys cannot be kept out of swap: this platform has no locked memory that terachat knows; allow unpinned \
         keys (`--allow-unpinned-keys`, or TERACHAT_UNPINNED_KEYS=1) and keep swap off or encrypted"
    )]
    Unsupported,
    /// The system refused to exclude this process from dumps.
    #[error("the system refused to switch core dumps off; start with `ulimit -c 0`")]
    Dumps,
}

/// How much memory holds secrets, and whether it is pinned. Figures in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Status {
    /// In locked pages.
    pub pinned_len: usize,
    /// In pages for keys that the system refused to lock. Zero unless unpinned keys were allowed or the limit was hit
    /// later, which is also logged as a warning.
    pub unpinned_len: usize,
    /// In use by secrets, of both.
    pub used_len: usize,
    /// In long values (over 4 KiB: group state, the passphrase's work memory), locked.
    pub long_pinned_len: usize,
    /// In long values that are only left out of core dumps.
    pub long_unpinned_len: usize,
}

impl Status {
    /// Whether no key is, or was given leave to be, outside of locked pages.
    pub fn is_pinned(&self) -> bool {
        self.unpinned_len == 0
    }
}

/// Maps `len` bytes for keys now (rounded up to [`CHUNK_LEN`]) and says whether they are pinned. Good values are 256 KiB
/// to 1 MiB: a key takes 32 bytes, an AES key with its tables 1 KiB. Once used up, more is locked as needed; where that
/// fails, keys go to unlocked pages, with a warning in the log and in [`status`].
///
/// # Errors
/// Under [`Policy::Require`], [`MemoryError::Limit`] or [`MemoryError::Unsupported`]; nothing was kept.
pub fn reserve(policy: Policy, len: usize) -> Result<Status, MemoryError> {
    let wanted = len.max(1).next_multiple_of(CHUNK_LEN);
    if !arena::reserve(wanted, policy == Policy::Allow) {
        return Err(if raw::LOCKS {
            MemoryError::Limit {
                wanted_kib: wanted as u64 / 1024,
                limit_kib: raw::lock_limit().map(|len| len / 1024),
            }
        } else {
            MemoryError::Unsupported
        });
    }
    Ok(status())
}

/// How much memory holds secrets now. Walks a few lists; not for hot paths.
pub fn status() -> Status {
    arena::status()
}

/// The address ranges that hold secrets and are locked. Addresses only: for tests and for whoever checks with a debugger.
pub fn pinned_ranges() -> Vec<Range<usize>> {
    raw::regions().into_iter().filter(|region| region.locked).map(|region| region.range).collect()
}

/// Forbids core dumps of this process, and on Linux also that other processes of the same user read its memory or
/// attach a debugger. For a program's start; processes that it starts inherit the core limit only.
///
/// # Errors
/// [`MemoryError::Dumps`] where the system refuses.
pub fn refuse_dumps() -> Result<(), MemoryError> {
    raw::refuse_dumps()
}

/// Ends the process as a `Box` or `Vec` does when the system has no memory at all.
pub(crate) fn out_of_memory(len: usize) -> ! {
    std::alloc::handle_alloc_error(
        std::alloc::Layout::array::<u8>(len).unwrap_or(std::alloc::Layout::new::<[u8; 4096]>()),
    )
}

#[cfg(test)]
mod tests;
