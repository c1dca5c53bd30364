//! Every write of the vault's goes through here, so that a test can let the process end, or the power fail, at any of them.
#[cfg(test)]
pub(crate) use crate::fail::write;

/// What a write does to the engine's journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code, reason = "tests look at it"))]
pub(crate) enum Kind {
    /// Appends to it; the system may keep that to itself for a while.
    Append,
    /// All of it is on the disk afterwards.
    Sync,
    /// Nothing: it is a file beside the engine's.
    Beside,
}

/// Does a write in the vault's folder.
///
/// # Errors
/// Those of `write`.
#[cfg(not(test))]
pub(crate) fn write<T, E: From<std::io::Error>>(
    _folder: &std::path::Path,
    _kind: Kind,
    write: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    write()
}
