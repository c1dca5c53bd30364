//! What stands at the beginning of every frame between two processes of a cluster: `docs/format/cluster-message.md`.

/// Bytes of a frame before what it carries, of those that are answered: its kind and the number of the call.
const HEAD_LEN: usize = 9;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A member's message to another: [`terachat_cluster::Message`].
    Message = 1,
    /// A call of the ledger's driver.
    LedgerCall = 2,
    /// The answer to it.
    LedgerAnswer = 3,
    /// A client's request: [`terachat_cluster::Request`].
    Request = 4,
    /// The answer to it: [`terachat_cluster::Response`].
    Response = 5,
    /// Something about the cluster itself: [`crate::Ask`].
    Ask = 6,
    /// The answer to it: [`crate::Told`].
    Told = 7,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Message,
        Self::LedgerCall,
        Self::LedgerAnswer,
        Self::Request,
        Self::Response,
        Self::Ask,
        Self::Told,
    ];

    fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// A frame that was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// What it is.
    pub(crate) kind: Kind,
    /// Which call it is, or answers; whoever called has chosen it. 0 for messages.
    pub(crate) call: u64,
    /// What it carries.
    pub(crate) body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads a frame; `None` if it is of no kind that this version knows.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&kind, rest) = bytes.split_first()?;
        let kind = Kind::of(kind)?;
        if kind == Kind::Message {
            return Some(Self { kind, call: 0, body: rest });
        }
        let (call, body) = rest.split_first_chunk()?;
        Some(Self { kind, call: u64::from_le_bytes(*call), body })
    }
}

/// The bytes of a frame.
pub(crate) fn frame(kind: Kind, call: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_LEN + body.len());
    bytes.push(kind as u8);
    if kind != Kind::Message {
        bytes.extend(call.to_le_bytes());
    }
    bytes.extend(body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_as_they_were_written() {
        for kind in Kind::ALL {
            let call = if kind == Kind::Message { 0 } else { 0x0102_0304_0506_0708 };
            let bytes = frame(kind, call, b"body");
            assert_eq!(Frame::read(&bytes), Some(Frame { kind, call, body: b"body" }));
        }
        assert_eq!(frame(Kind::Message, 0, b"x"), [1, b'x']);
        assert_eq!(frame(Kind::Told, 258, b"x"), [7, 2, 1, 0, 0, 0, 0, 0, 0, b'x']);
    }

    #[test]
    fn what_is_no_frame_is_none() {
        for bytes in [&[][..], &[0], &[8, 0, 0, 0, 0, 0, 0, 0, 0], &[2, 0, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(Frame::read(bytes), None, "{bytes:?}");
        }
    }
}
