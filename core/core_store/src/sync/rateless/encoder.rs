use super::mapping::Mapping;
use super::{HeadItem, HeadKey, Symbol};

/// A set of items as symbols without end, given out as they are asked for.
#[derive(Clone)]
pub struct Encoder {
    items: Vec<(Symbol, Mapping)>,
    given: usize,
}

impl Encoder {
    /// Of these items, each once.
    pub fn new(key: &HeadKey, items: impl IntoIterator<Item = HeadItem>) -> Self {
        let of = |item| {
            let hashed = key.hashed(item);
            (Symbol::from(&hashed), Mapping::new(hashed.seed))
        };
        Self { items: items.into_iter().map(of).collect(), given: 0 }
    }

    /// How many symbols were given out.
    pub fn given(&self) -> usize {
        self.given
    }

    /// The next `count` symbols.
    pub fn symbols(&mut self, count: usize) -> Vec<Symbol> {
        let from = self.given;
        let mut symbols = vec![Symbol::default(); count];
        for (item, mapping) in &mut self.items {
            while let Some(at) = mapping.next_before(from + count) {
                symbols[at - from] ^= *item;
            }
        }
        self.given += count;
        symbols
    }
}
