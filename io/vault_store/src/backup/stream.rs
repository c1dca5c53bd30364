//! Chunks sealed one by one, so that a stream of any length is written and read in little memory: the STREAM construction
//! of Hoang, Reyhanitabar, Rogaway and Vizár (CRYPTO 2015), with the chunk's number and a mark on the last one in the nonce.
use crate::Error;
use crate::bytes::Plaintext;
use crate::engine::Space;
use std::io::{Read, Write};
use terachat_vault::{Algorithm, NONCE_LEN, SealKey, Secret, TAG_LEN};

const CIPHER: Algorithm = Algorithm::ChaCha20Poly1305;
/// Plaintext of every chunk but the last.
pub(super) const CHUNK_LEN: usize = 64 << 10;
/// Longest key of a row.
const KEY_LEN_MAX: usize = 1 << 10;
/// Longest value of a row: a record, or the pages and events that are far smaller.
const VALUE_LEN_MAX: usize = 64 << 20;

fn nonce(number: u64, last: bool) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonce[..8].copy_from_slice(&number.to_le_bytes());
    nonce[8] = u8::from(last);
    nonce
}

pub(super) struct StreamWriter<'a> {
    out: &'a mut dyn Write,
    key: SealKey,
    number: u64,
    chunk: Vec<u8>,
    bytes: u64,
}

impl<'a> StreamWriter<'a> {
    pub(super) fn new(out: &'a mut dyn Write, key: Secret<32>) -> Self {
        Self {
            out,
            key: SealKey::new(CIPHER, &key),
            number: 0,
            chunk: Vec::with_capacity(CHUNK_LEN + TAG_LEN),
            bytes: 0,
        }
    }

    /// Writes bytes as they are.
    pub(super) fn plain(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes).map_err(failed)
    }

    pub(super) fn row(&mut self, space: Space, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let key_len = u16::try_from(key.len()).expect("the vault's own keys are short");
        self.write(&[space as u8])?;
        self.write(&key_len.to_le_bytes())?;
        self.write(&crate::bytes::count(value.len()))?;
        self.write(key)?;
        self.write(value)
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            if self.chunk.len() == CHUNK_LEN {
                self.flush(false)?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK_LEN - self.chunk.len()));
            self.chunk.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Writes the last chunk, and gives how long the stream is.
    pub(super) fn finish(mut self) -> Result<u64, Error> {
        self.flush(true)?;
        self.out.flush().map_err(failed)?;
        Ok(self.bytes)
    }

    fn flush(&mut self, last: bool) -> Result<(), Error> {
        self.key.seal(&nonce(self.number, last), &[], &mut self.chunk);
        self.number += 1;
        self.bytes += self.chunk.len() as u64;
        self.out.write_all(&self.chunk).map_err(failed)?;
        self.chunk.clear();
        Ok(())
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::File { doing: "write", path: "the backup".into(), reason: error.to_string().into() }
}

pub(super) struct StreamReader<'a> {
    input: &'a mut dyn Read,
    key: SealKey,
    number: u64,
    /// Sealed bytes read ahead: a chunk is the last one when nothing follows it.
    ahead: Vec<u8>,
    chunk: Plaintext,
    at: usize,
    ended: bool,
}

impl<'a> StreamReader<'a> {
    pub(super) fn new(input: &'a mut dyn Read, key: Secret<32>) -> Self {
        let (ahead, chunk) = (Vec::new(), Plaintext::from(Vec::new()));
        Self { input, key: SealKey::new(CIPHER, &key), number: 0, ahead, chunk, at: 0, ended: false }
    }

    pub(super) fn u8(&mut self) -> Result<u8, Error> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut out = [0; N];
        self.read(&mut out)?;
        Ok(out)
    }

    /// Key and value of a row, after the byte that names its keyspace.
    pub(super) fn row(&mut self) -> Result<(Vec<u8>, Vec<u8>), Error> {
        let key_len = usize::from(u16::from_le_bytes(self.array()?));
        let value_len = u32::from_le_bytes(self.array()?) as usize;
        if key_len > KEY_LEN_MAX || value_len > VALUE_LEN_MAX {
            return Err(Error::Backup("a row in it has an impossible length"));
        }
        let (mut key, mut value) = (vec![0; key_len], vec![0; value_len]);
        self.read(&mut key)?;
        self.read(&mut value)?;
        Ok((key, value))
    }

    /// Makes sure that nothing follows.
    pub(super) fn end(&mut self) -> Result<(), Error> {
        if !self.ended && self.at == self.chunk.len() {
            self.next()?;
        }
        if self.ended && self.at == self.chunk.len() {
            return Ok(());
        }
        Err(Error::Backup("something follows its end"))
    }

    fn read(&mut self, mut out: &mut [u8]) -> Result<(), Error> {
        while !out.is_empty() {
            if self.at == self.chunk.len() {
                self.next()?;
            }
            let len = out.len().min(self.chunk.len() - self.at);
            out[..len].copy_from_slice(&self.chunk[self.at..self.at + len]);
            self.at += len;
            out = &mut out[len..];
        }
        Ok(())
    }

    fn next(&mut self) -> Result<(), Error> {
        if self.ended {
            return Err(Error::Backup("it is cut short"));
        }
        const SEALED: usize = CHUNK_LEN + TAG_LEN;
        // One byte more than a chunk tells whether it is the last.
        let want = (SEALED + 1 - self.ahead.len()) as u64;
        let mut sealed = std::mem::take(&mut self.ahead);
        self.input.take(want).read_to_end(&mut sealed).map_err(|_| Error::Backup("it cannot be read"))?;
        let last = sealed.len() <= SEALED;
        if !last {
            self.ahead = sealed.split_off(SEALED);
        }
        let opened = self.key.open_in_place(&nonce(self.number, last), &[], &mut sealed);
        let len = opened.map_err(|_| Error::Backup("a part of it was changed, moved or cut off"))?;
        sealed.truncate(len);
        (self.chunk, self.at, self.ended) = (Plaintext::from(sealed), 0, last);
        self.number += 1;
        if len == 0 && !last {
            return Err(Error::Backup("it has an empty part"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> Secret<32> {
        Secret::take(&mut [7; 32])
    }

    fn sealed(parts: &[usize]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = StreamWriter::new(&mut out, key());
        for (n, len) in parts.iter().enumerate() {
            writer.row(Space::Records, &[n as u8], &vec![n as u8; *len]).unwrap();
        }
        writer.write(&[0]).unwrap();
        writer.finish().unwrap();
        out
    }

    fn read(sealed: &[u8]) -> Result<Vec<usize>, Error> {
        let mut input = sealed;
        let mut reader = StreamReader::new(&mut input, key());
        let mut lens = Vec::new();
        while reader.u8()? != 0 {
            let (key, value) = reader.row()?;
            assert!(value.iter().all(|byte| *byte == key[0]));
            lens.push(value.len());
        }
        reader.end()?;
        Ok(lens)
    }

    #[test]
    fn streams_of_every_length_near_a_chunks_end() {
        for extra in 0..40 {
            let parts = [CHUNK_LEN - 20 + extra, 0, 3];
            assert_eq!(read(&sealed(&parts)), Ok(parts.to_vec()));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_changed_stream_is_refused(parts in prop::collection::vec(0..100_000usize, 0..4), at: prop::sample::Index, cut: prop::sample::Index) {
            let mut bytes = sealed(&parts);
            prop_assert_eq!(read(&bytes), Ok(parts));
            let cut = cut.index(bytes.len());
            prop_assert!(matches!(read(&bytes[..cut]), Err(Error::Backup(_))));
            prop_assert!(matches!(read(&[&bytes[..], &[0]].concat()), Err(Error::Backup(_))));
            let at = at.index(bytes.len());
            bytes[at] ^= 1;
            prop_assert!(matches!(read(&bytes), Err(Error::Backup(_))));
        }
    }

    #[test]
    fn chunks_do_not_change_places() {
        let bytes = sealed(&[3 * CHUNK_LEN]);
        let len = CHUNK_LEN + TAG_LEN;
        let swapped = [&bytes[len..2 * len], &bytes[..len], &bytes[2 * len..]].concat();
        assert!(matches!(read(&swapped), Err(Error::Backup(_))));
    }
}
