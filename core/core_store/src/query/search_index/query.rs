use super::matching;
use super::tokenizer::{TokenKind, Tokenizer, head_of};

/// Terms in a query; what comes after them is ignored.
pub(super) const TERMS_MAX: usize = 64;

/// What a person typed into the search field.
///
/// Words must all occur; `"several words"` must stand next to each other; `word*` is the beginning of a word; a
/// minus excludes what follows it. `author:`, `in:`, `before:`, `after:`, `has:`, `mentions:` and `rank:` are not
/// searched for here but handed back by [`Query::filters`], for only the caller knows authors, channels and dates. What
/// is none of these is a word, so any input is a query. A word that the index knows by its parts (`paste.ubuntu.com`) is
/// a phrase.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    pub(super) required: Vec<Phrase>,
    pub(super) excluded: Vec<Phrase>,
    filters: Vec<Filter>,
}

/// One or more terms that stand next to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Phrase {
    pub(super) terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) text: Box<[u8]>,
    /// Stands for all terms that begin so.
    pub(super) is_prefix: bool,
    /// The first eight bytes, and which of them count.
    head: u64,
    mask: u64,
}

/// A condition on a message that its text does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// What is asked about.
    pub kind: FilterKind,
    /// As typed, without quotation marks; never empty.
    pub value: String,
    /// Written with a minus: messages that meet the condition are not wanted.
    pub is_excluded: bool,
}

/// What a [`Filter`] asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FilterKind {
    /// `author:`: who wrote it.
    Author,
    /// `in:`: the channel.
    In,
    /// `before:`: a date.
    Before,
    /// `after:`: a date.
    After,
    /// `has:`: an attachment, a link, …
    Has,
    /// `mentions:`: a user.
    Mentions,
    /// `rank:`: the least rank of who wrote it.
    Rank,
}

impl Term {
    fn new(text: &[u8], is_prefix: bool) -> Self {
        // No term holds a zero byte, so the zeros behind a short whole word count like letters.
        let mask = if is_prefix { head_of(&[0xff; 8][..text.len().min(8)]) } else { u64::MAX };
        Self { text: text.into(), is_prefix, head: head_of(text), mask }
    }

    /// Whether this is the term, given with its head, or begins it.
    #[inline]
    pub(super) fn accepts(&self, term: &[u8], head: u64) -> bool {
        head & self.mask == self.head && (self.text.len() < 8 || self.accepts_rest(term))
    }

    fn accepts_rest(&self, term: &[u8]) -> bool {
        if self.is_prefix { term.starts_with(&self.text) } else { term == &*self.text }
    }
}

impl Query {
    /// Reads a query; every text is one.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut query = Self::default();
        let mut rest = text.trim_start();
        let mut terms = 0;
        while !rest.is_empty() && terms < TERMS_MAX {
            let is_excluded = match rest.strip_prefix('-') {
                Some(after) if !after.is_empty() && !after.starts_with(char::is_whitespace) => {
                    rest = after;
                    true
                }
                _ => false,
            };
            let filter = take_filter(&mut rest, is_excluded);
            if let Some(filter) = filter {
                query.filters.push(filter);
                terms += 1;
            } else {
                let (value, is_quoted) = take_value(&mut rest);
                let mut phrase = Phrase::of(value, !is_quoted && value.ends_with('*'));
                phrase.terms.truncate(TERMS_MAX - terms);
                terms += phrase.terms.len();
                let phrases = if is_excluded { &mut query.excluded } else { &mut query.required };
                if !phrase.terms.is_empty() && !phrases.contains(&phrase) {
                    phrases.push(phrase);
                }
            }
            rest = rest.trim_start();
        }
        query
    }

    /// The conditions that the caller checks, in the order in which they were typed.
    #[must_use]
    pub fn filters(&self) -> &[Filter] {
        &self.filters
    }

    /// Whether a text meets the query, its filters aside: what searching an index of it would find.
    #[must_use]
    pub fn accepts(&self, text: &str) -> bool {
        let mut tokenizer = Tokenizer::default();
        let mut holds = |phrase: &Phrase| matching::contains(&mut tokenizer, text, phrase);
        let asks = !self.required.is_empty() || !self.excluded.is_empty() || !self.filters.is_empty();
        asks && self.required.iter().all(&mut holds) && !self.excluded.iter().any(&mut holds)
    }

    /// Whether nothing was asked: such a query finds nothing, while filters alone find all they accept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.required.is_empty() && self.excluded.is_empty() && self.filters.is_empty()
    }
}

impl Phrase {
    fn of(text: &str, is_prefix: bool) -> Self {
        let mut terms: Vec<Term> = Vec::new();
        Tokenizer::default().run(text, |token| {
            if token.kind != TokenKind::Tail && terms.len() < TERMS_MAX {
                terms.push(Term::new(token.term, token.kind == TokenKind::Lone));
            }
        });
        if let Some(last) = terms.last_mut().filter(|_| is_prefix) {
            *last = Term::new(&last.text, true);
        }
        Self { terms }
    }
}

/// Takes what stands in quotation marks (the closing one may be missing), or up to the next white space.
fn take_value<'a>(rest: &mut &'a str) -> (&'a str, bool) {
    let text = *rest;
    if let Some(quoted) = text.strip_prefix('"') {
        let (value, after) = quoted.split_once('"').unwrap_or((quoted, ""));
        *rest = after;
        return (value, true);
    }
    // A quotation mark inside a word begins a phrase of its own.
    let end = text.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(text.len());
    let (value, after) = text.split_at(end);
    *rest = after;
    (value, false)
}

fn take_filter(rest: &mut &str, is_excluded: bool) -> Option<Filter> {
    let (name, mut after) = rest.split_once(':')?;
    let kinds = [
        ("author", FilterKind::Author),
        ("in", FilterKind::In),
        ("before", FilterKind::Before),
        ("after", FilterKind::After),
        ("has", FilterKind::Has),
        ("mentions", FilterKind::Mentions),
        ("rank", FilterKind::Rank),
    ];
    let (_, kind) = kinds.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known))?;
    let (value, _) = take_value(&mut after);
    if value.trim().is_empty() {
        return None;
    }
    *rest = after;
    Some(Filter { kind, value: value.trim().to_owned(), is_excluded })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A query in one line: phrases joined by `+`, prefixes with `*`, what is excluded with `-`.
    fn shown(text: &str) -> String {
        let query = Query::parse(text);
        let phrase = |phrase: &Phrase| {
            let terms = phrase.terms.iter().map(|term| {
                format!(
                    "{}{}",
                    std::str::from_utf8(&term.text).unwrap(),
                    if term.is_prefix { "*" } else { "" }
                )
            });
            terms.collect::<Vec<_>>().join("+")
        };
        let filter = |f: &Filter| format!("{}{:?}={}", if f.is_excluded { "-" } else { "" }, f.kind, f.value);
        let required = query.required.iter().map(phrase);
        let excluded = query.excluded.iter().map(|excluded| format!("-{}", phrase(excluded)));
        required.chain(excluded).chain(query.filters.iter().map(filter)).collect::<Vec<_>>().join(" ")
    }

    #[track_caller]
    fn case(text: &str, expected: &str) {
        assert_eq!(shown(text), expected, "{text:?}");
    }

    #[test]
    fn queries() {
        case("", "");
        case("  Foo  BAR foo ", "foo bar");
        case("\"Foo bar\" baz", "foo+bar baz");
        case("mpl* -totem -\"not this\"", "mpl* -totem -not+this");
        case("paste.ubuntu.com/12*", "paste+ubuntu+com+12*");
        case(
            "author:Bob in:\"the lounge\" -author:eve before:2020-01-01 AFTER:x has:link hi",
            "hi Author=Bob In=the lounge -Author=eve Before=2020-01-01 After=x Has=link",
        );
        case(
            "mentions:me -Mentions:\"ann marie\" rank:50 mention:x ranks:1",
            "mention+x ranks+1 Mentions=me -Mentions=ann marie Rank=50",
        );
        case("日本語 猫", "日本+本語 猫*");
    }

    #[test]
    fn odd_input_is_words() {
        case("- -- * \"\" \" : author:", "author");
        case("author:\"\" x", "author x");
        case("http://a.b \"open end", "http+a+b open+end");
        case("foo\"bar baz\"qux", "foo bar+baz qux");
        case("-author:", "-author");
    }

    #[test]
    fn terms_are_bounded() {
        let query = Query::parse(&(0..1000).map(|n| format!("w{n} ")).collect::<String>());
        assert_eq!(query.required.len(), TERMS_MAX);
        let query = Query::parse(&"a.b.".repeat(1000));
        assert_eq!(query.required[0].terms.len(), TERMS_MAX);
    }

    proptest! {
        #[test]
        fn any_input_is_a_query(text in any::<String>(), typed in "[a-b猫👍:\"*\\- ]{0,20}") {
            prop_assert!(Query::parse(&text).required.len() <= TERMS_MAX);
            prop_assert!(Query::parse(&typed).required.len() <= TERMS_MAX);
        }
    }
}
