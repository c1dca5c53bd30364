use super::mapping::Mapping;
use super::{Encoder, HeadItem, HeadKey, RatelessError, Symbol};
use hashbrown::HashSet;

/// How often each symbol may be looked at on average. Honest symbols stay below 25: an item is in 2 ln(n / 2) of n.
const LOOKS_PER_SYMBOL: usize = 64;

/// Takes in a peer's symbols and finds which items only one side has.
pub struct Decoder {
    key: HeadKey,
    own: HashSet<HeadItem>,
    encoder: Encoder,
    /// The peer's symbols, without one's own and without what was found.
    cells: Vec<Symbol>,
    found: Vec<(HeadItem, Symbol, Mapping)>,
    seen: HashSet<HeadItem>,
    looks: usize,
    max: usize,
}

/// What only one side has, ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Items of this device.
    pub ours: Vec<HeadItem>,
    /// Items of the peer, as it says.
    pub theirs: Vec<HeadItem>,
}

impl Decoder {
    /// Over one's own items, each once. Takes at most `max` symbols.
    pub fn new(key: HeadKey, own: &[HeadItem], max: u32) -> Self {
        Self {
            encoder: Encoder::new(&key, own.iter().copied()),
            own: own.iter().copied().collect(),
            key,
            cells: Vec::new(),
            found: Vec::new(),
            seen: HashSet::new(),
            looks: 0,
            max: max as usize,
        }
    }

    /// How many symbols it took in.
    pub fn taken(&self) -> usize {
        self.cells.len()
    }

    /// Takes in the peer's next symbols. Gives the difference when they suffice; otherwise more are needed. Its work is bounded by
    /// the number of symbols.
    ///
    /// # Errors
    /// [`RatelessError::TooMany`], [`RatelessError::Contradiction`]: it is of no more use.
    pub fn take(&mut self, symbols: &[Symbol]) -> Result<Option<Difference>, RatelessError> {
        let from = self.cells.len();
        if symbols.len() > self.max - from {
            return Err(RatelessError::TooMany);
        }
        self.cells.extend_from_slice(symbols);
        let end = self.cells.len();
        for (cell, own) in self.cells[from..].iter_mut().zip(self.encoder.symbols(symbols.len())) {
            *cell ^= own;
        }
        for (_, symbol, mapping) in &mut self.found {
            while let Some(at) = mapping.next_before(end) {
                self.cells[at] ^= *symbol;
            }
        }
        self.peel((from..end).collect())?;
        Ok(self.cells.iter().all(Symbol::is_empty).then(|| self.difference()))
    }

    fn peel(&mut self, mut look: Vec<usize>) -> Result<(), RatelessError> {
        let end = self.cells.len();
        while let Some(at) = look.pop() {
            self.looks += 1;
            if self.looks > LOOKS_PER_SYMBOL * end {
                return Err(RatelessError::Contradiction);
            }
            let item = self.cells[at].item();
            // Of nothing, or of a number that no head has.
            if item.seq() == 0 {
                continue;
            }
            let hashed = self.key.hashed(item);
            if !self.cells[at].is_of(&hashed) {
                continue;
            }
            // Each item that is found empties a symbol for good, unless they are no symbols of a set.
            if !self.seen.insert(item) || self.found.len() == end {
                return Err(RatelessError::Contradiction);
            }
            let symbol = Symbol::from(&hashed);
            let mut mapping = Mapping::new(hashed.seed);
            while let Some(at) = mapping.next_before(end) {
                self.cells[at] ^= symbol;
                look.push(at);
            }
            self.found.push((item, symbol, mapping));
        }
        Ok(())
    }

    fn difference(&self) -> Difference {
        let (mut ours, mut theirs): (Vec<_>, Vec<_>) =
            self.found.iter().map(|(item, ..)| *item).partition(|item| self.own.contains(item));
        ours.sort_unstable();
        theirs.sort_unstable();
        Difference { ours, theirs }
    }
}
