use std::fmt;
use std::io;

/// Why a command did not do what was asked: always a pair, what went wrong and what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Two lines for a person.
    Told {
        /// What went wrong.
        what: String,
        /// The next step.
        next: String,
    },
    /// Whoever read our output has closed it. Nothing is wrong, nothing more is said.
    Pipe,
    /// The answer itself said what is wrong (an audit's alarm); only the exit code is left to give.
    Shown,
}

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure from its two lines.
    pub(crate) fn new(what: impl fmt::Display, next: impl fmt::Display) -> Self {
        Self::Told { what: what.to_string(), next: next.to_string() }
    }

    /// From the text of a library's error, which by the house's rule ends in "; what to do".
    pub(crate) fn from_text(error: impl fmt::Display) -> Self {
        let text = error.to_string();
        match text.rsplit_once("; ") {
            Some((what, next)) => Self::new(what, next),
            None if text.starts_with("not allowed") => {
                Self::new(text, "`terachat status` shows the ranks; ask a member of higher rank to do it")
            }
            None => Self::new(text, "`terachat status` shows where things stand"),
        }
    }

    /// A file operation that failed, with what to do about the usual reasons.
    pub(crate) fn file(doing: &str, path: &std::path::Path, error: &io::Error) -> Self {
        let next = match error.kind() {
            io::ErrorKind::NotFound => "check the path",
            io::ErrorKind::PermissionDenied => "check the owner and the permissions",
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space, then try again",
            io::ErrorKind::AlreadyExists => "choose another path",
            _ => "check the path and the disk, then try again",
        };
        Self::new(format_args!("cannot {doing} {}: {error}", path.display()), next)
    }

    /// A write to our own output that failed.
    pub(crate) fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Pipe,
            _ => Self::new(format_args!("cannot write the output: {error}"), "check where it is sent to"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_house_error_is_cut_into_its_pair() {
        let failure =
            Failure::from_text("cannot append to \"log\": the disk is full; free some space, then try again");
        let Failure::Told { what, next } = failure else { panic!("told") };
        assert_eq!(what, "cannot append to \"log\": the disk is full");
        assert_eq!(next, "free some space, then try again");
    }

    #[test]
    fn every_failure_has_a_next_step() {
        let Failure::Told { next, .. } = Failure::from_text("odd") else { panic!("told") };
        assert!(!next.is_empty());
        let Failure::Told { next, .. } =
            Failure::from_text("not allowed: the space would be left without an owner")
        else {
            panic!("told")
        };
        assert!(next.contains("higher rank"));
    }

    #[test]
    fn a_closed_pipe_is_no_failure_to_speak_of() {
        assert_eq!(Failure::output(&io::Error::from(io::ErrorKind::BrokenPipe)), Failure::Pipe);
    }
}
