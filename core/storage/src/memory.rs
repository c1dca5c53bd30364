use super::{Operation, Storage, StorageError, StorageErrorKind, check_name};
use std::collections::BTreeMap;

/// Files in memory: for tests and for browsers without a file system of their own. Nothing outlives the value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryStorage {
    files: BTreeMap<String, Vec<u8>>,
}

impl MemoryStorage {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    fn file(&mut self, operation: Operation, file: &str) -> Result<&mut Vec<u8>, StorageError> {
        check_name(operation, file)?;
        self.files.get_mut(file).ok_or_else(|| StorageError::new(StorageErrorKind::NotFound, operation, file))
    }
}

/// The bytes `offset .. offset + len` of `content`, or [`StorageErrorKind::Short`].
pub(super) fn range<'a>(
    content: &'a [u8],
    file: &str,
    offset: u64,
    len: usize,
) -> Result<&'a [u8], StorageError> {
    usize::try_from(offset)
        .ok()
        .and_then(|start| content.get(start..start.checked_add(len)?))
        .ok_or_else(|| StorageError::new(StorageErrorKind::Short, Operation::Read, file))
}

impl Storage for MemoryStorage {
    fn append(&mut self, file: &str, bytes: &[u8]) -> Result<u64, StorageError> {
        check_name(Operation::Append, file)?;
        let content = self.files.entry(file.to_owned()).or_default();
        let offset = content.len() as u64;
        content.extend_from_slice(bytes);
        Ok(offset)
    }

    fn read(&self, file: &str, offset: u64, len: usize) -> Result<Vec<u8>, StorageError> {
        check_name(Operation::Read, file)?;
        let content = self
            .files
            .get(file)
            .ok_or_else(|| StorageError::new(StorageErrorKind::NotFound, Operation::Read, file))?;
        Ok(range(content, file, offset, len)?.to_vec())
    }

    fn size(&self, file: &str) -> Result<Option<u64>, StorageError> {
        check_name(Operation::Size, file)?;
        Ok(self.files.get(file).map(|content| content.len() as u64))
    }

    fn sync(&mut self, file: &str) -> Result<(), StorageError> {
        self.file(Operation::Sync, file).map(|_| ())
    }

    fn truncate(&mut self, file: &str, len: u64) -> Result<(), StorageError> {
        let content = self.file(Operation::Truncate, file)?;
        content.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        Ok(())
    }

    fn replace(&mut self, file: &str, bytes: &[u8]) -> Result<(), StorageError> {
        check_name(Operation::Replace, file)?;
        self.files.insert(file.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn remove(&mut self, file: &str) -> Result<(), StorageError> {
        check_name(Operation::Remove, file)?;
        self.files.remove(file);
        Ok(())
    }

    fn list(&self) -> Result<Vec<String>, StorageError> {
        Ok(self.files.keys().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conforms() {
        crate::suite::conforms(&mut || Box::new(MemoryStorage::new()));
    }
}
