//! Whatever is handed to an opener, in whatever order and shape: what it takes and what it says of the rest, against a plain list.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests")]
use proptest::prelude::*;
use terachat_attachment::{CHUNK_LEN, Error, FileKey, Opener, SealedChunk, Sealer, Stored};

fn key(n: u8) -> FileKey {
    FileKey::take(&mut [n; 32])
}

/// Bytes that are like no others.
fn bytes(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

fn sealed(key_of: u8, file: &[u8]) -> (Stored, Vec<u8>, Vec<SealedChunk>) {
    let mut sealer = Sealer::new(key(key_of), file.len() as u64).unwrap();
    let (mut rest, mut chunks) = (file, Vec::new());
    while let Some(len) = sealer.next_len() {
        let part = rest.split_off(..len).unwrap();
        chunks.push(sealer.seal(part.to_vec()).unwrap());
    }
    let (stored, manifest) = sealer.finish().unwrap();
    (stored, manifest.bytes, chunks)
}

/// What comes, of the chunk with this number (modulo how many there are).
#[derive(Debug, Clone)]
enum Came {
    Whole(usize),
    Cut(usize, prop::sample::Index),
    Longer(usize),
    Changed(usize, prop::sample::Index),
    /// Of the same file under another key.
    Foreign(usize),
    /// Left by an earlier try.
    Kept(usize),
}

fn came() -> impl Strategy<Value = Came> {
    let at = || any::<prop::sample::Index>();
    prop_oneof![
        6 => (0..9usize).prop_map(Came::Whole),
        1 => (0..9usize, at()).prop_map(|(n, at)| Came::Cut(n, at)),
        1 => (0..9usize).prop_map(Came::Longer),
        1 => (0..9usize, at()).prop_map(|(n, at)| Came::Changed(n, at)),
        1 => (0..9usize).prop_map(Came::Foreign),
        1 => (0..9usize).prop_map(Came::Kept),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn an_opener_takes_the_next_chunk_and_nothing_else(len in prop_oneof![0..200usize, CHUNK_LEN - 1..=CHUNK_LEN + 1, CHUNK_LEN..3 * CHUNK_LEN], list in prop::collection::vec(came(), 1..12)) {
        let file = bytes(len);
        let (stored, manifest, chunks) = sealed(1, &file);
        let (_, _, foreign) = sealed(2, &file);
        let mut opener = Opener::new(&stored.address, key(1), manifest).unwrap();
        prop_assert_eq!((opener.file_len(), opener.count() as usize), (len as u64, chunks.len()));
        let part = |n: usize| &file[(n * CHUNK_LEN).min(len)..((n + 1) * CHUNK_LEN).min(len)];
        let mut next = 0;
        for came in list {
            let count = chunks.len();
            // The plain list: which chunk it is, if it is one of the file's.
            let (given, is) = match came {
                Came::Kept(n) => {
                    let expected = n % count == next;
                    prop_assert_eq!(opener.resume(part(n % count)), expected);
                    next += usize::from(expected);
                    continue;
                }
                Came::Whole(n) => (chunks[n % count].bytes.clone(), Some(n % count)),
                Came::Cut(n, at) => {
                    let chunk = &chunks[n % count].bytes;
                    (chunk[..at.index(chunk.len())].to_vec(), None)
                }
                Came::Longer(n) => ([&chunks[n % count].bytes[..], &[0]].concat(), None),
                Came::Changed(n, at) => {
                    let mut chunk = chunks[n % count].bytes.clone();
                    let at = at.index(chunk.len());
                    chunk[at] ^= 1;
                    (chunk, None)
                }
                Came::Foreign(n) => (foreign[n % count].bytes.clone(), None),
            };
            let index = next as u32;
            let expected = if next == count {
                Err(Error::Ended)
            } else {
                match is {
                    Some(n) if n == next => Ok(part(n).to_vec()),
                    Some(n) if n < next => Err(Error::Repeated { index, came: n as u32 }),
                    Some(n) => Err(Error::OutOfOrder { index, came: n as u32 }),
                    None if given.len() < chunks[next].bytes.len() => Err(Error::Short { index }),
                    None if given.len() > chunks[next].bytes.len() => Err(Error::Long { index }),
                    None => Err(Error::Altered { index }),
                }
            };
            next += usize::from(expected.is_ok());
            prop_assert_eq!(opener.accept(given), expected);
            prop_assert_eq!(opener.next_index() as usize, next);
        }
        let whole = next == chunks.len();
        prop_assert_eq!(opener.finish(), if whole { Ok(stored.hash) } else { Err(Error::Unfinished { index: next as u32 }) });
    }
}

#[test]
fn the_wrong_key_opens_nothing() {
    let file = bytes(CHUNK_LEN + 1);
    let (stored, manifest, chunks) = sealed(1, &file);
    assert_eq!(
        Opener::new(&stored.address, key(2), manifest.clone()).err(),
        Some(Error::ManifestKey),
        "whoever has the address alone"
    );
    let other = sealed(2, &file);
    assert_eq!(Opener::new(&stored.address, key(1), other.1).err(), Some(Error::Manifest));
    assert!(chunks.iter().zip(&other.2).all(|(one, other)| one.name != other.name), "nothing in common");
}

#[test]
fn a_file_that_changes_meanwhile_is_told_and_never_sealed_twice_under_one_key() {
    let mut sealer = Sealer::new(key(1), 10).unwrap();
    assert_eq!(sealer.seal(vec![0; 9]), Err(Error::Changed));
    sealer.seal(vec![0; 10]).unwrap();
    assert_eq!(sealer.seal(Vec::new()), Err(Error::Changed), "nothing is left to be sealed");
    assert_eq!(Sealer::new(key(1), 10).unwrap().finish().err(), Some(Error::Unfinished { index: 0 }));
    // Other content under the same key: what was sealed before says nothing of it.
    let (one, other) = (sealed(1, &bytes(1000)), sealed(1, &vec![0; 1000]));
    assert_ne!((one.0.address, one.2[0].name), (other.0.address, other.2[0].name));
}

#[test]
fn files_of_like_length_look_alike() {
    let lens = |len| sealed(1, &bytes(len)).2.iter().map(|chunk| chunk.bytes.len()).collect::<Vec<_>>();
    assert_eq!(lens(1_000_000), lens(1_010_000));
    assert_ne!(lens(1_000_000), lens(900_000));
}
