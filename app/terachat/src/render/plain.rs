use std::fmt::Write as _;

/// Text from other people, made safe for a terminal: control characters become visible pictures, so that no message
/// can move the cursor, rename the window or rewrite what stands above it; invisible direction marks become their code.
/// Line breaks stay.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.replace("\r\n", "\n").chars() {
        match c {
            '\n' => out.push('\n'),
            '\t' => out.push_str("    "),
            c => push_safe(&mut out, c),
        }
    }
    out
}

/// As [`plain`], and on a single line: for names and other short texts.
pub(crate) fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| push_safe(&mut out, c));
    out
}

/// JSON leaves C1 controls and direction marks as they are; a terminal may obey them. In JSON they can only stand
/// inside strings, where an escape means the same.
pub(crate) fn json_line(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_unsafe(c) && c != '\n' {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

fn push_safe(out: &mut String, c: char) {
    match c {
        '\0'..='\x1f' => out.extend(char::from_u32(0x2400 + u32::from(c))),
        '\x7f' => out.push('\u{2421}'),
        c if is_unsafe(c) => {
            let _ = write!(out, "<U+{:04X}>", u32::from(c));
        }
        c => out.push(c),
    }
}

/// C0, C1, DEL, line separators, and marks that change the direction of what follows.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_become_pictures() {
        assert_eq!(plain("a\x1b[2Jb\x07\x7f"), "a\u{241b}[2Jb\u{2407}\u{2421}");
        assert_eq!(plain("one\r\ntwo\tthree"), "one\ntwo    three");
        assert_eq!(plain("\u{9b}31m\u{202e}evil"), "<U+009B>31m<U+202E>evil");
        assert_eq!(one_line("a\nb"), "a\u{240a}b");
    }

    #[test]
    fn other_languages_stay_as_they_are() {
        let text = "Grüße, 你好, مرحبا, नमस्ते 👩‍👩‍👧";
        assert_eq!(plain(text), text);
    }

    proptest! {
        #[test]
        fn nothing_a_terminal_obeys_comes_through(text in any::<String>()) {
            prop_assert!(!plain(&text).chars().any(|c| is_unsafe(c) && c != '\n'));
            prop_assert!(!one_line(&text).chars().any(is_unsafe));
        }

        #[test]
        fn json_means_the_same_after_escaping(text in any::<String>()) {
            let json = json_line(&serde_json::to_string(&text).unwrap());
            prop_assert!(!json.chars().any(is_unsafe));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
