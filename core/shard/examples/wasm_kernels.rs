//! A module for `scripts/wasm-kernels`: every kernel that this module was compiled with, against products bit by bit, for
//! every length up to 300 bytes.
#![allow(unsafe_code, reason = "a function that JavaScript finds by its name")]
use terachat_shard::{Code, Counts, Kernel};

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

/// How many kernels there are and agree; 0 if one does not.
// SAFETY: no other function of this module has that name.
#[unsafe(no_mangle)]
pub extern "C" fn check() -> u32 {
    let kernels = Kernel::available();
    let Ok(counts) = Counts::new(2, 3) else { return 0 };
    for kernel in &kernels {
        let code = Code::with_kernel(counts, *kernel);
        for len in 0..=300 {
            let shard =
                |seed: usize| (0..len).map(|at| (at * 31 + seed).to_le_bytes()[0]).collect::<Vec<u8>>();
            let data = [shard(7), shard(200)];
            let mut parity = vec![vec![0; len]; 3];
            if code.encode(&data, &mut parity).is_err() {
                return 0;
            }
            for (row, parity) in ROWS.iter().zip(&parity) {
                let sums =
                    data[0].iter().zip(&data[1]).map(|(a, b)| product(row[0], *a) ^ product(row[1], *b));
                if !sums.eq(parity.iter().copied()) {
                    return 0;
                }
            }
            let mut lost = [None, None].into_iter().chain(parity.into_iter().map(Some)).collect::<Vec<_>>();
            if code.reconstruct(&mut lost).is_err() || lost[..2].iter().flatten().ne(&data) {
                return 0;
            }
        }
    }
    u32::try_from(kernels.len()).unwrap_or(0)
}
