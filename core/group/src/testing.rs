//! The MLS working group's test vectors (mlswg/mls-implementations, `test-vectors.md` there) for ciphersuite 0x0003, for tests beside
//! the code that they go through: this crate's cryptography (`engine/crypto/tests/vectors.rs` and below), the MLS library on
//! this crate's cryptography and storage (`engine/vectors.rs`), the frames and ratchets of single messages (`messages/vectors.rs`).
//!
//! `scripts/mls-vectors` brings them and runs all that; without it the tests say that they were skipped.
#![allow(clippy::cast_possible_truncation, reason = "lengths that the vectors name are small")]
use openmls_traits::types::Ciphersuite;
use serde_json::Value;
use std::path::PathBuf;

/// There are none of the other suite.
pub(crate) const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519;
/// The folder with the vectors' files.
const FOLDER: &str = "TERACHAT_MLS_VECTORS";

/// Runs `check` on each vector of a file that is of our ciphersuite.
pub(crate) fn each(file: &str, at_least: usize, mut check: impl FnMut(&Value)) {
    let Some(folder) = std::env::var_os(FOLDER) else {
        eprintln!("SKIPPED: {FOLDER} names no folder. Next: scripts/mls-vectors");
        return;
    };
    let text = std::fs::read(PathBuf::from(folder).join(file)).expect("the folder has the file");
    let all: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let ours: Vec<&Value> = all.iter().filter(|vector| vector["cipher_suite"] == SUITE as u16).collect();
    assert!(ours.len() >= at_least, "{file} has {} vectors of our ciphersuite", ours.len());
    ours.iter().for_each(|vector| check(vector));
    eprintln!("{file}: {} of {} vectors are of our ciphersuite and hold", ours.len(), all.len());
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("a string of hex digits");
    let digits = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16));
    digits.collect::<Result<_, _>>().unwrap()
}

pub(crate) fn number(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

/// A vector of bytes as RFC 9420, section 2.1.2 writes it.
pub(crate) fn sized(content: &[u8]) -> Vec<u8> {
    let len = content.len();
    let head = match len {
        0..64 => vec![len as u8],
        64..16_384 => (len as u16 | 0x4000).to_be_bytes().to_vec(),
        _ => (len as u32 | 0x8000_0000).to_be_bytes().to_vec(),
    };
    [head, content.to_vec()].concat()
}

/// Reads what [`sized`] wrote off the front.
pub(crate) fn take<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let width = 1 << (rest[0] >> 6);
    let (head, tail) = rest.split_at(width);
    let len = head.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)) & ((1 << (8 * width - 2)) - 1);
    let (content, tail) = tail.split_at(len);
    *rest = tail;
    content
}

pub(crate) fn skip(rest: &mut &[u8], len: usize) {
    *rest = &rest[len..];
}

/// A GroupContext (section 8.1) without extensions.
pub(crate) fn context(group_id: &Value, epoch: u64, tree_hash: &Value, transcript: &Value) -> Vec<u8> {
    [
        &[0, 1][..],
        &(SUITE as u16).to_be_bytes(),
        &sized(&bytes(group_id)),
        &epoch.to_be_bytes(),
        &sized(&bytes(tree_hash)),
        &sized(&bytes(transcript)),
        &[0],
    ]
    .concat()
}
