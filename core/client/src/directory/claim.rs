//! What an inviter leaves under a key package that it uses: an invitation for its owner alone, and so a claim that all can see.
use super::supply::{encoded, plain, put, take};
use crate::card::Invitation;
use crate::identity::Identity;
use terachat_core_store::model::Card;
use terachat_event::{DeviceId, verify};
use terachat_group::Recipient;
use terachat_vault::{Entropy, SecretBytes};

const VERSION: u8 = 1;
const CONTEXT: &str = "terachat 2026-11 key claim";
/// All claims have one length, whatever things are called.
const PLAIN_LEN: usize = 1_536;

/// An invitation by somebody who is known by a card.
pub(crate) struct Claim {
    pub(crate) by: Card,
    pub(crate) invitation: Invitation,
}

impl Claim {
    /// The claim's bytes, sealed for whoever published the mailbox key and bound to one key package.
    pub(crate) fn seal(
        invitation: &Invitation,
        identity: &Identity,
        key_package: &[u8; 32],
        mailbox: &[u8],
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<u8>, terachat_group::Error> {
        let (card, invitation_bytes) = (encoded(&identity.card()), encoded(invitation));
        let said = said(key_package, &invitation.invited, &card, &invitation_bytes);
        let mut body = identity.device.sign(CONTEXT, &said).to_vec();
        put(&mut body, &card);
        body.extend_from_slice(&invitation_bytes);
        let mut text = Vec::with_capacity(PLAIN_LEN);
        put(&mut text, &body);
        text.resize(PLAIN_LEN, 0);
        let sealed = Recipient::seal(mailbox, key_package, &SecretBytes::take(text), entropy)?;
        Ok([&[VERSION], &sealed[..]].concat())
    }

    /// Opens a claim to this device's key package.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn open(
        bytes: &[u8],
        key_package: &[u8; 32],
        invited: &DeviceId,
        mailbox: &Recipient,
    ) -> Result<Self, &'static str> {
        let [VERSION, sealed @ ..] = bytes else {
            return Err("an invitation of another format version; update whichever device is older");
        };
        let text = mailbox
            .open(key_package, sealed)
            .map_err(|_| "something left in an invitation's place that does not open")?;
        let (claim, said, signature) = Self::read(text.expose_secret()).ok_or("a malformed invitation")?;
        let is_theirs = claim.invitation.inviter == claim.by.device
            && claim.invitation.invited == *invited
            && claim.by.is_genuine()
            && verify(
                &claim.by.device.0,
                CONTEXT,
                &[&key_package[..], &invited.0, &said].concat(),
                &signature,
            );
        if is_theirs { Ok(claim) } else { Err("an invitation that is not by whoever it says") }
    }

    /// Reads the shape of what was sealed; nothing is verified.
    pub(super) fn decode(text: &[u8]) -> Option<Self> {
        Self::read(text).map(|(claim, ..)| claim)
    }

    /// The claim, and of what was signed the part that is in it.
    fn read(text: &[u8]) -> Option<(Self, Vec<u8>, [u8; 64])> {
        let mut rest = text;
        let body = take(&mut rest)?;
        if rest.iter().any(|byte| *byte != 0) {
            return None;
        }
        let (signature, mut rest) = body.split_first_chunk()?;
        let card = take(&mut rest)?;
        let claim = Self { by: plain(card)?, invitation: plain(rest)? };
        Some((claim, [card, rest].concat(), *signature))
    }
}

fn said(key_package: &[u8; 32], invited: &DeviceId, card: &[u8], invitation: &[u8]) -> Vec<u8> {
    [&key_package[..], &invited.0, card, invitation].concat()
}
