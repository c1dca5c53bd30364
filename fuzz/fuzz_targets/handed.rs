//! What a member hands over to a device that rejoins, once it was opened: the epochs' secrets and the group.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    terachat_client::fuzz_handed(bytes);
});
