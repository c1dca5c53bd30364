use crate::batch_verify::{self, Signed};
use crate::{DeviceId, Error, EventHash, EventRef, LogId};
use ed25519_zebra::{SigningKey, VerificationKey, VerificationKeyBytes};
use terachat_vault::Secret;
use terachat_vault::memory::{Pinned, SIGN_DEPTH, burn_after};

const CONTEXT: &[u8; 28] = b"terachat 2026-11 signed head";
const MESSAGE_LEN: usize = CONTEXT.len() + 64 + 32 + 8 + 32;
/// Signatures checked in one multiscalar multiplication; beyond some thousands nothing more is gained.
const BATCH_LEN: usize = 4096;
/// A batch that fails is halved, down to so many. Where all are bad the halves cost more than they save.
const FEW: usize = 16;

/// The key with which a device signs: its Ed25519 seed (RFC 8032) made ready, in pinned memory.
pub struct DeviceKey {
    key: Pinned<SigningKey>,
    id: DeviceId,
}

impl DeviceKey {
    /// The key of this seed.
    pub fn from_seed(seed: &Secret<32>) -> Self {
        let key = Pinned::new::<SIGN_DEPTH>(|| SigningKey::from_bytes(seed.expose_secret()));
        let id = DeviceId(VerificationKeyBytes::from(&*key).into());
        Self { key, id }
    }

    /// The public key, which is the device's name.
    pub fn id(&self) -> DeviceId {
        self.id
    }

    /// The seed, for what else follows from it.
    pub(crate) fn seed(&self) -> &[u8] {
        (*self.key).as_ref()
    }

    /// Signs the head of this device's chain in `log`, and with it the whole chain up to `seq`.
    pub fn sign_head(&self, log: &LogId, seq: u64, hash: EventHash) -> SignedHead {
        let signature = self.sign_message(&message(log, &self.id, seq, &hash));
        SignedHead { seq, hash, signature }
    }

    /// Signs `bytes` for a purpose of the caller's own; `context` is a hard-coded, globally unique string.
    pub fn sign(&self, context: &str, bytes: &[u8]) -> [u8; 64] {
        self.sign_message(&blake3::derive_key(context, bytes))
    }

    fn sign_message(&self, message: &[u8]) -> [u8; 64] {
        burn_after::<SIGN_DEPTH, _>(|| self.key.sign(message).to_bytes())
    }
}

/// Checks what [`DeviceKey::sign`] made.
pub fn verify(signer: &[u8; 32], context: &str, bytes: &[u8], signature: &[u8; 64]) -> bool {
    VerificationKey::try_from(*signer)
        .and_then(|key| key.verify(&(*signature).into(), &blake3::derive_key(context, bytes)))
        .is_ok()
}

/// What [`verify_all`] checks: one signature by [`DeviceKey::sign`], with its signer, purpose and content.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'a> {
    /// The signer's public key.
    pub signer: [u8; 32],
    /// What it is for.
    pub context: &'a str,
    /// What was signed.
    pub bytes: &'a [u8],
    /// The signature.
    pub signature: [u8; 64],
}

impl Statement<'_> {
    fn signed(&self) -> Signed<96> {
        let mut hashed = [0; _];
        hashed[..32].copy_from_slice(&self.signature[..32]);
        hashed[32..64].copy_from_slice(&self.signer);
        hashed[64..].copy_from_slice(&blake3::derive_key(self.context, self.bytes));
        let s = *self.signature.last_chunk().expect("the second half of 64 bytes");
        Signed { hashed, s }
    }
}

/// Checks many of [`verify`]'s kind together and returns the positions of those that do not verify, ascending.
pub fn verify_all(statements: &[Statement<'_>]) -> Vec<usize> {
    let together = |part: &[Statement<'_>]| {
        batch_verify::verify(&part.iter().map(Statement::signed).collect::<Vec<_>>())
    };
    let alone = |it: &Statement<'_>| verify(&it.signer, it.context, it.bytes, &it.signature);
    find_bad(statements, &together, &alone)
}

/// An author's signature on the event `seq` of its chain, which covers all before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedHead {
    /// Number of the signed event.
    pub seq: u64,
    /// Its chain hash.
    pub hash: EventHash,
    /// Ed25519 over context, log, author, `seq` and `hash`.
    pub signature: [u8; 64],
}

impl SignedHead {
    /// Checks the signature under ZIP-215 rules, which single and batch checks share.
    ///
    /// # Errors
    /// [`Error::Signature`].
    pub fn verify(&self, log: &LogId, author: &DeviceId) -> Result<(), Error> {
        VerificationKey::try_from(author.0)
            .and_then(|key| key.verify(&self.signature.into(), &message(log, author, self.seq, &self.hash)))
            .map_err(|_| Error::Signature(EventRef { author: *author, seq: self.seq }))
    }

    fn signed(&self, log: &LogId, author: &DeviceId) -> Signed<{ 64 + MESSAGE_LEN }> {
        let mut hashed = [0; _];
        hashed[..32].copy_from_slice(&self.signature[..32]);
        hashed[32..64].copy_from_slice(&author.0);
        hashed[64..].copy_from_slice(&message(log, author, self.seq, &self.hash));
        let s = *self.signature.last_chunk().expect("the second half of 64 bytes");
        Signed { hashed, s }
    }
}

/// Checks many heads of one log together and returns the positions of those that do not verify.
///
/// Honest heads cost a small part of single checks. Of a batch that holds a bad one, ever smaller parts are checked
/// together, and in the end single heads: a refusal is always the verdict on one alone.
pub fn verify_heads(log: &LogId, heads: &[(DeviceId, SignedHead)]) -> Vec<usize> {
    let together = |part: &[(DeviceId, SignedHead)]| {
        batch_verify::verify(&part.iter().map(|(author, head)| head.signed(log, author)).collect::<Vec<_>>())
    };
    find_bad(heads, &together, &|(author, head)| head.verify(log, author).is_ok())
}

/// Positions of the bad ones, by checks of many `together` and of one `alone`, which agree.
fn find_bad<T>(all: &[T], together: &dyn Fn(&[T]) -> bool, alone: &dyn Fn(&T) -> bool) -> Vec<usize> {
    let mut bad = Vec::new();
    for (n, part) in all.chunks(BATCH_LEN).enumerate() {
        find_bad_in(part, n * BATCH_LEN, together, alone, &mut bad);
    }
    bad
}

/// Appends the positions of the bad ones of a part, the first of which stands at `start`.
fn find_bad_in<T>(
    part: &[T],
    start: usize,
    together: &dyn Fn(&[T]) -> bool,
    alone: &dyn Fn(&T) -> bool,
    bad: &mut Vec<usize>,
) {
    if part.len() > 1 && together(part) {
        return;
    }
    if part.len() > FEW {
        let (left, right) = part.split_at(part.len() / 2);
        find_bad_in(left, start, together, alone, bad);
        find_bad_in(right, start + left.len(), together, alone, bad);
    } else {
        let singly = part.iter().enumerate().filter(|(_, one)| !alone(one));
        bad.extend(singly.map(|(at, _)| start + at));
    }
}

fn message(log: &LogId, author: &DeviceId, seq: u64, hash: &EventHash) -> [u8; MESSAGE_LEN] {
    let mut message = [0; MESSAGE_LEN];
    let mut at = 0;
    for part in [&CONTEXT[..], &log.bytes(), &author.0, &seq.to_le_bytes(), &hash.0] {
        message[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChannelId, SpaceId};
    use proptest::prelude::*;

    fn key(n: u8) -> DeviceKey {
        DeviceKey::from_seed(&Secret::take(&mut [n; 32]))
    }

    /// RFC 8032, section 7.1, test 1: the empty message.
    #[test]
    fn rfc_8032_vector() {
        let mut seed = [
            0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
            0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
        ];
        let device = DeviceKey::from_seed(&Secret::take(&mut seed));
        assert_eq!(
            device.id().to_string(),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
        assert_eq!(device.key.sign(b"").to_bytes()[..4], [0xe5, 0x56, 0x43, 0x00]);
    }

    #[test]
    fn a_head_verifies_only_as_it_was_signed() {
        let log = LogId::control(SpaceId([1; 32]));
        let head = key(1).sign_head(&log, 7, EventHash([2; 32]));
        let me = key(1).id();
        assert_eq!(head.verify(&log, &me), Ok(()));
        let wrong = Err(Error::Signature(EventRef { author: me, seq: 7 }));
        assert_eq!(head.verify(&LogId::control(SpaceId([9; 32])), &me), wrong);
        assert_eq!(head.verify(&LogId::channel(SpaceId([1; 32]), ChannelId([1; 32])), &me), wrong);
        assert_eq!(SignedHead { hash: EventHash([3; 32]), ..head }.verify(&log, &me), wrong);
        assert!(SignedHead { seq: 8, ..head }.verify(&log, &me).is_err());
        assert!(head.verify(&log, &key(2).id()).is_err());
    }

    #[test]
    fn forged_statements_are_found_among_true_ones() {
        let bodies: Vec<Vec<u8>> = (0..60_u8).map(|n| vec![n; usize::from(n)]).collect();
        let mut all: Vec<Statement<'_>> = (0_u8..)
            .zip(&bodies)
            .map(|(n, bytes)| {
                let (key, context) = (key(n + 1), if n % 2 == 0 { "test even" } else { "test odd" });
                Statement { signer: key.id().0, context, bytes, signature: key.sign(context, bytes) }
            })
            .collect();
        assert_eq!(verify_all(&[]), []);
        assert_eq!(verify_all(&all[7..8]), []);
        assert_eq!(verify_all(&all), []);
        all[3].context = "test even";
        all[20].bytes = &bodies[21];
        all[41].signature[40] ^= 1;
        all[59].signer = all[58].signer;
        assert_eq!(verify_all(&all), [3, 20, 41, 59]);
        assert_eq!(verify_all(&all[3..4]), [0]);
    }

    /// Two batches, and halves of halves of them.
    #[test]
    fn a_forged_one_is_found_among_thousands() {
        let log = LogId::control(SpaceId([1; 32]));
        let device = key(1);
        let mut heads: Vec<_> = (1..=BATCH_LEN as u64 + 300)
            .map(|seq| (device.id(), device.sign_head(&log, seq, EventHash([2; 32]))))
            .collect();
        assert_eq!(verify_heads(&log, &heads), []);
        for at in [0, 2047, 4095, 4096, 4395] {
            heads[at].1.seq += 1;
        }
        assert_eq!(verify_heads(&log, &heads), [0, 2047, 4095, 4096, 4395]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_batch_finds_exactly_the_forged_ones(count in 1..200usize, forged in prop::collection::btree_set(0..200usize, 0..8)) {
            let log = LogId::control(SpaceId([1; 32]));
            let mut heads: Vec<_> = (0..count).map(|n| {
                let key = key(n as u8);
                (key.id(), key.sign_head(&log, n as u64 + 1, EventHash([n as u8; 32])))
            }).collect();
            let forged: Vec<_> = forged.into_iter().filter(|at| *at < count).collect();
            for at in &forged { heads[*at].1.signature[5] ^= 4; }
            prop_assert_eq!(verify_heads(&log, &heads), forged);
        }
    }
}
