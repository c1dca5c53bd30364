//! What the code is held to by another implementation, in the tests and, by `scripts/wasm-kernels`, as WebAssembly.
use reed_solomon_erasure::galois_8::ReedSolomon;

/// Counts of data and parity: every pair up to 24 shards, and some of the largest there are.
pub(super) fn counts() -> impl Iterator<Item = (usize, usize)> {
    let small = (1..24).flat_map(|k| (1..=24 - k).map(move |m| (k, m)));
    small.chain([(20, 10), (32, 32), (85, 170), (128, 128), (200, 55), (255, 1), (1, 255), (100, 100)])
}

/// So many shards of so many bytes, each like no other.
pub(super) fn shards(count: usize, len: usize) -> Vec<Vec<u8>> {
    let byte = |shard: usize, at: usize| (shard * 167 + at * 59 + (at >> 7)).to_le_bytes()[0];
    (0..count).map(|shard| (0..len).map(|at| byte(shard, at)).collect()).collect()
}

/// These data shards with the parity that reed-solomon-erasure gives them; none if it takes no such counts.
pub(super) fn expected(data: &[Vec<u8>], parity: usize) -> Option<Vec<Vec<u8>>> {
    let mut whole = [data.to_vec(), vec![vec![0; data.first()?.len()]; parity]].concat();
    ReedSolomon::new(data.len(), parity).ok()?.encode(&mut whole).ok()?;
    Some(whole)
}
