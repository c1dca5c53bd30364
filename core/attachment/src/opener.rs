use crate::chunk::{CHUNK_OVERHEAD, Place, open, seal};
use crate::manifest::Manifest;
use crate::{Address, ChunkName, Error, FileKey};
use std::cmp::Ordering;

/// A file on its way back: knows each of its chunks by name before it comes, and takes them in their order.
pub struct Opener {
    key: FileKey,
    manifest: Manifest,
    next: u32,
    hasher: blake3::Hasher,
}

impl Opener {
    /// Begins with the manifest that is kept under the file's address.
    ///
    /// # Errors
    /// [`Error::Manifest`], [`Error::ManifestKey`].
    pub fn new(address: &Address, key: FileKey, sealed: Vec<u8>) -> Result<Self, Error> {
        let manifest = Manifest::open(address, &key, sealed)?;
        Ok(Self { key, manifest, next: 0, hasher: blake3::Hasher::new() })
    }

    /// Bytes of the file.
    pub fn file_len(&self) -> u64 {
        self.manifest.layout.len()
    }

    /// How many chunks it has.
    pub fn count(&self) -> u32 {
        self.manifest.layout.count()
    }

    /// Which chunk comes next, from 0; [`Opener::count`] behind the last.
    pub fn next_index(&self) -> u32 {
        self.next
    }

    /// What a chunk is kept under; `None` behind the last.
    pub fn name(&self, index: u32) -> Option<ChunkName> {
        self.manifest.names.get(usize::try_from(index).ok()?).copied()
    }

    /// How many bytes of the file the next chunk has; `None` behind the last.
    pub fn next_len(&self) -> Option<usize> {
        (self.next < self.count()).then(|| self.manifest.layout.file_len(self.next))
    }

    /// Whether these bytes, left by an earlier try, are those of the next chunk. If so it need not come.
    pub fn resume(&mut self, bytes: &[u8]) -> bool {
        if self.next_len() != Some(bytes.len()) {
            return false;
        }
        let mut plain = Vec::with_capacity(self.sealed_len());
        plain.extend_from_slice(bytes);
        plain.resize(self.sealed_len() - CHUNK_OVERHEAD, 0);
        if Some(seal(&self.key, self.place(), plain).name) != self.name(self.next) {
            return false;
        }
        self.hasher.update(bytes);
        self.next += 1;
        true
    }

    /// Takes the next chunk and gives its bytes of the file.
    ///
    /// # Errors
    /// What is wrong with it; nothing was taken.
    pub fn accept(&mut self, sealed: Vec<u8>) -> Result<Vec<u8>, Error> {
        let (index, file_len) = (self.next, self.next_len().ok_or(Error::Ended)?);
        let name = ChunkName::of(&sealed);
        if Some(name) != self.name(index) {
            return Err(self.stranger(name, sealed.len()));
        }
        // One file has one form, or what was taken before would not be known again.
        let fits = |bytes: &Vec<u8>| {
            bytes.len() + CHUNK_OVERHEAD == self.sealed_len()
                && bytes[file_len..].iter().all(|byte| *byte == 0)
        };
        let mut bytes = open(&self.key, self.place(), sealed).filter(fits).ok_or(Error::Key { index })?;
        bytes.truncate(file_len);
        self.hasher.update(&bytes);
        self.next += 1;
        Ok(bytes)
    }

    /// BLAKE3 of the whole file.
    ///
    /// # Errors
    /// [`Error::Unfinished`] before the last chunk.
    pub fn finish(self) -> Result<[u8; 32], Error> {
        if self.next < self.count() {
            return Err(Error::Unfinished { index: self.next });
        }
        Ok(*self.hasher.finalize().as_bytes())
    }

    /// What came in the place of the next chunk.
    fn stranger(&self, name: ChunkName, len: usize) -> Error {
        let index = self.next;
        let own = self.manifest.names.iter().zip(0..).find(|(own, _)| **own == name);
        match (own, len.cmp(&self.sealed_len())) {
            (Some((_, came)), _) if came < index => Error::Repeated { index, came },
            (Some((_, came)), _) => Error::OutOfOrder { index, came },
            (None, Ordering::Less) => Error::Short { index },
            (None, Ordering::Greater) => Error::Long { index },
            (None, Ordering::Equal) => Error::Altered { index },
        }
    }

    fn sealed_len(&self) -> usize {
        self.manifest.layout.sealed_len(self.next) + CHUNK_OVERHEAD
    }

    fn place(&self) -> Place {
        Place::Chunk { index: self.next, is_last: self.manifest.layout.is_last(self.next) }
    }
}
