use std::io;

use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::Reason;

/// The longest frame in bytes (16 MiB).
pub const FRAME_LEN_MAX: usize = 16 * 1024 * 1024;

/// How much is allocated on the word of a length alone; more follows as the bytes arrive.
const FIRST_ALLOCATION: usize = 256 * 1024;

/// Writes a frame: its length (4 bytes, big endian), then its bytes. No bytes make a keepalive.
///
/// The caller has checked the length and flushes.
pub(crate) async fn write_frame(out: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    let len = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    out.write_all(&len.to_be_bytes()).await?;
    out.write_all(bytes).await
}

/// Reads the next frame, past all keepalives; `None` when the stream ends between two frames.
///
/// A large frame first takes its length from `assembly`, and holds that with the permit that is returned: otherwise a
/// thousand peers that each send all of the longest frame but its last byte would fill the memory.
pub(crate) async fn read_frame<'a>(
    input: &mut (impl AsyncRead + Unpin),
    assembly: &'a Semaphore,
) -> Result<Option<(Vec<u8>, Option<SemaphorePermit<'a>>)>, Reason> {
    loop {
        let Some(len) = read_len(input).await.map_err(lost)? else { return Ok(None) };
        if len as usize > FRAME_LEN_MAX {
            return Err(Reason::FrameTooLong(len));
        }
        if len > 0 {
            let large = len as usize > FIRST_ALLOCATION;
            // Never closed, so there is a permit for every large frame.
            let permit = if large { assembly.acquire_many(len).await.ok() } else { None };
            let bytes = read_body(input, len as usize).await.map_err(lost)?;
            return Ok(Some((bytes, permit)));
        }
    }
}

pub(crate) fn lost(error: io::Error) -> Reason {
    Reason::Lost(error.to_string())
}

async fn read_len(input: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<u32>> {
    let mut header = [0; 4];
    let first = input.read(&mut header).await?;
    if first == 0 {
        return Ok(None);
    }
    input.read_exact(&mut header[first..]).await?;
    Ok(Some(u32::from_be_bytes(header)))
}

async fn read_body(input: &mut (impl AsyncRead + Unpin), len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut filled = 0;
    while filled < len {
        if filled == bytes.len() {
            bytes.resize(len.min(FIRST_ALLOCATION.max(2 * filled)), 0);
        }
        match input.read(&mut bytes[filled..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => filled += n,
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::FutureExt;
    use futures::executor::block_on;
    use futures::io::Cursor;

    use super::*;

    fn read_all(wire: &[u8]) -> (Vec<Vec<u8>>, Option<Reason>) {
        let mut input = Cursor::new(wire);
        let assembly = Semaphore::new(FRAME_LEN_MAX);
        let mut frames = Vec::new();
        loop {
            match block_on(read_frame(&mut input, &assembly)) {
                Ok(Some((frame, _))) => frames.push(frame),
                Ok(None) => return (frames, None),
                Err(reason) => return (frames, Some(reason)),
            }
        }
    }

    #[test]
    fn frames_come_out_as_they_went_in() {
        let frames = [vec![1], vec![2; 300], vec![3; FIRST_ALLOCATION * 3 + 7]];
        let mut wire = Vec::new();
        for frame in &frames {
            block_on(write_frame(&mut wire, &[])).unwrap();
            block_on(write_frame(&mut wire, frame)).unwrap();
        }
        assert_eq!(read_all(&wire), (frames.to_vec(), None));
    }

    #[test]
    fn the_length_is_big_endian_and_bounded() {
        #[track_caller]
        fn case(wire: &[u8], reason: Option<Reason>) {
            assert_eq!(read_all(wire).1, reason);
        }
        let cut = || Some(lost(io::ErrorKind::UnexpectedEof.into()));
        case(&[], None);
        case(&[0, 0, 0, 0], None);
        case(&[0, 0, 0, 1, 9], None);
        assert!(read_all(&[0, 0]).1.is_some(), "a stream may not end inside a length");
        case(&[0, 0, 0, 2, 9], cut());
        case(&[1, 0, 0, 0], cut());
        case(&[1, 0, 0, 1], Some(Reason::FrameTooLong(0x0100_0001)));
        case(&[255; 64], Some(Reason::FrameTooLong(u32::MAX)));
    }

    #[test]
    fn large_frames_share_a_bounded_memory_and_small_ones_pass() {
        let mut wire = Vec::new();
        block_on(write_frame(&mut wire, &[1; FIRST_ALLOCATION])).unwrap();
        block_on(write_frame(&mut wire, &[2; FIRST_ALLOCATION + 1])).unwrap();
        let mut input = Cursor::new(wire);
        let assembly = Semaphore::new(FIRST_ALLOCATION + 1);
        let other = assembly.try_acquire().unwrap();
        let (small, _) = block_on(read_frame(&mut input, &assembly)).unwrap().unwrap();
        assert_eq!(small.len(), FIRST_ALLOCATION);
        let mut large = pin!(read_frame(&mut input, &assembly));
        assert!((&mut large).now_or_never().is_none(), "another frame is being put together");
        drop(other);
        let (large, permit) = block_on(large).unwrap().unwrap();
        assert_eq!((large.len(), assembly.available_permits()), (FIRST_ALLOCATION + 1, 0));
        drop(permit);
        assert_eq!(assembly.available_permits(), FIRST_ALLOCATION + 1);
    }
}
