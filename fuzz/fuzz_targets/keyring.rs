//! A keyring from a disk that others can write to, opened by a source that says yes to everything.
#![no_main]
use libfuzzer_sys::fuzz_target;
use terachat_vault::{Entropy, Keyring, MasterKeySource, Secret, SourceError, SourceKind};

struct Willing;

impl MasterKeySource for Willing {
    fn kind(&self) -> SourceKind {
        SourceKind::File
    }
    fn wrap(&mut self, _: &Secret<32>, _: &mut dyn Entropy) -> Result<Vec<u8>, SourceError> {
        Ok(Vec::new())
    }
    fn unwrap(&mut self, _: &[u8]) -> Result<Secret<32>, SourceError> {
        Ok(Secret::take(&mut [7; 32]))
    }
}

fuzz_target!(|bytes: &[u8]| {
    let _ = Keyring::sources_of(bytes);
    assert!(Keyring::open(bytes, &mut Willing).is_err(), "nobody without the master key makes a keyring");
});
