//! Records of stripes. What is read is written as the same bytes.
#![no_main]
use libfuzzer_sys::fuzz_target;
use terachat_shard::StripeRecord;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = StripeRecord::decode(bytes) {
        assert_eq!(record.encode(), bytes);
    }
});
