/// Text as HTML.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

/// Text with words in backticks as code.
pub(super) fn prose(text: &str) -> String {
    let parts = escape(text);
    let mut out = String::with_capacity(parts.len());
    for (n, part) in parts.split('`').enumerate() {
        if n % 2 == 0 {
            out.push_str(part);
        } else {
            out.extend(["<code>", part, "</code>"]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_in_a_text_becomes_markup() {
        assert_eq!(super::prose("a `<b>` & \"c\""), "a <code>&lt;b&gt;</code> &amp; &quot;c&quot;");
    }
}
