use serde::{Deserialize, Serialize};
use terachat_event::{DeviceId, EventRef};

/// The total order of events: Lamport time, then author, then number.
///
/// It extends the causal order (an event's `lamport` exceeds its parents') and names its event uniquely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// Lamport time.
    pub lamport: u64,
    /// Author.
    pub author: DeviceId,
    /// Number in the author's chain.
    pub seq: u64,
}

impl Stamp {
    /// The event's name.
    pub fn event(&self) -> EventRef {
        EventRef { author: self.author, seq: self.seq }
    }
}
