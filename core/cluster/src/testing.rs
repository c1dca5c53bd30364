//! What tests draw and name.
use std::num::NonZeroU32;
use terachat_event::DeviceKey;
use terachat_shard::NodeId;
use terachat_vault::{Entropy, Secret};

/// SplitMix64: what a test draws, and the randomness of what is under test.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let n = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        n ^ (n >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

impl Entropy for Dice {
    fn fill(&mut self, out: &mut [u8]) {
        out.iter_mut().for_each(|byte| *byte = self.next() as u8);
    }
}

/// A key of its own for each number.
pub(crate) fn key(number: u8) -> DeviceKey {
    DeviceKey::from_seed(&Secret::take(&mut [number; 32]))
}

pub(crate) fn node(number: u32) -> NodeId {
    NodeId(NonZeroU32::new(number).unwrap())
}
