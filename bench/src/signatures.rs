//! Signatures of many devices, verified together: beside ed25519-zebra's batches of as many.
use crate::measure::{Spread, Took, time};
use crate::report::Figure;
use anyhow::{Result, ensure};
use ed25519_zebra::{Signature, SigningKey, VerificationKeyBytes, batch};
use std::convert::Infallible;
use terachat_event::{DeviceId, DeviceKey, EventHash, LogId, SignedHead, SpaceId, verify_heads};
use terachat_vault::Secret;

const NAME: &str = "signatures";
/// The last one is the number of authors in the real log.
const SIZES: [usize; 8] = [1, 2, 8, 64, 256, 1_024, 4_096, 24_275];
/// What `verify_heads` takes at once.
const BATCH_LEN: usize = 4_096;
/// As long as what a device signs of its chain's head.
const MESSAGE_LEN: usize = 164;
/// Smaller batches are repeated until so many signatures are verified.
const AT_LEAST: usize = 2_048;

/// Measures both in turn.
///
/// # Errors
/// One of the signatures does not verify.
pub(crate) fn run(runs: usize) -> Result<Vec<Figure>> {
    let log = LogId::control(SpaceId([1; 32]));
    let keys: Vec<[u8; 32]> =
        (0..SIZES[SIZES.len() - 1]).map(|n| *blake3::hash(&n.to_le_bytes()).as_bytes()).collect();
    let heads: Vec<_> = keys.iter().map(|seed| head(&log, *seed)).collect();
    let signed: Vec<_> = keys.iter().map(|seed| sign(*seed)).collect();
    let mut figures = Vec::new();
    for size in SIZES {
        let times = AT_LEAST.div_ceil(size);
        let per_signature = |took: &Took| took.cpu / (times * size) as f64;
        let (mut own, mut zebra) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            let (good, took) = time(|| (0..times).all(|_| verify_heads(&log, &heads[..size]).is_empty()));
            ensure!(good, "a head does not verify");
            own.push(per_signature(&took));
            let (good, took) =
                time(|| (0..times).all(|_| signed[..size].chunks(BATCH_LEN).all(verify_batch)));
            ensure!(good, "a signature does not verify");
            zebra.push(per_signature(&took));
        }
        let (own, zebra) = (Spread::of(own).per(1e-6), Spread::of(zebra).per(1e-6));
        let what = format!("{size} authors' heads");
        figures.push(Figure::new(NAME, what, "us CPU each", own).beside("ed25519-zebra", zebra.median));
        figures.push(Figure::new(NAME, format!("{size} by ed25519-zebra"), "us CPU each", zebra));
    }
    Ok(figures)
}

fn head(log: &LogId, mut seed: [u8; 32]) -> (DeviceId, SignedHead) {
    let hash = EventHash(seed);
    let key = DeviceKey::from_seed(&Secret::take(&mut seed));
    (key.id(), key.sign_head(log, 7, hash))
}

type Signed = (VerificationKeyBytes, Signature, [u8; MESSAGE_LEN]);

fn sign(seed: [u8; 32]) -> Signed {
    let key = SigningKey::from(seed);
    let message = [seed[0]; MESSAGE_LEN];
    (VerificationKeyBytes::from(&key), key.sign(&message), message)
}

fn verify_batch(signed: &[Signed]) -> bool {
    let mut verifier = batch::Verifier::new();
    for (key, signature, message) in signed {
        verifier.queue((*key, *signature, message));
    }
    verifier.verify(Factors(blake3::Hasher::new().finalize_xof())).is_ok()
}

/// Any numbers do where nothing is to be forged.
struct Factors(blake3::OutputReader);

impl rand_core::TryRng for Factors {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(out);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Factors {}
