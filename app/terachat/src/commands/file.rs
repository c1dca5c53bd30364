use crate::failure::{Failure, Result};
use std::io::Write;
use std::path::Path;

/// Writes a file whole or not at all: one that is cut short looks like a damaged one to whoever gets it.
///
/// # Errors
/// [`Failure::Told`].
pub(super) fn write(out: &Path, bytes: &[u8]) -> Result<()> {
    persist(out, bytes).map_err(|error| Failure::file("write", out, &error))
}

/// # Errors
/// [`Failure::Told`].
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| Failure::file("read", path, &error))
}

fn persist(out: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(out)?;
    Ok(())
}
