//! The recovery key, split among people: `docs/format/recovery-share.md`.
mod share;

pub use share::{RecoveryShare, ShareError};

use crate::{
    Entropy, MasterKeySource, Secret, SourceError, SourceKind, VaultId, derive_key, unwrap_key, wrap_key,
};
use share::{CHECK_LEN, SetId};
use std::collections::BTreeMap;
use vsss_rs::{Gf256, IdentifierGf256};
use zeroize::Zeroizing;

/// A random key that opens a vault when all else is lost. It exists whole only while it is split and while it is joined.
///
/// Shamir's scheme over GF(2^8) (*How to Share a Secret*, 1979), each byte on its own: any `threshold` of the shares
/// give the key, fewer say nothing about it.
pub struct RecoveryKey(Secret<32>);

impl RecoveryKey {
    /// A fresh key.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        Self(Secret::generate(|key| entropy.fill(key)))
    }

    /// Splits the key into `count` shares, of which any `threshold` join.
    ///
    /// Each call makes a set of its own, and shares of different sets do not join. Earlier sets go on joining: to make
    /// them worthless, generate a new key and wrap under that.
    ///
    /// # Errors
    /// [`RecoveryError::Parameters`] unless 2 <= `threshold` <= `count`.
    pub fn split(
        &self,
        vault: &VaultId,
        threshold: u8,
        count: u8,
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<RecoveryShare>, RecoveryError> {
        if threshold < 2 || threshold > count {
            return Err(RecoveryError::Parameters { threshold, count });
        }
        let set = SetId::generate(vault, threshold, entropy);
        let check = check(&self.0, &set);
        // The library keeps the polynomial of the byte it worked on last in memory that it does not wipe. Let that be
        // one of a byte that is no part of the key.
        let mut padded = Zeroizing::new([0; 33]);
        padded[..32].copy_from_slice(self.0.expose_secret());
        let numbers = (1..=count).map(|number| IdentifierGf256(Gf256(number)));
        let (threshold, count) = (usize::from(threshold), usize::from(count));
        let points = Gf256::split_bytes_with_participant_ids_iter(
            threshold,
            count,
            padded.as_slice(),
            Coefficients(entropy),
            numbers,
        );
        let points =
            Zeroizing::new(points.expect("2 <= threshold <= count <= 255, and the numbers are 1 to count"));
        let share = |point: &Vec<u8>| {
            let value = Secret::generate(|value| value.copy_from_slice(&point[1..33]));
            RecoveryShare::new(set, point[0], check, value)
        };
        Ok(points.iter().map(share).collect())
    }

    /// Joins at least as many shares as the threshold says. More are used to find a false one.
    ///
    /// # Errors
    /// [`RecoveryError`] says which share to leave out or how many are missing.
    pub fn join(shares: &[RecoveryShare]) -> Result<Self, RecoveryError> {
        let first = shares.first().ok_or(RecoveryError::Missing { have: 0, need: 2 })?;
        let mut distinct: BTreeMap<u8, &RecoveryShare> = BTreeMap::new();
        for share in shares {
            if share.set() != first.set() || share.check() != first.check() {
                return Err(RecoveryError::OtherSet { number: share.number(), first: first.number() });
            }
            match distinct.insert(share.number(), share) {
                Some(other) if other.value() != share.value() => {
                    return Err(RecoveryError::Conflict { number: share.number() });
                }
                _ => {}
            }
        }
        let (have, need) = (distinct.len(), usize::from(first.threshold()));
        if have < need {
            return Err(RecoveryError::Missing { have, need });
        }
        let key_of = |without: Option<u8>| {
            let points =
                distinct.values().filter(|share| Some(share.number()) != without).map(|share| share.point());
            let key = interpolate(points.collect());
            (check(&key, first.set()) == first.check()).then_some(Self(key))
        };
        if let Some(key) = key_of(None) {
            return Ok(key);
        }
        let alone_wrong = |number: &&u8| have > need && key_of(Some(**number)).is_some();
        Err(match distinct.keys().find(alone_wrong) {
            Some(number) => RecoveryError::WrongShare { number: *number },
            None => RecoveryError::WrongShares,
        })
    }
}

/// The value at 0 of the polynomials through `points`: each a number, then 32 values.
fn interpolate(points: Vec<Vec<u8>>) -> Secret<32> {
    let points = Zeroizing::new(points);
    let joined = Gf256::combine_bytes(&points)
        .expect("at least two points, of one length, with distinct numbers from 1");
    let joined = Zeroizing::new(joined);
    Secret::generate(|key| key.copy_from_slice(&joined))
}

/// Tells a wrong join from a right one. The key is random: 32 bits of its hash help nobody to guess it.
fn check(key: &Secret<32>, set: &SetId) -> [u8; CHECK_LEN] {
    let derived = derive_key("terachat 2026-11 recovery key check", key, &[&set.bytes()]);
    std::array::from_fn(|at| derived.expose_secret()[at])
}

/// Why shares do not give a key. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// No such split.
    #[error(
        "{threshold} of {count} cannot be split; the threshold is at least 2 and at most the number of shares"
    )]
    Parameters {
        /// Shares needed to join.
        threshold: u8,
        /// Shares made.
        count: u8,
    },
    /// Too few distinct shares.
    #[error("{have} different shares are here, {need} are needed; ask {} more of their keepers", need - have)]
    Missing {
        /// Distinct shares given.
        have: usize,
        /// The threshold.
        need: usize,
    },
    /// Shares of two splits.
    #[error("share {number} is of another set than share {first}; use shares of one set")]
    OtherSet {
        /// The one that differs.
        number: u8,
        /// The one it was compared with.
        first: u8,
    },
    /// One number, two values.
    #[error("there are two different shares with number {number}; one of them is false")]
    Conflict {
        /// Their number.
        number: u8,
    },
    /// Without this share the others join.
    #[error("share {number} is false: without it the others join; leave it out")]
    WrongShare {
        /// Its number.
        number: u8,
    },
    /// At least one share is false, and which one cannot be told.
    #[error(
        "these shares do not join: at least one is false; add another share to find out which, or replace one"
    )]
    WrongShares,
}

/// A recovery key as the source of the master key.
pub struct RecoverySource {
    key: RecoveryKey,
    vault: VaultId,
}

impl RecoverySource {
    /// The source for `vault`.
    pub fn new(key: RecoveryKey, vault: VaultId) -> Self {
        Self { key, vault }
    }
}

impl MasterKeySource for RecoverySource {
    fn kind(&self) -> SourceKind {
        SourceKind::Recovery
    }

    fn wrap(&mut self, key: &Secret<32>, entropy: &mut dyn Entropy) -> Result<Vec<u8>, SourceError> {
        Ok(wrap_key(&self.key.0, SourceKind::Recovery, &self.vault, key, entropy))
    }

    fn unwrap(&mut self, wrapped: &[u8]) -> Result<Secret<32>, SourceError> {
        unwrap_key(&self.key.0, SourceKind::Recovery, &self.vault, wrapped)
    }
}

/// Randomness in the form that the secret sharing library asks for.
struct Coefficients<'a>(&'a mut dyn Entropy);

impl rand_core::TryRng for Coefficients<'_> {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        self.0.fill(out);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Coefficients<'_> {}

#[cfg(test)]
mod tests;
