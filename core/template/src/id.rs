use crate::Error;
use std::fmt;

/// Names a template: 16 bytes, drawn at random by whoever stores it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TemplateId(pub [u8; 16]);

impl fmt::Display for TemplateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TemplateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TemplateId({self})")
    }
}

impl std::str::FromStr for TemplateId {
    type Err = Error;

    /// Reads 32 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, Error> {
        let digits = text.as_bytes();
        if digits.len() != 32 {
            return Err(Error::Id);
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit =
                |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok()).ok_or(Error::Id);
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str) {
        assert_eq!(text.parse::<TemplateId>(), Err(Error::Id), "{text}");
    }

    #[test]
    fn ids_read_what_they_print_and_nothing_else() {
        let id = TemplateId(std::array::from_fn(|i| i as u8 * 17));
        assert_eq!(id.to_string(), "00112233445566778899aabbccddeeff");
        assert_eq!(id.to_string().parse(), Ok(id));
        refused("");
        refused(&id.to_string()[1..]);
        refused(&format!("{id}0"));
        refused(&id.to_string().replace('0', "g"));
        refused(&"é".repeat(16));
    }
}
