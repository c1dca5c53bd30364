use crate::memory::{Mapping, PASSPHRASE_DEPTH, burn_after};
use crate::{
    Algorithm, Entropy, Error, NONCE_LEN, Secret, SecretBytes, TAG_LEN, open_secret_once, seal_once,
};
use argon2::{Argon2, Params, Version};

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
    /// Most memory that [`PassphraseCost::tuned`] asks for: every opening needs it, on a small device too.
    const TUNED_MEMORY_KIB_MAX: u32 = 512 * 1024;

    /// The dearest cost at which one guess takes no longer than `target_ms`, but never less than
    /// [`PassphraseCost::RECOMMENDED`]. `measure` says how many milliseconds a guess at a cost takes here.
    ///
    /// Memory goes first, because it is what an attacker's hardware has least of; then passes.
    pub fn tuned(target_ms: u64, mut measure: impl FnMut(Self) -> u64) -> Self {
        let mut cost = Self::RECOMMENDED;
        let mut took = measure(cost).max(1);
        while took * 2 <= target_ms && cost.memory_kib * 2 <= Self::TUNED_MEMORY_KIB_MAX {
            cost.memory_kib *= 2;
            took = measure(cost).max(1);
        }
        let passes = u64::from(cost.passes) * target_ms / took;
        cost.passes = u32::try_from(passes).unwrap_or(u32::MAX).clamp(cost.passes, LIMITS.passes);
        cost
    }

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
    seal_once(Algorithm::ChaCha20Poly1305, &key, &nonce, &envelope, &mut body);
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
    open_secret_once(Algorithm::ChaCha20Poly1305, &key, &nonce, header, sealed).map_err(|_| Error::Passphrase)
}

fn key_and_nonce(passphrase: &[u8], header: &[u8]) -> Result<(Secret<32>, [u8; NONCE_LEN]), Error> {
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
    let memory_len = params.block_count() * argon2::Block::SIZE;
    let mut memory = Mapping::new(memory_len).ok_or(Error::Memory { kib: memory_len / 1024 })?;
    // Out of core dumps in any case; out of swap where the limit allows as much.
    memory.lock();
    let argon = Argon2::new(argon2::Algorithm::Argon2id, Version::V0x13, params);
    let mut failed = false;
    let key = Secret::generate(|out| {
        burn_after::<PASSPHRASE_DEPTH, _>(|| {
            failed = argon.hash_password_into_with_memory(passphrase, salt, out, memory.blocks()).is_err();
        });
    });
    if failed {
        return Err(Error::Envelope("impossible Argon2 parameters"));
    }
    Ok((key, nonce.try_into().expect("what is left of the header is the nonce")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Counting;
    use proptest::prelude::*;

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
    fn a_tuned_cost_uses_the_time_there_is_and_is_never_cheap() {
        // A machine that fills so many KiB of memory in a millisecond.
        let machine = |kib_per_ms: u64| {
            let measure =
                move |cost: PassphraseCost| u64::from(cost.memory_kib) * u64::from(cost.passes) / kib_per_ms;
            (PassphraseCost::tuned(250, measure), measure)
        };
        for slow in [1, 100, 786] {
            assert_eq!(machine(slow).0, PassphraseCost::RECOMMENDED);
        }
        for quick in [1_600, 10_000, 100_000] {
            let (cost, measure) = machine(quick);
            // Whole milliseconds are what is known of a quick machine.
            assert!((120..=270).contains(&measure(cost)), "{cost:?}");
            assert!(cost.memory_kib > PassphraseCost::RECOMMENDED.memory_kib);
        }
        let (cost, _) = machine(u64::MAX);
        assert!(cost.memory_kib <= LIMITS.memory_kib && cost.passes == LIMITS.passes);
        let envelope = seal_with_passphrase(b"x", machine(1_600).0, b"seed", &mut Counting(0)).unwrap();
        assert!(open_with_passphrase(b"x", &envelope).is_ok(), "a reader spends what was tuned");
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
