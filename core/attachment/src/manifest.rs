use crate::chunk::{Place, SealedChunk, open, seal};
use crate::layout::Layout;
use crate::{Address, ChunkName, Error, FileKey};

const VERSION: u8 = 1;
const NAME_LEN: usize = 32;

/// A file's length and what its chunks are kept under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) layout: Layout,
    pub(crate) names: Vec<ChunkName>,
}

impl Manifest {
    pub(crate) fn seal(&self, key: &FileKey) -> (Address, SealedChunk) {
        let mut bytes = Vec::with_capacity(9 + NAME_LEN * self.names.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.layout.len().to_le_bytes());
        self.names.iter().for_each(|name| bytes.extend_from_slice(&name.0));
        let sealed = seal(key, Place::Manifest, bytes);
        (Address(sealed.name.0), sealed)
    }

    /// # Errors
    /// [`Error::Manifest`] for other bytes than the address stands for, [`Error::ManifestKey`].
    pub(crate) fn open(address: &Address, key: &FileKey, sealed: Vec<u8>) -> Result<Self, Error> {
        if ChunkName::of(&sealed) != address.manifest() {
            return Err(Error::Manifest);
        }
        open(key, Place::Manifest, sealed).as_deref().and_then(Self::read).ok_or(Error::ManifestKey)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (&[VERSION], rest) = bytes.split_first_chunk::<1>()? else { return None };
        let (len, names) = rest.split_first_chunk::<8>()?;
        let layout = Layout::of(u64::from_le_bytes(*len)).ok()?;
        let (names, rest) = names.as_chunks::<NAME_LEN>();
        let fits = rest.is_empty() && names.len() == usize::try_from(layout.count()).ok()?;
        fits.then(|| Self { layout, names: names.iter().map(|name| ChunkName(*name)).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::CHUNK_LEN;

    fn key(n: u8) -> FileKey {
        FileKey::take(&mut [n; 32])
    }

    #[test]
    fn a_manifest_opens_under_its_address_and_key() {
        let layout = Layout::of(CHUNK_LEN as u64 + 1).unwrap();
        let manifest = Manifest { layout, names: vec![ChunkName([1; 32]), ChunkName([2; 32])] };
        let (address, sealed) = manifest.seal(&key(1));
        assert_eq!(Manifest::open(&address, &key(1), sealed.bytes.clone()), Ok(manifest));
        assert_eq!(Manifest::open(&address, &key(2), sealed.bytes.clone()), Err(Error::ManifestKey));
        assert_eq!(Manifest::open(&Address([0; 32]), &key(1), sealed.bytes.clone()), Err(Error::Manifest));
        let short = sealed.bytes[1..].to_vec();
        assert_eq!(Manifest::open(&address, &key(1), short), Err(Error::Manifest));
    }

    #[test]
    fn numbers_that_do_not_fit_each_other_are_no_manifest() {
        let bytes = |version, len: u64, names: usize| {
            [&[version][..], &len.to_le_bytes(), &vec![7; 32 * names]].concat()
        };
        assert!(Manifest::read(&bytes(1, 5, 1)).is_some() && Manifest::read(&bytes(1, 0, 1)).is_some());
        for (version, len, names) in [(2, 5, 1), (1, 5, 0), (1, 5, 2), (1, 0, 0), (1, u64::MAX, 1)] {
            assert_eq!(Manifest::read(&bytes(version, len, names)), None, "{version} {len} {names}");
        }
        for end in 0..41 {
            assert_eq!(Manifest::read(&bytes(1, 5, 1)[..end]), None, "{end}");
        }
    }
}
