//! Phrases in texts: whether they are there, and where.
use super::query::{Phrase, Query, TERMS_MAX, Term};
use super::tokenizer::{TokenKind, Tokenizer};
use std::ops::Range;

/// Whether the phrase's terms stand next to each other somewhere in the text.
pub(super) fn contains(tokenizer: &mut Tokenizer, text: &str, phrase: &Phrase) -> bool {
    const { assert!(TERMS_MAX <= 64) };
    // Bit n: the tokens up to here are the phrase's first n + 1 terms.
    let (mut begun, mut is_found) = (0u64, false);
    let last = phrase.terms.len().saturating_sub(1);
    tokenizer.run(text, |token| {
        if token.kind == TokenKind::Tail {
            return;
        }
        let next = begun << 1 | 1;
        begun = 0;
        for (nth, term) in phrase.terms.iter().enumerate() {
            begun |= u64::from(term.accepts(token.term, token.head)) << nth;
        }
        begun &= next;
        is_found |= begun >> last & 1 == 1;
    });
    is_found
}

/// The tokens of one text, those without a place in a phrase excepted.
#[derive(Default)]
struct Tokens {
    tokenizer: Tokenizer,
    tokens: Vec<Placed>,
}

struct Placed {
    term: Box<[u8]>,
    head: u64,
    /// In the text.
    place: Range<usize>,
    middle: usize,
}

impl Tokens {
    fn read(&mut self, text: &str) {
        let Self { tokenizer, tokens } = self;
        tokenizer.run(text, |token| {
            if token.kind != TokenKind::Tail {
                let (place, middle) = (token.start..token.end, token.middle);
                tokens.push(Placed { term: token.term.into(), head: token.head, place, middle });
            }
        });
    }

    /// Every run of tokens that the phrase accepts.
    fn find(&self, phrase: &Phrase) -> impl Iterator<Item = &[Placed]> {
        self.tokens.windows(phrase.terms.len().max(1)).filter(|window| {
            window.iter().zip(&phrase.terms).all(|(token, term)| term.accepts(&token.term, token.head))
        })
    }
}

/// Where in `text` the words that `query` asks for stand: byte ranges on character boundaries, ascending, without
/// overlaps. The words of a phrase are marked where they stand as the phrase; what is excluded is not marked.
#[must_use]
pub fn highlight(text: &str, query: &Query) -> Vec<Range<usize>> {
    let mut tokens = Tokens::default();
    tokens.read(text);
    let found = query.required.iter().flat_map(|phrase| {
        tokens.find(phrase).flat_map(|window| window.iter().zip(&phrase.terms)).map(marked)
    });
    let mut ranges: Vec<Range<usize>> = found.collect();
    // The last character of a run in an unspaced script has no token of its own in a phrase.
    tokens.tokenizer.run(text, |token| {
        let is_asked = |term: &Term| term.is_prefix && term.accepts(token.term, token.head);
        if token.kind == TokenKind::Tail
            && query.required.iter().any(|phrase| phrase.terms.len() == 1 && is_asked(&phrase.terms[0]))
        {
            ranges.push(token.start..token.end);
        }
    });
    ranges.sort_by_key(|range| (range.start, range.end));
    ranges.dedup_by(|next, kept| {
        let overlap = next.start < kept.end;
        if overlap {
            kept.end = kept.end.max(next.end);
        }
        overlap
    });
    ranges
}

fn marked((token, term): (&Placed, &Term)) -> Range<usize> {
    // One character of an unspaced script finds the pair it begins; only itself was asked for.
    let is_first_of_pair = token.middle < token.place.end && term.text.len() < token.term.len();
    token.place.start..if is_first_of_pair { token.middle } else { token.place.end }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn case(text: &str, query: &str, expected: &[&str]) {
        let ranges = highlight(text, &Query::parse(query));
        assert_eq!(
            ranges.into_iter().map(|range| &text[range]).collect::<Vec<_>>(),
            expected,
            "{text:?} {query:?}"
        );
    }

    #[test]
    fn words_phrases_and_prefixes() {
        case("Foo bar foo", "FOO", &["Foo", "foo"]);
        case("to be or not to be, to go", "\"to be\"", &["to", "be", "to", "be"]);
        case("mplayer and mp3", "mp* -and", &["mplayer", "mp3"]);
        case("see paste.ubuntu.com/1 ubuntu", "paste.ubuntu.com", &["paste", "ubuntu", "com"]);
        case("nothing", "", &[]);
    }

    #[test]
    fn other_scripts() {
        case("Un cafe\u{301} noir", "café", &["cafe\u{301}"]);
        case("東京の日本語と", "日本語", &["日本語"]);
        case("黒猫 猫が", "猫", &["猫", "猫"]);
        case("Straße 👍🏽", "strasse 👍", &["Straße", "👍🏽"]);
        case("Ёлка", "елк*", &["Ёлка"]);
    }

    proptest! {
        #[test]
        fn ranges_ascend_on_boundaries(text in any::<String>(), query in any::<String>(), small in "[ab猫日 \u{301}👍]{0,30}") {
            for (text, query) in [(&text, &query), (&small, &query), (&small, &"a* 猫 日猫 \"a b\" 👍".to_owned())] {
                let mut end = 0;
                for range in highlight(text, &Query::parse(query)) {
                    prop_assert!(range.start >= end && range.start < range.end && text.get(range.clone()).is_some());
                    end = range.end;
                }
            }
        }
    }
}
