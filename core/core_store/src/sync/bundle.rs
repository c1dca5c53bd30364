use super::batch::{Batch, ChunkLen, Limits};
use super::{decode_batch, encode_batch};
use crate::Error;
use crate::model::EpochKey;
use crate::store::{compress, decompress, level_for};
use crate::wire::{Reader, put};
use terachat_vault::{Entropy, TAG_LEN};

const VERSION: u8 = 1;
/// Largest batch description before compression: what one block of a commit log holds.
const META_LEN_MAX: usize = crate::store::commit_log::BODY_LEN_MAX;
/// A chunk holds one payload of up to 1 MiB, or several of together about 256 KiB.
pub(crate) const CHUNK_LEN_MAX: usize = 2 << 20;

/// How hard long chunks are compressed (Zstandard): once by the sender, and kept so by all who take them in.
const HISTORY_LEVEL: i32 = 6;
const WRONG_LEN: &str = "a chunk's length is not what its events say";

/// A batch as it travels: described in compressed columns, its payloads in compressed chunks that are sealed for the
/// channel's members. Whoever carries it without their key sees who wrote when, and nothing of what.
pub struct Bundle {
    /// What is inside.
    pub batch: Batch,
    /// The batch's bytes as they came.
    meta: Vec<u8>,
    salt: [u8; 16],
    chunks: Vec<Vec<u8>>,
}

/// A bundle's content, opened; each part also as the Zstandard frame it came in, if it came in one, so that a store
/// need not compress it again.
pub(crate) struct Opened {
    pub(crate) chunks: Vec<Vec<u8>>,
    pub(crate) frames: Frames,
}

/// Zstandard frames of a batch's description and chunks, where they are at hand.
#[derive(Default)]
pub(crate) struct Frames {
    pub(crate) meta: Option<Vec<u8>>,
    pub(crate) chunks: Vec<Option<Vec<u8>>>,
}

impl Bundle {
    /// Packs a batch and its payload chunks, cut as [`Batch::chunk_ends`] says.
    pub fn pack(batch: Batch, chunks: &[Vec<u8>], key: Option<&EpochKey>, entropy: &mut dyn Entropy) -> Self {
        let mut salt = [0; 16];
        entropy.fill(&mut salt);
        let seal = key.map(|key| key.bundle_key(&salt));
        let pack = |(at, chunk): (usize, &Vec<u8>)| {
            let mut packed = pack(chunk);
            if let Some(seal) = &seal {
                seal.seal(&nonce(at), &[], &mut packed);
            }
            packed
        };
        let chunks = chunks.iter().enumerate().map(pack).collect();
        let meta = self::pack(&encode_batch(&batch));
        Self { batch, meta, salt, chunks }
    }

    /// The bytes that travel: `docs/format/bundle.md`.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.salt);
        for part in std::iter::once(&self.meta).chain(&self.chunks) {
            put(&mut out, part.len() as u64);
            out.extend_from_slice(part);
        }
        out
    }

    /// Reads a bundle's shape and its batch; the payloads stay sealed.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn decode(bytes: &[u8], limits: Limits) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        if reader.array()? != [VERSION] {
            return Err(Error::Malformed("another format version"));
        }
        let salt = reader.array()?;
        let part = |reader: &mut Reader<'_>| {
            let len = reader.count(bytes.len())?;
            reader.bytes(len).map(<[u8]>::to_vec)
        };
        let meta = part(&mut reader)?;
        let batch = decode_batch(&unpack(&meta, META_LEN_MAX)?, limits)?;
        let count = batch.chunk_ends().len();
        let chunks = (0..count).map(|_| part(&mut reader)).collect::<Result<_, _>>()?;
        reader.end()?;
        Ok(Self { batch, meta, salt, chunks })
    }

    /// The payload chunks, opened and unpacked.
    ///
    /// # Errors
    /// [`Error::Sealed`] when a chunk does not open, [`Error::Malformed`] when its length is not the batch's.
    pub fn open_chunks(&self, key: Option<&EpochKey>) -> Result<Vec<Vec<u8>>, Error> {
        Ok(self.open(key)?.chunks)
    }

    /// Appends all payloads to `out`, opened and unpacked; on an error some of them may stand there.
    ///
    /// # Errors
    /// As [`Bundle::open_chunks`].
    pub(crate) fn open_onto(&self, key: Option<&EpochKey>, out: &mut Vec<u8>) -> Result<(), Error> {
        let seal = key.map(|key| key.bundle_key(&self.salt));
        let mut from = 0;
        for ((at, sealed), end) in self.chunks.iter().enumerate().zip(self.batch.chunk_ends()) {
            let plain = match &seal {
                Some(seal) => {
                    let packed = seal.open(&nonce(at), &[], sealed).map_err(|_| Error::Sealed)?;
                    unpack(&packed, CHUNK_LEN_MAX)?
                }
                None => unpack(sealed, CHUNK_LEN_MAX)?,
            };
            if plain.len() != self.payload_len(from..end) {
                return Err(Error::Malformed(WRONG_LEN));
            }
            out.extend_from_slice(&plain);
            from = end;
        }
        Ok(())
    }

    fn payload_len(&self, events: std::ops::Range<usize>) -> usize {
        self.batch.events[events].iter().map(|event| event.payload_len as usize).sum()
    }

    /// The payload chunks with the frames they came in.
    ///
    /// # Errors
    /// As [`Bundle::open_chunks`].
    pub(crate) fn open(&self, key: Option<&EpochKey>) -> Result<Opened, Error> {
        let seal = key.map(|key| key.bundle_key(&self.salt));
        let mut from = 0;
        let frames = Frames { meta: frame(self.meta.clone()), chunks: Vec::with_capacity(self.chunks.len()) };
        let mut opened = Opened { chunks: Vec::with_capacity(self.chunks.len()), frames };
        for ((at, sealed), end) in self.chunks.iter().enumerate().zip(self.batch.chunk_ends()) {
            let packed = match &seal {
                Some(seal) => seal.open(&nonce(at), &[], sealed).map_err(|_| Error::Sealed)?,
                None => sealed.clone(),
            };
            let plain = unpack(&packed, CHUNK_LEN_MAX)?;
            if plain.len() != self.payload_len(from..end) {
                return Err(Error::Malformed(WRONG_LEN));
            }
            opened.chunks.push(plain);
            opened.frames.chunks.push(frame(packed));
            from = end;
        }
        Ok(opened)
    }
}

/// The Zstandard frame inside packed bytes, if they are compressed.
fn frame(mut packed: Vec<u8>) -> Option<Vec<u8>> {
    (packed.first() == Some(&1)).then(|| {
        packed.remove(0);
        packed
    })
}

fn nonce(at: usize) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&(at as u64).to_le_bytes());
    nonce
}

/// One flag byte, then Zstandard or the bytes as they are, whichever is shorter.
fn pack(bytes: &[u8]) -> Vec<u8> {
    let level = if bytes.len() > ChunkLen::Short.bytes() { HISTORY_LEVEL } else { level_for(bytes.len()) };
    let packed = compress(bytes, level);
    let (flag, body) = if packed.len() < bytes.len() { (1, packed.as_slice()) } else { (0, bytes) };
    let mut out = Vec::with_capacity(1 + body.len() + TAG_LEN);
    out.push(flag);
    out.extend_from_slice(body);
    out
}

fn unpack(packed: &[u8], len_max: usize) -> Result<Vec<u8>, Error> {
    match packed.split_first() {
        Some((0, body)) if body.len() <= len_max => Ok(body.to_vec()),
        Some((1, body)) => decompress(body, len_max)
            .map_err(|_| Error::Malformed("compressed bytes are damaged or too many")),
        _ => Err(Error::Malformed("a packed part has an unknown flag or is too long")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::delta_decoder::tests::shaped;
    use crate::testing::Counter;
    use proptest::prelude::*;
    use terachat_event::ChannelId;
    use terachat_vault::Secret;

    fn chunks(batch: &Batch) -> Vec<Vec<u8>> {
        let mut from = 0;
        let cut = |end: usize| {
            let len: u32 = batch.events[from..end].iter().map(|event| event.payload_len).sum();
            from = end;
            (0..len).map(|n| n.wrapping_mul(n) as u8).collect()
        };
        batch.chunk_ends().into_iter().map(cut).collect()
    }

    proptest! {
        #[test]
        fn bundles_open_for_members_only(batch in shaped(), flip: prop::sample::Index, bit in 0..8u8) {
            let key = |n| EpochKey::derive(&Secret::take(&mut [n; 32]), &ChannelId([8; 32]));
            let key_of = |n| batch.key.is_some().then(|| key(n));
            let plain = chunks(&batch);
            let mut bytes = Bundle::pack(batch.clone(), &plain, key_of(1).as_ref(), &mut Counter::default()).encode();
            let read = Bundle::decode(&bytes, Limits::PEER).unwrap();
            prop_assert_eq!(&read.batch, &batch);
            prop_assert_eq!(read.open_chunks(key_of(1).as_ref()).unwrap(), plain.clone());
            if batch.key.is_some() && !plain.is_empty() {
                prop_assert_eq!(read.open_chunks(key_of(2).as_ref()), Err(Error::Sealed));
            }
            let at = flip.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(damaged) = Bundle::decode(&bytes, Limits::PEER) {
                let _ = damaged.open_chunks(key_of(1).as_ref());
            }
        }

        #[test]
        fn random_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(first) = bytes.first_mut() { *first = VERSION; }
            let _ = Bundle::decode(&bytes, Limits::PEER);
        }
    }
}
