use super::error::Error;
use super::removed::Removed;
use super::segment::{Block, Entry, Segment, SegmentWriter, Terms};
use std::ops::Range;

/// Document numbers that one segment may span: half a byte each.
const SPAN_MAX: u32 = 1 << 30;
/// Neighbouring segments of about one size before they are worth merging. Each segment has a dictionary of its own: with four
/// the segments of the log of 219,329 messages took 0.252 of its text, with two 0.243, all in one 0.235. That is 4 of them for 7,
/// for a third more time to add a message (ADR 0005).
const RUN: usize = 2;

/// Writes neighbouring segments as one, without the documents in `removed`.
pub(super) fn merge(segments: &[Segment], removed: &Removed) -> Result<Vec<u8>, Error> {
    let first = segments.first().map_or(0, Segment::first);
    let end = segments.last().map_or(0, Segment::end);
    let span = end - first;
    if span > SPAN_MAX {
        return Err(Error::Full("documents in one segment"));
    }
    let mut sources: Vec<Source<'_>> = Vec::new();
    for segment in segments {
        let mut source = Source { segment, terms: segment.terms_from(&[])?, entry: None };
        source.entry = source.terms.next()?;
        sources.push(source);
    }
    let mut writer = SegmentWriter::new(first, span);
    let (mut term, mut docs, mut block) = (Vec::new(), Vec::new(), Block::default());
    while let Some(least) = least(&sources) {
        if !term.is_empty() && least <= &term[..] {
            return Err(Error::Damaged("order of terms"));
        }
        term.clear();
        term.extend_from_slice(least);
        docs.clear();
        for source in sources.iter_mut().rev() {
            let Some(entry) = source.entry.filter(|_| source.terms.term() == term) else { continue };
            let mut list = source.segment.list(entry)?;
            while list.next_block(None, &mut block)? {
                let offset = source.segment.first() - first;
                let global = block.docs().iter().filter(|&&local| source.segment.class(local) > 0);
                docs.extend(
                    global.map(|local| local + offset).filter(|local| !removed.contains(first + local)),
                );
            }
            source.entry = source.terms.next()?;
        }
        writer.put(&term, &docs);
    }
    let mut older = Removed::default();
    for segment in segments {
        segment.removed()?.into_iter().filter(|&doc| doc < first).for_each(|doc| _ = older.insert(doc));
    }
    let mut index = 0;
    let classes = (0..span).map(|local| {
        let doc = first + local;
        while segments.get(index).is_some_and(|segment| segment.end() <= doc) {
            index += 1;
        }
        match segments.get(index) {
            Some(segment) if doc >= segment.first() && !removed.contains(doc) => {
                segment.class(doc - segment.first())
            }
            _ => 0,
        }
    });
    writer.finish(classes, &older.iter().collect::<Vec<_>>())
}

fn least<'s>(sources: &'s [Source<'_>]) -> Option<&'s [u8]> {
    sources.iter().filter(|source| source.entry.is_some()).map(|source| source.terms.term()).min()
}

struct Source<'a> {
    segment: &'a Segment,
    terms: Terms<'a>,
    entry: Option<Entry>,
}

/// The newest segments, if at least two of them are of one size class (a factor of four) and none is above it.
/// The smallest class that is due comes first; what it makes may be due next.
pub(super) fn due(segments: &[Segment]) -> Option<Range<usize>> {
    let class = |segment: &Segment| segment.bytes().len().max(1024).ilog2() / 2;
    let mut level = class(segments.last()?);
    let mut due = None;
    let mut start = segments.len();
    loop {
        while start > 0 && class(&segments[start - 1]) <= level {
            start -= 1;
        }
        let run = segments[start..].iter().filter(|segment| class(segment) == level).count();
        if run >= RUN {
            due = Some(start..segments.len());
        }
        match start.checked_sub(1) {
            Some(next) if due.is_none() => level = class(&segments[next]),
            _ => return due,
        }
    }
}
