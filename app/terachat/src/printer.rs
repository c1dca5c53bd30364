use crate::failure::{Failure, Result};
use crate::render::{self, Look, Paint};
use std::io::{self, IsTerminal, Write};
use terachat_client::api::Answer;

/// The one place that writes: data to stdout, talk to stderr.
#[derive(Debug, Clone)]
pub(crate) struct Printer {
    json: bool,
    quiet: bool,
    look: Look,
    talk_paint: Paint,
    /// Stdout is a screen that can be written anew.
    is_screen: bool,
}

impl Printer {
    /// Colours are used on a terminal only, and not where `NO_COLOR` is set (<https://no-color.org>).
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && !is_dumb;
        let paint = |terminal: bool| if wanted && terminal { Paint::Ansi } else { Paint::Never };
        let look = Look { paint: paint(io::stdout().is_terminal()), zone: jiff::tz::TimeZone::system() };
        let is_screen = !json && !is_dumb && io::stdout().is_terminal();
        Self { json, quiet, look, talk_paint: paint(io::stderr().is_terminal()), is_screen }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    pub(crate) fn look(&self) -> &Look {
        &self.look
    }

    /// Data, as it is.
    pub(crate) fn data(&self, text: &str) -> Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| Failure::output(&error))
    }

    /// Data in the place of what was there before, on a screen; otherwise behind it, as it is.
    pub(crate) fn frame(&self, text: &str, is_first: bool) -> Result<()> {
        match self.is_screen {
            true => self.data(&redrawn(text, is_first)),
            false => self.data(text),
        }
    }

    /// An answer in the form that was asked for, with a word on the next step for people.
    pub(crate) fn answer(&self, answer: &Answer) -> Result<()> {
        if self.json {
            return self.data(&render::json(answer));
        }
        self.data(&render::answer(answer, &self.look))?;
        if let Some(hint) = render::hint(answer) {
            self.talk(&hint);
        }
        Ok(())
    }

    /// A line of talk, unless none is wanted.
    pub(crate) fn talk(&self, text: &str) {
        if !self.quiet && !self.json {
            self.warn(text);
        }
    }

    /// A line of talk that is worth interrupting quiet for.
    pub(crate) fn warn(&self, text: &str) {
        // Nobody is left to tell when stderr is closed.
        let _ = writeln!(io::stderr(), "{}", self.talk_paint.dim(&render::one_line(text)));
    }

    /// The two lines of a failure.
    pub(crate) fn failure(&self, what: &str, next: &str) {
        let text = if self.json {
            render::failure_json(what, next)
        } else {
            render::failure(what, next, self.talk_paint)
        };
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

/// Lines over those of the frame before (ECMA-48: cursor to the first place, each line and all below the last erased behind what is written),
/// so that nothing flickers. The first one clears the screen.
fn redrawn(text: &str, is_first: bool) -> String {
    let begin = if is_first { "\x1b[2J\x1b[H" } else { "\x1b[H" };
    format!("{begin}{}\x1b[J", text.replace('\n', "\x1b[K\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a screen of so many lines shows after these bytes, which know no other sequences than those above.
    fn screen(bytes: &str, lines: usize) -> Vec<String> {
        let (mut shown, mut at) = (vec![String::new(); lines], (0, 0));
        let mut rest = bytes;
        while let Some(next) = rest.chars().next() {
            if let Some(behind) = rest.strip_prefix("\x1b[") {
                let end = behind.find(|letter: char| letter.is_ascii_alphabetic()).unwrap();
                match &behind[..=end] {
                    "2J" => shown.iter_mut().for_each(String::clear),
                    "H" => at = (0, 0),
                    "K" => shown[at.0].truncate(at.1),
                    "J" => {
                        shown[at.0].truncate(at.1);
                        shown[at.0 + 1..].iter_mut().for_each(String::clear);
                    }
                    other => panic!("{other}"),
                }
                rest = &behind[end + 1..];
                continue;
            }
            rest = &rest[next.len_utf8()..];
            if next == '\n' {
                at = (at.0 + 1, 0);
                continue;
            }
            let line = &mut shown[at.0];
            line.replace_range(at.1..(at.1 + 1).min(line.len()), &next.to_string());
            at.1 += 1;
        }
        shown
    }

    #[test]
    fn a_frame_leaves_nothing_of_the_one_before() {
        let frames = [redrawn("seven nodes\nall is whole\nthird\n", true), redrawn("six\nhalf\n", false)];
        assert_eq!(
            screen(&("prompt\n".to_owned() + &frames[0]), 5),
            ["seven nodes", "all is whole", "third", "", ""]
        );
        assert_eq!(screen(&frames.concat(), 5), ["six", "half", "", "", ""]);
    }
}
