use super::{Paint, json_line, one_line};

/// The two lines of a failure.
pub(crate) fn failure(what: &str, next: &str, paint: Paint) -> String {
    let what = one_line(what);
    let next = one_line(next);
    format!("{} {what}\n{} {next}\n", paint.alarm("error:"), paint.strong(" next:"))
}

/// The same for programs.
pub(crate) fn failure_json(what: &str, next: &str) -> String {
    json_line(&serde_json::json!({ "error": what, "next": next }).to_string()) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_lines_whatever_the_text_holds() {
        let text = failure("no\nsuch", "look\x1b[0m", Paint::Never);
        assert_eq!(text, "error: no\u{240a}such\n next: look\u{241b}[0m\n");
    }
}
