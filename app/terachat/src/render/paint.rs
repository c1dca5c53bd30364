/// Whether text is painted. Everything must read as well without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    /// With ANSI colours.
    Ansi,
    /// As plain text.
    Never,
}

/// Hues that can be read on dark and on light ground.
const HUES: [u8; 6] = [32, 33, 34, 35, 36, 31];

impl Paint {
    fn wrap(self, code: &str, text: &str) -> String {
        match self {
            Self::Ansi if !text.is_empty() => format!("\x1b[{code}m{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }

    /// For what stands back: times, ids.
    pub(crate) fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// For headings and names of things.
    pub(crate) fn strong(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// For alarms.
    pub(crate) fn alarm(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    /// For what holds.
    pub(crate) fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// For what was searched.
    pub(crate) fn mark(self, text: &str) -> String {
        self.wrap("1;33", text)
    }

    /// A name, always in the same hue.
    pub(crate) fn name(self, text: &str, key: &str) -> String {
        let sum = key.bytes().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        self.wrap(&HUES[sum % HUES.len()].to_string(), text)
    }
}
