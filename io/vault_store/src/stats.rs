use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since the vault was opened, and what is in it now: for metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Records that are listed now.
    pub records: u64,
    /// Versions of them, the newest included.
    pub versions: u64,
    /// Sealed bytes of them.
    pub sealed_bytes: u64,
    /// Bytes that the database takes on disk.
    pub disk_bytes: u64,
    /// Records read.
    pub reads: u64,
    /// Records that were asked for and not found.
    pub misses: u64,
    /// Versions stored.
    pub puts: u64,
    /// Versions erased (unlisted).
    pub erased: u64,
    /// 1:1 comparisons.
    pub verifications: u64,
    /// 1:N searches.
    pub identifications: u64,
    /// Commits, each with one audit event.
    pub commits: u64,
    /// Commits that waited for the disk.
    pub syncs: u64,
    /// Sweeps that destroyed keys.
    pub sweeps: u64,
    /// Erased versions whose keys are still to be destroyed.
    pub pending_erasures: u64,
    /// Records that did not open: an alarm if it is not 0.
    pub damaged: u64,
    /// Versions re-encrypted by rotations.
    pub reencrypted: u64,
    /// Opened key pages that were found in memory.
    pub page_hits: u64,
    /// Key pages that had to be opened.
    pub page_misses: u64,
    /// Templates in the galleries that are loaded.
    pub gallery_templates: u64,
    /// Number of the newest audit event.
    pub audit_seq: u64,
}

/// Whether the vault can do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether writes are taken.
    pub writable: bool,
    /// Why not, and what else is wrong, in words for people: read-only after a failed write, a clock that jumped,
    /// records that do not open.
    pub problems: Vec<String>,
    /// Number of erased versions whose keys are still to be destroyed.
    pub pending_erasures: u64,
    /// Whether the clock jumped ahead further than is believed: nothing expires until it is confirmed.
    pub clock_doubted: bool,
}

/// What is counted while the vault is open.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) reads: AtomicU64,
    pub(crate) misses: AtomicU64,
    pub(crate) puts: AtomicU64,
    pub(crate) erased: AtomicU64,
    pub(crate) verifications: AtomicU64,
    pub(crate) identifications: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) sweeps: AtomicU64,
    pub(crate) pending_erasures: AtomicU64,
    pub(crate) damaged: AtomicU64,
    pub(crate) reencrypted: AtomicU64,
}

impl Counters {
    /// Calls that read, compare or store records: two numbers that differ say that somebody was at work between them.
    pub(crate) fn calls(&self) -> u64 {
        let calls = [&self.reads, &self.misses, &self.puts, &self.verifications, &self.identifications];
        calls.iter().map(|counter| counter.load(Ordering::Relaxed)).sum()
    }
}
