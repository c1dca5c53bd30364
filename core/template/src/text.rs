//! The texts of the metadata: bounded UTF-8 without control characters. Their `Debug` shows a length, because they name
//! people, and a log is no place for that.
use crate::Error;
use std::fmt;

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $what:literal, $min:literal, $max:literal) => {
        $(#[$doc])*
        #[doc = concat!("\n\n", $min, " to ", $max, " bytes of UTF-8, no control characters.")]
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self, Error> {
                check(&text, $what, $min, $max)?;
                Ok(Self(text))
            }
        }

        impl std::str::FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                check(text, $what, $min, $max)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({} bytes)"), self.0.len())
            }
        }
    };
}

text!(
    /// Whom a template describes, in the words of whoever enrolled the person: a personnel number, an account.
    Subject, "subject", 1, 256
);
text!(
    /// What captured the sample: maker, model, serial number.
    CaptureDevice, "capture device", 1, 256
);
text!(
    /// What the person agreed to.
    Purpose, "consent's purpose", 1, 256
);
text!(
    /// Where the consent itself is kept: a file number, a link.
    ConsentReference, "consent's reference", 1, 256
);
text!(
    /// A label's name.
    LabelKey, "label's key", 1, 64
);
text!(
    /// A label's value.
    LabelValue, "label's value", 0, 256
);

fn check(text: &str, what: &'static str, min: usize, max: usize) -> Result<(), Error> {
    if !(min..=max).contains(&text.len()) {
        return Err(Error::TextLen { what, len: text.len(), min, max });
    }
    if text.chars().any(char::is_control) {
        return Err(Error::ControlCharacter { what });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(text: &str, expected: Result<(), Error>) {
        assert_eq!(text.parse::<Subject>().map(|_| ()), expected);
        assert_eq!(Subject::try_from(text.to_owned()).map(|_| ()), expected);
    }

    #[test]
    fn texts_are_bounded_and_printable() {
        let len = |len| Err(Error::TextLen { what: "subject", len, min: 1, max: 256 });
        case("ann", Ok(()));
        case(&"a".repeat(256), Ok(()));
        case(&"é".repeat(128), Ok(()));
        case(&"é".repeat(129), len(258));
        case("", len(0));
        case("a\nb", Err(Error::ControlCharacter { what: "subject" }));
        case("a\u{9b}b", Err(Error::ControlCharacter { what: "subject" }));
        assert!("".parse::<LabelValue>().is_ok());
    }

    #[test]
    fn debug_names_nobody() {
        let subject: Subject = "ann".parse().unwrap();
        assert_eq!(format!("{subject:?}"), "Subject(3 bytes)");
        assert_eq!(subject.as_str(), "ann");
    }
}
