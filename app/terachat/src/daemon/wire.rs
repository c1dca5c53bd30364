use crate::board::BoardCall;
use crate::failure::Failure;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io;
use terachat_client::api::{Answer, Notice, Request};

/// Longest message on the socket in bytes: a bundle file of 64 MiB as JSON numbers.
pub(super) const MESSAGE_LEN_MAX: u32 = 256 * 1024 * 1024;

/// From a command to the process that has the profile open.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Call {
    /// Answer this.
    Execute(Request),
    /// Exchange by a board.
    Board(BoardCall),
    /// From now on tell what happens, until the connection ends.
    Follow,
}

/// Back from there.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// Done.
    Answer(Answer),
    /// Not done.
    Failed {
        /// What went wrong.
        what: String,
        /// The next step.
        next: String,
    },
    /// What follows is being told.
    Following,
    /// Something happened.
    Notice(Box<Notice>),
    /// So many notices were lost, because the reader is slow.
    Missed(u64),
}

impl From<Failure> for Reply {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Told { what, next } => Self::Failed { what, next },
            Failure::Pipe | Failure::Shown => {
                Self::Failed { what: "the command ended early".into(), next: "try again".into() }
            }
        }
    }
}

/// A value as it goes over the socket: length (u32, little-endian), then JSON.
pub(super) fn pack(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut packed = vec![0; 4];
    serde_json::to_writer(&mut packed, value)?;
    let len =
        u32::try_from(packed.len() - 4).ok().filter(|&len| len <= MESSAGE_LEN_MAX).ok_or_else(too_long)?;
    packed[..4].copy_from_slice(&len.to_le_bytes());
    Ok(packed)
}

/// The length that the first four bytes announce.
pub(super) fn announced(head: [u8; 4]) -> io::Result<usize> {
    let len = u32::from_le_bytes(head);
    if len > MESSAGE_LEN_MAX { Err(too_long()) } else { usize::try_from(len).map_err(|_| too_long()) }
}

/// The value in the bytes after the length.
pub(super) fn unpack<T: DeserializeOwned>(json: &[u8]) -> io::Result<T> {
    Ok(serde_json::from_slice(json)?)
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the message is too long for the local socket")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_message_comes_back_as_it_went() {
        let packed = pack(&Call::Execute(Request::Status)).unwrap();
        let (head, json) = packed.split_first_chunk().unwrap();
        assert_eq!(announced(*head).unwrap(), json.len());
        assert!(matches!(unpack(json).unwrap(), Call::Execute(Request::Status)));
    }

    #[test]
    fn an_absurd_length_is_refused_before_it_is_reserved() {
        assert!(announced(u32::MAX.to_le_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = unpack::<Call>(&bytes);
            let _ = unpack::<Reply>(&bytes);
        }
    }
}
