//! A stored page of record keys: both parts, in whatever combination.
#![no_main]
use libfuzzer_sys::fuzz_target;
use terachat_vault::{Algorithm, KeyPage, KeyPageAddress, SealedKeyPage, Secret};

fuzz_target!(|input: (Vec<u8>, Option<Vec<u8>>)| {
    let (entry, slots) = input;
    let address = KeyPageAddress { collection: [1; 16], generation: 2, page: 3 };
    let sealed = SealedKeyPage { entry, slots };
    let root = Secret::take(&mut [7; 32]);
    assert!(KeyPage::open(Algorithm::ChaCha20Poly1305, &root, &address, &sealed).is_err());
});
