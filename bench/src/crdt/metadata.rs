//! Bytes that are not what people said: everything that travels or is kept of an event besides its payload.
use super::own::{Sent, send, snapshot_len};
use super::{NAME, own};
use crate::report::Figure;
use crate::talk::Talk;
use anyhow::{Context, Result, ensure};
use terachat_core_store::sync::{Bundle, Limits};

/// Bytes an event.
const AIM: f64 = 8.0;
/// Version and salt, before the first part: `docs/format/bundle.md`.
const HEAD_LEN: usize = 17;
/// The flag and the seal's tag around a chunk of payloads.
const AROUND_CHUNK: usize = 17;

/// Counts.
///
/// # Errors
/// The store's; a bundle of another format.
pub(super) fn run(talk: &Talk, sent: &Sent) -> Result<Vec<Figure>> {
    let events = talk.events as f64;
    let each = |len: usize| len as f64 / events;
    let figure = |what: &str, value| Figure::once(NAME, what, "bytes", value);
    let whole = around_payloads(&sent.whole.channel)?;
    let flushes = around_payloads(&sent.flushes)?;
    // A snapshot holds no payload, but the words of all texts: of blank ones there are none.
    let blank = talk.blank();
    let of_blank = send(&blank)?;
    let folder = tempfile::tempdir()?;
    let snapshot = own::snapshot_len(&of_blank, folder.path())?;
    let folder = tempfile::tempdir()?;
    let with_texts = snapshot_len(sent, folder.path())?;
    let packed: usize = of_blank.whole.channel.iter().map(Vec::len).sum();
    let travelled = sent.whole.channel.iter().map(Vec::len).sum::<usize>();
    Ok(vec![
        figure("metadata an event, one bundle", each(whole.outside)).at_most(AIM),
        figure("metadata an event, snapshot", snapshot as f64 / events).at_most(AIM),
        figure("metadata an event, flush by flush", each(flushes.outside)),
        figure("metadata and whatever of payloads is not text, one bundle", each(packed)),
        figure("the whole bundle, an event", each(travelled)),
        figure("the whole snapshot with its full text, an event", with_texts as f64 / events),
        figure("payloads an event, before compression", each(whole.payloads)),
        figure("text an event", each(talk.text_len())),
    ])
}

struct Around {
    /// Bytes outside compressed payloads.
    outside: usize,
    /// Bytes of payloads before compression.
    payloads: usize,
}

/// What is around the payloads of these bundles.
fn around_payloads(bundles: &[Vec<u8>]) -> Result<Around> {
    let mut around = Around { outside: 0, payloads: 0 };
    for bytes in bundles {
        let batch = Bundle::decode(bytes, Limits::PEER)?.batch;
        around.payloads += batch.events.iter().map(|event| event.payload_len as usize).sum::<usize>();
        let parts = part_lens(bytes.get(HEAD_LEN..).context("a bundle is cut short")?)?;
        let chunks = parts.get(1..).context("a bundle without parts")?;
        ensure!(chunks.len() == batch.chunk_ends().len(), "a bundle of another format");
        around.outside += bytes.len() - chunks.iter().map(|len| len - AROUND_CHUNK).sum::<usize>();
    }
    Ok(around)
}

/// Lengths of the parts, each of which stands behind its length in LEB128.
fn part_lens(mut rest: &[u8]) -> Result<Vec<usize>> {
    let mut lens = Vec::new();
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| byte & 0x80 == 0).context("a length has no end")?;
        let (digits, behind) = rest.split_at(end + 1);
        let len = digits.iter().rev().fold(0, |len, byte| len << 7 | usize::from(byte & 0x7f));
        rest = behind.get(len..).context("a part is cut short")?;
        lens.push(len);
    }
    Ok(lens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_counted() {
        let bytes = [&[2, 7, 7, 0x80, 1][..], &[9; 128]].concat();
        assert_eq!(part_lens(&bytes).unwrap(), [2, 128]);
        assert!(part_lens(&bytes[..10]).is_err() && part_lens(&[0x80]).is_err());
    }
}
