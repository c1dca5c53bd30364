//! Registers of x86-64: byte shuffles (SSSE3, AVX2) look products up by half bytes, GFNI multiplies matrices of bits.
//!
//! The unsafe code is of two kinds: instructions that not every processor has, which a value of the register's kind
//! allows, and loads and stores through pointers, each right behind a check of its bounds.
#![allow(unsafe_code, reason = "instructions and pointers; each use says why it holds")]
use super::lanes::{self, Job, Lanes};
use crate::field::Nibbles;
use std::arch::x86_64::*;

// No closure may hold an instruction: it would be compiled for no more than every processor has, and be called for each
// register, ten times slower than what it does.

/// Declares a kind of registers: a proof that the processor has them, and the loop compiled for them.
macro_rules! registers {
    ($(#[$doc:meta])* $name:ident, $table:ty, $features:literal, $($feature:tt)+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) struct $name(());

        impl $name {
            pub(super) fn detect() -> Option<Self> {
                ($($feature)+).then_some(Self(()))
            }

            pub(super) fn run(self, tables: &[$table], job: Job<'_, '_, '_>) {
                #[target_feature(enable = $features)]
                fn compiled(lanes: $name, tables: &[$table], job: Job<'_, '_, '_>) {
                    lanes::run(lanes, tables, job);
                }
                // SAFETY: `self` exists, so `detect` has seen every feature that the function is compiled for.
                unsafe { compiled(self, tables, job) }
            }
        }
    };
}

registers!(
    /// Proof of SSSE3.
    Ssse3,
    Nibbles,
    "ssse3",
    is_x86_feature_detected!("ssse3")
);
registers!(
    /// Proof of AVX2.
    Avx2,
    Nibbles,
    "avx2",
    is_x86_feature_detected!("avx2")
);
registers!(
    /// Proof of GFNI with registers of 32 bytes.
    Gfni256,
    u64,
    "gfni,avx2",
    is_x86_feature_detected!("gfni") && is_x86_feature_detected!("avx2")
);
registers!(
    /// Proof of GFNI with registers of 64 bytes.
    Gfni512,
    u64,
    "gfni,avx512f,avx512bw",
    is_x86_feature_detected!("gfni") && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
);

/// How far ahead of what is multiplied its bytes are asked for: several shards are read at once, and the processor's own
/// foresight begins anew in each of their pages.
const AHEAD: usize = 1024;

/// Asks for the cache line that lies [`AHEAD`] of here. There need not be any.
#[inline(always)]
fn ask_ahead(from: *const u8) {
    // SAFETY: every x86-64 has SSE; asking for a line reads nothing, whatever is there.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(AHEAD).cast()) }
}

/// The address of `len` bytes from `at`. Panics if there are not as many.
#[inline(always)]
fn from(bytes: &[u8], at: usize, len: usize) -> *const u8 {
    bytes[at..][..len].as_ptr()
}

/// The address of `len` bytes from `at`, to be written. Panics if there are not as many.
#[inline(always)]
fn into(bytes: &mut [u8], at: usize, len: usize) -> *mut u8 {
    bytes[at..][..len].as_mut_ptr()
}

/// As `into`, and panics if the address is no multiple of `align`.
#[inline(always)]
fn aligned(bytes: &mut [u8], at: usize, len: usize, align: usize) -> *mut u8 {
    let to = into(bytes, at, len);
    assert!(to.addr().is_multiple_of(align), "streamed blocks are aligned");
    to
}

impl Lanes for Ssse3 {
    const STEP: usize = 32;
    const ALIGN: usize = 64;
    const ROWS_MAX: usize = 4;
    type Block = [__m128i; 2];
    /// Low and high halves of each byte.
    type Split = [(__m128i, __m128i); 2];
    type Table = Nibbles;

    #[inline(always)]
    fn zero(self) -> Self::Block {
        // SAFETY: every x86-64 has SSE2.
        unsafe { [_mm_setzero_si128(); 2] }
    }

    #[inline(always)]
    fn load(self, bytes: &[u8], at: usize) -> Self::Block {
        let from = from(bytes, at, 32).cast::<__m128i>();
        // SAFETY: `from` has seen 32 bytes there; the load needs no alignment; every x86-64 has SSE2.
        unsafe { [_mm_loadu_si128(from), _mm_loadu_si128(from.add(1))] }
    }

    #[inline(always)]
    fn store(self, [a, b]: Self::Block, to: &mut [u8], at: usize) {
        let to = into(to, at, 32).cast::<__m128i>();
        // SAFETY: `into` has seen 32 bytes there, borrowed to be written; the store needs no alignment; SSE2 as above.
        unsafe {
            _mm_storeu_si128(to, a);
            _mm_storeu_si128(to.add(1), b);
        }
    }

    #[inline(always)]
    fn stream(self, [a, b]: Self::Block, to: &mut [u8], at: usize) {
        let to = aligned(to, at, 32, 16).cast::<__m128i>();
        // SAFETY: as `store`, and `aligned` has seen the alignment. `fence` follows before anybody else reads.
        unsafe {
            _mm_stream_si128(to, a);
            _mm_stream_si128(to.add(1), b);
        }
    }

    #[inline(always)]
    fn fence(self) {
        // SAFETY: every x86-64 has SSE.
        unsafe { _mm_sfence() }
    }

    #[inline(always)]
    fn split(self, block: Self::Block) -> Self::Split {
        // SAFETY: every x86-64 has SSE2.
        unsafe {
            let mask = _mm_set1_epi8(15);
            let [a, b] = block;
            [
                (_mm_and_si128(a, mask), _mm_and_si128(_mm_srli_epi64::<4>(a), mask)),
                (_mm_and_si128(b, mask), _mm_and_si128(_mm_srli_epi64::<4>(b), mask)),
            ]
        }
    }

    #[inline(always)]
    fn add_product(self, [a, b]: Self::Block, split: Self::Split, table: &Nibbles) -> Self::Block {
        let [(a_low, a_high), (b_low, b_high)] = split;
        // SAFETY: `self` is proof of SSSE3; the loads are of 16 bytes of arrays of as many.
        unsafe {
            let low = _mm_loadu_si128(table.low.as_ptr().cast());
            let high = _mm_loadu_si128(table.high.as_ptr().cast());
            [
                _mm_xor_si128(a, _mm_xor_si128(_mm_shuffle_epi8(low, a_low), _mm_shuffle_epi8(high, a_high))),
                _mm_xor_si128(b, _mm_xor_si128(_mm_shuffle_epi8(low, b_low), _mm_shuffle_epi8(high, b_high))),
            ]
        }
    }
}

/// Two registers of 32 bytes, which AVX2 and GFNI share.
#[derive(Clone, Copy)]
struct Ymm;

impl Ymm {
    /// # Safety
    /// The processor has AVX.
    #[inline(always)]
    unsafe fn load(bytes: &[u8], at: usize) -> [__m256i; 2] {
        let from = from(bytes, at, 64).cast::<__m256i>();
        // SAFETY: `from` has seen 64 bytes there; the load needs no alignment.
        unsafe { [_mm256_loadu_si256(from), _mm256_loadu_si256(from.add(1))] }
    }

    /// # Safety
    /// The processor has AVX.
    #[inline(always)]
    unsafe fn store([a, b]: [__m256i; 2], to: &mut [u8], at: usize) {
        let to = into(to, at, 64).cast::<__m256i>();
        // SAFETY: `into` has seen 64 bytes there, borrowed to be written; the store needs no alignment.
        unsafe {
            _mm256_storeu_si256(to, a);
            _mm256_storeu_si256(to.add(1), b);
        }
    }

    /// # Safety
    /// The processor has AVX, and a fence follows before anybody else reads.
    #[inline(always)]
    unsafe fn stream([a, b]: [__m256i; 2], to: &mut [u8], at: usize) {
        let to = aligned(to, at, 64, 32).cast::<__m256i>();
        // SAFETY: as `store`, and `aligned` has seen the alignment.
        unsafe {
            _mm256_stream_si256(to, a);
            _mm256_stream_si256(to.add(1), b);
        }
    }
}

impl Lanes for Avx2 {
    const STEP: usize = 64;
    const ALIGN: usize = 64;
    const ROWS_MAX: usize = 4;
    type Block = [__m256i; 2];
    /// Low and high halves of each byte.
    type Split = [(__m256i, __m256i); 2];
    type Table = Nibbles;

    #[inline(always)]
    fn zero(self) -> Self::Block {
        // SAFETY: `self` is proof of AVX2.
        unsafe { [_mm256_setzero_si256(); 2] }
    }

    #[inline(always)]
    fn load(self, from: &[u8], at: usize) -> Self::Block {
        // SAFETY: `self` is proof of AVX2.
        unsafe { Ymm::load(from, at) }
    }

    #[inline(always)]
    fn store(self, block: Self::Block, to: &mut [u8], at: usize) {
        // SAFETY: `self` is proof of AVX2.
        unsafe { Ymm::store(block, to, at) }
    }

    #[inline(always)]
    fn stream(self, block: Self::Block, to: &mut [u8], at: usize) {
        // SAFETY: `self` is proof of AVX2; `fence` is called at the end.
        unsafe { Ymm::stream(block, to, at) }
    }

    #[inline(always)]
    fn fence(self) {
        // SAFETY: every x86-64 has SSE.
        unsafe { _mm_sfence() }
    }

    #[inline(always)]
    fn split(self, block: Self::Block) -> Self::Split {
        // SAFETY: `self` is proof of AVX2.
        unsafe {
            let mask = _mm256_set1_epi8(15);
            let [a, b] = block;
            [
                (_mm256_and_si256(a, mask), _mm256_and_si256(_mm256_srli_epi64::<4>(a), mask)),
                (_mm256_and_si256(b, mask), _mm256_and_si256(_mm256_srli_epi64::<4>(b), mask)),
            ]
        }
    }

    #[inline(always)]
    fn add_product(self, [a, b]: Self::Block, split: Self::Split, table: &Nibbles) -> Self::Block {
        let [(a_low, a_high), (b_low, b_high)] = split;
        // SAFETY: `self` is proof of AVX2; the loads are of 16 bytes of arrays of as many.
        unsafe {
            let low = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.low.as_ptr().cast()));
            let high = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.high.as_ptr().cast()));
            let a_product =
                _mm256_xor_si256(_mm256_shuffle_epi8(low, a_low), _mm256_shuffle_epi8(high, a_high));
            let b_product =
                _mm256_xor_si256(_mm256_shuffle_epi8(low, b_low), _mm256_shuffle_epi8(high, b_high));
            [_mm256_xor_si256(a, a_product), _mm256_xor_si256(b, b_product)]
        }
    }
}

impl Lanes for Gfni256 {
    const STEP: usize = 64;
    const ALIGN: usize = 64;
    const ROWS_MAX: usize = 6;
    type Block = [__m256i; 2];
    type Split = [__m256i; 2];
    type Table = u64;

    #[inline(always)]
    fn zero(self) -> Self::Block {
        // SAFETY: `self` is proof of AVX2.
        unsafe { [_mm256_setzero_si256(); 2] }
    }

    #[inline(always)]
    fn load(self, from: &[u8], at: usize) -> Self::Block {
        // SAFETY: `self` is proof of AVX2.
        unsafe { Ymm::load(from, at) }
    }

    #[inline(always)]
    fn store(self, block: Self::Block, to: &mut [u8], at: usize) {
        // SAFETY: `self` is proof of AVX2.
        unsafe { Ymm::store(block, to, at) }
    }

    #[inline(always)]
    fn stream(self, block: Self::Block, to: &mut [u8], at: usize) {
        // SAFETY: `self` is proof of AVX2; `fence` is called at the end.
        unsafe { Ymm::stream(block, to, at) }
    }

    #[inline(always)]
    fn fence(self) {
        // SAFETY: every x86-64 has SSE.
        unsafe { _mm_sfence() }
    }

    #[inline(always)]
    fn split(self, block: Self::Block) -> Self::Split {
        block
    }

    #[inline(always)]
    fn add_product(self, sum: Self::Block, block: Self::Split, table: &u64) -> Self::Block {
        // SAFETY: `self` is proof of GFNI and AVX2.
        unsafe {
            let matrix = _mm256_set1_epi64x(table.cast_signed());
            [
                _mm256_xor_si256(sum[0], _mm256_gf2p8affine_epi64_epi8::<0>(block[0], matrix)),
                _mm256_xor_si256(sum[1], _mm256_gf2p8affine_epi64_epi8::<0>(block[1], matrix)),
            ]
        }
    }
}

impl Lanes for Gfni512 {
    const STEP: usize = 128;
    const ALIGN: usize = 64;
    const ROWS_MAX: usize = 8;
    type Block = [__m512i; 2];
    type Split = [__m512i; 2];
    type Table = u64;

    #[inline(always)]
    fn zero(self) -> Self::Block {
        // SAFETY: `self` is proof of AVX-512 F.
        unsafe { [_mm512_setzero_si512(); 2] }
    }

    #[inline(always)]
    fn load(self, bytes: &[u8], at: usize) -> Self::Block {
        let from = from(bytes, at, 128).cast::<__m512i>();
        // SAFETY: `from` has seen 128 bytes there; the load needs no alignment; `self` is proof of AVX-512 F.
        unsafe {
            ask_ahead(from.cast());
            ask_ahead(from.add(1).cast());
            [_mm512_loadu_si512(from), _mm512_loadu_si512(from.add(1))]
        }
    }

    #[inline(always)]
    fn store(self, [a, b]: Self::Block, to: &mut [u8], at: usize) {
        let to = into(to, at, 128).cast::<__m512i>();
        // SAFETY: `into` has seen 128 bytes there, borrowed to be written; the store needs no alignment; `self` is
        // proof of AVX-512 F.
        unsafe {
            _mm512_storeu_si512(to, a);
            _mm512_storeu_si512(to.add(1), b);
        }
    }

    #[inline(always)]
    fn stream(self, [a, b]: Self::Block, to: &mut [u8], at: usize) {
        let to = aligned(to, at, 128, 64).cast::<__m512i>();
        // SAFETY: as `store`, and `aligned` has seen the alignment. `fence` is called at the end.
        unsafe {
            _mm512_stream_si512(to, a);
            _mm512_stream_si512(to.add(1), b);
        }
    }

    #[inline(always)]
    fn fence(self) {
        // SAFETY: every x86-64 has SSE.
        unsafe { _mm_sfence() }
    }

    #[inline(always)]
    fn split(self, block: Self::Block) -> Self::Split {
        block
    }

    #[inline(always)]
    fn add_product(self, sum: Self::Block, block: Self::Split, table: &u64) -> Self::Block {
        // SAFETY: `self` is proof of GFNI and AVX-512 F.
        unsafe {
            let matrix = _mm512_set1_epi64(table.cast_signed());
            [
                _mm512_xor_si512(sum[0], _mm512_gf2p8affine_epi64_epi8::<0>(block[0], matrix)),
                _mm512_xor_si512(sum[1], _mm512_gf2p8affine_epi64_epi8::<0>(block[1], matrix)),
            ]
        }
    }
}
