//! Cells to bytes and back. The layout, all numbers little-endian:
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | kind and version: 0x01 a group of suite X25519, 0x02 one of X-Wing, 0x81 a key package's private part |
//! | 32 | BLAKE3 of all that follows, under a context of its own |
//! | 4 | number of cells |
//! | per cell: 2, n, 4, m | length of the key, the key, length of the value, the value |
//!
//! Keys ascend strictly, so one state has one encoding. The hash is against damage, not against forgers: who can
//! write here already has the secrets.
use super::Cells;
use crate::{CipherSuite, Error};
use postcard::ser_flavors::Flavor;
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;
use terachat_vault::SecretBytes;
use zeroize::{Zeroize, Zeroizing};

const HASH_LEN: usize = 32;
const HEADER_LEN: usize = 1 + HASH_LEN + 4;

/// What some stored bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum StateKind {
    /// A group of suite X25519, version 1.
    Group = 0x01,
    /// A group of suite X-Wing, version 1.
    XWingGroup = 0x02,
    /// A group of [`crate::danger`], which nothing reads.
    PlainGroup = 0x7F,
    /// A key package's private part, version 1.
    KeyPackage = 0x81,
}

impl StateKind {
    pub(crate) fn group(suite: CipherSuite) -> Self {
        match suite {
            CipherSuite::X25519 => Self::Group,
            CipherSuite::XWing => Self::XWingGroup,
        }
    }
}

impl Cells {
    /// The cells as bytes.
    pub(crate) fn to_bytes(&self, kind: StateKind) -> SecretBytes {
        let len = self.iter().map(|(key, value)| 6 + key.len() + value.expose_secret().len()).sum::<usize>();
        // The exact capacity, so that no half-grown copy of the secrets is left behind.
        let mut bytes = Vec::with_capacity(HEADER_LEN + len);
        bytes.push(kind as u8);
        bytes.extend_from_slice(&[0; HASH_LEN]);
        bytes.extend_from_slice(&length(self.len()).to_le_bytes());
        for (key, value) in self.iter() {
            let value = value.expose_secret();
            bytes.extend_from_slice(&u16::try_from(key.len()).expect("keys are a few bytes").to_le_bytes());
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(&length(value.len()).to_le_bytes());
            bytes.extend_from_slice(value);
        }
        let hash = digest(&bytes[1 + HASH_LEN..]);
        bytes[1..=HASH_LEN].copy_from_slice(&hash);
        SecretBytes::take(bytes)
    }

    /// What [`Cells::to_bytes`] wrote.
    pub(crate) fn from_bytes(kind: StateKind, bytes: &[u8]) -> Result<Self, Error> {
        let (&first, rest) = bytes.split_first().ok_or(Error::Damaged("there are no bytes"))?;
        if first != kind as u8 {
            return Err(Error::Damaged("it is of another kind, or of a newer terachat"));
        }
        let (hash, mut rest) = rest.split_at_checked(HASH_LEN).ok_or(Error::Damaged("it is cut short"))?;
        if hash != digest(rest) {
            return Err(Error::Damaged("its bytes were changed"));
        }
        let mut cells = Self::default();
        let mut last: Option<&[u8]> = None;
        for _ in 0..u32::from_le_bytes(take(&mut rest)?) {
            let key_len = u16::from_le_bytes(take(&mut rest)?);
            let key = split(&mut rest, usize::from(key_len))?;
            if last.is_some_and(|last| last >= key) {
                return Err(Error::Damaged("its parts are not in order"));
            }
            last = Some(key);
            let value_len = u32::from_le_bytes(take(&mut rest)?);
            let value = split(&mut rest, value_len as usize)?;
            cells.insert(key.to_vec(), Arc::new(SecretBytes::copy_from(value)));
        }
        if rest.is_empty() { Ok(cells) } else { Err(Error::Damaged("it goes on after its end")) }
    }
}

/// One value as postcard bytes, wiped wherever they were on the way. `len` is how long they will probably be: a tree that
/// grows from little is moved and wiped many times.
pub(super) fn encode(value: &impl Serialize, len: usize) -> Result<SecretBytes, postcard::Error> {
    postcard::serialize_with_flavor(value, Wiping(Zeroizing::new(Vec::with_capacity(len))))
}

/// The value of these postcard bytes, all of them.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, postcard::Error> {
    match postcard::take_from_bytes(bytes)? {
        (value, []) => Ok(value),
        _ => Err(postcard::Error::DeserializeBadEncoding),
    }
}

/// A growing buffer that wipes each of its former homes.
struct Wiping(Zeroizing<Vec<u8>>);

impl Wiping {
    #[inline]
    fn reserve(&mut self, more: usize) {
        if self.0.capacity() - self.0.len() < more {
            self.grow(more);
        }
    }

    /// Apart from what is done for each byte, of which a tree has hundreds of thousands.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, more: usize) {
        let mut grown = Vec::with_capacity((self.0.len() + more).next_power_of_two());
        grown.extend_from_slice(&self.0);
        std::mem::replace(&mut *self.0, grown).zeroize();
    }
}

impl Flavor for Wiping {
    type Output = SecretBytes;

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.reserve(1);
        self.0.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.reserve(bytes.len());
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(mut self) -> postcard::Result<SecretBytes> {
        Ok(SecretBytes::take(std::mem::take(&mut *self.0)))
    }
}

fn digest(body: &[u8]) -> [u8; HASH_LEN] {
    *blake3::Hasher::new_derive_key("terachat 2026-11 group state").update(body).finalize().as_bytes()
}

fn length(len: usize) -> u32 {
    u32::try_from(len).expect("a group's state is far below 4 GiB")
}

fn split<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], Error> {
    let (head, tail) = rest.split_at_checked(len).ok_or(Error::Damaged("it is cut short"))?;
    *rest = tail;
    Ok(head)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Error> {
    Ok(split(rest, N)?.try_into().expect("split gives the length it was asked for"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_state_has_one_encoding() {
        let mut cells = Cells::default();
        for (key, value) in [(vec![1], vec![5; 300]), (vec![1, 0], vec![]), (vec![], vec![7])] {
            cells.insert(key, Arc::new(SecretBytes::take(value)));
        }
        let bytes = cells.to_bytes(StateKind::Group);
        let bytes = bytes.expose_secret();
        let back = Cells::from_bytes(StateKind::Group, bytes).unwrap();
        assert_eq!(back.to_bytes(StateKind::Group).expose_secret(), bytes);
        assert!(Cells::from_bytes(StateKind::KeyPackage, bytes).is_err());

        // A hash that fits does not make a wrong order or a wrong length right.
        let case = |body: &[u8]| {
            let mut bytes = vec![StateKind::Group as u8];
            bytes.extend_from_slice(&digest(body));
            bytes.extend_from_slice(body);
            Cells::from_bytes(StateKind::Group, &bytes).err()
        };
        assert_eq!(case(&[0, 0, 0, 0]), None);
        assert_eq!(case(&[0, 0, 0, 0, 0]), Some(Error::Damaged("it goes on after its end")));
        assert_eq!(case(&[1, 0, 0, 0, 1, 0, 9, 255, 255, 255, 255]), Some(Error::Damaged("it is cut short")));
        assert_eq!(case(&[255; 8]), Some(Error::Damaged("it is cut short")));
        let twice = [2, 0, 0, 0, 1, 0, 9, 0, 0, 0, 0, 1, 0, 9, 0, 0, 0, 0];
        assert_eq!(case(&twice), Some(Error::Damaged("its parts are not in order")));
    }

    #[test]
    fn values_survive_and_trailing_bytes_do_not() {
        let value: Vec<u64> = (0..1000).map(|i| i * i * i).collect();
        let bytes = encode(&value, 16).unwrap();
        assert_eq!(decode::<Vec<u64>>(bytes.expose_secret()).unwrap(), value);
        let mut longer = bytes.expose_secret().to_vec();
        longer.push(0);
        assert!(decode::<Vec<u64>>(&longer).is_err());
    }
}
