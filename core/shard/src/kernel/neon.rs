//! Registers of AArch64: byte shuffles look products up by half bytes.
//!
//! The unsafe code is of two kinds: instructions that a value of the register's kind allows, and loads and stores
//! through pointers, each right behind a check of its bounds.
#![allow(unsafe_code, reason = "instructions and pointers; each use says why it holds")]
use super::lanes::{self, Job, Lanes};
use crate::field::Nibbles;
use std::arch::aarch64::*;

/// Proof of NEON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Neon(());

impl Neon {
    pub(super) fn detect() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
    }

    pub(super) fn run(self, tables: &[Nibbles], job: Job<'_, '_, '_>) {
        #[target_feature(enable = "neon")]
        fn compiled(lanes: Neon, tables: &[Nibbles], job: Job<'_, '_, '_>) {
            lanes::run(lanes, tables, job);
        }
        // SAFETY: `self` exists, so `detect` has seen the feature that the function is compiled for.
        unsafe { compiled(self, tables, job) }
    }
}

impl Lanes for Neon {
    const STEP: usize = 32;
    const ALIGN: usize = 0;
    const ROWS_MAX: usize = 8;
    type Block = [uint8x16_t; 2];
    /// Low and high halves of each byte.
    type Split = [(uint8x16_t, uint8x16_t); 2];
    type Table = Nibbles;

    #[inline(always)]
    fn zero(self) -> Self::Block {
        // SAFETY: `self` is proof of NEON.
        unsafe { [vdupq_n_u8(0); 2] }
    }

    #[inline(always)]
    fn load(self, from: &[u8], at: usize) -> Self::Block {
        let from = from[at..][..32].as_ptr();
        // SAFETY: the slice has 32 bytes; the load needs no alignment; `self` is proof of NEON.
        unsafe { [vld1q_u8(from), vld1q_u8(from.add(16))] }
    }

    #[inline(always)]
    fn store(self, [a, b]: Self::Block, to: &mut [u8], at: usize) {
        let to = to[at..][..32].as_mut_ptr();
        // SAFETY: the slice has 32 bytes, borrowed to be written; the store needs no alignment; `self` is proof of NEON.
        unsafe {
            vst1q_u8(to, a);
            vst1q_u8(to.add(16), b);
        }
    }

    #[inline(always)]
    fn stream(self, block: Self::Block, to: &mut [u8], at: usize) {
        self.store(block, to, at);
    }

    #[inline(always)]
    fn fence(self) {}

    #[inline(always)]
    fn split(self, block: Self::Block) -> Self::Split {
        // SAFETY: `self` is proof of NEON.
        unsafe {
            let ([a, b], mask) = (block, vdupq_n_u8(15));
            [(vandq_u8(a, mask), vshrq_n_u8::<4>(a)), (vandq_u8(b, mask), vshrq_n_u8::<4>(b))]
        }
    }

    #[inline(always)]
    fn add_product(self, sum: Self::Block, split: Self::Split, table: &Nibbles) -> Self::Block {
        // SAFETY: `self` is proof of NEON; the loads are of 16 bytes of arrays of as many.
        unsafe {
            let (low, high) = (vld1q_u8(table.low.as_ptr()), vld1q_u8(table.high.as_ptr()));
            let [(a_low, a_high), (b_low, b_high)] = split;
            [
                veorq_u8(sum[0], veorq_u8(vqtbl1q_u8(low, a_low), vqtbl1q_u8(high, a_high))),
                veorq_u8(sum[1], veorq_u8(vqtbl1q_u8(low, b_low), vqtbl1q_u8(high, b_high))),
            ]
        }
    }
}
