//! What a biometric template is, and how two are compared: metadata, three kinds of bodies, their canonical bytes,
//! verification (1:1) and identification (1:N).
//!
//! It does not store anything, does not seal anything, knows no clock, and extracts no features: it takes the vectors
//! and minutiae that an extractor made.
//!
//! ```
//! use terachat_template::{Body, Embedding, Metadata, Probe, Template, TemplateType, Threshold, verify};
//!
//! # fn main() -> Result<(), terachat_template::Error> {
//! let metadata = Metadata::new("employee 4711".parse()?, TemplateType::Face);
//! let enrolled = Template::new(metadata, Body::Vector(Embedding::take(vec![0.6, 0.8])?))?;
//! let probe = Probe::new(TemplateType::Face, Body::Vector(Embedding::take(vec![0.7, 0.7])?))?;
//! assert!(verify(&probe, &enrolled, Threshold::new(0.9)?)?.matched);
//! # Ok(())
//! # }
//! ```
#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "tests cut numbers they made small"))]

mod body;
mod candidate;
mod codec;
mod embedding;
mod error;
mod gallery;
mod id;
mod metadata;
mod minutiae;
mod rounded;
mod rows;
mod scan;
mod shortlist;
mod template;
mod template_type;
mod text;
mod verify;

pub use body::{Body, BodyKind, OPAQUE_LEN_MAX, Opaque};
pub use candidate::{CANDIDATES_MAX, Candidate};
pub use embedding::{DIMENSION_MAX, Embedding};
pub use error::Error;
pub use gallery::Gallery;
pub use id::TemplateId;
pub use metadata::{Consent, LABELS_MAX, Labels, Metadata, Quality};
pub use minutiae::{MINUTIAE_LEN_MAX, Minutia, Minutiae, View};
pub use template::{Probe, Template};
pub use template_type::TemplateType;
pub use text::{CaptureDevice, ConsentReference, LabelKey, LabelValue, Purpose, Subject};
pub use verify::{Comparison, Threshold, verify};
