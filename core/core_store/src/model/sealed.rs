//! Content that is sealed message by message, in channels whose history begins where each member joined: what of it travels,
//! and what stays with whoever could open it. `docs/format/event.md`, "Sealed payloads"; why: ADR 0028.
use super::{ChannelOp, Kept};
use crate::Error;
use crate::wire::{Reader, put};
use serde::{Deserialize, Serialize};

/// First byte of the payload of an operation that came sealed and was opened here. It never travels. No operation begins so.
pub(super) const OPENED: u8 = 0x41;
/// First byte of a sealed operation: its variant's number.
pub(super) const SEALED: u8 = 11;
/// Longest message (RFC 9420, PrivateMessage).
pub const SEALED_MESSAGE_LEN_MAX: usize = 512 << 10;
const BLINDING_LEN: usize = 32;

/// A message, an edit or a heading whose content only those can read who were members when it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed<'a> {
    /// What everybody can read of it.
    pub kept: Kept,
    /// Binds the content: whoever opened it can prove it, and nobody guesses it.
    pub commitment: [u8; 32],
    /// The content, sealed for the members of the event's epoch.
    pub message: &'a [u8],
}

/// Who can read what was said in a channel; decided when it is created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum History {
    /// Every member reads everything.
    #[default]
    Shared,
    /// A member reads what was written since the own device was let in.
    SinceJoin,
}

impl History {
    /// Why a payload does not belong into a channel with this history, if so.
    pub(crate) fn misfit(self, payload: &[u8]) -> Option<&'static str> {
        match (self, payload.first()) {
            (Self::Shared, Some(&SEALED | &OPENED)) => {
                Some("it is sealed, in a channel whose history is shared")
            }
            (Self::SinceJoin, Some(&SEALED | &OPENED)) => None,
            (Self::SinceJoin, _) if ChannelOp::decode(payload).is_ok_and(|op| Kept::of(&op).is_some()) => {
                Some("it is not sealed, in a channel that is read since joining only")
            }
            _ => None,
        }
    }
}

impl Sealed<'_> {
    /// What stands in the event for the content.
    pub(crate) fn content(&self) -> [u8; 32] {
        content(&self.commitment, self.message)
    }

    /// The payload as it is kept where the message opened to this text; `None` where that is not what the event is bound to.
    pub(crate) fn open(&self, text: &[u8]) -> Option<Vec<u8>> {
        let payload = opened(text, self.message);
        let read = Opened::read(&payload).ok()?;
        let kept = ChannelOp::decode(read.op).ok().as_ref().and_then(Kept::of);
        (read.commitment() == self.commitment && kept == Some(self.kept)).then_some(payload)
    }
}

/// The text to be sealed for an operation: what binds it, 32 random bytes, then the operation. `None` for an operation
/// without content, which is not sealed.
pub fn sealable(op: &ChannelOp<'_>, blinding: &[u8; BLINDING_LEN]) -> Option<Vec<u8>> {
    let bytes = op.encode();
    ChannelOp::is_marked(&bytes).then(|| [&blinding[..], &bytes].concat())
}

/// The payload of an event whose content is this text, and travels as this sealed message.
pub fn opened(text: &[u8], message: &[u8]) -> Vec<u8> {
    let (blinding, op) = text.split_at(text.len().min(BLINDING_LEN));
    let mut out = Vec::with_capacity(4 + text.len() + message.len());
    out.push(OPENED);
    out.extend_from_slice(blinding);
    put(&mut out, op.len() as u64);
    out.extend_from_slice(op);
    out.extend_from_slice(message);
    out
}

/// The parts of a payload that was opened.
pub(super) struct Opened<'a> {
    blinding: [u8; BLINDING_LEN],
    /// The operation's payload.
    pub(super) op: &'a [u8],
    message: &'a [u8],
}

impl<'a> Opened<'a> {
    pub(super) fn read(payload: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(payload.strip_prefix(&[OPENED]).ok_or(BAD)?);
        let blinding = reader.array()?;
        let len = reader.count(payload.len())?;
        let op = reader.bytes(len)?;
        let message = reader.rest();
        // One that can be erased, and in clear.
        (ChannelOp::is_marked(op) && message.len() <= SEALED_MESSAGE_LEN_MAX)
            .then_some(Self { blinding, op, message })
            .ok_or(BAD)
    }

    fn commitment(&self) -> [u8; 32] {
        *blake3::keyed_hash(&self.blinding, self.op).as_bytes()
    }

    pub(super) fn content(&self) -> [u8; 32] {
        content(&self.commitment(), self.message)
    }
}

/// The payload as it travels: of one that was opened what was sealed.
pub(crate) fn as_sent(payload: Vec<u8>) -> Vec<u8> {
    let Ok(opened) = Opened::read(&payload) else { return payload };
    let Some(kept) = ChannelOp::decode(opened.op).ok().as_ref().and_then(Kept::of) else { return payload };
    ChannelOp::Sealed(Sealed { kept, commitment: opened.commitment(), message: opened.message }).encode()
}

/// What stands in the event for content that is, or was, sealed; `None` for other payloads.
pub(crate) fn content_of(payload: &[u8]) -> Option<[u8; 32]> {
    match payload.first() {
        Some(&OPENED) => Opened::read(payload).ok().map(|opened| opened.content()),
        Some(&SEALED) => match ChannelOp::decode(payload) {
            Ok(ChannelOp::Sealed(sealed)) => Some(sealed.content()),
            _ => None,
        },
        _ => None,
    }
}

const BAD: Error = Error::Payload("an opened payload that is damaged");

fn content(commitment: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("terachat 2026-11 sealed content");
    hasher.update(commitment).update(blake3::hash(message).as_bytes());
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Post, Style};
    use terachat_event::{DeviceId, EventRef};

    const POST: ChannelOp<'static> =
        ChannelOp::Post(Post { style: Style::Message, body: "secret words", reply_to: None, imported: None });

    #[test]
    fn what_was_opened_reads_as_it_was_and_travels_sealed() {
        let text = sealable(&POST, &[7; 32]).unwrap();
        let kept = opened(&text, b"sealed");
        assert_eq!(ChannelOp::decode(&kept), Ok(POST));
        let sent = as_sent(kept.clone());
        assert!(!sent.windows(6).any(|bytes| bytes == b"secret"));
        let Ok(ChannelOp::Sealed(sealed)) = ChannelOp::decode(&sent) else { panic!("it travels sealed") };
        assert_eq!(sealed.message, b"sealed");
        assert_eq!(sealed.open(&text), Some(kept.clone()));
        assert_eq!(content_of(&kept), content_of(&sent));
        assert_eq!(as_sent(sent.clone()), sent, "what is sealed stays as it is");
        assert_eq!(as_sent(POST.encode()), POST.encode());

        // Another text, other blinding, another kind of content than the event says.
        let target = EventRef { author: DeviceId([1; 32]), seq: 1 };
        let edit = ChannelOp::Edit { target, body: "secret words" };
        for other in [
            &text[..text.len() - 1],
            b"",
            &sealable(&POST, &[8; 32]).unwrap(),
            &sealable(&edit, &[7; 32]).unwrap(),
        ] {
            assert_eq!(sealed.open(other), None);
        }
        assert_eq!(sealable(&ChannelOp::Pin { target }, &[7; 32]), None, "there is nothing to seal");
    }

    #[test]
    fn a_payload_belongs_into_its_own_kind_of_channel() {
        let opened = opened(&sealable(&POST, &[7; 32]).unwrap(), b"sealed");
        let sent = as_sent(opened.clone());
        let pin = ChannelOp::Pin { target: EventRef { author: DeviceId([1; 32]), seq: 1 } }.encode();
        for (payload, shared, since_join) in
            [(&POST.encode(), true, false), (&opened, false, true), (&sent, false, true), (&pin, true, true)]
        {
            assert_eq!(History::Shared.misfit(payload).is_none(), shared);
            assert_eq!(History::SinceJoin.misfit(payload).is_none(), since_join);
        }
    }

    #[test]
    fn damaged_payloads_are_errors() {
        let kept = opened(&sealable(&POST, &[7; 32]).unwrap(), b"");
        for end in 0..kept.len() {
            assert!(ChannelOp::decode(&kept[..end]).is_err(), "{end}");
        }
        let twice = opened(&[&[7; 32][..], &kept].concat(), b"");
        assert!(ChannelOp::decode(&twice).is_err(), "sealed inside of sealed");
    }
}
