use terachat_event::{ChannelId, Prefix, payload_commitment};
use terachat_vault::{Algorithm, SealKey, Secret, derive_key};

/// What one channel derives from one MLS epoch's exported secret (RFC 9420, section 8.5): the key under which events
/// commit to their bodies, and the key that seals them when they travel.
pub struct EpochKey {
    body: Secret<32>,
    transport: Secret<32>,
}

impl EpochKey {
    /// Derives the channel's keys from the epoch's exported secret.
    pub fn derive(epoch_secret: &Secret<32>, channel: &ChannelId) -> Self {
        Self {
            body: derive_key("terachat 2026-11 channel body key", epoch_secret, &[&channel.0]),
            transport: derive_key("terachat 2026-11 channel bundle key", epoch_secret, &[&channel.0]),
        }
    }

    /// The hash by which a body stands in the event with this prefix.
    pub fn commit_body(&self, prefix: &Prefix, body: &[u8], scratch: &mut Vec<u8>) -> [u8; 32] {
        payload_commitment(&self.body, prefix, body, scratch)
    }

    /// The key for one bundle; `salt` is random and travels with it.
    pub(crate) fn bundle_key(&self, salt: &[u8; 16]) -> SealKey {
        SealKey::new(
            Algorithm::ChaCha20Poly1305,
            &derive_key("terachat 2026-11 bundle", &self.transport, &[salt]),
        )
    }
}
