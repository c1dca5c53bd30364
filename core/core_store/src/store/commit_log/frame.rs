use super::BODY_LEN_MAX;
use super::Block;
use super::keys::{Id, LogKeys};
use crate::store::{Error, compress};
use terachat_vault::{NONCE_LEN, SealKey, TAG_LEN};

pub(super) const HEADER_LEN: usize = 14;
/// Bytes of a frame around the sealed body's plaintext.
pub(super) const OVERHEAD: usize = HEADER_LEN + TAG_LEN + 1;
/// Never zero, and neither is the first byte: a part of a frame that reads as zeros was not written.
const END: u8 = 0xe7;
const MARK: u8 = 0xb0;
const SALT_LEN: usize = size_of::<Id>();
/// Length of the frame that begins a session.
pub(super) const SESSION_LEN: u64 = (OVERHEAD + SALT_LEN) as u64;
/// Shorter bodies are not worth a try: zstd's own frame takes 9 bytes.
const COMPRESS_LEN_MIN: usize = 64;

/// The last frame of its commit.
pub(super) const COMMIT: u8 = 1;
const COMPRESSED: u8 = 2;
/// On a commit's first frame only: all bytes before it were durable when it was written.
pub(super) const SYNCED: u8 = 4;
/// Not a block but the salt of the session that begins here.
pub(super) const SESSION: u8 = 8;

/// What stands in the clear before a sealed body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) flags: u8,
    pub(super) kind: u8,
    pub(super) number: u32,
    body_len: u32,
}

impl FrameHeader {
    /// The header at the beginning of `bytes`, if one of this segment is there.
    pub(super) fn parse(bytes: &[u8], segment: u32, keys: &LogKeys) -> Option<Self> {
        let header = bytes.get(..HEADER_LEN)?;
        let number =
            |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes of fourteen"));
        let parsed =
            Self { flags: header[0] ^ MARK, kind: header[1], number: number(2), body_len: number(6) };
        let possible = parsed.flags < 16
            && parsed.body_len as usize >= TAG_LEN
            && parsed.body_len as usize <= BODY_LEN_MAX + TAG_LEN;
        // The check is looked at last: a scan for frames passes here once per byte.
        (possible && keys.frame_check(segment, &header[..10]) == header[10..]).then_some(parsed)
    }

    /// Length of the whole frame.
    pub(super) fn frame_len(&self) -> u64 {
        HEADER_LEN as u64 + u64::from(self.body_len) + 1
    }

    pub(super) fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn bytes(&self, segment: u32, keys: &LogKeys) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0] = MARK | self.flags;
        bytes[1] = self.kind;
        bytes[2..6].copy_from_slice(&self.number.to_le_bytes());
        bytes[6..10].copy_from_slice(&self.body_len.to_le_bytes());
        let check = keys.frame_check(segment, &bytes[..10]);
        bytes[10..].copy_from_slice(&check);
        bytes
    }
}

fn nonce(number: u32) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonce[..4].copy_from_slice(&number.to_le_bytes());
    nonce
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("bodies were checked against BODY_LEN_MAX")
}

/// Appends the frame of one block to `out`.
pub(super) fn write_block(
    out: &mut Vec<u8>,
    (segment, keys, key): (u32, &LogKeys, &SealKey),
    (number, flags): (u32, u8),
    block: &Block<'_>,
) {
    let packed = (!block.is_packed && block.body.len() >= COMPRESS_LEN_MIN)
        .then(|| compress::compress(block.body, compress::level_for(block.body.len())))
        .filter(|packed| packed.len() < block.body.len());
    let flags = if block.is_packed || packed.is_some() { flags | COMPRESSED } else { flags };
    let mut sealed = packed.unwrap_or_else(|| block.body.to_vec());
    let header = FrameHeader { flags, kind: block.kind, number, body_len: length(sealed.len() + TAG_LEN) }
        .bytes(segment, keys);
    key.seal(&nonce(number), &header, &mut sealed);
    out.extend_from_slice(&header);
    out.extend_from_slice(&sealed);
    out.push(END);
}

/// Appends the frame that begins a session to `out`.
pub(super) fn write_session(
    out: &mut Vec<u8>,
    (segment, keys, key): (u32, &LogKeys, &SealKey),
    (number, flags): (u32, u8),
    salt: &Id,
) {
    let flags = flags | SESSION;
    let header =
        FrameHeader { flags, kind: 0, number, body_len: length(SALT_LEN + TAG_LEN) }.bytes(segment, keys);
    let mut tag = Vec::new();
    key.seal(&nonce(number), &header, &mut tag);
    out.extend_from_slice(&header);
    out.extend_from_slice(salt);
    out.extend_from_slice(&tag);
    out.push(END);
}

/// Why a frame's bytes do not give what was written.
#[derive(Debug)]
pub(super) struct Broken(pub(super) &'static str);

/// The session's key, out of the whole frame that begins it.
pub(super) fn open_session(
    frame: &[u8],
    header: &FrameHeader,
    segment: u32,
    keys: &LogKeys,
) -> Result<SealKey, Broken> {
    let body = body(frame)?;
    if body.len() != SALT_LEN + TAG_LEN || !header.is(SESSION) {
        return Err(Broken("it does not begin a session"));
    }
    let (salt, tag) = body.split_at(SALT_LEN);
    let key = keys.session(segment, salt.try_into().expect("split at its length"));
    key.open(&nonce(header.number), &frame[..HEADER_LEN], tag).map_err(|_| Broken("its seal is broken"))?;
    Ok(key)
}

/// A block's body, out of its whole frame.
pub(super) fn open_block(frame: &[u8], header: &FrameHeader, key: &SealKey) -> Result<Vec<u8>, Broken> {
    let mut text = body(frame)?.to_vec();
    let len = key
        .open_in_place(&nonce(header.number), &frame[..HEADER_LEN], &mut text)
        .map_err(|_| Broken("its seal is broken"))?;
    text.truncate(len);
    if !header.is(COMPRESSED) {
        return Ok(text);
    }
    compress::decompress(&text, BODY_LEN_MAX).map_err(|_: Error| Broken("its content does not decompress"))
}

fn body(frame: &[u8]) -> Result<&[u8], Broken> {
    match frame.split_last() {
        Some((&END, rest)) if rest.len() >= HEADER_LEN => Ok(&rest[HEADER_LEN..]),
        _ => Err(Broken("its last byte changed")),
    }
}
