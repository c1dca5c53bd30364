//! A card or an invitation that somebody was sent: it is refused or read, and what is read can be written and read again.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    terachat_client::fuzz_card(bytes);
});
