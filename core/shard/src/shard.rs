use crate::read::Reader;
use crate::{Counts, Error, SHARD_LEN_MAX, StripeId, StripeRecord};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Bytes before a shard's payload.
pub const SHARD_HEADER_LEN: usize = 56;
const VERSION: u8 = 1;
const CONTEXT: &str = "terachat 2026-11 shard";
const WHAT: &str = "shard";

/// By what a shard is known: BLAKE3 over what its header says and its payload.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardHash(pub [u8; 32]);

impl fmt::Debug for ShardHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("…")
    }
}

/// A shard on disk or wire, by itself: `docs/format/shard.md`. A value that exists matches its own hash.
///
/// That tells rot, not forgery: anybody can make a sound shard. Which one is the stripe's, [`Shard::check`] asks the
/// stripe's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard<'a> {
    stripe: StripeId,
    counts: Counts,
    index: u8,
    hash: ShardHash,
    payload: &'a [u8],
}

impl<'a> Shard<'a> {
    /// A shard of this payload.
    ///
    /// # Errors
    /// [`Error::Index`]; [`Error::StripeLen`] or [`Error::Oversized`] for an empty or too long payload.
    pub fn new(stripe: StripeId, counts: Counts, index: u8, payload: &'a [u8]) -> Result<Self, Error> {
        counts.check_indices(&[index])?;
        if payload.is_empty() {
            return Err(Error::StripeLen { len: 0 });
        }
        if payload.len() > SHARD_LEN_MAX {
            return Err(Error::Oversized { len: payload.len() as u64 });
        }
        let said = said(stripe, counts, index, payload);
        Ok(Self { stripe, counts, index, hash: hash(&said, payload), payload })
    }

    /// Reads a whole shard and compares it with its hash.
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::Trailing`], [`Error::Version`], [`Error::Counts`], [`Error::Index`],
    /// [`Error::StripeLen`], [`Error::Oversized`], [`Error::Rotten`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(WHAT, bytes);
        reader.version(VERSION)?;
        if bytes.len() < SHARD_HEADER_LEN {
            return Err(Error::Truncated { what: WHAT, len: bytes.len(), expected: SHARD_HEADER_LEN });
        }
        let counts = reader.counts()?;
        let [index] = reader.array()?;
        counts.check_indices(&[index])?;
        let stripe = StripeId(reader.array()?);
        let len = u32::from_le_bytes(reader.array()?);
        let hash = ShardHash(reader.array()?);
        let fits = usize::try_from(len).ok().filter(|len| *len <= SHARD_LEN_MAX);
        let len = fits.ok_or(Error::Oversized { len: u64::from(len) })?;
        let payload = reader.bytes(len)?;
        reader.end()?;
        let shard = Self::new(stripe, counts, index, payload)?;
        if shard.hash != hash { Err(Error::Rotten { index }) } else { Ok(shard) }
    }

    /// What a header says of the shard that it begins: its stripe, its place there and its hash. Nothing is compared, so this is for
    /// bytes that something else vouches for.
    pub fn peek(header: &[u8; SHARD_HEADER_LEN]) -> (StripeId, u8, ShardHash) {
        let (said, hash) = header.split_at(SAID_LEN);
        let stripe = said[4..20].try_into().expect("16 bytes");
        (StripeId(stripe), said[3], ShardHash(hash.try_into().expect("32 bytes")))
    }

    /// The bytes before the payload: written in front of it they are the shard.
    pub fn header(&self) -> [u8; SHARD_HEADER_LEN] {
        let mut header = [0; SHARD_HEADER_LEN];
        header[..SAID_LEN].copy_from_slice(&said(self.stripe, self.counts, self.index, self.payload));
        header[SAID_LEN..].copy_from_slice(&self.hash.0);
        header
    }

    /// The whole shard.
    pub fn encode(&self) -> Vec<u8> {
        [&self.header()[..], self.payload].concat()
    }

    /// That it is shard `index` of the stripe of this record.
    ///
    /// # Errors
    /// [`Error::WrongStripe`], [`Error::WrongShard`], [`Error::ShardLen`], [`Error::Forged`].
    pub fn check(&self, record: &StripeRecord, index: u8) -> Result<(), Error> {
        if self.stripe != record.stripe() {
            return Err(Error::WrongStripe { expected: record.stripe(), found: self.stripe });
        }
        if self.index != index || self.counts != record.counts() {
            return Err(Error::WrongShard { expected: index, found: self.index });
        }
        if self.payload.len() != record.shard_len() {
            return Err(Error::ShardLen { expected: record.shard_len(), found: self.payload.len() });
        }
        if record.hash(index) != Some(self.hash) {
            return Err(Error::Forged { index });
        }
        Ok(())
    }

    /// Its stripe.
    pub fn stripe(&self) -> StripeId {
        self.stripe
    }

    /// The code that its stripe was cut by.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Its place in the stripe.
    pub fn index(&self) -> u8 {
        self.index
    }

    /// Its hash.
    pub fn hash(&self) -> ShardHash {
        self.hash
    }

    /// A piece of the sealed bytes, or parity.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// Bytes of a header before the hash.
const SAID_LEN: usize = SHARD_HEADER_LEN - 32;

fn said(stripe: StripeId, counts: Counts, index: u8, payload: &[u8]) -> [u8; SAID_LEN] {
    let mut said = [0; SAID_LEN];
    said[0] = VERSION;
    said[1..3].copy_from_slice(&counts.bytes());
    said[3] = index;
    said[4..20].copy_from_slice(&stripe.0);
    // At most 16 MiB, as every way to make a shard has checked.
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    said[20..].copy_from_slice(&len.to_le_bytes());
    said
}

fn hash(said: &[u8], payload: &[u8]) -> ShardHash {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(said).update(payload);
    ShardHash(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests;
