use crate::{DeviceId, EventHash, LogId};
use terachat_vault::Secret;
use terachat_vault::memory::{HASH_CHUNK_DEPTH, HASH_DEPTH, burn_after};

const CHAIN_CONTEXT: &str = "terachat 2026-11 event chain";

/// The hash of everything before an event's payload: the chain so far and the event's header.
///
/// It names the event's place before its payload is bound to it: two events share one only if they agree in every byte
/// of history and header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix([u8; 32]);

/// h_0: where the chain of `author` in `log` starts. Binds log and author once for all its events.
pub fn chain_start(log: &LogId, author: &DeviceId) -> EventHash {
    let mut input = [0; 96];
    input[..64].copy_from_slice(&log.bytes());
    input[64..].copy_from_slice(&author.0);
    EventHash(blake3::derive_key(CHAIN_CONTEXT, &input))
}

/// h_0 of a space's genesis: its space has no id before it is hashed.
pub fn genesis_start(author: &DeviceId) -> EventHash {
    chain_start(&LogId::control(crate::SpaceId([0; 32])), author)
}

/// The prefix of the event that follows `previous` (h_(n-1)) and has this canonical `header`.
pub fn prefix(previous: &EventHash, header: &[u8]) -> Prefix {
    Prefix(*blake3::keyed_hash(&previous.0, header).as_bytes())
}

/// The hash by which a payload stands in its event; the payload itself may be forgotten.
pub fn payload_hash(payload: &[u8]) -> [u8; 32] {
    *blake3::hash(payload).as_bytes()
}

/// The hash by which the payload of a channel's event stands: under the channel's key of the epoch, so that it tells
/// nothing to others, and bound to the event's place, so that equal payloads are not seen to be equal. It commits: nobody
/// finds a second payload, place or key for it. `scratch` spares an allocation for each event.
pub fn payload_commitment(
    key: &Secret<32>,
    prefix: &Prefix,
    payload: &[u8],
    scratch: &mut Vec<u8>,
) -> [u8; 32] {
    scratch.clear();
    scratch.extend_from_slice(&prefix.0);
    scratch.extend_from_slice(payload);
    let hash = || *blake3::keyed_hash(key.expose_secret(), scratch).as_bytes();
    // Most events are short, and there are many.
    if scratch.len() <= blake3::CHUNK_LEN {
        burn_after::<HASH_CHUNK_DEPTH, _>(hash)
    } else {
        burn_after::<HASH_DEPTH, _>(hash)
    }
}

/// The hash by which a payload stands in its event whose content may be erased: over the content's own hash
/// ([`payload_commitment`]) and what is kept of it, at least one byte. Whoever has only these two computes it.
pub fn erasable_hash(prefix: &Prefix, content: &[u8; 32], kept: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(&prefix.0);
    hasher.update(content).update(kept);
    *hasher.finalize().as_bytes()
}

/// h_n: the hash of the event with this prefix and payload hash.
pub fn link(prefix: &Prefix, payload_hash: &[u8; 32]) -> EventHash {
    EventHash(*blake3::keyed_hash(&prefix.0, payload_hash).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChannelId, SpaceId};

    #[test]
    fn every_input_changes_the_chain() {
        let (a, b) = (DeviceId([1; 32]), DeviceId([2; 32]));
        let log = LogId::control(SpaceId([3; 32]));
        let other = LogId::channel(SpaceId([3; 32]), ChannelId([0; 32]));
        assert_ne!(chain_start(&log, &a), chain_start(&log, &b));
        assert_ne!(chain_start(&log, &a), genesis_start(&a));
        // A channel whose id is all zeros shares the control log's bytes; no hash has that value.
        assert_eq!(chain_start(&log, &a), chain_start(&other, &a));
        let start = chain_start(&log, &a);
        let p = prefix(&start, b"header");
        assert_ne!(p, prefix(&start, b"headex"));
        assert_ne!(p, prefix(&chain_start(&log, &b), b"header"));
        assert_ne!(link(&p, &payload_hash(b"x")), link(&p, &payload_hash(b"y")));
        let commit = |key: u8, p: &Prefix, body: &[u8]| {
            payload_commitment(&Secret::take(&mut [key; 32]), p, body, &mut Vec::new())
        };
        let other = prefix(&start, b"headex");
        assert_ne!(commit(1, &p, b"x"), commit(2, &p, b"x"));
        assert_ne!(commit(1, &p, b"x"), commit(1, &other, b"x"));
        assert_ne!(commit(1, &p, b"x"), commit(1, &p, b"y"));
        let bound = |p: &Prefix, content: u8, kept: &[u8]| erasable_hash(p, &[content; 32], kept);
        assert_ne!(bound(&p, 1, b"k"), bound(&p, 2, b"k"));
        assert_ne!(bound(&p, 1, b"k"), bound(&p, 1, b"l"));
        assert_ne!(bound(&p, 1, b"k"), bound(&other, 1, b"k"));
        assert_ne!(bound(&p, 1, b"k"), link(&p, &[1; 32]).0, "no event's hash is a payload's");
    }
}
