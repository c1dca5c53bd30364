//! The search itself, over one part of the index after the other, newest first.
use super::cursor::{Cursor, Source, Union};
use super::error::Error;
use super::matching::contains;
use super::memtable::Memtable;
use super::query::{Phrase, Query, Term};
use super::ranking::{best_score, score};
use super::removed::Removed;
use super::segment::Segment;
use super::tokenizer::Tokenizer;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A document that a search found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// The number under which the document was added.
    pub doc: u32,
    /// Length norm times recency; comparable within one list of hits only.
    pub score: u64,
}

/// One part of the index; document numbers count from the part's first.
#[derive(Clone, Copy)]
pub(super) enum Part<'a> {
    Memtable(&'a Memtable),
    Segment(&'a Segment),
}

impl<'a> Part<'a> {
    fn first(self) -> u32 {
        match self {
            Self::Memtable(table) => table.first(),
            Self::Segment(segment) => segment.first(),
        }
    }

    fn span(self) -> u32 {
        match self {
            Self::Memtable(table) => table.span(),
            Self::Segment(segment) => segment.span(),
        }
    }

    fn class(self, local: u32) -> u8 {
        match self {
            Self::Memtable(table) => table.class(local),
            Self::Segment(segment) => segment.class(local),
        }
    }

    /// `None` if no document has the term.
    fn cursor(self, term: &Term) -> Result<Option<Cursor<'a>>, Error> {
        let source = match (self, term.is_prefix) {
            (Self::Memtable(table), false) => table.find(&term.text).map(Source::Chunks),
            (Self::Segment(segment), false) => segment.find(&term.text)?.map(Source::List),
            (Self::Memtable(table), true) => {
                self.union(table.find_prefix(&term.text).map(|chunks| Ok(Source::Chunks(chunks))))?
            }
            (Self::Segment(segment), true) => {
                let mut terms = segment.terms_from(&term.text)?;
                let lists = std::iter::from_fn(|| match terms.next() {
                    Ok(Some(entry)) if terms.term().starts_with(&term.text) => Some(segment.list(entry)),
                    Ok(_) => None,
                    Err(error) => Some(Err(error)),
                });
                self.union(lists.map(|list| Ok(Source::List(list?))))?
            }
        };
        source.map(Cursor::new).transpose()
    }

    fn union(
        self,
        mut sources: impl Iterator<Item = Result<Source<'a>, Error>>,
    ) -> Result<Option<Source<'a>>, Error> {
        let Some(first) = sources.next().transpose()? else { return Ok(None) };
        let Some(second) = sources.next().transpose()? else { return Ok(Some(first)) };
        let mut union = Union::new(self.span());
        union.add(first)?;
        union.add(second)?;
        for source in sources {
            union.add(source?)?;
        }
        Ok(Some(Source::Union(union)))
    }
}

/// What goes through all parts: the best hits so far and what the caller answers.
pub(super) struct Finder<'q, A, T> {
    pub(super) query: &'q Query,
    pub(super) limit: usize,
    pub(super) removed: &'q Removed,
    /// Ages count from here.
    pub(super) newest: u32,
    pub(super) accept: A,
    pub(super) text_of: T,
    pub(super) tokenizer: Tokenizer,
    pub(super) best: BinaryHeap<Reverse<(u64, u32)>>,
}

impl<A: FnMut(u32) -> bool, T: FnMut(u32) -> Option<String>> Finder<'_, A, T> {
    /// Looks through one part. False when no older part can add a hit.
    pub(super) fn look(&mut self, part: Part<'_>) -> Result<bool, Error> {
        let query = self.query;
        let mut required = Vec::new();
        for term in query.required.iter().flat_map(|phrase| &phrase.terms) {
            match part.cursor(term)? {
                Some(cursor) => required.push(cursor),
                None => return Ok(true),
            }
        }
        // The rarest leads, the next rare ones refute its candidates first.
        required.sort_by_key(Cursor::count);
        let mut excluded = Vec::new();
        for phrase in &query.excluded {
            let cursors: Result<Vec<_>, _> = phrase.terms.iter().map(|term| part.cursor(term)).collect();
            if let Some(cursors) = cursors?.into_iter().collect::<Option<Vec<_>>>() {
                excluded.push((phrase, cursors));
            }
        }
        let mut until = part.span();
        while let Some(below) = until.checked_sub(1)
            && let Some(local) = newest_common(&mut required, below)?
        {
            let doc = part.first() + local;
            let age = self.newest.saturating_sub(doc);
            if self.is_full() && !self.would_enter(best_score(age), doc) {
                return Ok(false);
            }
            self.candidate(doc, part.class(local), local, age, &mut excluded)?;
            until = local;
        }
        Ok(true)
    }

    fn candidate(
        &mut self,
        doc: u32,
        class: u8,
        local: u32,
        age: u32,
        excluded: &mut [(&Phrase, Vec<Cursor<'_>>)],
    ) -> Result<(), Error> {
        let score = score(class, age);
        if class == 0 || self.is_full() && !self.would_enter(score, doc) || self.removed.contains(doc) {
            return Ok(());
        }
        let mut doubtful = Vec::new();
        for (phrase, cursors) in excluded {
            if newest_common(cursors, local)? == Some(local) {
                if phrase.terms.len() == 1 {
                    return Ok(());
                }
                doubtful.push(*phrase);
            }
        }
        let query = self.query;
        let phrases = || query.required.iter().filter(|phrase| phrase.terms.len() > 1);
        if !(self.accept)(doc) {
            return Ok(());
        }
        if !doubtful.is_empty() || phrases().next().is_some() {
            let Some(text) = (self.text_of)(doc) else { return Ok(()) };
            if !phrases().all(|phrase| contains(&mut self.tokenizer, &text, phrase))
                || doubtful.iter().any(|phrase| contains(&mut self.tokenizer, &text, phrase))
            {
                return Ok(());
            }
        }
        if self.is_full() {
            self.best.pop();
        }
        self.best.push(Reverse((score, doc)));
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.best.len() >= self.limit
    }

    fn would_enter(&self, score: u64, doc: u32) -> bool {
        self.best.peek().is_none_or(|Reverse(worst)| (score, doc) > *worst)
    }

    /// The hits, best first.
    pub(super) fn hits(self) -> Vec<Hit> {
        let best = self.best.into_sorted_vec().into_iter();
        best.map(|Reverse((score, doc))| Hit { doc, score }).collect()
    }
}

/// The newest document, not above `until`, on which all cursors agree. Without cursors every number is one.
fn newest_common(cursors: &mut [Cursor<'_>], until: u32) -> Result<Option<u32>, Error> {
    let mut candidate = until;
    let mut agreed = 0;
    while agreed < cursors.len() {
        agreed = 0;
        for cursor in cursors.iter_mut() {
            match cursor.seek(candidate)? {
                Some(doc) if doc == candidate => agreed += 1,
                Some(doc) => {
                    candidate = doc;
                    break;
                }
                None => return Ok(None),
            }
        }
    }
    Ok(Some(candidate))
}
