use super::{Base64, Millis};
use crate::problem::{Kind, Problem};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use terachat_template as template;
use terachat_template::{CANDIDATES_MAX, Embedding, Labels, Minutiae, Opaque, Threshold};
use zeroize::Zeroize;

/// A biometric template.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Template {
    metadata: Metadata,
    body: Body,
}

/// What is known of a template besides the biometric data.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metadata {
    /// Whom it describes, in the words of whoever enrolled the person: 1 to 256 bytes of UTF-8.
    #[schema(
        min_length = 1,
        max_length = 256,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$",
        examples("employee 4711")
    )]
    subject: String,
    #[serde(rename = "type")]
    template_type: TemplateType,
    /// How good the sample was: 0 (worst) to 100 (best), as in ISO/IEC 29794-1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 100, examples(87))]
    quality: Option<u8>,
    /// What captured the sample: 1 to 256 bytes of UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(
        min_length = 1,
        max_length = 256,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$",
        examples("Acme F7, serial 0042")
    )]
    capture_device: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    consent: Option<Consent>,
    /// When it must be gone, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keep_until_ms: Option<Millis>,
    /// What else the caller wants to know of it: at most 32 names of 1 to 64 bytes, values of at most 256 bytes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(examples(json!({"site": "north gate"})))]
    labels: BTreeMap<String, String>,
}

/// That the person agreed.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Consent {
    /// When, in milliseconds since 1970.
    given_at_ms: Millis,
    /// To what: 1 to 256 bytes of UTF-8.
    #[schema(
        min_length = 1,
        max_length = 256,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$",
        examples("opening the north gate")
    )]
    purpose: String,
    /// Where the consent itself is kept: 1 to 256 bytes of UTF-8.
    #[schema(
        min_length = 1,
        max_length = 256,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$",
        examples("file 2026/117")
    )]
    reference: String,
}

/// What of a person a template describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TemplateType {
    Face,
    Fingerprint,
    Iris,
    Voice,
    Other,
}

/// The biometric data: a feature vector, a finger minutiae record of ISO/IEC 19794-2:2005, or bytes that are kept and not
/// compared.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Body {
    /// A feature vector, compared by its direction.
    Vector(Numbers),
    /// A finger minutiae record, at most 64 KiB.
    Minutiae(Base64),
    /// What only the maker's own software understands, at most 1 MiB.
    Opaque(Base64),
}

/// 1 to 4,096 numbers. Wiped on drop.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(min_items = 1, max_items = 4096, examples(json!([0.6, -0.8])))]
pub(crate) struct Numbers(Vec<f32>);

impl Drop for Numbers {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Body {
    fn take(self) -> Result<template::Body, Problem> {
        let body = match self {
            Self::Vector(mut numbers) => {
                Embedding::take(std::mem::take(&mut numbers.0)).map(template::Body::Vector)
            }
            Self::Minutiae(record) => Minutiae::take(record.take()).map(template::Body::Minutiae),
            Self::Opaque(bytes) => Opaque::take(bytes.take()).map(template::Body::Opaque),
        };
        body.map_err(refused)
    }

    fn of(body: &template::Body) -> Result<Self, Problem> {
        match body {
            template::Body::Vector(vector) => Ok(Self::Vector(Numbers(vector.values().to_vec()))),
            template::Body::Minutiae(minutiae) => Ok(Self::Minutiae(Base64::new(minutiae.record()))),
            template::Body::Opaque(opaque) => Ok(Self::Opaque(Base64::new(opaque.bytes()))),
            _ => Err(Problem::new(Kind::Internal, "this kind of template has no JSON form yet")),
        }
    }
}

impl TemplateType {
    pub(crate) fn take(self) -> template::TemplateType {
        match self {
            Self::Face => template::TemplateType::Face,
            Self::Fingerprint => template::TemplateType::Fingerprint,
            Self::Iris => template::TemplateType::Iris,
            Self::Voice => template::TemplateType::Voice,
            Self::Other => template::TemplateType::Other,
        }
    }

    fn of(known: template::TemplateType) -> Self {
        match known {
            template::TemplateType::Face => Self::Face,
            template::TemplateType::Fingerprint => Self::Fingerprint,
            template::TemplateType::Iris => Self::Iris,
            template::TemplateType::Voice => Self::Voice,
            template::TemplateType::Other => Self::Other,
        }
    }
}

impl Metadata {
    fn take(self) -> Result<template::Metadata, template::Error> {
        let mut labels = Labels::default();
        for (key, value) in self.labels {
            labels.insert(key.try_into()?, value.try_into()?)?;
        }
        let consent = |consent: Consent| {
            Ok::<_, template::Error>(template::Consent {
                given_at_ms: consent.given_at_ms.0,
                purpose: consent.purpose.try_into()?,
                reference: consent.reference.try_into()?,
            })
        };
        Ok(template::Metadata {
            subject: self.subject.try_into()?,
            template_type: self.template_type.take(),
            quality: self.quality.map(TryInto::try_into).transpose()?,
            capture_device: self.capture_device.map(TryInto::try_into).transpose()?,
            consent: self.consent.map(consent).transpose()?,
            keep_until_ms: self.keep_until_ms.map(|ms| ms.0),
            labels,
        })
    }

    pub(crate) fn of(metadata: &template::Metadata) -> Self {
        let text = |key: &template::LabelKey, value: &template::LabelValue| {
            (key.as_str().to_owned(), value.as_str().to_owned())
        };
        Self {
            subject: metadata.subject.as_str().to_owned(),
            template_type: TemplateType::of(metadata.template_type),
            quality: metadata.quality.map(template::Quality::value),
            capture_device: metadata.capture_device.as_ref().map(|device| device.as_str().to_owned()),
            consent: metadata.consent.as_ref().map(|consent| Consent {
                given_at_ms: Millis(consent.given_at_ms),
                purpose: consent.purpose.as_str().to_owned(),
                reference: consent.reference.as_str().to_owned(),
            }),
            keep_until_ms: metadata.keep_until_ms.map(Millis),
            labels: metadata.labels.iter().map(|(key, value)| text(key, value)).collect(),
        }
    }
}

impl Template {
    pub(crate) fn take(self) -> Result<template::Template, Problem> {
        let metadata = self.metadata.take().map_err(refused)?;
        template::Template::new(metadata, self.body.take()?).map_err(refused)
    }

    pub(crate) fn of(known: &template::Template) -> Result<Self, Problem> {
        Ok(Self { metadata: Metadata::of(known.metadata()), body: Body::of(known.body())? })
    }
}

/// What is compared with templates. It is never stored.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Probe {
    #[serde(rename = "type")]
    template_type: TemplateType,
    body: Body,
}

impl Probe {
    pub(crate) fn take(self) -> Result<template::Probe, Problem> {
        template::Probe::new(self.template_type.take(), self.body.take()?).map_err(refused)
    }
}

/// One probe and one template.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyRequest {
    probe: Probe,
    /// From which score on the two count as of one person: a cosine, -1 to 1.
    #[schema(minimum = -1, maximum = 1, examples(0.62))]
    threshold: f64,
}

impl VerifyRequest {
    pub(crate) fn take(self) -> Result<(template::Probe, Threshold), Problem> {
        Ok((self.probe.take()?, Threshold::new(self.threshold).map_err(refused)?))
    }
}

/// How alike the two are.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Verified {
    /// The cosine, -1 to 1.
    #[schema(examples(0.81))]
    pub(crate) score: f64,
    /// Whether the score reached the threshold.
    pub(crate) matched: bool,
}

/// One probe and all templates of its type in the collection.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IdentifyRequest {
    probe: Probe,
    /// From which score on a template counts: a cosine, -1 to 1.
    #[schema(minimum = -1, maximum = 1, examples(0.62))]
    threshold: f64,
    /// Most templates to name.
    #[serde(default = "ten")]
    #[schema(minimum = 1, maximum = 1024, default = 10)]
    count: u32,
}

fn ten() -> u32 {
    10
}

impl IdentifyRequest {
    pub(crate) fn take(self) -> Result<(template::Probe, Threshold, usize), Problem> {
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        if !(1..=CANDIDATES_MAX).contains(&count) {
            return Err(refused(template::Error::Candidates(count)));
        }
        Ok((self.probe.take()?, Threshold::new(self.threshold).map_err(refused)?, count))
    }
}

/// The templates that are most like the probe, best first.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Identified {
    pub(crate) matches: Vec<MatchView>,
}

/// One template that is like the probe.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct MatchView {
    #[schema(examples("ann-1"))]
    id: String,
    version: u64,
    /// The cosine, -1 to 1.
    #[schema(examples(0.81))]
    score: f64,
}

impl From<terachat_vault_store::Match> for MatchView {
    fn from(found: terachat_vault_store::Match) -> Self {
        Self { id: found.id, version: found.version, score: found.score }
    }
}

fn refused(error: template::Error) -> Problem {
    Problem::from_text(Kind::Invalid, &error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_survive_json_bit_by_bit(bits in prop::collection::vec(any::<u32>(), 1..50)) {
            let values: Vec<f32> = bits.into_iter().map(f32::from_bits).filter(|value| value.is_finite()).collect();
            let json = serde_json::to_string(&Numbers(values.clone())).unwrap();
            let back: Numbers = serde_json::from_str(&json).unwrap();
            prop_assert!(values.iter().zip(&back.0).all(|(a, b)| a.to_bits() == b.to_bits()));
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        #[track_caller]
        fn case(body: &str) {
            let body = serde_json::from_str::<Body>(body)
                .map_err(|_| ())
                .and_then(|body| body.take().map_err(|_| ()));
            assert!(body.is_err());
        }
        case(r#"{"vector":[NaN]}"#);
        case(r#"{"vector":[1e39]}"#);
        case(r#"{"vector":[1e999]}"#);
        case(r#"{"vector":[]}"#);
        case(r#"{"vector":[0,0]}"#);
        case(r#"{"minutiae":"AAAA"}"#);
        case(r#"{"opaque":""}"#);
    }
}
