use std::fmt;

use libp2p_identity::{PeerId, PublicKey, ed25519};

use crate::Error;

/// A device's Ed25519 public key, the name by which it is known on the network.
///
/// In an event it is proved: the device signed the Noise handshake with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey(pub [u8; 32]);

impl PeerKey {
    /// The key that a libp2p identity stands for; `None` for other kinds of keys.
    pub(crate) fn from_peer_id(id: &PeerId) -> Option<Self> {
        let key = PublicKey::try_decode_protobuf(id.as_ref().digest()).ok()?;
        Some(Self(key.try_into_ed25519().ok()?.to_bytes()))
    }

    pub(crate) fn to_peer_id(self) -> Result<PeerId, Error> {
        let key = ed25519::PublicKey::try_from_bytes(&self.0).map_err(|_| Error::Key(self))?;
        Ok(PublicKey::from(key).to_peer_id())
    }
}

impl fmt::Display for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_libp2p_identities_map_one_to_one() {
        let pair = libp2p_identity::Keypair::ed25519_from_bytes([7; 32]).unwrap();
        let key = PeerKey::from_peer_id(&pair.public().to_peer_id()).unwrap();
        // The public key of the seed 07..07, as every Ed25519 implementation derives it.
        assert_eq!(key.to_string(), "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c");
        assert_eq!(key.to_peer_id().unwrap(), pair.public().to_peer_id());
    }

    #[test]
    fn bytes_that_are_no_point_are_refused() {
        let no_point = (0..=u8::MAX).map(|n| PeerKey([n; 32])).find(|key| key.to_peer_id().is_err());
        assert!(no_point.is_some());
    }
}
