//! What devices say to each other over an authenticated connection: `docs/format/sync.md`.
use crate::Error;
use serde::{Deserialize, Serialize};
use terachat_core_store::store::WANTED_MAX;
use terachat_core_store::sync::rateless::Lack;
use terachat_core_store::sync::{Frontier, Want};
use terachat_event::{DeviceId, EventHash, EventRef, LogId, SpaceId};

pub(crate) const VERSION: u8 = 5;
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
    /// Where the sender stands in a log of many chains; asks for what it lacks, or answers that this is the same.
    Root { log: [u8; 16], root: [u8; 32], chains: u32, events: u64, answers: bool },
    /// The next symbols of the sender's heads, with the root and the number of them all.
    Symbols { log: [u8; 16], root: [u8; 32], chains: u32, bytes: Vec<u8> },
    /// Asks for so many more.
    MoreSymbols { log: [u8; 16], count: u32 },
    /// What the sender lacks of what the symbols told; what else they told it has.
    Lacks { log: [u8; 16], chains: Vec<Lack> },
    /// There is no answer: the sender knows no such log, or no symbols of it.
    NoSymbols { log: [u8; 16] },
    /// Asks for the stored batches of events whose content is missing; they come as bundles, and then an Ack.
    WantBodies { log: LogId, events: Vec<EventRef> },
    /// The sender does not keep this channel: it neither asks for it nor answers.
    Without { log: LogId },
    /// Asks a member for what it takes to rejoin the group in the epoch that this control event made.
    WantGroup { space: SpaceId, commit: EventHash },
    /// The group info and the ratchet tree of that epoch; both empty if the sender has none.
    Group { space: SpaceId, commit: EventHash, info: Vec<u8>, tree: Vec<u8> },
    /// Asks for a part of a channel that the sender does not have from the beginning.
    WantNewest { log: LogId, want: Want },
    /// The page that was asked for; empty if there is none.
    Newest { log: LogId, bytes: Vec<u8> },
    /// The sender has more of a channel than it told the receiver by its last page.
    MoreNewest { log: LogId },
}

impl Frame {
    pub(crate) fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("plain values encode into a growing buffer")
    }

    /// Reads one frame.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        match postcard::take_from_bytes(bytes) {
            Ok((Frame::Spaces { tags }, _)) if tags.len() > TAGS_MAX => Err(Error::Frame("too many spaces")),
            Ok((Frame::WantBodies { events, .. }, _)) if events.len() > WANTED_MAX => {
                Err(Error::Frame("too many events asked for"))
            }
            Ok((Frame::WantNewest { want, .. }, _)) if !want.is_bounded() => {
                Err(Error::Frame("too many chains of a channel"))
            }
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

/// What one conversation is known by: the same for both sides, whoever computes it.
pub(crate) fn session_key(one: (&DeviceId, &[u8; 16]), other: (&DeviceId, &[u8; 16])) -> [u8; 32] {
    let (low, high) = if one.0 < other.0 { (one, other) } else { (other, one) };
    let mut hasher = blake3::Hasher::new_derive_key("terachat 2026-11 heads session");
    hasher.update(&low.0.0).update(low.1).update(&high.0.0).update(high.1);
    *hasher.finalize().as_bytes()
}

/// What a log is called in one conversation, in short.
pub(crate) fn log_tag(session: &[u8; 32], log: &LogId) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_keyed(session);
    hasher.update(b"terachat 2026-11 heads log").update(&log.space.0);
    if let Some(channel) = &log.channel {
        hasher.update(&channel.0);
    }
    let hash = hasher.finalize();
    std::array::from_fn(|at| hash.as_bytes()[at])
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
