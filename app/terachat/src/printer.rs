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
}

impl Printer {
    /// Colours are used on a terminal only, and not where `NO_COLOR` is set (<https://no-color.org>).
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let paint = |terminal: bool| if wanted && terminal { Paint::Ansi } else { Paint::Never };
        let look = Look { paint: paint(io::stdout().is_terminal()), zone: jiff::tz::TimeZone::system() };
        Self { json, quiet, look, talk_paint: paint(io::stderr().is_terminal()) }
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
