//! What people hand to each other: a card to be invited by, and an invitation. One line of text each, with a check sum
//! against lost or mistyped characters; what is inside is signed where it matters.
use crate::Error;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use terachat_core_store::model::Card;
use terachat_event::{DeviceId, SpaceId};
use terachat_group::{CipherSuite, KeyPackage};

const TEXT_LEN_MAX: usize = 64 * 1024;

/// What a newcomer hands to whoever invites.
#[derive(Serialize, Deserialize)]
pub(crate) struct InvitableCard {
    pub(crate) card: Card,
    /// One for each suite of the groups that it may be let into.
    pub(crate) key_packages: Vec<Vec<u8>>,
}

impl InvitableCard {
    /// The key package for a group of this suite.
    ///
    /// # Errors
    /// [`Error::Group`] for one that is not sound; [`Error::Input`] where the card has none, or another device's.
    pub(crate) fn key_package(&self, suite: CipherSuite) -> Result<KeyPackage, Error> {
        // Two are made; who puts more on it has nothing to gain.
        for bytes in self.key_packages.iter().take(CipherSuite::ALL.len()) {
            let key_package = KeyPackage::parse(bytes)?;
            if key_package.device() != self.card.device.0 {
                return Err(Error::Input("the card's key package is another device's; ask for a fresh one"));
            }
            if key_package.suite() == suite {
                return Ok(key_package);
            }
        }
        Err(Error::Input(match suite {
            CipherSuite::XWing => {
                "the space is a post-quantum one, and the card is not for such; ask for one from `terachat whoami --post-quantum`"
            }
            CipherSuite::X25519 => "the card is for post-quantum spaces alone; ask for a fresh one",
        }))
    }
}

/// What the newcomer gets back.
#[derive(Serialize, Deserialize)]
pub(crate) struct Invitation {
    pub(crate) space: SpaceId,
    pub(crate) name: String,
    pub(crate) inviter: DeviceId,
    pub(crate) invited: DeviceId,
    /// What the newcomer reads a board with before it is in the group.
    pub(crate) ticket: [u8; 32],
}

pub(crate) trait Text: Serialize + DeserializeOwned {
    const PREFIX: &'static str;
    const WHAT: &'static str;

    fn to_text(&self) -> String {
        let mut bytes = postcard::to_allocvec(self).expect("plain values encode into a growing buffer");
        let sum = blake3::hash(&bytes);
        bytes.extend_from_slice(&sum.as_bytes()[..4]);
        format!("{}{}", Self::PREFIX, URL_SAFE_NO_PAD.encode(bytes))
    }

    fn from_text(text: &str) -> Result<Self, Error> {
        let broken = Error::Input(Self::WHAT);
        let body = text.trim().strip_prefix(Self::PREFIX).filter(|body| body.len() <= TEXT_LEN_MAX);
        let Some(mut bytes) = body.and_then(|body| URL_SAFE_NO_PAD.decode(body).ok()) else {
            return Err(broken);
        };
        let Some(at) = bytes.len().checked_sub(4) else { return Err(broken) };
        let sum = bytes.split_off(at);
        if blake3::hash(&bytes).as_bytes()[..4] != sum[..] {
            return Err(broken);
        }
        postcard::from_bytes(&bytes).map_err(|_| broken)
    }
}

/// Reads cards and invitations, as text and as what stands behind the check sum: for the fuzzer, who would not find one. Whatever
/// is read can be written and read again.
#[doc(hidden)]
pub fn fuzz_card(bytes: &[u8]) {
    fn read<T: Text>(bytes: &[u8]) -> Option<T> {
        let summed = [bytes, &blake3::hash(bytes).as_bytes()[..4]].concat();
        let text = format!("{}{}", T::PREFIX, URL_SAFE_NO_PAD.encode(summed));
        let plain = std::str::from_utf8(bytes).ok().and_then(|text| T::from_text(text).ok());
        let read = plain.or_else(|| T::from_text(&text).ok())?;
        let written = read.to_text();
        let again =
            T::from_text(&written).unwrap_or_else(|error| panic!("what was written is read: {error}"));
        assert_eq!(again.to_text(), written);
        Some(read)
    }
    let _ = read::<Invitation>(bytes);
    if let Some(card) = read::<InvitableCard>(bytes) {
        for suite in CipherSuite::ALL {
            let _ = card.key_package(suite);
        }
    }
}

impl Text for InvitableCard {
    const PREFIX: &'static str = "terachat-card:";
    const WHAT: &'static str = "that is not a whole card; it is one line that starts with terachat-card: and comes from `terachat whoami`";
}

impl Text for Invitation {
    const PREFIX: &'static str = "terachat-invitation:";
    const WHAT: &'static str = "that is not a whole invitation; it is one line that starts with terachat-invitation: and comes from `terachat invite`";
}
