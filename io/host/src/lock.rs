use crate::{Error, disk::private};
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

/// The lock's file. The dot keeps it out of the names a store can use.
const FILE: &str = ".lock";

/// The right of one process to work in a folder, for as long as the value lives. The system releases it when the
/// process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock of `folder`, making the folder if need be. Does not wait.
    ///
    /// # Errors
    /// [`Error::Locked`] with the other process's id; [`Error::Folder`].
    pub fn acquire(folder: &Path) -> Result<Self, Error> {
        private::create_folder(folder).map_err(Error::folder("make", folder))?;
        let path = folder.join(FILE);
        let mut file = private::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(Error::folder("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked { folder: folder.to_owned(), process: holder(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(Error::folder("lock", &path)(source)),
        }
        // Only for the message to others: a full disk must not keep anyone from opening a profile.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Nobody holds it now, and a reader should not be told otherwise. Closing the file unlocks in any case.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(20).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time_and_the_other_is_told_who() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profile");
        let lock = Lock::acquire(&path).unwrap();
        let error = Lock::acquire(&path).unwrap_err();
        assert!(matches!(error, Error::Locked { process: Some(id), .. } if id == std::process::id()));
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        drop(lock);
        Lock::acquire(&path).unwrap();
    }

    #[test]
    fn a_file_in_the_folders_place_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(Lock::acquire(file.path()), Err(Error::Folder { .. })));
    }
}
