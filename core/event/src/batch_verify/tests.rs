use super::*;
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use ed25519_zebra::{Signature, SigningKey, VerificationKey};
use proptest::prelude::*;
use sha2::Digest;

/// Nonce, key and a message of 100 bytes.
const LEN: usize = 164;

/// The order of the base point, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn signed<const LEN: usize>(key: [u8; 32], signature: [u8; 64], message: &[u8]) -> Signed<LEN> {
    let mut hashed = [0; LEN];
    hashed[..32].copy_from_slice(&signature[..32]);
    hashed[32..64].copy_from_slice(&key);
    hashed[64..].copy_from_slice(message);
    Signed { hashed, s: *signature.last_chunk().expect("of 64 bytes") }
}

/// So many good signatures by as many keys.
fn good(count: usize) -> Vec<Signed<LEN>> {
    (0..count)
        .map(|n| {
            let mut seed = [0x5a; 32];
            seed[..8].copy_from_slice(&n.to_le_bytes());
            let key = SigningKey::from(seed);
            let message: [u8; LEN - 64] = std::array::from_fn(|at| (at * n) as u8);
            let public = VerificationKey::from(&key);
            signed(public.into(), key.sign(&message).to_bytes(), &message)
        })
        .collect()
}

/// ed25519-zebra's verdict on one.
fn alone<const LEN: usize>(signed: &Signed<LEN>) -> bool {
    let signature = Signature::from_components(*signed.nonce(), signed.s);
    VerificationKey::try_from(*signed.key())
        .is_ok_and(|key| key.verify(&signature, &signed.hashed[64..]).is_ok())
}

/// The verdict of every way there is, which has to be one, and that of each alone.
#[track_caller]
fn verdict<const LEN: usize>(batch: &[Signed<LEN>]) -> bool {
    let singly = batch.iter().all(alone);
    assert_eq!(verify_portable(batch), singly, "portable, {} signatures", batch.len());
    if let Some(vector) = verify_vector(batch) {
        assert_eq!(vector, singly, "vector, {} signatures", batch.len());
    }
    singly
}

/// The batch is bad; its parts are too many to be asked alone each time.
#[track_caller]
fn refused<const LEN: usize>(batch: &[Signed<LEN>], what: &str) {
    let verdict = verify_vector(batch).unwrap_or_else(|| verify_portable(batch));
    assert!(!verdict, "{what} in {} signatures", batch.len());
}

/// Flips one bit of one signature: of R, A, the message or s.
fn flip(signed: &mut Signed<LEN>, part: usize, random: usize) {
    match part {
        0 => signed.hashed[random / 8 % 32] ^= 1 << (random % 8),
        1 => signed.hashed[32 + random / 8 % 32] ^= 1 << (random % 8),
        2 => signed.hashed[64 + random / 8 % (LEN - 64)] ^= 1 << (random % 8),
        _ => signed.s[random / 8 % 32] ^= 1 << (random % 8),
    }
}

#[test]
fn good_batches_of_every_size_are_accepted() {
    let all = good(70);
    for count in 1..=70 {
        assert!(verdict(&all[..count]));
    }
}

#[test]
fn nothing_is_wrong_with_nothing() {
    assert!(verdict::<LEN>(&[]));
}

/// Around the sizes at which the digits' width and the number of vectors change.
#[test]
fn large_batches_are_accepted_and_one_bit_spoils_them() {
    let mut all = good(1030);
    for count in [127, 128, 129, 159, 160, 161, 255, 256, 257, 1023, 1024, 1030] {
        assert!(verify(&all[..count]));
        for (part, at) in [(0, 0), (1, count - 1), (2, count / 2), (3, count / 3)] {
            flip(&mut all[at], part, count * 7);
            refused(&all[..count], "a flipped bit");
            flip(&mut all[at], part, count * 7);
        }
    }
    assert!(verify(&all));
}

#[test]
fn one_flipped_bit_anywhere_spoils_a_batch_of_any_size() {
    let mut all = good(70);
    for count in 1..=70 {
        for at in [0, count / 2, count - 1] {
            for part in 0..4 {
                let random = count * 131 + at * 17 + part * 29;
                flip(&mut all[at], part, random);
                refused(&all[..count], "a flipped bit");
                flip(&mut all[at], part, random);
            }
        }
    }
}

#[test]
fn every_single_bit_counts() {
    let mut batch = good(3);
    for part in 0..4 {
        let bits = if part == 2 { (LEN - 64) * 8 } else { 256 };
        for bit in 0..bits {
            flip(&mut batch[1], part, bit);
            refused(&batch, "a flipped bit");
            flip(&mut batch[1], part, bit);
        }
    }
    assert!(verdict(&batch));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn all_ways_give_one_verdict(count in 1..40usize, at in any::<prop::sample::Index>(), part in 0..8usize, random in any::<usize>()) {
        let mut batch = good(count);
        if part < 4 {
            flip(&mut batch[at.index(count)], part, random);
        }
        prop_assert_eq!(verdict(&batch), part >= 4);
    }
}

#[test]
fn exchanged_parts_are_refused() {
    for count in [2, 9, 200] {
        let mut batch = good(count);
        let last = count - 1;
        // The sum of all s is the same, and so is that of all R; their factors are not.
        let (first_s, last_s) = (batch[0].s, batch[last].s);
        (batch[0].s, batch[last].s) = (last_s, first_s);
        refused(&batch, "s exchanged");
        (batch[0].s, batch[last].s) = (first_s, last_s);
        for part in [0..32, 32..64, 64..LEN] {
            let (left, right) = batch.split_at_mut(last);
            left[0].hashed[part.clone()].swap_with_slice(&mut right[0].hashed[part.clone()]);
            refused(&batch, "R, keys or messages exchanged");
            let (left, right) = batch.split_at_mut(last);
            left[0].hashed[part.clone()].swap_with_slice(&mut right[0].hashed[part]);
        }
        assert!(verify(&batch));
        // Whole signatures may stand in any order.
        batch.reverse();
        assert!(verify(&batch));
    }
}

/// Two faults that would cancel if the signatures were just added up.
#[test]
fn faults_that_cancel_are_refused() {
    let mut batch = good(12);
    for factor in [1u64, 8, 1 << 40] {
        let fault = Scalar::from(factor);
        let [a, b] =
            [2, 7].map(|at: usize| Scalar::from_canonical_bytes(batch[at].s).expect("below the order"));
        batch[2].s = (a + fault).to_bytes();
        batch[7].s = (b - fault).to_bytes();
        assert!(!verdict(&batch));
        (batch[2].s, batch[7].s) = (a.to_bytes(), b.to_bytes());
    }
    assert!(verdict(&batch));
}

#[test]
fn the_same_signature_may_come_twice() {
    let mut batch = good(20);
    batch.extend(good(20));
    assert!(verdict(&batch));
}

/// ZIP-215, rule 2: s is below the order. The equation itself would hold.
#[test]
fn s_has_to_be_below_the_order() {
    let mut batch = good(20);
    let mut carry = 0;
    for (byte, order) in batch[5].s.iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = ((sum & 0xff) as u8, sum >> 8);
    }
    assert!(!verdict(&batch));
    // s = the order itself, with R and A of small order, where s = 0 is right.
    let identity = EdwardsPoint::default().compress().0;
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&identity);
    assert!(verdict(&[signed::<LEN>(identity, signature, &[1; LEN - 64])]));
    signature[32..].copy_from_slice(&ORDER);
    assert!(!verdict(&[signed::<LEN>(identity, signature, &[1; LEN - 64])]));
    signature[32..].fill(0xff);
    assert!(!verdict(&[signed::<LEN>(identity, signature, &[1; LEN - 64])]));
}

/// All encodings of points of small order, those that are not canonical included.
fn small_order_encodings() -> Vec<[u8; 32]> {
    let mut encodings = std::collections::BTreeSet::new();
    for point in EIGHT_TORSION {
        let mut y = point.compress().0;
        y[31] &= 0x7f;
        let mut forms = vec![y];
        // y + p is below 2^255 for y below 19: then it is 2^255 - 19 + y.
        if y[0] < 19 && y[1..].iter().all(|byte| *byte == 0) {
            let mut above = [0xff; 32];
            (above[0], above[31]) = (0xed + y[0], 0x7f);
            forms.push(above);
        }
        for form in forms {
            encodings.insert(form);
            let mut other_sign = form;
            other_sign[31] |= 0x80;
            encodings.insert(other_sign);
        }
    }
    assert!(encodings.iter().all(|encoding| {
        CompressedEdwardsY(*encoding).decompress().is_some_and(|point| point.is_small_order())
    }));
    encodings.into_iter().collect()
}

/// The table of ZIP-215: keys and nonces of small order with s = 0 are all valid.
#[test]
fn all_196_small_order_signatures_are_accepted() {
    let encodings = small_order_encodings();
    assert_eq!(encodings.len(), 14);
    let mut matrix = Vec::new();
    for key in &encodings {
        for nonce in &encodings {
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(nonce);
            matrix.push(signed::<69>(*key, signature, b"Zcash"));
        }
    }
    assert_eq!(matrix.len(), 196);
    assert!(verdict(&matrix));
    for one in matrix.chunks(1) {
        assert!(verdict(one));
    }
    matrix[77].s[0] = 1;
    assert!(!verdict(&matrix));
}

/// A signature that holds only up to a part of small order, in the key, the nonce or both: valid under ZIP-215.
#[test]
fn parts_of_small_order_are_cleared() {
    let (secret, nonce_secret) = (Scalar::from(123_456_789u64), Scalar::from(987_654_321u64));
    let mut batch = good(9);
    for key_part in EIGHT_TORSION {
        for nonce_part in EIGHT_TORSION {
            let key = (EdwardsPoint::mul_base(&secret) + key_part).compress().0;
            let nonce = (EdwardsPoint::mul_base(&nonce_secret) + nonce_part).compress().0;
            let message = [9; LEN - 64];
            let digest =
                sha2::Sha512::new().chain_update(nonce).chain_update(key).chain_update(message).finalize();
            let challenge = Scalar::from_bytes_mod_order_wide(&digest.into());
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&nonce);
            signature[32..].copy_from_slice((nonce_secret + challenge * secret).as_bytes());
            batch.push(signed(key, signature, &message));
        }
    }
    assert!(verdict(&batch));
    batch[40].s[0] ^= 1;
    assert!(!verdict(&batch));
}

/// What is no point of the curve, as key and as nonce, in each lane.
#[test]
fn what_is_no_point_is_refused() {
    let no_point = (2..=u8::MAX)
        .map(|number| {
            let mut y = [0; 32];
            y[0] = number;
            y
        })
        .find(|y| CompressedEdwardsY(*y).decompress().is_none())
        .expect("half of them");
    let mut batch = good(17);
    for at in 0..17 {
        for start in [0, 32] {
            let kept: [u8; 32] = *batch[at].hashed[start..].first_chunk().expect("32 bytes");
            batch[at].hashed[start..start + 32].copy_from_slice(&no_point);
            refused(&batch, "no point");
            batch[at].hashed[start..start + 32].copy_from_slice(&kept);
        }
    }
    assert!(verdict(&batch));
}

fn hex<const N: usize>(text: &str) -> [u8; N] {
    std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hexadecimal"))
}

/// RFC 8032, section 7.1, tests 1 to 3.
#[test]
fn rfc_8032_vectors() {
    assert!(verdict(&[signed::<64>(
        hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
        hex(concat!(
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155",
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        )),
        b"",
    )]));
    assert!(verdict(&[signed::<65>(
        hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"),
        hex(concat!(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        )),
        &[0x72],
    )]));
    assert!(verdict(&[signed::<66>(
        hex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"),
        hex(concat!(
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac",
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        )),
        &[0xaf, 0x82],
    )]));
}
