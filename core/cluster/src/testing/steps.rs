//! What is done with a store of shards, in any order, wherever it keeps them.
use proptest::prelude::*;

/// One call, or an end and a new beginning. A shard is its stripe, its place and a length.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Put(Vec<(u8, u8, usize)>),
    GiveUp(Vec<(u8, u8)>),
    Compact(u8, u64),
    Scrub(u64),
    Reopen,
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = || (0..6u8, 0..3u8);
    let step = prop_oneof![
        4 => prop::collection::vec((name(), 1..3000usize).prop_map(|((s, i), len)| (s, i, len)), 1..6).prop_map(Step::Put),
        3 => prop::collection::vec(name(), 1..4).prop_map(Step::GiveUp),
        3 => (0..=100u8, 0..6000u64).prop_map(|(percent, budget)| Step::Compact(percent, budget)),
        1 => (1..6000u64).prop_map(Step::Scrub),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..60)
}
