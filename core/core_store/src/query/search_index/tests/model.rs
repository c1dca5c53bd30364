use crate::query::search_index::Hit;
use crate::query::search_index::query::{Phrase, Query, Term};
use crate::query::search_index::ranking::{class_of, score};
use crate::query::search_index::tokenizer::{TokenKind, Tokenizer};
use std::collections::BTreeMap;

/// Terms, and whether each has no place in a phrase.
type Terms = Vec<(Vec<u8>, bool)>;

/// Every document with its terms, looked through one by one.
#[derive(Default)]
pub(super) struct Model {
    docs: BTreeMap<u32, (String, Terms)>,
}

impl Model {
    pub(super) fn add(&mut self, doc: u32, text: &str) {
        let mut terms = Vec::new();
        Tokenizer::default()
            .run(text, |token| terms.push((token.term.to_vec(), token.kind == TokenKind::Tail)));
        self.docs.insert(doc, (text.to_owned(), terms));
    }

    pub(super) fn remove(&mut self, doc: u32) -> bool {
        self.docs.remove(&doc).is_some()
    }

    pub(super) fn docs(&self) -> u64 {
        self.docs.len() as u64
    }

    pub(super) fn text(&self, doc: u32) -> Option<String> {
        self.docs.get(&doc).map(|(text, _)| text.clone())
    }

    pub(super) fn search(
        &self,
        query: &Query,
        limit: usize,
        accept: impl Fn(u32) -> bool,
        next: u32,
    ) -> Vec<Hit> {
        let found = self.docs.iter().rev().filter(|(doc, (_, terms))| {
            query.required.iter().all(|phrase| holds(terms, phrase))
                && !query.excluded.iter().any(|phrase| holds(terms, phrase))
                && accept(**doc)
        });
        let age = |doc: u32| next - 1 - doc;
        let mut hits: Vec<Hit> = found
            .map(|(&doc, (_, terms))| Hit {
                doc,
                score: score(class_of(terms.len().try_into().unwrap()), age(doc)),
            })
            .collect();
        if query.is_empty() {
            hits.clear();
        }
        hits.sort_by_key(|hit| std::cmp::Reverse((hit.score, hit.doc)));
        hits.truncate(limit);
        hits
    }
}

fn holds(terms: &[(Vec<u8>, bool)], phrase: &Phrase) -> bool {
    if let [term] = &phrase.terms[..] {
        return terms.iter().any(|(candidate, _)| accepts(term, candidate));
    }
    let places: Vec<&[u8]> =
        terms.iter().filter(|(_, is_tail)| !is_tail).map(|(term, _)| &term[..]).collect();
    (0..places.len()).any(|at| {
        phrase
            .terms
            .iter()
            .enumerate()
            .all(|(nth, term)| places.get(at + nth).is_some_and(|place| accepts(term, place)))
    })
}

fn accepts(term: &Term, candidate: &[u8]) -> bool {
    if term.is_prefix { candidate.starts_with(&term.text) } else { *candidate == *term.text }
}
