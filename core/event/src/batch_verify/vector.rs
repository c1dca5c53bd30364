//! The batch equation with eight lanes of 52-bit multipliers (AVX-512 IFMA).

/// A test that runs only where the processor has what the code under test needs.
#[cfg(test)]
macro_rules! vector_test {
    ($($(#[$meta:meta])* fn $name:ident() $body:block)*) => {$(
        $(#[$meta])*
        #[test]
        #[allow(unsafe_code, reason = "calls code for a processor that was asked what it can")]
        fn $name() {
            #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
            fn body() $body
            if crate::batch_verify::vector::available() {
                // SAFETY: the processor has every instruction set that `body` is compiled for.
                unsafe { body() }
            } else {
                eprintln!("not run: this processor has no AVX-512 IFMA");
            }
        }
    )*};
}

mod buckets;
mod decompress;
mod digits;
mod field;
mod lanes;
#[cfg(test)]
mod model;
mod point;
mod products;
mod sha512;

use super::{Blinding, Signed};
use buckets::Terms;
use curve25519_dalek::scalar::Scalar;
use decompress::decompress;
use digits::Width;
use products::{Products, is_below_order};
use sha512::sha512;

/// The encoding of the base point.
const BASE: [u8; 32] = [
    0x58, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
    0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
];
/// Below so many signatures digits of four bits cost less than digits of eight.
const FEW: usize = 160;

/// Whether all signatures verify, up to a chance of 2^-127; `false` says nothing about any one of them.
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
pub(super) fn verify<const LEN: usize>(batch: &[Signed<LEN>]) -> bool {
    let width = if batch.len() < FEW { Width::Four } else { Width::Eight };
    // The base point comes last among the keys.
    let mut keys = Terms::with_capacity(batch.len() + 1, width.groups(32));
    let mut nonces = Terms::with_capacity(batch.len(), width.groups(16));

    // 8 (sum z R + sum (z k) A - (sum z s) B) = 0
    let transcript = transcript(batch);
    let blinding = Blinding::new(transcript.as_flattened().as_flattened());
    let mut base_factor = Products::default();
    for ([challenge @ .., s], z) in transcript.iter().zip(blinding.numbers(batch.len())) {
        if !is_below_order(s) {
            return false;
        }
        base_factor.add(z, s);
        let k = Scalar::from_bytes_mod_order_wide(challenge.as_flattened().as_array().expect("64 bytes"));
        width.split(&z.to_le_bytes(), &mut nonces.digits);
        width.split((Scalar::from(z) * k).as_bytes(), &mut keys.digits);
    }
    width.split((-base_factor.scalar()).as_bytes(), &mut keys.digits);

    for eight in batch.chunks(8) {
        // Lanes that are left over are the base point, times nothing.
        let mut encodings = [[BASE; 8]; 2];
        for (lane, signed) in eight.iter().enumerate() {
            encodings[0][lane] = *signed.nonce();
            encodings[1][lane] = *signed.key();
        }
        let Some([nonce, key]) = decompress([&encodings[0], &encodings[1]]) else { return false };
        nonces.points.push(nonce);
        keys.points.push(key);
    }
    if batch.len().is_multiple_of(8) {
        let Some([base, _]) = decompress([&[BASE; 8]; 2]) else { return false };
        keys.points.push(base);
    }
    buckets::sum(width, [&nonces, &keys]).small_orders() & 1 == 1
}

/// What fixes each signature to the last bit: its challenge, SHA-512 over nonce, key and message; and its `s`.
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
fn transcript<const LEN: usize>(batch: &[Signed<LEN>]) -> Vec<[[u8; 32]; 3]> {
    let mut transcript = Vec::with_capacity(batch.len());
    for eight in batch.chunks(8) {
        // Lanes that are left over hash the first message again.
        let mut messages = [&eight[0].hashed; 8];
        for (message, signed) in messages.iter_mut().zip(eight) {
            *message = &signed.hashed;
        }
        for (challenge, signed) in sha512(messages).iter().zip(eight) {
            let [low, high] = *challenge.as_chunks().0.as_array().expect("64 bytes");
            transcript.push([low, high, signed.s]);
        }
    }
    transcript
}

pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx512ifma")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bw")
}
