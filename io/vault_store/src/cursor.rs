use crate::Error;

/// Where a page of a list ended: opaque, authenticated, bound to its vault, collection and caller's filter.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cursor(pub(crate) [u8; 32]);

impl std::fmt::Display for Cursor {
    /// 64 hexadecimal digits.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cursor")
    }
}

impl std::str::FromStr for Cursor {
    type Err = Error;

    /// Reads what `Display` wrote. Whether it is genuine is seen when it is used.
    fn from_str(text: &str) -> Result<Self, Error> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(Error::Cursor);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit =
                |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok()).ok_or(Error::Cursor);
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(bytes))
    }
}
