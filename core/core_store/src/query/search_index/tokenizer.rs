//! Text into search terms.
//!
//! A term is a run of letters and digits, lower-cased, without Latin, Greek, Hebrew and Arabic diacritics, in
//! compatibility form (`Ｆｕｌｌ` = `full`, `ﬁ` = `fi`), cut at [`TERM_BYTES_MAX`]. Everything else separates, so nicks,
//! paths and URLs are found by their parts. Scripts written without spaces become pairs of neighbouring characters;
//! an emoji is a term of its own, whatever its skin tone.
//!
//! The same text gives the same terms on every platform; a change of these rules is a change of the segments'
//! format version, for the segments hold terms made by them.
mod ascii;
mod class;
mod unicode;

use ascii::Ascii;
use unicode::Unicode;

/// A term's length limit in bytes of UTF-8; longer words count by what fits.
pub(super) const TERM_BYTES_MAX: usize = 64;

/// What a token was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A word, a number or an emoji.
    Word,
    /// Two neighbouring characters of a script that does not mark its words.
    Pair,
    /// The only character of a run in such a script.
    Lone,
    /// The last character of a longer run, repeated by itself so that the prefix search for one character finds
    /// it there too. It has no place of its own in a phrase.
    Tail,
}

/// One term at its place in the text.
pub(super) struct Token<'a> {
    /// The folded term, 1 to [`TERM_BYTES_MAX`] bytes, never a zero byte.
    pub(super) term: &'a [u8],
    /// Its first eight bytes, zero-padded, little-endian.
    pub(super) head: u64,
    /// Where it stands in the text.
    pub(super) start: usize,
    /// Where the first character of a pair ends; `end` for the other kinds.
    pub(super) middle: usize,
    /// One past its last byte in the text.
    pub(super) end: usize,
    pub(super) kind: TokenKind,
}

/// Cuts texts into tokens; keeps its buffers, so that no text costs an allocation.
#[derive(Default)]
pub(super) struct Tokenizer {
    ascii: Ascii,
    unicode: Unicode,
}

impl Tokenizer {
    /// Hands every token of `text` to `each`, in the order of their places.
    #[inline]
    pub(super) fn run(&mut self, text: &str, mut each: impl FnMut(Token<'_>)) {
        if text.is_ascii() {
            self.ascii.run(text.as_bytes(), each);
        } else {
            self.unicode.run(text, &mut each);
        }
    }
}

/// The first eight bytes of a term, zero-padded.
pub(super) fn head_of(term: &[u8]) -> u64 {
    let mut head = [0; 8];
    let len = term.len().min(8);
    head[..len].copy_from_slice(&term[..len]);
    u64::from_le_bytes(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn terms(text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        Tokenizer::default().run(text, |token| {
            assert!(token.start <= token.middle && token.middle <= token.end && token.end <= text.len());
            assert!(text.is_char_boundary(token.start) && text.is_char_boundary(token.end));
            assert!(text.is_char_boundary(token.middle));
            assert!(!token.term.is_empty() && token.term.len() <= TERM_BYTES_MAX && !token.term.contains(&0));
            assert_eq!(token.head, head_of(token.term));
            terms.push(String::from_utf8(token.term.to_vec()).unwrap());
        });
        terms
    }

    #[track_caller]
    fn case(text: &str, expected: &[&str]) {
        assert_eq!(terms(text), expected, "{text:?}");
    }

    #[test]
    fn words_numbers_nicks_and_urls() {
        case("", &[]);
        case("Hello, World!", &["hello", "world"]);
        case("|QuaD-_: foo_bar", &["quad", "foo", "bar"]);
        case("http://paste.ubuntu.com/4711", &["http", "paste", "ubuntu", "com", "4711"]);
        case("can't 9.04 k7", &["can", "t", "9", "04", "k7"]);
        case("\u{2}bold\u{f} \u{3}4red \0", &["bold", "4red"]);
    }

    #[test]
    fn folding() {
        case(
            "Café CAFE\u{301} ＦＵＬＬ ﬁn Straße Ørsted",
            &["cafe", "cafe", "full", "fin", "strasse", "orsted"],
        );
        case("ΛΌΓΟΣ λόγος İstanbul", &["λογοσ", "λογοσ", "istanbul"]);
        case("Ёлка мои мой Мо\u{438}\u{306} Україні", &["елка", "мои", "мой", "мой", "україні"]);
        case("شَدَّة أحمد", &["شدة", "احمد"]);
        case("naïve’s", &["naive", "s"]);
        case("हिन्दी", &["हिन्दी"]);
    }

    #[test]
    fn scripts_without_spaces() {
        case("日本語", &["日本", "本語", "語"]);
        case("猫", &["猫"]);
        case("Linux日本x", &["linux", "日本", "本", "x"]);
        case("ガ ｶﾞ カ\u{3099}", &["ガ", "ガ", "ガ"]);
        case("한국 \u{1112}\u{1161}\u{11ab}국", &["한국", "국", "한국", "국"]);
        assert_eq!(terms("สวัสดี").len(), 6);
    }

    #[test]
    fn emoji() {
        case("ok 👍🏽👍 ❤\u{fe0f}", &["ok", "👍", "👍", "❤"]);
        case("👩\u{200d}💻", &["👩", "💻"]);
    }

    #[test]
    fn long_words_are_cut() {
        assert_eq!(terms(&"a".repeat(1000)), ["a".repeat(64)]);
        assert_eq!(terms(&"ж".repeat(1000)), ["ж".repeat(32)]);
        assert_eq!(terms(&format!("x{}", "ж".repeat(1000))), [format!("x{}", "ж".repeat(31))]);
        assert_eq!(terms(&"ab ".repeat(100)).len(), 100);
        assert_eq!(terms(&"ab\n".repeat(10_000)).len(), 10_000);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn both_paths_agree_on_ascii(text in "[ -~\\x00-\\x20]{0,200}") {
            let mut fast = Vec::new();
            Tokenizer::default().run(&text, |t| fast.push((t.term.to_vec(), t.start, t.end, t.kind)));
            let mut slow = Vec::new();
            Unicode::default().run(&text, &mut |t: Token<'_>| slow.push((t.term.to_vec(), t.start, t.end, t.kind)));
            prop_assert_eq!(fast, slow);
        }

        #[test]
        fn any_text_is_cut_within_bounds(text in any::<String>()) {
            terms(&text);
        }

        #[test]
        fn normal_forms_give_the_same_terms(text in "[a-zäöüéñçйёїґ가-힣が-ゾ猫本ά-ώ ]{0,40}") {
            use unicode_normalization::UnicodeNormalization;
            prop_assert_eq!(terms(&text.nfc().collect::<String>()), terms(&text.nfd().collect::<String>()));
        }
    }
}
