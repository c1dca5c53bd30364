//! Registers of WebAssembly's simd128: byte shuffles look products up by half bytes.
//!
//! A module is compiled for them or not: there is nothing to detect. The unsafe code is loads and stores through
//! pointers, each right behind a check of its bounds.
#![allow(unsafe_code, reason = "pointers; each use says why it holds")]
use super::lanes::{self, Job, Lanes};
use crate::field::Nibbles;
use std::arch::wasm32::*;

/// Needs a module that is compiled with simd128.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Simd128;

impl Simd128 {
    pub(super) fn run(self, tables: &[Nibbles], job: Job<'_, '_, '_>) {
        lanes::run(self, tables, job);
    }
}

#[inline(always)]
fn table(bytes: &[u8; 16]) -> v128 {
    // SAFETY: the load is of 16 bytes of an array of as many and needs no alignment.
    unsafe { v128_load(bytes.as_ptr().cast()) }
}

impl Lanes for Simd128 {
    const STEP: usize = 32;
    const ALIGN: usize = 0;
    const ROWS_MAX: usize = 4;
    type Block = [v128; 2];
    /// Low and high halves of each byte.
    type Split = [(v128, v128); 2];
    type Table = Nibbles;

    #[inline(always)]
    fn zero(self) -> Self::Block {
        [u8x16_splat(0); 2]
    }

    #[inline(always)]
    fn load(self, from: &[u8], at: usize) -> Self::Block {
        let from = from[at..][..32].as_ptr().cast::<v128>();
        // SAFETY: the slice has 32 bytes; the load needs no alignment.
        unsafe { [v128_load(from), v128_load(from.add(1))] }
    }

    #[inline(always)]
    fn store(self, [a, b]: Self::Block, to: &mut [u8], at: usize) {
        let to = to[at..][..32].as_mut_ptr().cast::<v128>();
        // SAFETY: the slice has 32 bytes, borrowed to be written; the store needs no alignment.
        unsafe {
            v128_store(to, a);
            v128_store(to.add(1), b);
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
        block.map(|bytes| (v128_and(bytes, u8x16_splat(15)), u8x16_shr(bytes, 4)))
    }

    #[inline(always)]
    fn add_product(self, sum: Self::Block, split: Self::Split, nibbles: &Nibbles) -> Self::Block {
        let (low, high) = (table(&nibbles.low), table(&nibbles.high));
        let [a, b] = sum;
        let [(a_low, a_high), (b_low, b_high)] = split;
        [
            v128_xor(a, v128_xor(i8x16_swizzle(low, a_low), i8x16_swizzle(high, a_high))),
            v128_xor(b, v128_xor(i8x16_swizzle(low, b_low), i8x16_swizzle(high, b_high))),
        ]
    }
}
