use super::{ChainName, Decoder, Difference, Encoder, HeadItem, HeadKey, RatelessError};
use crate::sync::{ChainHead, Frontier};
use hashbrown::{HashMap, HashSet};
use serde::{Deserialize, Serialize};

/// A frontier under the names of one conversation, as it was when the comparison began.
pub struct HeadSet {
    key: HeadKey,
    frontier: Frontier,
    /// Of each chain of the frontier.
    items: Vec<HeadItem>,
    places: HashMap<ChainName, usize>,
}

/// A chain of which the sender lacks what the receiver has from a number on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lack {
    /// The chain's name in this conversation.
    pub chain: [u8; 6],
    /// Number of the newest event that the sender has of it, 0 for none. The receiver's own newest number says that both stand
    /// there with different events.
    pub seq: u32,
}

impl HeadSet {
    /// Names a frontier's chains.
    ///
    /// # Errors
    /// [`RatelessError::NoSymbols`] when two chains have one name, or a chain has 2^32 events.
    pub fn new(key: HeadKey, frontier: Frontier) -> Result<Self, RatelessError> {
        let mut items = Vec::with_capacity(frontier.chains.len());
        let mut places = HashMap::with_capacity(frontier.chains.len());
        for (at, head) in frontier.chains.iter().enumerate() {
            let name = key.name(&head.device);
            items.push(key.item(name, head).ok_or(RatelessError::NoSymbols)?);
            if places.insert(name, at).is_some() {
                return Err(RatelessError::NoSymbols);
            }
        }
        Ok(Self { key, frontier, items, places })
    }

    /// The frontier.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// To tell it in symbols.
    pub fn encoder(&self) -> Encoder {
        Encoder::new(&self.key, self.items.iter().copied())
    }

    /// To compare it with a peer's symbols, of which it takes at most `max`.
    pub fn decoder(&self, max: u32) -> Decoder {
        Decoder::new(self.key.clone(), &self.items, max)
    }

    /// The head of the chain with this name.
    pub fn head(&self, name: ChainName) -> Option<&ChainHead> {
        self.places.get(&name).map(|at| &self.frontier.chains[*at])
    }

    /// Whether an item is of this very head.
    pub(crate) fn is_of(&self, item: HeadItem, head: &ChainHead) -> bool {
        self.key.item(item.chain(), head) == Some(item)
    }

    /// What this side lacks by a difference, or has otherwise: what to tell the peer.
    ///
    /// # Errors
    /// [`RatelessError::Contradiction`] when the peer claims two heads of one chain.
    pub fn lacks(&self, difference: &Difference) -> Result<Vec<Lack>, RatelessError> {
        let mut seen = HashSet::with_capacity(difference.theirs.len());
        let mut lacks = Vec::new();
        for item in &difference.theirs {
            let name = item.chain();
            if !seen.insert(name) {
                return Err(RatelessError::Contradiction);
            }
            let seq = self.head(name).map_or(0, |head| head.seq);
            if let Ok(seq) = u32::try_from(seq)
                && seq <= item.seq()
            {
                lacks.push(Lack { chain: name.0, seq });
            }
        }
        Ok(lacks)
    }
}
