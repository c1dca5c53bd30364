use super::class::{is_diacritic, is_emoji, is_ignored, is_plain_unspaced, is_unspaced, spelled};
use super::{TERM_BYTES_MAX, Token, TokenKind, head_of};
use unicode_normalization::char::{compose, decompose_compatible, is_combining_mark};

/// The path for everything that is not pure ASCII: character by character, each decomposed by itself, so that the
/// places in the original text stay known.
#[derive(Default)]
pub(super) struct Unicode {
    word: Word,
    run: Run,
}

/// The word being gathered.
struct Word {
    bytes: [u8; TERM_BYTES_MAX],
    len: usize,
    /// A character did not fit: nothing after it may.
    full: bool,
    last: Option<char>,
    /// An emoji, which takes joiners and skin tones but no letters.
    is_emoji: bool,
    start: usize,
    end: usize,
}

/// The run of unspaced script being gathered: the last two characters, since the newest may still take a mark.
#[derive(Default)]
struct Run {
    before: Option<Place>,
    last: Option<Place>,
}

#[derive(Clone, Copy)]
struct Place {
    c: char,
    start: usize,
    end: usize,
}

impl Default for Word {
    fn default() -> Self {
        Self {
            bytes: [0; TERM_BYTES_MAX],
            len: 0,
            full: false,
            last: None,
            is_emoji: false,
            start: 0,
            end: 0,
        }
    }
}

impl Unicode {
    pub(super) fn run(&mut self, text: &str, each: &mut impl FnMut(Token<'_>)) {
        for (start, c) in text.char_indices() {
            let end = start + c.len_utf8();
            match u32::from(c) {
                0..0x80 if c.is_ascii_alphanumeric() => self.letter(c.to_ascii_lowercase(), start, end, each),
                0..0x80 => self.flush(each),
                // Plain Russian needs no tables; й, ё and the others outside these ranges do.
                0x430..=0x438 | 0x43A..=0x44F => self.letter(c, start, end, each),
                _ if is_plain_unspaced(c) => self.unspaced(Place { c, start, end }, each),
                _ => match spelled(c) {
                    Some(spelling) => spelling.chars().for_each(|c| self.letter(c, start, end, each)),
                    None => decompose_compatible(c, |part| self.part(part, start, end, each)),
                },
            }
        }
        self.flush(each);
    }

    /// One character of a full decomposition.
    fn part(&mut self, c: char, start: usize, end: usize, each: &mut impl FnMut(Token<'_>)) {
        if is_ignored(c) {
            self.extend(end);
        } else if is_diacritic(c) || matches!(c, '\u{3099}' | '\u{309a}') {
            self.mark(c, end);
        } else if is_unspaced(c) && !c.is_numeric() {
            self.unspaced(Place { c, start, end }, each);
        } else if c.is_alphanumeric() {
            match spelled(c) {
                Some(spelling) => spelling.chars().for_each(|c| self.letter(c, start, end, each)),
                None => c.to_lowercase().for_each(|c| match spelled(c) {
                    Some(spelling) => spelling.chars().for_each(|c| self.letter(c, start, end, each)),
                    None if is_diacritic(c) => self.mark(c, end),
                    None => self.letter(c, start, end, each),
                }),
            }
        } else if is_combining_mark(c) {
            if self.word.len > 0 && !self.word.is_emoji {
                self.word.push_or_compose(c);
            }
            self.extend(end);
        } else {
            self.flush(each);
            if is_emoji(c) {
                self.letter(c, start, end, each);
                self.word.is_emoji = true;
            }
        }
    }

    fn letter(&mut self, c: char, start: usize, end: usize, each: &mut impl FnMut(Token<'_>)) {
        self.run.flush(each);
        if self.word.is_emoji {
            self.word.flush(each);
        }
        if self.word.len == 0 {
            self.word.start = start;
        }
        self.word.push(c);
        self.word.end = end;
    }

    /// A mark that is dropped from alphabets where people leave it out, and kept where it makes another letter.
    fn mark(&mut self, mark: char, end: usize) {
        if let Some(last) = &mut self.run.last {
            last.c = compose(last.c, mark).unwrap_or(last.c);
        } else if self.word.last.is_some_and(|last| last >= '\u{400}') {
            self.word.compose(mark);
        }
        self.extend(end);
    }

    fn unspaced(&mut self, place: Place, each: &mut impl FnMut(Token<'_>)) {
        self.word.flush(each);
        if let Some(last) = &mut self.run.last {
            // Hangul written as single jamo.
            if let Some(c) = jamo(place.c).then(|| compose(last.c, place.c)).flatten() {
                *last = Place { c, start: last.start, end: place.end };
                return;
            }
        }
        self.run.pair(each);
        self.run.before = self.run.last.replace(place);
    }

    fn extend(&mut self, end: usize) {
        if let Some(last) = &mut self.run.last {
            last.end = end;
        } else if self.word.len > 0 {
            self.word.end = end;
        }
    }

    fn flush(&mut self, each: &mut impl FnMut(Token<'_>)) {
        self.word.flush(each);
        self.run.flush(each);
    }
}

fn jamo(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11ff}')
}

impl Word {
    fn push(&mut self, c: char) {
        let len = c.len_utf8();
        self.full |= self.len + len > TERM_BYTES_MAX;
        if !self.full {
            c.encode_utf8(&mut self.bytes[self.len..]);
            self.len += len;
            self.last = Some(c);
        }
    }

    /// Joins a mark to the last letter if the two make one; Cyrillic ё is searched as е, as people write it.
    fn compose(&mut self, mark: char) -> bool {
        let Some(last) = self.last.filter(|_| !self.full) else { return self.full };
        let Some(joined) = compose(last, mark) else { return false };
        self.len -= last.len_utf8();
        self.push(match joined {
            'ё' => 'е',
            // Arabic hamza and madda above or below their carrier.
            '\u{622}' | '\u{623}' | '\u{625}' => '\u{627}',
            '\u{624}' => '\u{648}',
            '\u{626}' => '\u{64a}',
            other => other,
        });
        true
    }

    fn push_or_compose(&mut self, mark: char) {
        if !self.compose(mark) {
            self.push(mark);
        }
    }

    fn flush(&mut self, each: &mut impl FnMut(Token<'_>)) {
        if self.len > 0 {
            let term = &self.bytes[..self.len];
            let (start, end) = (self.start, self.end);
            each(Token { term, head: head_of(term), start, middle: end, end, kind: TokenKind::Word });
        }
        self.len = 0;
        self.full = false;
        self.last = None;
        self.is_emoji = false;
    }
}

impl Run {
    /// The pair that is complete now that a further character, or the run's end, has come.
    fn pair(&self, each: &mut impl FnMut(Token<'_>)) {
        let (Some(before), Some(last)) = (self.before, self.last) else { return };
        let mut bytes = [0; 8];
        let len = before.c.encode_utf8(&mut bytes).len();
        let len = len + last.c.encode_utf8(&mut bytes[len..]).len();
        let (term, kind) = (&bytes[..len], TokenKind::Pair);
        each(Token {
            term,
            head: head_of(term),
            start: before.start,
            middle: before.end,
            end: last.end,
            kind,
        });
    }

    fn flush(&mut self, each: &mut impl FnMut(Token<'_>)) {
        self.pair(each);
        if let Some(Place { c, start, end }) = self.last {
            let mut bytes = [0; 4];
            let term = c.encode_utf8(&mut bytes).as_bytes();
            let kind = if self.before.is_some() { TokenKind::Tail } else { TokenKind::Lone };
            each(Token { term, head: head_of(term), start, middle: end, end, kind });
        }
        *self = Self::default();
    }
}
