use crate::TemplateId;
use std::cmp::Ordering;

/// Most candidates that one search gives.
pub const CANDIDATES_MAX: usize = 1024;

/// A template that may be of the probe's person. Ordered as they are listed: the best score first, then by id.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// The template.
    pub id: TemplateId,
    /// How alike it is to the probe, as [`verify`](crate::verify) would say: the same bits.
    pub score: f64,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.id.cmp(&other.id))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_score_comes_first_and_equals_stand_by_id() {
        let candidate = |id, score| Candidate { id: TemplateId([id; 16]), score };
        let mut list = [candidate(3, 0.5), candidate(2, -0.5), candidate(1, 0.5), candidate(9, 0.75)];
        list.sort();
        assert_eq!(list.map(|candidate| candidate.id.0[0]), [9, 1, 3, 2]);
    }
}
