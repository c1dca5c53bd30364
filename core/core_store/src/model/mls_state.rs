use super::{ChannelOp, Kept, content_of};
use terachat_event::{ChannelId, Prefix, erasable_hash, payload_commitment};
use terachat_vault::{Algorithm, SealKey, Secret, derive_key};

/// The key under which a channel's events of one epoch are bound to what they say. Whoever has it can check whether an event
/// says something, and nothing else.
pub struct BodyKey(Secret<32>);

/// What one channel derives from one MLS epoch's exported secret (RFC 9420, section 8.5): the key under which events
/// commit to their bodies, and the key that seals them when they travel.
pub struct EpochKey {
    body: BodyKey,
    transport: Secret<32>,
}

impl EpochKey {
    /// Derives the channel's keys from the epoch's exported secret.
    pub fn derive(epoch_secret: &Secret<32>, channel: &ChannelId) -> Self {
        Self {
            body: BodyKey(derive_key("terachat 2026-11 channel body key", epoch_secret, &[&channel.0])),
            transport: derive_key("terachat 2026-11 channel bundle key", epoch_secret, &[&channel.0]),
        }
    }

    /// The part of it that says nothing but what events are bound to.
    pub fn body(&self) -> &BodyKey {
        &self.body
    }

    /// As [`BodyKey::commit`].
    pub fn commit_body(&self, prefix: &Prefix, body: &[u8], scratch: &mut Vec<u8>) -> [u8; 32] {
        self.body.commit(prefix, body, scratch)
    }

    /// As [`BodyKey::commit_op`].
    pub(crate) fn commit_op(
        &self,
        prefix: &Prefix,
        body: &[u8],
        op: Option<&ChannelOp<'_>>,
        scratch: &mut Vec<u8>,
    ) -> [u8; 32] {
        self.body.commit_op(prefix, body, op, scratch)
    }

    /// As [`BodyKey::erase`].
    pub(crate) fn erase(
        &self,
        prefix: &Prefix,
        body: &[u8],
        op: Option<&ChannelOp<'_>>,
        scratch: &mut Vec<u8>,
    ) -> Option<Vec<u8>> {
        self.body.erase(prefix, body, op, scratch)
    }

    /// The key for one bundle; `salt` is random and travels with it.
    pub(crate) fn bundle_key(&self, salt: &[u8; 16]) -> SealKey {
        SealKey::new(
            Algorithm::ChaCha20Poly1305,
            &derive_key("terachat 2026-11 bundle", &self.transport, &[salt]),
        )
    }
}

impl BodyKey {
    /// The key with these bytes, which are wiped.
    pub fn take(bytes: &mut [u8; 32]) -> Self {
        Self(Secret::take(bytes))
    }

    /// The bytes. They have to be told to whoever is to check an event, and to nobody else.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }

    pub(crate) fn duplicate(&self) -> Self {
        Self(self.0.duplicate_secret())
    }

    /// The hash by which a body stands in the event with this prefix.
    pub fn commit(&self, prefix: &Prefix, body: &[u8], scratch: &mut Vec<u8>) -> [u8; 32] {
        self.commit_op(prefix, body, ChannelOp::decode(body).ok().as_ref(), scratch)
    }

    /// The same of a body that was read as an operation, or as none.
    pub(crate) fn commit_op(
        &self,
        prefix: &Prefix,
        body: &[u8],
        op: Option<&ChannelOp<'_>>,
        scratch: &mut Vec<u8>,
    ) -> [u8; 32] {
        let bind =
            |content: &[u8; 32], kept: &Kept| erasable_hash(prefix, content, kept.write(&mut Kept::room()));
        if let Some(ChannelOp::Erased { content, kept }) = op {
            return bind(content, kept);
        }
        let content = self.content(prefix, body, scratch);
        match op.filter(|_| ChannelOp::is_erasable(body)).and_then(Kept::of) {
            Some(kept) => bind(&content, &kept),
            None => content,
        }
    }

    /// What is left of a body once its content is erased; `None` where nothing can be.
    pub(crate) fn erase(
        &self,
        prefix: &Prefix,
        body: &[u8],
        op: Option<&ChannelOp<'_>>,
        scratch: &mut Vec<u8>,
    ) -> Option<Vec<u8>> {
        let kept = op.filter(|_| ChannelOp::is_erasable(body)).and_then(Kept::of)?;
        let content = self.content(prefix, body, scratch);
        Some(ChannelOp::Erased { content, kept }.encode())
    }

    /// What stands in the event for the content. What was sealed by itself is bound without the epoch's key, which those have
    /// who may not read it.
    fn content(&self, prefix: &Prefix, body: &[u8], scratch: &mut Vec<u8>) -> [u8; 32] {
        content_of(body).unwrap_or_else(|| payload_commitment(&self.0, prefix, body, scratch))
    }
}
