//! A PrivateMessage's bytes (RFC 9420, section 6.3): what stands around what is sealed.
use crate::{
    Error,
    wire::{Reader, put},
};

/// `mls10` and `mls_private_message` (sections 6 and 17.2).
const START: [u8; 4] = [0, 1, 0, 2];
const APPLICATION: u8 = 1;
const MEMBER: u8 = 1;
pub(super) const SIGNATURE_LEN: usize = 64;
/// Leaf, generation, reuse guard (section 6.3.2).
pub(super) const SENDER_LEN: usize = 12;

/// A PrivateMessage with application data, as far as it can be read without a key.
pub(super) struct Frame<'a> {
    pub(super) group_id: &'a [u8],
    pub(super) epoch: u64,
    pub(super) sender: &'a [u8],
    pub(super) ciphertext: &'a [u8],
}

impl<'a> Frame<'a> {
    /// # Errors
    /// [`Error::Malformed`]; [`Error::Unsupported`] for a handshake, and for data that is authenticated beside.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new("private message", bytes);
        if reader.take(START.len())? != START {
            return Err(Error::Malformed("private message"));
        }
        let group_id = reader.vector()?;
        let epoch = u64::from_be_bytes(reader.take(8)?.try_into().expect("eight bytes"));
        let content_type = reader.byte()?;
        let beside = reader.vector()?;
        let (sender, ciphertext) = (reader.vector()?, reader.vector()?);
        if !reader.is_empty() {
            return Err(Error::Malformed("private message"));
        }
        if content_type != APPLICATION {
            return Err(Error::Unsupported("a sealed handshake"));
        }
        if !beside.is_empty() {
            return Err(Error::Unsupported("data beside a sealed message"));
        }
        Ok(Self { group_id, epoch, sender, ciphertext })
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.group_id.len() + self.ciphertext.len());
        out.extend_from_slice(&START);
        out.extend_from_slice(&self.content_aad());
        put(&mut out, self.sender);
        put(&mut out, self.ciphertext);
        out
    }

    /// PrivateContentAAD (section 6.3.1).
    pub(super) fn content_aad(&self) -> Vec<u8> {
        let mut out = self.sender_aad();
        put(&mut out, &[]);
        out
    }

    /// SenderDataAAD (section 6.3.2).
    pub(super) fn sender_aad(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(12 + self.group_id.len());
        put(&mut out, self.group_id);
        out.extend_from_slice(&self.epoch.to_be_bytes());
        out.push(APPLICATION);
        out
    }

    /// What is signed: SignContent over FramedContentTBS (sections 5.1.2 and 6.1).
    pub(super) fn signed(&self, leaf: u32, data: &[u8], context: &[u8]) -> Vec<u8> {
        let mut content = START.to_vec();
        put(&mut content, self.group_id);
        content.extend_from_slice(&self.epoch.to_be_bytes());
        content.push(MEMBER);
        content.extend_from_slice(&leaf.to_be_bytes());
        put(&mut content, &[]);
        content.push(APPLICATION);
        put(&mut content, data);
        content.extend_from_slice(context);
        let mut out = Vec::with_capacity(32 + content.len());
        put(&mut out, b"MLS 1.0 FramedContentTBS");
        put(&mut out, &content);
        out
    }
}

/// PrivateMessageContent (section 6.3.1) without padding.
pub(super) fn content(data: &[u8], signature: &[u8; SIGNATURE_LEN]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + data.len() + SIGNATURE_LEN);
    put(&mut out, data);
    put(&mut out, signature);
    out
}

/// Data and signature of what was opened; padding is zeros.
pub(super) fn parse_content(bytes: &[u8]) -> Result<(&[u8], &[u8; SIGNATURE_LEN]), Error> {
    let mut reader = Reader::new("private message's content", bytes);
    let (data, signature) = (reader.vector()?, reader.vector()?);
    let signature = signature.try_into().map_err(|_| Error::Malformed("private message's content"))?;
    if reader.rest().iter().any(|byte| *byte != 0) {
        return Err(Error::Malformed("private message's padding"));
    }
    Ok((data, signature))
}
