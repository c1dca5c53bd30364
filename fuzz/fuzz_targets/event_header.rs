//! Headers: whatever is read writes back to the very bytes it came from.
#![no_main]
use libfuzzer_sys::fuzz_target;
use terachat_event::Header;

fuzz_target!(|bytes: &[u8]| {
    let mut hashes = Vec::new();
    if let Ok(header) = Header::read(bytes, &mut hashes) {
        let mut again = Vec::new();
        header.write(&mut again);
        assert_eq!(again, bytes);
    }
});
