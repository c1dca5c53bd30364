//! The engine's journal after a power cut. The engine leaves out an unfinished last batch, but refuses to open when the batch
//! is finished and its bytes are not what was written: the disk wrote the blocks of one append in another order. Nothing
//! after it was ever acknowledged as durable, so such a batch can be cut off if it is the last.
use crate::Error;
use crate::bytes::{Malformed, Reader};
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const TRAILER: [u8; 4] = [b'F', b'J', b'L', 3];

/// Cuts a torn last batch off the newest journal. Says whether it did: not when there is none, and not when valid batches
/// follow it, for then it is damage and not a torn write.
pub(crate) fn cut_torn_batch(database: &Path) -> Result<bool, Error> {
    let Some(path) = newest(database)? else { return Ok(false) };
    let bytes = fs::read(&path).map_err(Error::file("read", &path))?;
    let Some(at) = torn_end(&bytes) else { return Ok(false) };
    tracing::warn!(at, "a torn write is cut off the journal");
    let cut = |file: fs::File| file.set_len(at as u64).and_then(|()| file.sync_all());
    OpenOptions::new().write(true).open(&path).and_then(cut).map_err(Error::file("cut", &path))?;
    Ok(true)
}

fn newest(database: &Path) -> Result<Option<PathBuf>, Error> {
    let failed = Error::file("read", database);
    let mut newest = None;
    for entry in fs::read_dir(database).map_err(&failed)? {
        let path = entry.map_err(&failed)?.path();
        let number =
            path.file_name().and_then(|name| name.to_str()?.strip_suffix(".jnl")?.parse::<u64>().ok());
        if let Some(number) = number {
            newest = newest.max(Some((number, path)));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

/// Where the torn last batch begins; `None` when the journal has none, or something valid follows it.
fn torn_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut torn = None;
    while let Ok((len, holds)) = batch(&bytes[at..]) {
        match (holds, torn) {
            (true, None) => {}
            (true, Some(_)) => return None,
            (false, None) => torn = Some(at),
            (false, Some(_)) => {}
        }
        at += len;
    }
    torn
}

/// Length of the batch at the start of these bytes, and whether its checksum and count hold.
fn batch(bytes: &[u8]) -> Result<(usize, bool), Malformed> {
    let mut reader = Reader(bytes);
    if reader.u8()? != START {
        return Err(Malformed);
    }
    let (expected, _seqno) = (reader.u32()?, reader.u64()?);
    let items = reader.0;
    let mut count = 0;
    loop {
        let before_end = items.len() - reader.0.len();
        match reader.u8()? {
            ITEM => {
                let _kind = reader.u8()?;
                if reader.u8()? != 0 {
                    return Err(Malformed);
                }
                let _keyspace = reader.u64()?;
                let key = usize::from(reader.u16()?);
                let (_len, value) = (reader.u32()?, reader.u32()? as usize);
                reader.take(key)?;
                reader.take(value)?;
            }
            CLEAR => drop(reader.u64()?),
            END => {
                let checksum = reader.u64()?;
                if reader.array()? != TRAILER {
                    return Err(Malformed);
                }
                let holds = count == expected && xxh3_64(&items[..before_end]) == checksum;
                return Ok((bytes.len() - reader.0.len(), holds));
            }
            _ => return Err(Malformed),
        }
        count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(batches: &[&[&[u8]]]) -> Vec<u8> {
        let mut out = Vec::new();
        for batch in batches {
            out.push(START);
            out.extend((batch.len() as u32).to_le_bytes());
            out.extend([0; 8]);
            let mut items = Vec::new();
            for value in *batch {
                items.extend([ITEM, 0, 0]);
                items.extend([0; 8]);
                items.extend(1u16.to_le_bytes());
                items.extend((value.len() as u32).to_le_bytes());
                items.extend((value.len() as u32).to_le_bytes());
                items.push(b'k');
                items.extend(*value);
            }
            let checksum = xxh3_64(&items);
            out.extend(items);
            out.push(END);
            out.extend(checksum.to_le_bytes());
            out.extend(TRAILER);
        }
        out
    }

    #[test]
    fn only_a_torn_last_batch_is_cut_off() {
        let whole = written(&[&[b"one", b"two"], &[b"three"], &[b"four"]]);
        let last = written(&[&[b"one", b"two"], &[b"three"]]).len();
        let value_at = |value: &[u8]| whole.windows(value.len()).position(|at| at == value).unwrap();
        assert_eq!(torn_end(&whole), None);
        let mut torn = whole.clone();
        torn[value_at(b"four")] = 0;
        assert_eq!(torn_end(&torn), Some(last));
        torn.extend([0; 100]);
        assert_eq!(torn_end(&torn), Some(last), "what was preallocated follows");
        let mut damaged = whole.clone();
        damaged[value_at(b"three")] = 0;
        assert_eq!(torn_end(&damaged), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at_and_never_panic(bytes: Vec<u8>) {
            let _ = torn_end(&bytes);
        }
    }
}
