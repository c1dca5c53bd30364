//! Batches: one batch, one encoding, and memory within the limits.
#![no_main]
use libfuzzer_sys::fuzz_target;
use terachat_core_store::sync::{Limits, decode_batch, encode_batch};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(batch) = decode_batch(bytes, Limits::PEER) {
        assert_eq!(encode_batch(&batch), bytes);
        assert!(batch.chunk_ends().last().copied().unwrap_or(0) == batch.events.len());
    }
});
