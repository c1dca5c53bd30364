use terachat_event::{ChannelId, Prefix};
use terachat_vault::{Error, SealKey, Secret, TAG_LEN, derive_key};

/// What one channel derives from one MLS epoch's exported secret (RFC 9420, section 8.5): the key for bodies, and the
/// key under which bundles of them travel.
pub struct EpochKey {
    body: SealKey,
    transport: Secret<32>,
}

impl EpochKey {
    /// Derives the channel's keys from the epoch's exported secret.
    pub fn derive(epoch_secret: &Secret<32>, channel: &ChannelId) -> Self {
        let body = derive_key("terachat 2026-11 channel body key", epoch_secret, &[&channel.0]);
        let transport = derive_key("terachat 2026-11 channel bundle key", epoch_secret, &[&channel.0]);
        Self { body: SealKey::new(&body), transport }
    }

    /// Seals a body for the event with this prefix. The same body and event always give the same bytes, so that a
    /// store may keep the plaintext and still prove the event.
    pub fn seal_body(&self, prefix: &Prefix, body: &mut Vec<u8>) {
        self.body.seal(&prefix.nonce(), prefix.associated_data(), body);
    }

    /// Opens a body.
    ///
    /// # Errors
    /// [`Error::Open`] when it was not sealed for this event under this key.
    pub fn open_body(&self, prefix: &Prefix, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        self.body.open(&prefix.nonce(), prefix.associated_data(), sealed)
    }

    /// The key for one bundle; `salt` is random and travels with it.
    pub(crate) fn bundle_key(&self, salt: &[u8; 16]) -> SealKey {
        SealKey::new(&derive_key("terachat 2026-11 bundle", &self.transport, &[salt]))
    }
}

/// Bytes a sealed body is longer than the operation inside.
pub const BODY_OVERHEAD: usize = TAG_LEN;
