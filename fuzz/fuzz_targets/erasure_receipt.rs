//! An erasure receipt: what is read writes back to the very bytes it came from.
#![no_main]
use libfuzzer_sys::fuzz_target;
use terachat_vault_store::ErasureReceipt;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(receipt) = ErasureReceipt::decode(bytes) {
        assert_eq!(receipt.encode(), bytes);
    }
});
