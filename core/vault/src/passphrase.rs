use crate::{Entropy, Error, NONCE_LEN, SealKey, Secret, SecretBytes, TAG_LEN};
use argon2::{Algorithm, Argon2, Params, Version};

const MAGIC: &[u8; 8] = b"TCpass\x00\x01";
const SALT_LEN: usize = 16;
const HEADER_LEN: usize = MAGIC.len() + 12 + SALT_LEN + NONCE_LEN;
/// What a reader is willing to spend on a header it cannot yet trust: 1 GiB, 64 passes, 16 lanes.
const LIMITS: PassphraseCost = PassphraseCost { memory_kib: 1 << 20, passes: 64, lanes: 16 };

/// What Argon2id (RFC 9106) spends on one guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassphraseCost {
    /// Memory in KiB; at least 8 per lane.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl PassphraseCost {
    /// RFC 9106, section 4, second recommended option: 64 MiB, 3 passes, 4 lanes.
    pub const RECOMMENDED: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 4 };
    /// For tests and throw-away demonstrations only: guessing is cheap.
    pub const INSECURE_FAST: Self = Self { memory_kib: 64, passes: 1, lanes: 1 };
}

/// Seals `plaintext` under a passphrase: `docs/format/passphrase.md`.
///
/// # Errors
/// [`Error::Envelope`] when `cost` is outside Argon2's or this crate's limits.
pub fn seal_with_passphrase(
    passphrase: &[u8],
    cost: PassphraseCost,
    plaintext: &[u8],
    entropy: &mut dyn Entropy,
) -> Result<Vec<u8>, Error> {
    let mut envelope = MAGIC.to_vec();
    for part in [cost.memory_kib, cost.passes, cost.lanes] {
        envelope.extend_from_slice(&part.to_le_bytes());
    }
    let mut random = [0; SALT_LEN + NONCE_LEN];
    entropy.fill(&mut random);
    envelope.extend_from_slice(&random);
    let (key, nonce) = key_and_nonce(passphrase, &envelope)?;
    let mut body = plaintext.to_vec();
    key.seal(&nonce, &envelope, &mut body);
    envelope.append(&mut body);
    Ok(envelope)
}

/// Opens what [`seal_with_passphrase`] made. Takes as long as its cost says.
///
/// # Errors
/// [`Error::Envelope`] for foreign or truncated bytes, [`Error::Passphrase`] for a wrong passphrase or damage.
pub fn open_with_passphrase(passphrase: &[u8], envelope: &[u8]) -> Result<SecretBytes, Error> {
    if envelope.len() < HEADER_LEN + TAG_LEN {
        return Err(Error::Envelope("too short"));
    }
    let (header, sealed) = envelope.split_at(HEADER_LEN);
    let (key, nonce) = key_and_nonce(passphrase, header)?;
    key.open(&nonce, header, sealed).map(SecretBytes::take).map_err(|_| Error::Passphrase)
}

fn key_and_nonce(passphrase: &[u8], header: &[u8]) -> Result<(SealKey, [u8; NONCE_LEN]), Error> {
    let rest = header.strip_prefix(MAGIC).ok_or(Error::Envelope("unknown first bytes"))?;
    let (cost, rest) = rest.split_at(12);
    let (salt, nonce) = rest.split_at(SALT_LEN);
    let number = |at: usize| u32::from_le_bytes(cost[at..at + 4].try_into().expect("four bytes of twelve"));
    let cost = PassphraseCost { memory_kib: number(0), passes: number(4), lanes: number(8) };
    if cost.memory_kib > LIMITS.memory_kib || cost.passes > LIMITS.passes || cost.lanes > LIMITS.lanes {
        return Err(Error::Envelope("it asks for more work than is safe to spend"));
    }
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32))
        .map_err(|_| Error::Envelope("impossible Argon2 parameters"))?;
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut failed = false;
    let key = Secret::generate(|out| failed = argon.hash_password_into(passphrase, salt, out).is_err());
    if failed {
        return Err(Error::Envelope("impossible Argon2 parameters"));
    }
    Ok((SealKey::new(&key), nonce.try_into().expect("what is left of the header is the nonce")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Counting(u8);
    impl Entropy for Counting {
        fn fill(&mut self, out: &mut [u8]) {
            for byte in out {
                self.0 = self.0.wrapping_add(1);
                *byte = self.0;
            }
        }
    }

    fn sealed() -> Vec<u8> {
        seal_with_passphrase(b"correct horse", PassphraseCost::INSECURE_FAST, b"seed", &mut Counting(0))
            .unwrap()
    }

    #[test]
    fn opens_with_its_passphrase_only() {
        assert_eq!(open_with_passphrase(b"correct horse", &sealed()).ok().unwrap().expose_secret(), b"seed");
        assert_eq!(open_with_passphrase(b"battery staple", &sealed()).err(), Some(Error::Passphrase));
    }

    #[test]
    fn a_hostile_cost_is_refused_before_it_is_spent() {
        let mut envelope = sealed();
        envelope[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(open_with_passphrase(b"correct horse", &envelope), Err(Error::Envelope(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn damage_is_an_error_and_never_a_panic(at: prop::sample::Index, bit in 0..8u8, cut: prop::sample::Index) {
            let mut envelope = sealed();
            let at = at.index(envelope.len());
            // The three cost fields only reach Argon2 within LIMITS; a flip there may legally ask for much work.
            prop_assume!(!(8..20).contains(&at));
            envelope[at] ^= 1 << bit;
            prop_assert!(open_with_passphrase(b"correct horse", &envelope).is_err());
            envelope.truncate(cut.index(envelope.len()));
            prop_assert!(open_with_passphrase(b"correct horse", &envelope).is_err());
        }
    }
}
