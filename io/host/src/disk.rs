pub(crate) mod private;

use crate::Error;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use terachat_storage::{Operation, Storage, StorageError, StorageErrorKind, check_name};

/// What a file is called while it is being written for [`Storage::replace`]. No store can use such a name.
const TEMPORARY: &str = ".new-";
/// Files kept open.
const OPEN_MAX: usize = 64;

/// Files in a folder of the operating system. Take the folder's [`Lock`](crate::Lock) first: two at once would
/// write into each other.
///
/// On Unix the folder has mode 0700 and its files 0600. `sync` is the system's fsync of the file, and of the folder
/// when the file is new; `replace` writes a second file, syncs it, renames it and syncs the folder.
pub struct Disk {
    folder: PathBuf,
    open: RefCell<BTreeMap<String, File>>,
    /// Files whose entry in the folder may not be durable yet.
    created: BTreeSet<String>,
}

impl Disk {
    /// Opens `folder`, making it if need be, and removes what an interrupted `replace` left.
    ///
    /// # Errors
    /// [`Error::Folder`].
    pub fn open(folder: &Path) -> Result<Self, Error> {
        private::create_folder(folder).map_err(Error::folder("make", folder))?;
        for entry in fs::read_dir(folder).map_err(Error::folder("read", folder))? {
            let entry = entry.map_err(Error::folder("read", folder))?;
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(TEMPORARY)) {
                fs::remove_file(entry.path()).map_err(Error::folder("clean up", folder))?;
            }
        }
        Ok(Self { folder: folder.to_owned(), open: RefCell::default(), created: BTreeSet::new() })
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// Does `work` with the file open, making it where `create` says so.
    fn with<T>(
        &self,
        operation: Operation,
        file: &str,
        create: bool,
        work: impl FnOnce(&mut File) -> io::Result<T>,
    ) -> Result<T, StorageError> {
        check_name(operation, file)?;
        let failed = |error: io::Error| storage_error(operation, file, &error);
        let mut open = self.open.borrow_mut();
        if !open.contains_key(file) {
            if open.len() >= OPEN_MAX {
                open.clear();
            }
            let handle = private::options()
                .read(true)
                .append(true)
                .create(create)
                .open(self.path(file))
                .map_err(failed)?;
            open.insert(file.to_owned(), handle);
        }
        work(open.get_mut(file).expect("it was just put in")).map_err(failed)
    }

    fn sync_folder(&self) -> io::Result<()> {
        private::sync_folder(&self.folder)
    }

    fn replace_file(&self, file: &str, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.path(&format!("{TEMPORARY}{file}"));
        let written = (|| {
            let mut handle = private::options().write(true).create(true).truncate(true).open(&temporary)?;
            handle.write_all(bytes)?;
            handle.sync_all()?;
            fs::rename(&temporary, self.path(file))
        })();
        if written.is_err() {
            // It takes space that a full disk needs; failing that, the next `open` removes it.
            let _ = fs::remove_file(&temporary);
        }
        written?;
        self.sync_folder()
    }
}

impl Storage for Disk {
    fn append(&mut self, file: &str, bytes: &[u8]) -> Result<u64, StorageError> {
        check_name(Operation::Append, file)?;
        let is_new = !self.open.borrow().contains_key(file) && !self.path(file).exists();
        if is_new {
            self.created.insert(file.to_owned());
        }
        self.with(Operation::Append, file, true, |handle| {
            let offset = handle.metadata()?.len();
            handle.write_all(bytes)?;
            Ok(offset)
        })
    }

    fn read(&self, file: &str, offset: u64, len: usize) -> Result<Vec<u8>, StorageError> {
        self.with(Operation::Read, file, false, |handle| {
            let held = handle.metadata()?.len();
            if offset.checked_add(len as u64).is_none_or(|end| end > held) {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let mut bytes = vec![0; len];
            private::read_exact_at(handle, &mut bytes, offset)?;
            Ok(bytes)
        })
    }

    fn size(&self, file: &str) -> Result<Option<u64>, StorageError> {
        check_name(Operation::Size, file)?;
        match fs::metadata(self.path(file)) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(storage_error(Operation::Size, file, &error)),
        }
    }

    fn sync(&mut self, file: &str) -> Result<(), StorageError> {
        self.with(Operation::Sync, file, false, |handle| handle.sync_data())?;
        if self.created.contains(file) {
            self.sync_folder().map_err(|error| storage_error(Operation::Sync, file, &error))?;
            self.created.remove(file);
        }
        Ok(())
    }

    fn truncate(&mut self, file: &str, len: u64) -> Result<(), StorageError> {
        self.with(Operation::Truncate, file, false, |handle| {
            if handle.metadata()?.len() > len { handle.set_len(len) } else { Ok(()) }
        })
    }

    fn replace(&mut self, file: &str, bytes: &[u8]) -> Result<(), StorageError> {
        check_name(Operation::Replace, file)?;
        self.open.borrow_mut().remove(file);
        self.replace_file(file, bytes).map_err(|error| storage_error(Operation::Replace, file, &error))?;
        self.created.remove(file);
        Ok(())
    }

    fn remove(&mut self, file: &str) -> Result<(), StorageError> {
        check_name(Operation::Remove, file)?;
        self.open.borrow_mut().remove(file);
        match fs::remove_file(self.path(file)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(storage_error(Operation::Remove, file, &error))
            }
            _ => Ok(()),
        }
    }

    fn list(&self) -> Result<Vec<String>, StorageError> {
        let failed = |error: io::Error| storage_error(Operation::List, "", &error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // What cannot be one of ours (sub-folders, the lock, other programs' files) is none of ours.
            if let Some(name) =
                entry.file_name().to_str().filter(|name| check_name(Operation::List, name).is_ok())
                && entry.file_type().map_err(failed)?.is_file()
            {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }
}

fn storage_error(operation: Operation, file: &str, error: &io::Error) -> StorageError {
    let kind = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => StorageErrorKind::Full,
        ErrorKind::NotFound => StorageErrorKind::NotFound,
        ErrorKind::UnexpectedEof => StorageErrorKind::Short,
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StorageErrorKind::Denied,
        _ => StorageErrorKind::Io,
    };
    StorageError::new(kind, operation, file).detail(error)
}

#[cfg(test)]
mod tests;
