//! The pure Rust implementation, for targets where the C library does not go.
use super::Error;
use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::io::Read;

/// What a frame may ask for as working memory: zstd's levels up to 19 stay within it.
const WINDOW_LEN_MAX: u64 = 8 << 20;

pub(super) fn compress(bytes: &[u8], _level: i32) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

pub(super) fn decompress(bytes: &[u8], len_max: usize) -> Result<Vec<u8>, Error> {
    // A frame that holds its whole content in one segment has a window of that length.
    let window = WINDOW_LEN_MAX.max(len_max as u64);
    let decoder =
        StreamingDecoder::new_with_max_window_size(bytes, window).map_err(|_| Error::Compression)?;
    let mut content = Vec::new();
    decoder
        .take((len_max as u64).saturating_add(1))
        .read_to_end(&mut content)
        .map_err(|_| Error::Compression)?;
    if content.len() > len_max { Err(Error::Compression) } else { Ok(content) }
}
