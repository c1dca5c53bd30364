use crate::{BodyKind, TemplateId, TemplateType};

/// Why something is no template, or cannot be compared. No variant changed any state, and none carries biometric
/// data, a subject or another text of the metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The sender's: a text of the metadata is empty where it must not be, or too long.
    #[error("the {what} has {len} bytes; {min} to {max} are allowed")]
    TextLen {
        /// Which text.
        what: &'static str,
        /// Its length in bytes of UTF-8.
        len: usize,
        /// The least.
        min: usize,
        /// The most.
        max: usize,
    },
    /// The sender's: control characters have no place in names; they forge lines of logs.
    #[error("the {what} has a control character in it; remove it")]
    ControlCharacter {
        /// Which text.
        what: &'static str,
    },
    /// The sender's: a quality beyond 100.
    #[error("a quality of {0}; it is 0 (worst) to 100 (best)")]
    Quality(u8),
    /// The sender's: too many labels.
    #[error("more than {max} labels; remove some", max = crate::LABELS_MAX)]
    Labels,
    /// The sender's: no template type has this number.
    #[error("template type {0} is unknown; made by a newer version?")]
    TypeNumber(u8),
    /// The sender's: no template type has this name.
    #[error("this template type is unknown; it is face, fingerprint, iris, voice or other")]
    TypeName,
    /// The sender's: a template id is 32 hexadecimal digits.
    #[error("a template id is 32 hexadecimal digits")]
    Id,
    /// The sender's: a vector without numbers, or with too many.
    #[error("a vector of {0} numbers; 1 to {max} are allowed", max = crate::DIMENSION_MAX)]
    Dimension(usize),
    /// The sender's: NaN or an infinity in a vector.
    #[error("number {at} of the vector, counted from 0, is NaN or infinite; the extractor is at fault")]
    NotFinite {
        /// Its place in the vector, from 0.
        at: usize,
    },
    /// The sender's: a vector of zeros has no direction to compare.
    #[error("the vector is all zeros and has no direction; the extractor found nothing")]
    ZeroVector,
    /// The sender's: an opaque body that is empty or too large.
    #[error("an opaque body of {0} bytes; 1 to {max} are allowed", max = crate::OPAQUE_LEN_MAX)]
    OpaqueLen(usize),
    /// The sender's: not a finger minutiae record of ISO/IEC 19794-2:2005.
    #[error("not a finger minutiae record of ISO/IEC 19794-2:2005: {0}")]
    Minutiae(&'static str),
    /// The sender's: minutiae are of fingers.
    #[error("a template of type {0} cannot hold minutiae; they belong to fingerprints")]
    MinutiaeOf(TemplateType),
    /// The bytes do not follow `docs/format/template.md`.
    #[error("malformed template: {0}; it is damaged, or made by a newer version")]
    Format(&'static str),
    /// The caller's: a threshold that is no cosine.
    #[error("a threshold is a number from -1 to 1")]
    Threshold,
    /// The caller's: how many candidates are asked for.
    #[error("{0} candidates asked for; 1 to {max} are allowed", max = crate::CANDIDATES_MAX)]
    Candidates(usize),
    /// The caller's: a probe of one type against templates of another.
    #[error("a probe of type {probe} cannot be compared with templates of type {template}")]
    TypeMismatch {
        /// The probe's type.
        probe: TemplateType,
        /// The template's or gallery's.
        template: TemplateType,
    },
    /// The caller's: two bodies of different kinds.
    #[error("a probe of kind {probe} cannot be compared with a template of kind {template}")]
    KindMismatch {
        /// The probe's kind.
        probe: BodyKind,
        /// The template's or gallery's.
        template: BodyKind,
    },
    /// The caller's: two vectors of different length.
    #[error("a vector of {probe} numbers cannot be compared with one of {template}; use the same extractor")]
    DimensionMismatch {
        /// The probe's numbers.
        probe: usize,
        /// The template's or gallery's.
        template: usize,
    },
    /// This version cannot compare bodies of this kind; it keeps them only.
    #[error("bodies of kind {0} are kept, not compared; compare them outside")]
    Unsupported(BodyKind),
    /// The gallery holds all that it can number.
    #[error("the gallery is full at {max} templates; split it", max = u32::MAX)]
    GalleryFull,
    /// The caller's: what was fetched under this id is not what was inserted into the gallery.
    #[error("template {0} is not the one that the gallery was given; insert it again")]
    Stale(TemplateId),
}
