use crate::{Body, Error, Probe, Template};

/// From which score on two bodies count as of one person: a cosine, -1 to 1. Which one is right depends on the
/// extractor and on how many false matches are bearable; its maker says.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Threshold(f64);

impl Threshold {
    /// A threshold.
    ///
    /// # Errors
    /// [`Error::Threshold`] when it is NaN or beyond -1 to 1.
    pub fn new(score: f64) -> Result<Self, Error> {
        if (-1.0..=1.0).contains(&score) { Ok(Self(score)) } else { Err(Error::Threshold) }
    }

    /// The number.
    pub fn score(self) -> f64 {
        self.0
    }
}

/// The outcome of a comparison of two.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// How alike they are: the cosine of two vectors, -1 to 1, the same bits on every machine.
    pub score: f64,
    /// Whether the score reached the threshold.
    pub matched: bool,
}

/// Compares a probe with one template (1:1).
///
/// # Errors
/// [`Error::TypeMismatch`], [`Error::KindMismatch`], [`Error::DimensionMismatch`]; [`Error::Unsupported`] for
/// minutiae and opaque bodies.
pub fn verify(probe: &Probe, template: &Template, threshold: Threshold) -> Result<Comparison, Error> {
    let types = [probe.template_type(), template.metadata().template_type];
    if types[0] != types[1] {
        return Err(Error::TypeMismatch { probe: types[0], template: types[1] });
    }
    let score = match (probe.body(), template.body()) {
        (Body::Vector(probe), Body::Vector(template)) => {
            let dimensions = [probe.dimension(), template.dimension()];
            if dimensions[0] != dimensions[1] {
                return Err(Error::DimensionMismatch { probe: dimensions[0], template: dimensions[1] });
            }
            probe.cosine(template)
        }
        (probe, template) if probe.kind() == template.kind() => {
            return Err(Error::Unsupported(probe.kind()));
        }
        (probe, template) => {
            return Err(Error::KindMismatch { probe: probe.kind(), template: template.kind() });
        }
    };
    Ok(Comparison { score, matched: score >= threshold.score() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BodyKind, Embedding, Metadata, Minutiae, Opaque, TemplateType};

    fn vector(values: &[f32]) -> Body {
        Body::Vector(Embedding::take(values.to_vec()).unwrap())
    }

    fn minutiae() -> Body {
        Body::Minutiae(Minutiae::take(crate::minutiae::tests::record()).unwrap())
    }

    fn opaque() -> Body {
        Body::Opaque(Opaque::take(vec![1]).unwrap())
    }

    #[track_caller]
    fn case(probe: Body, template: Body, threshold: f64, expected: Result<(f64, bool), Error>) {
        let probe = Probe::new(TemplateType::Fingerprint, probe).unwrap();
        let metadata = Metadata::new("ann".parse().unwrap(), TemplateType::Fingerprint);
        let template = Template::new(metadata, template).unwrap();
        let compared = verify(&probe, &template, Threshold::new(threshold).unwrap());
        assert_eq!(compared.map(|compared| (compared.score, compared.matched)), expected);
    }

    #[test]
    fn vectors_match_from_the_threshold_on() {
        case(vector(&[3.0, 4.0]), vector(&[30.0, 40.0]), 1.0, Ok((1.0, true)));
        case(vector(&[1.0, 0.0]), vector(&[3.0, 4.0]), 0.6, Ok((0.6, true)));
        case(vector(&[1.0, 0.0]), vector(&[3.0, 4.0]), 0.6f64.next_up(), Ok((0.6, false)));
        case(vector(&[1.0, 0.0]), vector(&[-1.0, 0.0]), -1.0, Ok((-1.0, true)));
    }

    #[test]
    fn what_cannot_be_compared_is_told() {
        let kinds = |probe, template| Err(Error::KindMismatch { probe, template });
        case(vector(&[1.0]), opaque(), 0.0, kinds(BodyKind::Vector, BodyKind::Opaque));
        case(minutiae(), vector(&[1.0]), 0.0, kinds(BodyKind::Minutiae, BodyKind::Vector));
        case(minutiae(), minutiae(), 0.0, Err(Error::Unsupported(BodyKind::Minutiae)));
        case(opaque(), opaque(), 0.0, Err(Error::Unsupported(BodyKind::Opaque)));
        let dimensions = Error::DimensionMismatch { probe: 1, template: 2 };
        case(vector(&[1.0]), vector(&[1.0, 2.0]), 0.0, Err(dimensions));
        let probe = Probe::new(TemplateType::Voice, vector(&[1.0])).unwrap();
        let metadata = Metadata::new("ann".parse().unwrap(), TemplateType::Face);
        let template = Template::new(metadata, vector(&[1.0])).unwrap();
        let types = Error::TypeMismatch { probe: TemplateType::Voice, template: TemplateType::Face };
        assert_eq!(verify(&probe, &template, Threshold::new(0.0).unwrap()), Err(types));
    }

    #[test]
    fn a_threshold_is_a_cosine() {
        for score in [f64::NAN, 1.0f64.next_up(), (-1.0f64).next_down(), f64::INFINITY] {
            assert_eq!(Threshold::new(score), Err(Error::Threshold));
        }
        assert!([-1.0, 0.0, 1.0].iter().all(|score| Threshold::new(*score).unwrap().score() == *score));
    }
}
