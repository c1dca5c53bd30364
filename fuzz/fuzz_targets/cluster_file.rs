//! A line that somebody pasted for a reference to a file, and a manifest by whoever has its key: it opens, and says anything.
#![no_main]
use libfuzzer_sys::fuzz_target;
use terachat_cluster::Reference;
use terachat_fuzz::secret;
use terachat_vault::{Algorithm, NONCE_LEN, Secret, seal_once};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(reference) = String::from_utf8_lossy(bytes).parse::<Reference>() {
        assert_eq!(reference.to_string().parse(), Ok(reference));
    }
    // As docs/format/cluster-file.md has it.
    let mut sealed = bytes.to_vec();
    seal_once(Algorithm::ChaCha20Poly1305, &Secret::take(&mut [7; 32]), &[0; NONCE_LEN], &[1], &mut sealed);
    let text = format!("{}{}", blake3::hash(&sealed).to_hex(), "07".repeat(32));
    let reference: Reference = text.parse().expect("128 digits");
    if let Ok(manifest) = reference.open(sealed) {
        let (again, sealed) = manifest.seal(&secret(1)).expect("what was read can be written");
        assert_eq!(again.open(sealed), Ok(manifest));
    }
});
