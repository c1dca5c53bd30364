use crate::Error;
use std::fmt;

/// What of a person a template describes. The number is the byte in `docs/format/template.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TemplateType {
    /// The face.
    Face = 1,
    /// A finger, or several.
    Fingerprint = 2,
    /// The iris of an eye.
    Iris = 3,
    /// The voice.
    Voice = 4,
    /// Anything else: palm, veins, gait.
    Other = 5,
}

impl TemplateType {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Face, Self::Fingerprint, Self::Iris, Self::Voice, Self::Other];

    /// Its name, as [`FromStr`](std::str::FromStr) reads it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Face => "face",
            Self::Fingerprint => "fingerprint",
            Self::Iris => "iris",
            Self::Voice => "voice",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for TemplateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for TemplateType {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|known| known.name() == name).ok_or(Error::TypeName)
    }
}

impl TryFrom<u8> for TemplateType {
    type Error = Error;

    fn try_from(number: u8) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|known| *known as u8 == number).ok_or(Error::TypeNumber(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_one_name_and_one_number() {
        for (number, known) in (1..).zip(TemplateType::ALL) {
            assert_eq!(TemplateType::try_from(number), Ok(known));
            assert_eq!(known.name().parse(), Ok(known));
        }
        assert_eq!(TemplateType::try_from(0), Err(Error::TypeNumber(0)));
        assert_eq!(TemplateType::try_from(6), Err(Error::TypeNumber(6)));
        assert_eq!("Face".parse::<TemplateType>(), Err(Error::TypeName));
    }
}
