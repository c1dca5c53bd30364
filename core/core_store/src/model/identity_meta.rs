use serde::{Deserialize, Serialize};
use terachat_event::{DeviceId, DeviceKey, Statement, UserId, verify_all};

const CERTIFICATE_CONTEXT: &str = "terachat 2026-11 device card";
/// The user's signature, then the device's.
const CERTIFICATE_LEN: usize = 128;

/// Who stands behind a device: the user's key vouches for the device's, and the device's for the user's. So nobody makes
/// somebody else's device a device of its own, nor is one put on a card that its user never saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// The user's identity key.
    pub user: UserId,
    /// The name the user chose; 1 to 100 characters.
    pub name: String,
    /// The device.
    pub device: DeviceId,
    /// The user's and the device's signature over user, device and name; 128 bytes.
    certificate: Vec<u8>,
}

impl Card {
    /// A card for `device`, vouched for by the user whose identity key is `user` and by the device itself.
    pub fn issue(user: &DeviceKey, name: &str, device: &DeviceKey) -> Self {
        let (id, device_id) = (UserId(user.id().0), device.id());
        let bytes = vouched(&id, &device_id, name);
        let certificate = [user, device].map(|key| key.sign(CERTIFICATE_CONTEXT, &bytes)).concat();
        Self { user: id, name: name.to_owned(), device: device_id, certificate }
    }

    /// Whether user and device really vouched for this.
    pub fn is_genuine(&self) -> bool {
        let bytes = self.vouched();
        self.statements(&bytes).is_some_and(|statements| verify_all(&statements).is_empty())
    }

    /// What both signed.
    pub(crate) fn vouched(&self) -> Vec<u8> {
        vouched(&self.user, &self.device, &self.name)
    }

    /// The signatures over [`Card::vouched`], to be checked with others'; `None` where there are not two.
    pub(crate) fn statements<'a>(&self, bytes: &'a [u8]) -> Option<[Statement<'a>; 2]> {
        if self.certificate.len() != CERTIFICATE_LEN {
            return None;
        }
        let (user, device) = (self.certificate.first_chunk()?, self.certificate.last_chunk()?);
        Some([(self.user.0, user), (self.device.0, device)].map(|(signer, signature)| Statement {
            signer,
            context: CERTIFICATE_CONTEXT,
            bytes,
            signature: *signature,
        }))
    }
}

fn vouched(user: &UserId, device: &DeviceId, name: &str) -> Vec<u8> {
    [&user.0[..], &device.0, name.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use terachat_vault::Secret;

    #[test]
    fn a_card_holds_for_its_user_device_and_name_only() {
        let key = |n: u8| DeviceKey::from_seed(&Secret::take(&mut [n; 32]));
        let (user, device) = (key(1), key(2));
        let card = Card::issue(&user, "Ada", &device);
        assert!(card.is_genuine());
        assert!(!Card { name: "Eve".into(), ..card.clone() }.is_genuine());
        assert!(!Card { device: DeviceId([3; 32]), ..card.clone() }.is_genuine());
        assert!(!Card { user: UserId([1; 32]), ..card.clone() }.is_genuine());
        for len in [0, 63, 64, 127] {
            assert!(!Card { certificate: vec![0; len], ..card.clone() }.is_genuine());
        }
        // Neither signature stands for the other: not a user's who claims a device, not a device's that claims a user.
        let of_user = Card::issue(&user, "Ada", &key(3)).certificate[..64].to_vec();
        for halves in [
            [&card.certificate[..64], &of_user],
            [&card.certificate[64..], &card.certificate[64..]],
            [&card.certificate[64..], &card.certificate[..64]],
        ] {
            assert!(!Card { certificate: halves.concat(), ..card.clone() }.is_genuine());
        }
    }
}
