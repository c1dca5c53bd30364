//! A backup's stream: header, sealed chunks, and what is in them.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    terachat_vault_store::fuzz_backup(bytes);
});
