//! A PrivateMessage's bytes (RFC 9420, section 6.3): what stands around what is sealed.
use crate::Error;

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
        let mut rest = bytes;
        if take(&mut rest, START.len())? != START {
            return Err(Error::Malformed("private message"));
        }
        let group_id = vector(&mut rest)?;
        let epoch = u64::from_be_bytes(take(&mut rest, 8)?.try_into().expect("eight bytes"));
        let content_type = take(&mut rest, 1)?[0];
        let beside = vector(&mut rest)?;
        let (sender, ciphertext) = (vector(&mut rest)?, vector(&mut rest)?);
        if !rest.is_empty() {
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
    let mut rest = bytes;
    let (data, signature) = (vector(&mut rest)?, vector(&mut rest)?);
    let signature = signature.try_into().map_err(|_| Error::Malformed("private message's content"))?;
    if rest.iter().any(|byte| *byte != 0) {
        return Err(Error::Malformed("private message's padding"));
    }
    Ok((data, signature))
}

/// A vector behind its length (section 2.1.2).
fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).ok().filter(|len| *len < 1 << 30).expect("far below 1 GiB");
    match len {
        0..64 => out.push(len.to_be_bytes()[3]),
        64..16384 => out.extend_from_slice(&(len | 0x4000).to_be_bytes()[2..]),
        _ => out.extend_from_slice(&(len | 0x8000_0000).to_be_bytes()),
    }
    out.extend_from_slice(bytes);
}

fn vector<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Error> {
    let first = take(rest, 1)?[0];
    let (more, floor) = match first >> 6 {
        0 => (0, 0),
        1 => (1, 64),
        2 => (3, 16384),
        _ => return Err(Error::Malformed("length in a private message")),
    };
    let len =
        take(rest, more)?.iter().fold(usize::from(first & 0x3F), |len, byte| len << 8 | usize::from(*byte));
    if len < floor {
        return Err(Error::Malformed("length in a private message"));
    }
    take(rest, len)
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], Error> {
    let (head, tail) = rest.split_at_checked(len).ok_or(Error::Malformed("private message"))?;
    *rest = tail;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_one_form() {
        for len in [0, 1, 63, 64, 16383, 16384, 70_000] {
            let mut out = Vec::new();
            put(&mut out, &vec![7; len]);
            let mut rest = &out[..];
            assert_eq!(vector(&mut rest).unwrap().len(), len);
            assert!(rest.is_empty());
        }
        for longer in [&[0x40, 1, 9][..], &[0x80, 0, 0, 1, 9], &[0xC0]] {
            assert!(vector(&mut &longer[..]).is_err(), "{longer:?}");
        }
    }
}
