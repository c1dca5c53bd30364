use crate::Error;
use crate::keyring_file::options;
use std::fs::{File, TryLockError};
use std::path::Path;

const FILE: &str = ".lock";

/// The right of one process to work in a vault's folder, for as long as the value lives. The system releases it when the
/// process ends, however it ends.
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock of `folder`, making the folder if need be. Does not wait.
    ///
    /// # Errors
    /// [`Error::Host`] when another process has it; [`Error::File`].
    pub(crate) fn acquire(folder: &Path) -> Result<Self, Error> {
        create_folder(folder).map_err(Error::file("make", folder))?;
        let path = folder.join(FILE);
        let file = options().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(Error::file("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(Error::Host(
                format!(
                    "{} is in use by another process; stop it, or choose another folder",
                    folder.display()
                )
                .into(),
            )),
            Err(TryLockError::Error(error)) => Err(Error::file("lock", &path)(error)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing unlocks only when every copy is closed, and a process that is being started elsewhere in the program has one
        // until it runs.
        let _ = self.file.unlock();
    }
}

/// Makes a folder that only its owner may enter.
fn create_folder(folder: &Path) -> std::io::Result<()> {
    #[allow(unused_mut, reason = "only Unix has modes")]
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault");
        let lock = Lock::acquire(&path).unwrap();
        assert!(matches!(Lock::acquire(&path), Err(Error::Host(_))));
        let copy = lock.file.try_clone().unwrap();
        drop(lock);
        Lock::acquire(&path).unwrap();
        drop(copy);
        let file = folder.path().join("a file");
        std::fs::write(&file, "").unwrap();
        assert!(matches!(Lock::acquire(&file), Err(Error::File { .. })));
    }
}
