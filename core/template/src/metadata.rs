use crate::{CaptureDevice, ConsentReference, Error, LabelKey, LabelValue, Purpose, Subject, TemplateType};
use std::collections::BTreeMap;

/// Most labels of one template.
pub const LABELS_MAX: usize = 32;

/// What is known of a template besides the biometric data. Each field is valid by its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Whom it describes.
    pub subject: Subject,
    /// What of the person it describes.
    pub template_type: TemplateType,
    /// How good the sample was.
    pub quality: Option<Quality>,
    /// What captured the sample.
    pub capture_device: Option<CaptureDevice>,
    /// The person's consent.
    pub consent: Option<Consent>,
    /// When it must be gone, in milliseconds since 1970; `None`: it may be kept.
    pub keep_until_ms: Option<u64>,
    /// What else the caller wants to know of it.
    pub labels: Labels,
}

impl Metadata {
    /// The least that is known of a template; the other fields are empty.
    pub fn new(subject: Subject, template_type: TemplateType) -> Self {
        Self {
            subject,
            template_type,
            quality: None,
            capture_device: None,
            consent: None,
            keep_until_ms: None,
            labels: Labels::default(),
        }
    }

    /// Whether the time to keep it is over at `now_ms` (milliseconds since 1970): at `keep_until_ms` it is.
    ///
    /// A clock that was set back is the caller's to notice: a template that expired once has to stay so.
    pub fn expired(&self, now_ms: u64) -> bool {
        self.keep_until_ms.is_some_and(|until| until <= now_ms)
    }
}

/// How good a sample is: 0 (worst) to 100 (best), as in ISO/IEC 29794-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quality(u8);

impl Quality {
    /// The number.
    pub fn value(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Quality {
    type Error = Error;

    fn try_from(value: u8) -> Result<Self, Error> {
        if value <= 100 { Ok(Self(value)) } else { Err(Error::Quality(value)) }
    }
}

/// That the person agreed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// When, in milliseconds since 1970.
    pub given_at_ms: u64,
    /// To what.
    pub purpose: Purpose,
    /// Where the consent itself is kept.
    pub reference: ConsentReference,
}

/// Names and values of the caller's, at most [`LABELS_MAX`], in the order of the names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(BTreeMap<LabelKey, LabelValue>);

impl Labels {
    /// Sets one label; gives back the value that it had.
    ///
    /// # Errors
    /// [`Error::Labels`] when there are [`LABELS_MAX`] already; nothing changed.
    pub fn insert(&mut self, key: LabelKey, value: LabelValue) -> Result<Option<LabelValue>, Error> {
        if self.0.len() >= LABELS_MAX && !self.0.contains_key(&key) {
            return Err(Error::Labels);
        }
        Ok(self.0.insert(key, value))
    }

    /// Takes one label away.
    pub fn remove(&mut self, key: &LabelKey) -> Option<LabelValue> {
        self.0.remove(key)
    }

    /// The value of one label.
    pub fn get(&self, key: &LabelKey) -> Option<&LabelValue> {
        self.0.get(key)
    }

    /// All labels, in the order of their names' bytes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&LabelKey, &LabelValue)> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_ends_at_its_moment() {
        let mut metadata = Metadata::new("ann".parse().unwrap(), TemplateType::Face);
        assert!(!metadata.expired(u64::MAX));
        metadata.keep_until_ms = Some(1000);
        assert_eq!([999, 1000, 1001].map(|now| metadata.expired(now)), [false, true, true]);
    }

    #[test]
    fn quality_ends_at_100() {
        assert_eq!(Quality::try_from(100).map(Quality::value), Ok(100));
        assert_eq!(Quality::try_from(101), Err(Error::Quality(101)));
    }

    #[test]
    fn labels_are_bounded_and_replaceable() {
        let mut labels = Labels::default();
        let key = |n: usize| format!("key {n:02}").parse::<LabelKey>().unwrap();
        let value = |text: &str| text.parse::<LabelValue>().unwrap();
        for n in 0..LABELS_MAX {
            assert_eq!(labels.insert(key(n), value("a")), Ok(None));
        }
        assert_eq!(labels.insert(key(LABELS_MAX), value("a")), Err(Error::Labels));
        assert_eq!(labels.insert(key(3), value("b")), Ok(Some(value("a"))));
        assert_eq!(labels.get(&key(3)), Some(&value("b")));
        assert_eq!(labels.remove(&key(0)), Some(value("a")));
        assert_eq!(labels.insert(key(LABELS_MAX), value("a")), Ok(None));
        assert_eq!(labels.len(), LABELS_MAX);
        assert!(labels.iter().is_sorted());
    }
}
