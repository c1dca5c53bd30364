//! Passphrase envelopes. What a header legally asks for can be a gigabyte and a minute, so only cheap ones go through
//! to Argon2; the refusal of too dear ones is tried with the others.
#![no_main]
use libfuzzer_sys::fuzz_target;
use terachat_vault::open_with_passphrase;

fuzz_target!(|bytes: &[u8]| {
    let number = |at: usize| -> u64 {
        bytes
            .get(at..at + 4)
            .map_or(0, |part| u32::from_le_bytes(part.try_into().expect("four bytes")).into())
    };
    let (memory_kib, passes, lanes) = (number(8), number(12), number(16));
    let refused = memory_kib > 1 << 20 || passes > 64 || lanes > 16;
    let cheap = memory_kib * passes <= 1024;
    if refused || cheap {
        assert!(open_with_passphrase(b"fuzz", bytes).is_err(), "nobody guesses a tag");
    }
});
