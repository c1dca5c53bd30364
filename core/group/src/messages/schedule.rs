//! The secret tree and its ratchets (RFC 9420, section 9), forgetting whatever they are done with.
use hkdf::Hkdf;
use sha2::Sha256;
use std::collections::BTreeMap;
use terachat_vault::Secret;
use terachat_vault::memory::{HASH_DEPTH, burn_after};

/// Key (32 bytes) and nonce (12) of one message.
pub(super) type MessageKey = Secret<44>;

/// What follows for one sender: the ratchet's secret of the generation `next`.
pub(super) struct Ratchet {
    pub(super) next: u32,
    pub(super) secret: Secret<32>,
}

impl Ratchet {
    /// The next generation's key; the ratchet's former secret is gone.
    pub(super) fn step(&mut self) -> MessageKey {
        let generation = self.next.to_be_bytes();
        let key: Secret<32> = expand(&self.secret, "key", &generation);
        let nonce: Secret<12> = expand(&self.secret, "nonce", &generation);
        self.skip();
        Secret::generate(|out| {
            out[..32].copy_from_slice(key.expose_secret());
            out[32..].copy_from_slice(nonce.expose_secret());
        })
    }

    /// Passes over one generation.
    pub(super) fn skip(&mut self) {
        self.secret = expand(&self.secret, "secret", &self.next.to_be_bytes());
        self.next += 1;
    }

    pub(super) fn duplicate(&self) -> Self {
        Self { next: self.next, secret: self.secret.duplicate_secret() }
    }
}

/// What one leaf's ratchet costs the tree: the node whose secret is used up, and those that take its place.
pub(super) struct Descent {
    pub(super) used: u32,
    pub(super) beside: Vec<(u32, Secret<32>)>,
    pub(super) ratchet: Ratchet,
}

/// Goes down from the nearest node above a leaf that has a secret; `None` if there is none any more. A tree has `leaves`
/// leaves, a power of two; leaf `n` is node `2n` (RFC 9420, appendix C).
pub(super) fn descend(nodes: &BTreeMap<u32, Secret<32>>, leaves: u32, leaf: u32) -> Option<Descent> {
    let target = 2 * leaf;
    let (mut at, mut half) = (leaves - 1, leaves / 2);
    let used = loop {
        if nodes.contains_key(&at) {
            break at;
        }
        // The children of a node stand `half` beside it.
        if at == target {
            return None;
        }
        at = if target < at { at - half } else { at + half };
        half /= 2;
    };
    let mut secret = nodes.get(&used)?.duplicate_secret();
    let mut beside = Vec::new();
    while at != target {
        let (left, right) = (expand(&secret, "tree", b"left"), expand(&secret, "tree", b"right"));
        if target < at {
            beside.push((at + half, right));
            (secret, at) = (left, at - half);
        } else {
            beside.push((at - half, left));
            (secret, at) = (right, at + half);
        }
        half /= 2;
    }
    // Handshakes travel in the clear: that ratchet is never begun.
    let ratchet = Ratchet { next: 0, secret: expand(&secret, "application", b"") };
    Some(Descent { used, beside, ratchet })
}

/// ExpandWithLabel (section 8) with the suite's HKDF-SHA256. Labels and contexts here are shorter than 50 bytes.
pub(super) fn expand<const N: usize>(secret: &Secret<32>, label: &str, context: &[u8]) -> Secret<N> {
    let mut info = Vec::with_capacity(64);
    info.extend_from_slice(&u16::try_from(N).expect("a few bytes").to_be_bytes());
    let short =
        |len: usize| u8::try_from(len).ok().filter(|len| *len < 64).expect("one byte tells the length");
    info.push(short(8 + label.len()));
    info.extend_from_slice(b"MLS 1.0 ");
    info.extend_from_slice(label.as_bytes());
    info.push(short(context.len()));
    info.extend_from_slice(context);
    Secret::generate(|out| {
        burn_after::<HASH_DEPTH, _>(|| {
            let key = Hkdf::<Sha256>::from_prk(secret.expose_secret()).expect("as long as the hash");
            key.expand(&info, out).expect("at most 44 bytes");
        });
    })
}
