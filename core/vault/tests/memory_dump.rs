//! Dumps a running process and looks for its keys: they are in the pinned pages and nowhere else, and after their drop
//! nowhere at all.
//!
//! The process is this test binary again, as a child that knows secrets. The parent learns them only by reading the
//! child's memory at the addresses that the child names, so a key is neither in the child's arguments nor its
//! environment. Both sides step through a pipe: no step depends on time.
#![cfg_attr(not(target_os = "linux"), allow(dead_code, unused_imports))]
#![allow(clippy::unwrap_used, reason = "a test's helpers; what fails here fails the test")]

#[cfg(target_os = "linux")]
#[path = "memory_dump/child.rs"]
mod child;
#[cfg(target_os = "linux")]
#[path = "memory_dump/parent.rs"]
mod parent;
#[cfg(target_os = "linux")]
#[path = "memory_dump/scan.rs"]
mod scan;

/// Which story the child tells; set by the parent only.
const STORY: &str = "TERACHAT_MEMORY_DUMP_STORY";

#[cfg(not(target_os = "linux"))]
#[test]
fn memory_dumps_are_read_on_linux_only() {
    eprintln!("SKIPPED: this system's process memory is not read by this test");
}
