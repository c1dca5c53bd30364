//! What devices say to each other over an authenticated connection: `docs/format/sync.md`.
use crate::Error;
use serde::{Deserialize, Serialize};
use terachat_core_store::sync::Frontier;
use terachat_event::{DeviceId, LogId, SpaceId};

pub(crate) const VERSION: u8 = 1;
/// Most spaces one device has in common with another.
const TAGS_MAX: usize = 4096;

/// One frame.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Frame {
    /// Opens the conversation.
    Hello { version: u8, nonce: [u8; 16] },
    /// Spaces the sender knows or is invited to, blinded so that only who knows a space recognises it.
    Spaces { tags: Vec<[u8; 32]> },
    /// What the sender has of a log; asks for what it lacks.
    Frontier(Frontier),
    /// Events; `more` says that the sender waits for a frontier before it goes on.
    Bundle { more: bool, bytes: Vec<u8> },
    /// The root of the sender's frontier after it took in a bundle.
    Ack { log: LogId, root: [u8; 32] },
    /// Asks for the ratchet tree that belongs to a welcome.
    WantTree { space: SpaceId, hash: [u8; 32] },
    /// The tree.
    Tree { space: SpaceId, bytes: Vec<u8> },
    /// A proof of equivocation.
    Proof { bytes: Vec<u8> },
    /// The receiver is no member of that space as far as the sender knows.
    NotMember { space: SpaceId },
}

impl Frame {
    pub(crate) fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("plain values encode into a growing buffer")
    }

    /// Reads one frame.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        match postcard::take_from_bytes(bytes) {
            Ok((Frame::Spaces { tags }, _)) if tags.len() > TAGS_MAX => Err(Error::Frame("too many spaces")),
            Ok((Frame::Hello { version, .. }, _)) if version != VERSION => {
                Err(Error::Frame("another protocol version"))
            }
            Ok((Frame::Frontier(frontier), []))
                if frontier.chains.windows(2).any(|pair| pair[0].device >= pair[1].device) =>
            {
                Err(Error::Frame("a frontier out of order"))
            }
            Ok((frame, [])) => Ok(frame),
            _ => Err(Error::Frame("a malformed frame")),
        }
    }
}

/// How `from` names a space to `to` in one conversation: whoever does not know the space learns nothing.
pub(crate) fn space_tag(
    space: &SpaceId,
    from: (&DeviceId, &[u8; 16]),
    to: (&DeviceId, &[u8; 16]),
) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(&space.0);
    hasher
        .update(b"terachat 2026-11 space tag")
        .update(&from.0.0)
        .update(from.1)
        .update(&to.0.0)
        .update(to.1);
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Frame::decode(&bytes);
        }

        #[test]
        fn frames_read_what_they_wrote(more: bool, body: Vec<u8>, cut: prop::sample::Index) {
            let bytes = Frame::Bundle { more, bytes: body.clone() }.encode();
            let Ok(Frame::Bundle { more: m, bytes: b }) = Frame::decode(&bytes) else { panic!("another frame") };
            prop_assert_eq!((m, b), (more, body));
            prop_assert!(Frame::decode(&bytes[..cut.index(bytes.len())]).is_err());
        }
    }
}
