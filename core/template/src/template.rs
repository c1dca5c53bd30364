use crate::{Body, Error, Metadata, TemplateType};

/// A biometric template: metadata and body.
///
/// Canonical bytes: `docs/format/template.md`, [`Template::encode`] and [`Template::decode`].
#[derive(Debug, PartialEq)]
pub struct Template {
    metadata: Metadata,
    body: Body,
}

impl Template {
    /// Puts both together.
    ///
    /// # Errors
    /// [`Error::MinutiaeOf`] when the body is minutiae and the type no fingerprint.
    pub fn new(metadata: Metadata, body: Body) -> Result<Self, Error> {
        fits(metadata.template_type, &body)?;
        Ok(Self { metadata, body })
    }

    /// What is known of it besides the biometric data.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The biometric data.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// Both, to change the metadata and put them together again.
    pub fn into_parts(self) -> (Metadata, Body) {
        (self.metadata, self.body)
    }
}

/// What is compared with templates: a body and what of a person it describes. It is never stored.
#[derive(Debug, PartialEq)]
pub struct Probe {
    template_type: TemplateType,
    body: Body,
}

impl Probe {
    /// Puts both together.
    ///
    /// # Errors
    /// As [`Template::new`].
    pub fn new(template_type: TemplateType, body: Body) -> Result<Self, Error> {
        fits(template_type, &body)?;
        Ok(Self { template_type, body })
    }

    /// What of a person it describes.
    pub fn template_type(&self) -> TemplateType {
        self.template_type
    }

    /// The biometric data.
    pub fn body(&self) -> &Body {
        &self.body
    }
}

fn fits(template_type: TemplateType, body: &Body) -> Result<(), Error> {
    match (body, template_type) {
        (Body::Minutiae(_), TemplateType::Fingerprint) => Ok(()),
        (Body::Minutiae(_), other) => Err(Error::MinutiaeOf(other)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Embedding, Minutiae, Opaque};

    fn bodies() -> [Body; 3] {
        let record = crate::minutiae::tests::record();
        [
            Body::Vector(Embedding::take(vec![0.125; 3]).unwrap()),
            Body::Minutiae(Minutiae::take(record).unwrap()),
            Body::Opaque(Opaque::take(vec![77; 5]).unwrap()),
        ]
    }

    #[test]
    fn minutiae_are_of_fingers() {
        for template_type in TemplateType::ALL {
            for body in bodies() {
                let refused =
                    body.kind() == crate::BodyKind::Minutiae && template_type != TemplateType::Fingerprint;
                let expected = if refused { Err(Error::MinutiaeOf(template_type)) } else { Ok(()) };
                assert_eq!(fits(template_type, &body), expected);
                let metadata = Metadata::new("ann".parse().unwrap(), template_type);
                match expected {
                    Ok(()) => assert!(Probe::new(template_type, body).is_ok()),
                    Err(error) => assert_eq!(Template::new(metadata, body), Err(error)),
                }
            }
        }
    }

    #[test]
    fn debug_shows_neither_a_person_nor_biometric_data() {
        let shown: Vec<String> = bodies()
            .into_iter()
            .flat_map(|body| {
                let metadata = Metadata::new("Ann Example".parse().unwrap(), TemplateType::Fingerprint);
                let template = Template::new(metadata, body).unwrap();
                let template_shown = format!("{template:?}");
                let probe = Probe::new(TemplateType::Fingerprint, template.into_parts().1).unwrap();
                [template_shown, format!("{probe:?}")]
            })
            .collect();
        for shown in &shown {
            for hidden in ["Ann", "0.125", "77", "299"] {
                assert!(!shown.contains(hidden), "{shown}");
            }
        }
        assert!(
            shown[0].contains("Embedding(3 numbers)") && shown[0].contains("Fingerprint"),
            "{}",
            shown[0]
        );
    }

    /// What holds biometric data wipes itself and has no `Clone`.
    #[test]
    fn bodies_are_wiped_and_not_cloned() {
        fn wiped<T: zeroize::ZeroizeOnDrop>() {}
        wiped::<Embedding>();
        wiped::<Minutiae>();
        wiped::<Opaque>();
        wiped::<crate::rows::Chunk>();
        wiped::<crate::scan::ProbeLines>();
        // Inherent constants win over the trait's blanket ones, so this compiles to `false` only while the type lacks
        // the trait.
        trait Not {
            const HAS: bool = false;
        }
        impl<T> Not for T {}
        struct Cloned<T>(std::marker::PhantomData<T>);
        #[allow(dead_code)]
        impl<T: Clone> Cloned<T> {
            const HAS: bool = true;
        }
        const { assert!(Cloned::<Metadata>::HAS, "the trait is seen where it exists") };
        const { assert!(!Cloned::<Template>::HAS && !Cloned::<Probe>::HAS && !Cloned::<Body>::HAS) };
    }
}
