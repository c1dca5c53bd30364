//! An export of an archive: whatever its lines are, they are refused or read, one by one.
#![no_main]
use libfuzzer_sys::fuzz_target;
use terachat_client::ArchiveCheck;

fuzz_target!(|bytes: &[u8]| {
    let mut check = ArchiveCheck::default();
    if bytes.split(|byte| *byte == b'\n').try_for_each(|line| check.line(line)).is_ok() {
        let _ = check.finish();
    }
});
