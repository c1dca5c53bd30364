//! Bytes that are not what people said: everything that travels or is kept of an event besides its payload.
use super::NAME;
use super::own::{Sent, send, snapshot_len};
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

/// What the bytes of a talk consist of.
pub(super) struct Sizes {
    events: f64,
    text: usize,
    /// Bytes of the full text in the snapshot.
    pub(super) full_text: u64,
    snapshot: u64,
    whole: Around,
    flushes: Around,
    travelled: usize,
    /// Of the same talk with blanks for text.
    blank: usize,
}

impl Sizes {
    /// Counts.
    ///
    /// # Errors
    /// The store's; a bundle of another format.
    pub(super) fn of(talk: &Talk, sent: &Sent) -> Result<Self> {
        // A snapshot holds no payload, but the words of all texts: of blank ones there are none.
        let of_blank = send(&talk.blank())?;
        let snapshot = snapshot_len(&of_blank)?;
        let len = |sent: &Sent| sent.whole.channel.iter().map(Vec::len).sum();
        Ok(Self {
            events: talk.events as f64,
            text: talk.text_len(),
            full_text: snapshot_len(sent)?.saturating_sub(snapshot),
            snapshot,
            whole: around_payloads(&sent.whole.channel)?,
            flushes: around_payloads(&sent.flushes)?,
            travelled: len(sent),
            blank: len(&of_blank),
        })
    }

    /// Bytes an event.
    pub(super) fn figures(&self) -> Vec<Figure> {
        let figure = |what: &str, len: usize| Figure::once(NAME, what, "bytes", len as f64 / self.events);
        let snapshot = self.snapshot as f64 / self.events;
        vec![
            figure("metadata an event, one bundle", self.whole.outside).at_most(AIM),
            Figure::once(NAME, "metadata an event, snapshot", "bytes", snapshot).at_most(AIM),
            figure("metadata an event, flush by flush", self.flushes.outside),
            figure("metadata and whatever of payloads is not text, one bundle", self.blank),
            figure("the whole bundle, an event", self.travelled),
            Figure::once(
                NAME,
                "full text in the snapshot, an event",
                "bytes",
                self.full_text as f64 / self.events,
            ),
            figure("payloads an event, before compression", self.whole.payloads),
            figure("text an event", self.text),
        ]
    }
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
