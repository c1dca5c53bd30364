use super::NAME;
use crate::measure::{Spread, Took};
use crate::report::Figure;

/// What one peer took.
pub(super) struct Peer {
    pub(super) name: &'static str,
    /// Bytes of the sender's one update.
    pub(super) update_len: usize,
    pub(super) apply: Vec<Took>,
    pub(super) save: Vec<Took>,
    pub(super) saved_len: usize,
}

impl Peer {
    /// Messages a second of CPU time, taken in and saved.
    pub(super) fn rate(&self, count: f64) -> f64 {
        self.both().rate(count).median
    }

    fn both(&self) -> Spread {
        Spread::of(self.apply.iter().zip(&self.save).map(|(apply, save)| apply.cpu + save.cpu))
    }

    pub(super) fn figures(&self, count: f64) -> Vec<Figure> {
        let apply = Spread::of(self.apply.iter().map(|took| took.cpu));
        let figure = |what: &str, spread: Spread| {
            Figure::new(NAME, format!("{}: {what}", self.name), "events/s", spread.rate(count))
        };
        vec![
            figure("apply and save in memory, unsigned, by CPU time", self.both()),
            figure("apply alone", apply),
            Figure::once(NAME, format!("{}: saved", self.name), "bytes", self.saved_len as f64),
        ]
    }
}
