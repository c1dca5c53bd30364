use serde::{Deserialize, Serialize};
use terachat_event::{DeviceId, DeviceKey, UserId, verify};

const CERTIFICATE_CONTEXT: &str = "terachat 2026-11 device certificate";

/// Who stands behind a device: the user's key vouches for the device's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// The user's identity key.
    pub user: UserId,
    /// The name the user chose; 1 to 100 characters.
    pub name: String,
    /// The device.
    pub device: DeviceId,
    /// The user's signature over name and device; 64 bytes.
    certificate: Vec<u8>,
}

impl Card {
    /// A card for `device`, vouched for by the user whose identity key is `user`.
    pub fn issue(user: &DeviceKey, name: &str, device: DeviceId) -> Self {
        let user_id = UserId(user.id().0);
        let certificate = user.sign(CERTIFICATE_CONTEXT, &vouched(name, &device)).to_vec();
        Self { user: user_id, name: name.to_owned(), device, certificate }
    }

    /// Whether the user really vouched for this. Whoever admits a card has checked it and signs for that; others
    /// check it when it matters to them, and audits always do.
    pub fn is_genuine(&self) -> bool {
        let Ok(signature) = self.certificate.as_slice().try_into() else { return false };
        verify(&self.user.0, CERTIFICATE_CONTEXT, &vouched(&self.name, &self.device), signature)
    }
}

fn vouched(name: &str, device: &DeviceId) -> Vec<u8> {
    [&device.0[..], name.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use terachat_vault::Secret;

    #[test]
    fn a_card_holds_for_its_user_device_and_name_only() {
        let user = DeviceKey::from_seed(&Secret::take(&mut [1; 32]));
        let card = Card::issue(&user, "Ada", DeviceId([2; 32]));
        assert!(card.is_genuine());
        assert!(!Card { name: "Eve".into(), ..card.clone() }.is_genuine());
        assert!(!Card { device: DeviceId([3; 32]), ..card.clone() }.is_genuine());
        assert!(!Card { user: UserId([1; 32]), ..card.clone() }.is_genuine());
        assert!(!Card { certificate: vec![0; 63], ..card }.is_genuine());
    }
}
