//! What devices leave in their users' directories on a board, and what inviters leave under key packages: neither panics, and
//! whatever is read of a supply is within what was there.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| terachat_client::fuzz_supply(bytes));
