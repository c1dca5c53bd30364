//! The vectors of `docs/format/attachment.md`.
#![allow(clippy::unwrap_used, reason = "tests")]
use terachat_attachment::{CHUNK_LEN, FileKey, Opener, SealedChunk, Sealer, Stored};

fn key() -> FileKey {
    FileKey::take(&mut [7; 32])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sealed(file: &[u8]) -> (Stored, SealedChunk, Vec<SealedChunk>) {
    let mut sealer = Sealer::new(key(), file.len() as u64).unwrap();
    let (mut rest, mut chunks) = (file, Vec::new());
    while let Some(len) = sealer.next_len() {
        chunks.push(sealer.seal(rest.split_off(..len).unwrap().to_vec()).unwrap());
    }
    let (stored, manifest) = sealer.finish().unwrap();
    (stored, manifest, chunks)
}

#[track_caller]
fn opens(stored: &Stored, manifest: &SealedChunk, chunks: &[SealedChunk], file: &[u8]) {
    let mut opener = Opener::new(&stored.address, key(), manifest.bytes.clone()).unwrap();
    let parts = chunks.iter().map(|chunk| opener.accept(chunk.bytes.clone()).unwrap());
    assert!(parts.collect::<Vec<_>>().concat() == file);
    assert_eq!(opener.finish(), Ok(stored.hash));
}

#[test]
fn a_short_file_is_sealed_as_documented() {
    let file = b"attached\n";
    let (stored, manifest, chunks) = sealed(file);
    assert_eq!(
        hex(&chunks[0].bytes),
        "b480bde842fd5e27b87fce47d1417edeb2f7bf2ddd28ff46ef82a033e1856157973c3301c55b74be1181976731ca2b6cc158ad6bcbb144b9a608"
    );
    assert_eq!(hex(&chunks[0].name.0), "351a4c480f60dc753e454630c6914859ff541bb6435382f854e4127f2591b9ce");
    assert_eq!(
        hex(&manifest.bytes),
        "2abbd47611a37559d6e6ec87ed2fd146b3d3d46d172f188b4a2d32777811df1b08d7c65e00ff89363b78033a2abb69b6dc131600c0fc410c4f5827dd084a8b91f7558c2787c6be15125a438a3aa70db051fc8a0b177355cdcd"
    );
    assert_eq!(
        stored.address.to_string(),
        "76e8c77c24effe0bf384a448105ad89544a7406bad3706e1c995d8aeb8442946"
    );
    opens(&stored, &manifest, &chunks, file);
}

#[test]
fn a_file_of_no_bytes_and_one_of_two_chunks_have_the_documented_addresses() {
    for (file, count, address) in [
        (vec![], 1, "dd8ff17eb7cf6fbe0ad4d5ff01d7fd6ec811eed7f72cbf316c96c5700a43d8a1"),
        (vec![0x61; CHUNK_LEN + 1], 2, "4562fc9a18edfa6f485ee5d5a6c7feccf111467d9235b48a4bc648560bf7b0c7"),
    ] {
        let (stored, manifest, chunks) = sealed(&file);
        assert_eq!((chunks.len(), stored.address.to_string().as_str()), (count, address));
        opens(&stored, &manifest, &chunks, &file);
    }
}
