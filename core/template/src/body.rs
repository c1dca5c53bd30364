use crate::{Embedding, Error, Minutiae};
use std::fmt;
use zeroize::ZeroizeOnDrop;

/// Most bytes of an opaque body.
pub const OPAQUE_LEN_MAX: usize = 1 << 20;

/// The biometric data itself.
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub enum Body {
    /// A feature vector, compared by its direction.
    Vector(Embedding),
    /// A finger minutiae record.
    Minutiae(Minutiae),
    /// What only the maker's own software understands: kept, not compared.
    Opaque(Opaque),
}

impl Body {
    /// Which of them it is.
    pub fn kind(&self) -> BodyKind {
        match self {
            Self::Vector(_) => BodyKind::Vector,
            Self::Minutiae(_) => BodyKind::Minutiae,
            Self::Opaque(_) => BodyKind::Opaque,
        }
    }
}

/// The kinds of bodies. The number is the byte in `docs/format/template.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum BodyKind {
    /// A feature vector.
    Vector = 1,
    /// A finger minutiae record.
    Minutiae = 2,
    /// Bytes.
    Opaque = 3,
}

impl fmt::Display for BodyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vector => "vector",
            Self::Minutiae => "minutiae",
            Self::Opaque => "opaque",
        })
    }
}

/// 1 to [`OPAQUE_LEN_MAX`] bytes without a meaning here. Wiped on drop, without `Clone`; `Debug` shows the length only.
#[derive(PartialEq, ZeroizeOnDrop)]
pub struct Opaque(Vec<u8>);

impl Opaque {
    /// Takes the bytes over without copying them. What is refused is wiped too.
    ///
    /// # Errors
    /// [`Error::OpaqueLen`].
    pub fn take(bytes: Vec<u8>) -> Result<Self, Error> {
        let body = Self(bytes);
        match body.0.len() {
            1..=OPAQUE_LEN_MAX => Ok(body),
            len => Err(Error::OpaqueLen(len)),
        }
    }

    /// The bytes. Never log, format or store what this gives unsealed.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opaque({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opaque_bodies_are_neither_empty_nor_huge() {
        assert_eq!(Opaque::take(vec![]), Err(Error::OpaqueLen(0)));
        assert_eq!(Opaque::take(vec![0; OPAQUE_LEN_MAX + 1]), Err(Error::OpaqueLen(OPAQUE_LEN_MAX + 1)));
        assert!(Opaque::take(vec![0; OPAQUE_LEN_MAX]).is_ok());
    }

    #[test]
    fn debug_shows_no_byte() {
        let body = Body::Opaque(Opaque::take(b"secret".to_vec()).unwrap());
        assert_eq!(format!("{body:?}"), "Opaque(Opaque(6 bytes))");
    }
}
