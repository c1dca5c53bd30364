//! What stands at the beginning of every frame between two processes of a cluster: `docs/format/cluster-message.md`.

/// Bytes of a frame before what it carries, of those that are answered: its kind and the number of the call.
const HEAD_LEN: usize = 9;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A member's message to another: [`crate::Message`].
    Message = 1,
    /// A call of the ledger's driver.
    LedgerCall = 2,
    /// The answer to it.
    LedgerAnswer = 3,
    /// A client's request: [`crate::Request`].
    Request = 4,
    /// The answer to it: [`crate::Response`].
    Response = 5,
    /// Something about the cluster itself: [`Ask`](super::Ask).
    Ask = 6,
    /// The answer to it: [`Told`](super::Told).
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
pub struct Frame<'a> {
    /// What it is.
    pub kind: Kind,
    /// Which call it is, or answers; whoever called has chosen it. 0 for messages.
    pub call: u64,
    /// What it carries.
    pub body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads a frame; `None` if it is of no kind that this version knows.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&kind, rest) = bytes.split_first()?;
        let kind = Kind::of(kind)?;
        if kind == Kind::Message {
            return Some(Self { kind, call: 0, body: rest });
        }
        let (call, body) = rest.split_first_chunk()?;
        Some(Self { kind, call: u64::from_le_bytes(*call), body })
    }

    /// Its bytes. The call of a message is not among them.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_LEN + self.body.len());
        bytes.push(self.kind as u8);
        if self.kind != Kind::Message {
            bytes.extend(self.call.to_le_bytes());
        }
        bytes.extend(self.body);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_as_they_were_written() {
        for kind in Kind::ALL {
            let call = if kind == Kind::Message { 0 } else { 0x0102_0304_0506_0708 };
            let frame = Frame { kind, call, body: b"body" };
            assert_eq!(Frame::read(&frame.encode()), Some(frame));
        }
        let bytes = |kind, call| Frame { kind, call, body: b"x" }.encode();
        assert_eq!(bytes(Kind::Message, 0), [1, b'x']);
        assert_eq!(bytes(Kind::Told, 258), [7, 2, 1, 0, 0, 0, 0, 0, 0, b'x']);
    }

    #[test]
    fn what_is_no_frame_is_none() {
        for bytes in [&[][..], &[0], &[8, 0, 0, 0, 0, 0, 0, 0, 0], &[2, 0, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(Frame::read(bytes), None, "{bytes:?}");
        }
    }
}
