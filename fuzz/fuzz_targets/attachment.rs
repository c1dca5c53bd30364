//! What a hostile author stores and sends: manifests and chunks that open, and say anything. What is taken is known again.
#![no_main]
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use terachat_attachment::{Address, FileKey, Opener};
use terachat_vault::{Algorithm, Secret, derive_key, seal_once};

#[derive(Arbitrary, Debug)]
struct Stored {
    /// In the manifest's place; otherwise one that names the chunks.
    manifest: Option<Vec<u8>>,
    len: u16,
    chunks: Vec<Vec<u8>>,
    /// Comes before the chunks.
    given: Vec<Vec<u8>>,
}

fn key() -> [u8; 32] {
    [7; 32]
}

/// As docs/format/attachment.md has it.
fn seal(number: u32, kind: u8, content: &[u8]) -> Vec<u8> {
    let secret = Secret::take(&mut key());
    let mut place = [0; 12];
    place[7..11].copy_from_slice(&number.to_be_bytes());
    place[11] = kind;
    let hash = blake3::hash(content);
    let tag = derive_key("terachat 2026-11 attachment chunk tag", &secret, &[&place, hash.as_bytes()]);
    let chunk_key = derive_key("terachat 2026-11 attachment chunk key", &secret, &[tag.expose_secret()]);
    let mut sealed = content.to_vec();
    seal_once(Algorithm::ChaCha20Poly1305, &chunk_key, &place, &[1], &mut sealed);
    [&tag.expose_secret()[..], &sealed].concat()
}

fuzz_target!(|stored: Stored| {
    let last = stored.chunks.len().saturating_sub(1);
    let chunks = stored.chunks.iter().enumerate();
    let chunks: Vec<Vec<u8>> =
        chunks.map(|(n, content)| seal(n as u32, u8::from(n == last), content)).collect();
    let names = chunks.iter().flat_map(|chunk| *blake3::hash(chunk).as_bytes());
    let whole = || [1].into_iter().chain(u64::from(stored.len).to_le_bytes()).chain(names).collect();
    let manifest = seal(0, 2, &stored.manifest.unwrap_or_else(whole));
    let address = Address(*blake3::hash(&manifest).as_bytes());
    let open = || Opener::new(&address, FileKey::take(&mut key()), manifest.clone());
    let (Ok(mut opener), Ok(mut again)) = (open(), open()) else { return };
    let mut take = |bytes: Vec<u8>| {
        if let Ok(bytes) = opener.accept(bytes) {
            assert!(again.resume(&bytes));
        }
    };
    stored.given.into_iter().for_each(&mut take);
    chunks.into_iter().for_each(&mut take);
    assert_eq!(opener.finish(), again.finish());
});
