//! A module for `scripts/wasm-kernels`: every kernel that this module was compiled with, against products bit by bit, for
//! every length up to 300 bytes, and against reed-solomon-erasure for the counts of the native tests.
#![allow(unsafe_code, reason = "a function that JavaScript finds by its name")]
use terachat_shard::{Code, Counts, Kernel};

#[path = "../src/code/vectors.rs"]
mod vectors;

/// Shift and add, then the remainder.
fn product(a: u8, b: u8) -> u8 {
    let (mut sum, mut a) = (0, u16::from(a));
    for bit in 0..8 {
        if b >> bit & 1 == 1 {
            sum ^= a;
        }
        a = a << 1 ^ if a & 0x80 == 0 { 0 } else { 0x11D };
    }
    sum.to_le_bytes()[0]
}

/// The parity of two data shards and three parity shards, whose coefficients are Lagrange's at 2, 3 and 4.
const ROWS: [[u8; 2]; 3] = [[3, 2], [2, 3], [5, 4]];

/// Whether a kernel gives the products, and the data back, for shards of this length.
fn gives_products(code: &Code, len: usize) -> bool {
    let shard = |seed: usize| (0..len).map(|at| (at * 31 + seed).to_le_bytes()[0]).collect::<Vec<u8>>();
    let data = [shard(7), shard(200)];
    let mut parity = vec![vec![0; len]; 3];
    let encoded = code.encode(&data, &mut parity).is_ok();
    let sums = |row: &[u8; 2]| -> Vec<u8> {
        data[0].iter().zip(&data[1]).map(|(a, b)| product(row[0], *a) ^ product(row[1], *b)).collect()
    };
    let same = ROWS.iter().map(sums).eq(parity.iter().cloned());
    let mut lost = [None, None].into_iter().chain(parity.into_iter().map(Some)).collect::<Vec<_>>();
    let rebuilt = code.reconstruct(&mut lost).is_ok();
    encoded && same && rebuilt && lost[..2].iter().flatten().eq(&data)
}

/// Whether a kernel gives what reed-solomon-erasure gives, and that back without as many of the first shards as may be lost.
fn gives_the_vector(kernel: Kernel, k: usize, m: usize, whole: &[Vec<u8>]) -> bool {
    let Ok(counts) = Counts::new(k, m) else { return false };
    let code = Code::with_kernel(counts, kernel);
    let mut parity = vec![vec![0xEE; whole[0].len()]; m];
    let encoded = code.encode(&whole[..k], &mut parity).is_ok();
    let mut rest: Vec<Option<Vec<u8>>> = whole.iter().cloned().map(Some).collect();
    rest[..m.min(k)].fill(None);
    let rebuilt = code.reconstruct(&mut rest).is_ok();
    encoded && parity == whole[k..] && rebuilt && rest.iter().flatten().eq(whole)
}

/// How many kernels there are and agree; 0 if one does not.
// SAFETY: no other function of this module has that name.
#[unsafe(no_mangle)]
pub extern "C" fn check() -> u32 {
    let kernels = Kernel::available();
    let Ok(counts) = Counts::new(2, 3) else { return 0 };
    for kernel in &kernels {
        let code = Code::with_kernel(counts, *kernel);
        if !(0..=300).all(|len| gives_products(&code, len)) {
            return 0;
        }
    }
    for (k, m) in vectors::counts() {
        let Some(whole) = vectors::expected(&vectors::shards(k, 70), m) else { return 0 };
        if !kernels.iter().all(|kernel| gives_the_vector(*kernel, k, m, &whole)) {
            return 0;
        }
    }
    u32::try_from(kernels.len()).unwrap_or(0)
}
