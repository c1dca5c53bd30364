use crate::chunk::{Place, SealedChunk, seal};
use crate::layout::Layout;
use crate::manifest::Manifest;
use crate::{Address, Error, FileKey};

/// A file on its way out, part by part.
pub struct Sealer {
    key: FileKey,
    manifest: Manifest,
    hasher: blake3::Hasher,
}

/// What a file is, once all of it is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// What it is found by.
    pub address: Address,
    /// Its bytes.
    pub len: u64,
    /// BLAKE3 of its bytes.
    pub hash: [u8; 32],
}

impl Sealer {
    /// Begins a file of so many bytes.
    ///
    /// # Errors
    /// [`Error::TooLong`].
    pub fn new(key: FileKey, len: u64) -> Result<Self, Error> {
        let manifest = Manifest { layout: Layout::of(len)?, names: Vec::new() };
        Ok(Self { key, manifest, hasher: blake3::Hasher::new() })
    }

    /// How many bytes of the file the next chunk takes: [`crate::CHUNK_LEN`] but at the end, 0 for one of padding alone. `None` behind
    /// the last.
    pub fn next_len(&self) -> Option<usize> {
        let Manifest { layout, .. } = &self.manifest;
        let index = self.index();
        (index < layout.count()).then(|| layout.file_len(index))
    }

    /// Seals the next bytes of the file.
    ///
    /// # Errors
    /// [`Error::Changed`] for another number of bytes than [`Sealer::next_len`] says.
    pub fn seal(&mut self, mut bytes: Vec<u8>) -> Result<SealedChunk, Error> {
        if self.next_len() != Some(bytes.len()) {
            return Err(Error::Changed);
        }
        let (layout, index) = (self.manifest.layout, self.index());
        self.hasher.update(&bytes);
        bytes.resize(layout.sealed_len(index), 0);
        let sealed = seal(&self.key, Place::Chunk { index, is_last: layout.is_last(index) }, bytes);
        self.manifest.names.push(sealed.name);
        Ok(sealed)
    }

    /// What the whole file is, and its manifest, to be kept as the chunks are.
    ///
    /// # Errors
    /// [`Error::Unfinished`] before the last chunk.
    pub fn finish(self) -> Result<(Stored, SealedChunk), Error> {
        if self.next_len().is_some() {
            return Err(Error::Unfinished { index: self.index() });
        }
        let (address, sealed) = self.manifest.seal(&self.key);
        let hash = *self.hasher.finalize().as_bytes();
        Ok((Stored { address, len: self.manifest.layout.len(), hash }, sealed))
    }

    fn index(&self) -> u32 {
        u32::try_from(self.manifest.names.len()).expect("a file has at most 2^16 chunks")
    }
}
