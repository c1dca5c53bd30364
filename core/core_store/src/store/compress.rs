//! Zstandard (RFC 8878): the C library natively, ruzstd in WebAssembly. Either reads what the other wrote.
use super::Error;

/// Compresses `bytes` into one Zstandard frame that says its content's length.
///
/// `level`: 1 for small or hurried data, 3 for the rest; up to 19 costs ever more for ever less. WebAssembly
/// knows one level only and ignores it.
pub fn compress(bytes: &[u8], level: i32) -> Vec<u8> {
    imp::compress(bytes, level)
}

/// The content of a Zstandard frame, refused before it grows beyond `len_max` bytes.
///
/// # Errors
/// [`Error::Compression`] when the frame is damaged or holds more than `len_max` bytes.
pub fn decompress(bytes: &[u8], len_max: usize) -> Result<Vec<u8>, Error> {
    imp::decompress(bytes, len_max)
}

/// The level a body of `len` bytes deserves: live messages want to be durable soon, bulk wants to be small.
pub fn level_for(len: usize) -> i32 {
    if len < 16 << 10 { 1 } else { 3 }
}

#[cfg(not(target_arch = "wasm32"))]
mod imp {
    use super::Error;
    use std::cell::RefCell;
    use std::io::Read;
    use zstd::bulk::{Compressor, Decompressor};

    thread_local! {
        // A context holds about a megabyte of tables; making one costs more than compressing a message.
        static COMPRESSOR: RefCell<(i32, Compressor<'static>)> = RefCell::new((0, Compressor::default()));
        static DECOMPRESSOR: RefCell<Decompressor<'static>> = RefCell::new(Decompressor::default());
    }

    pub(super) fn compress(bytes: &[u8], level: i32) -> Vec<u8> {
        COMPRESSOR.with_borrow_mut(|(current, compressor)| {
            if *current != level {
                compressor.set_compression_level(level).expect("zstd clamps a level to its own range");
                *current = level;
            }
            compressor.compress(bytes).expect("the output buffer has the size zstd asks for")
        })
    }

    pub(super) fn decompress(bytes: &[u8], len_max: usize) -> Result<Vec<u8>, Error> {
        let claimed = zstd::zstd_safe::get_frame_content_size(bytes).map_err(|_| Error::Compression)?;
        match claimed.map(usize::try_from) {
            Some(Ok(len)) if len <= len_max => DECOMPRESSOR
                .with_borrow_mut(|decompressor| decompressor.decompress(bytes, len))
                .map_err(|_| Error::Compression),
            Some(_) => Err(Error::Compression),
            None => decompress_unknown(bytes, len_max),
        }
    }

    /// A frame that does not say how long its content is.
    fn decompress_unknown(bytes: &[u8], len_max: usize) -> Result<Vec<u8>, Error> {
        let mut content = Vec::new();
        let decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(|_| Error::Compression)?;
        decoder
            .take((len_max as u64).saturating_add(1))
            .read_to_end(&mut content)
            .map_err(|_| Error::Compression)?;
        if content.len() > len_max { Err(Error::Compression) } else { Ok(content) }
    }
}

#[cfg(any(test, target_arch = "wasm32"))]
#[cfg_attr(not(target_arch = "wasm32"), path = "compress/portable.rs")]
mod portable;
#[cfg(target_arch = "wasm32")]
use portable as imp;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..2000),
            (prop::collection::vec(any::<u8>(), 1..40), 0..2000usize).prop_map(|(part, n)| part.repeat(n)),
        ]
    }

    proptest! {
        #[test]
        fn native_and_portable_read_each_other(bytes in text(), level in 1..4i32) {
            let native = compress(&bytes, level);
            let portable = portable::compress(&bytes, level);
            for frame in [&native, &portable] {
                prop_assert_eq!(&decompress(frame, bytes.len()).unwrap(), &bytes);
                prop_assert_eq!(&portable::decompress(frame, bytes.len()).unwrap(), &bytes);
            }
        }

        #[test]
        fn no_more_than_allowed_comes_out(bytes in text()) {
            prop_assume!(!bytes.is_empty());
            for frame in [compress(&bytes, 1), portable::compress(&bytes, 1)] {
                prop_assert!(decompress(&frame, bytes.len() - 1).is_err());
                prop_assert!(portable::decompress(&frame, bytes.len() - 1).is_err());
            }
        }

        #[test]
        fn damage_never_panics_and_stays_within_bounds(bytes in text(), at: prop::sample::Index, flip: u8, cut: prop::sample::Index) {
            let mut frame = compress(&bytes, 1);
            let at = at.index(frame.len());
            frame[at] ^= flip;
            frame.truncate(cut.index(frame.len() + 1));
            for result in [decompress(&frame, 4000), portable::decompress(&frame, 4000)] {
                prop_assert!(result.is_err() || result.is_ok_and(|content| content.len() <= 4000));
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_goes_off() {
        let bomb = compress(&vec![0; 200 << 20], 3);
        assert!(bomb.len() < 32 << 10);
        assert!(decompress(&bomb, 1 << 20).is_err() && portable::decompress(&bomb, 1 << 20).is_err());
        // The same without the length that gives it away.
        let bomb = zstd::stream::encode_all(&vec![0; 50 << 20][..], 3).unwrap();
        assert!(decompress(&bomb, 1 << 20).is_err() && portable::decompress(&bomb, 1 << 20).is_err());
    }
}
