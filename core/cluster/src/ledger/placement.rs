//! Where shards are to stand, as a digest: what the cluster's history says of it, signed, and what a node compares with its own.
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use terachat_shard::{NodeId, StripeRecord};

const ELEMENT: &str = "terachat 2026-11 cluster placement stripe";
const DIGEST: &str = "terachat 2026-11 cluster placement";
const LANES: usize = 1024;
/// Changes that are remembered: as many as a busy cluster makes while a deed is brought before all, or all nodes are asked for an audit.
pub const PLACEMENT_MARKS_MAX: usize = 1024;
const MARKS: usize = PLACEMENT_MARKS_MAX;

/// Where all shards of all stripes were to stand after an entry of the ledger: equal on all nodes that applied it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacementMark {
    /// An entry that changed it.
    pub entry: u64,
    /// Of the records of all stripes that there were then, with the holder of each shard.
    pub digest: [u8; 32],
}

/// What a node last said of the placement, in a deed of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacementClaim {
    /// Which.
    pub by: NodeId,
    /// When, in milliseconds since 1970 by its clock.
    pub at_ms: u64,
    /// What.
    pub mark: PlacementMark,
}

/// What a node makes of another's word on the placement. Never a part of the state, which is the same on all nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was so.
    Agrees,
    /// It was not: the memory or the ledger of one of the two is not sound.
    Differs,
    /// That is too long ago, or nothing changed with that entry.
    Unknown,
}

/// The records of all stripes, as a hash of a set that takes and gives up elements one by one: LtHash with 1,024 lanes of 16 bits
/// (Lewi, Kim, Maykov, Weis: Securing Update Propagation with Homomorphic Hashing, 2019), and what it came to lately.
///
/// It costs 2 KiB and, for each change, BLAKE3 of a record and of the lanes.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Placement {
    lanes: Box<[u16; LANES]>,
    /// The oldest first, by their entries.
    marks: VecDeque<PlacementMark>,
    /// Whether something was added or taken out since the last mark.
    changed: bool,
}

impl Default for Placement {
    fn default() -> Self {
        Self { lanes: Box::new([0; LANES]), marks: VecDeque::new(), changed: false }
    }
}

impl std::fmt::Debug for Placement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Placement").field(&self.marks.back()).finish_non_exhaustive()
    }
}

impl Placement {
    /// Of no stripe yet, with what it came to before; `None` of marks that do not follow each other or are too many.
    pub(super) fn with_marks(marks: Vec<PlacementMark>) -> Option<Self> {
        let follow = marks.is_sorted_by(|one, next| one.entry < next.entry) && marks.len() <= MARKS;
        follow.then(|| Self { marks: marks.into(), ..Self::default() })
    }

    /// Takes it as it is now for what was last remembered. False if it is another.
    pub(super) fn settle(&mut self) -> bool {
        self.changed = false;
        self.last() == self.digest()
    }

    /// A stripe stands so now.
    pub(super) fn add(&mut self, record: &StripeRecord) {
        self.change(record, u16::wrapping_add);
    }

    /// A stripe does not stand so any more.
    pub(super) fn take_out(&mut self, record: &StripeRecord) {
        self.change(record, u16::wrapping_sub);
    }

    /// Remembers what it comes to after an entry that changed it.
    pub(super) fn mark(&mut self, entry: u64) {
        if !std::mem::take(&mut self.changed) {
            return;
        }
        let digest = self.digest();
        if digest == self.last() {
            return;
        }
        if self.marks.len() == MARKS {
            self.marks.pop_front();
        }
        self.marks.push_back(PlacementMark { entry, digest });
    }

    /// What is remembered, the oldest first.
    pub(super) fn marks(&self) -> &VecDeque<PlacementMark> {
        &self.marks
    }

    /// What it came to after this entry, if that changed it and is remembered.
    pub(super) fn at(&self, entry: u64) -> Option<PlacementMark> {
        let at = self.marks.binary_search_by_key(&entry, |mark| mark.entry).ok()?;
        self.marks.get(at).copied()
    }

    /// Whether it was so.
    pub(super) fn judge(&self, said: &PlacementMark) -> Verdict {
        match self.at(said.entry) {
            Some(known) if known == *said => Verdict::Agrees,
            Some(_) => Verdict::Differs,
            None => Verdict::Unknown,
        }
    }

    /// What was last remembered.
    fn last(&self) -> [u8; 32] {
        self.marks.back().map_or_else(|| Self::default().digest(), |last| last.digest)
    }

    fn change(&mut self, record: &StripeRecord, change: fn(u16, u16) -> u16) {
        self.changed = true;
        let mut hasher = blake3::Hasher::new_derive_key(ELEMENT);
        let mut bytes = [0; 2 * LANES];
        hasher.update(&record.encode()).finalize_xof().fill(&mut bytes);
        let (pairs, _) = bytes.as_chunks();
        for (lane, pair) in self.lanes.iter_mut().zip(pairs) {
            *lane = change(*lane, u16::from_le_bytes(*pair));
        }
    }

    fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key(DIGEST);
        let mut bytes = [0; 2 * LANES];
        let (pairs, _) = bytes.as_chunks_mut();
        for (pair, lane) in pairs.iter_mut().zip(self.lanes.iter()) {
            *pair = lane.to_le_bytes();
        }
        *hasher.update(&bytes).finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::node;
    use terachat_shard::{Profile, ShardHash, StripeId};

    fn record(id: u8, first: u32) -> StripeRecord {
        let counts = Profile::new(4).unwrap().counts();
        let shards = (first..first + 4).map(|number| (ShardHash([id; 32]), Some(node(number)))).collect();
        StripeRecord::new(StripeId([id; 16]), counts, 100, shards).unwrap()
    }

    fn of(records: &[&StripeRecord]) -> Placement {
        let mut placement = Placement::default();
        records.iter().for_each(|record| placement.add(record));
        placement
    }

    #[test]
    fn it_is_of_what_there_is_and_not_of_how_it_came_to_be() {
        let (one, two, moved) = (record(1, 1), record(2, 1), record(1, 2));
        let mut placement = of(&[&one, &two]);
        let digest = |records: &[&StripeRecord]| of(records).digest();
        assert_eq!(placement.digest(), digest(&[&two, &one]));
        assert_ne!(placement.digest(), digest(&[&moved, &two]), "another holder");
        assert_ne!(digest(&[&one, &one]), digest(&[]), "twice is not never");
        placement.take_out(&one);
        placement.add(&moved);
        assert_eq!(placement.digest(), digest(&[&moved, &two]));
        placement.take_out(&two);
        placement.take_out(&moved);
        assert_eq!(placement.digest(), digest(&[]));
    }

    #[test]
    fn what_it_came_to_is_remembered_for_a_while() {
        let mut placement = Placement::default();
        let one = record(7, 1);
        placement.mark(1);
        placement.add(&one);
        placement.mark(2);
        placement.take_out(&one);
        placement.add(&one);
        placement.mark(3);
        assert_eq!((placement.at(1), placement.at(3), placement.marks().len()), (None, None, 1));
        let first = placement.at(2);
        for id in 0..=255 {
            placement.add(&record(id, 1));
            placement.mark(10 + u64::from(id));
        }
        assert_eq!((placement.at(2), first.is_some()), (first, true));
        assert_ne!(placement.at(10).unwrap().digest, placement.at(11).unwrap().digest);
        for entry in 0..MARKS as u64 {
            placement.add(&record(1, 2));
            placement.mark(1000 + entry);
        }
        assert_eq!((placement.at(2), placement.at(10)), (None, None));
        assert_eq!((placement.marks().len(), placement.marks()[0].entry), (MARKS, 1000));
    }

    /// The example of `docs/format/cluster-ledger.md`.
    #[test]
    fn the_digest_is_as_the_page_says() {
        let hex = |placement: &Placement| -> String {
            placement.digest().iter().map(|byte| format!("{byte:02x}")).collect()
        };
        assert_eq!(hex(&of(&[])), "c0ad246d9c4f543fcf69e52c98aed8fe2841d43f3535a3d3cfc5dfa30d948564");
        assert_eq!(
            hex(&of(&[&record(1, 1)])),
            "13729adc8572e3f62360077ef4340af3c9c6673095e78439f56da75daf8be0c1"
        );
    }
}
