//! Files that are none, and files whose checks are right and whose content is anything: an error that says what, never a panic.
use super::*;
use crate::disk::frame::{Key, frames, segment_head};
use crate::disk::manifest::{MANIFEST, Manifest, SnapshotRecord};
use crate::disk::snapshot::snapshot_name;
use proptest::prelude::*;

const SEGMENT: SegmentRecord = SegmentRecord { number: 4, salt: [7; 16], first: 9, len: None };

fn sealed(content: &[u8]) -> Vec<u8> {
    [content, &blake3::derive_key("terachat 2026-11 ledger manifest", content)].concat()
}

fn is_typed(files: &BTreeMap<String, Vec<u8>>) {
    match open_files(files, 1).map(|found| indices(&found)) {
        Ok(indices) => assert!(
            indices.is_sorted_by(|one, next| one.checked_add(1) == Some(*next)),
            "{indices:?} has a gap"
        ),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn with_manifest(bytes: Vec<u8>) -> BTreeMap<String, Vec<u8>> {
    let mut files = written();
    files.insert(MANIFEST.to_owned(), bytes);
    files
}

/// A disk with these records in one segment, whose checks are right.
fn with_records(records: &[Record], purged: Option<Id>) -> BTreeMap<String, Vec<u8>> {
    let manifest =
        Manifest { node: 1, ballot: None, purged, segments: vec![SEGMENT], snapshot: None, next: 5 };
    let content = [&[1][..], &postcard::to_allocvec(&manifest).unwrap()].concat();
    let log = [segment_head(&SEGMENT), frames(&Key::new(&SEGMENT), SEGMENT.first, records).concat()].concat();
    BTreeMap::from([(MANIFEST.to_owned(), sealed(&content)), (segment_name(SEGMENT.number), log)])
}

fn ids() -> impl Strategy<Value = Id> {
    let number = || prop_oneof![0..12u64, (u64::MAX - 3)..=u64::MAX];
    (number(), number(), number()).prop_map(|(term, node, index)| Id { term, node, index })
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    let record = prop_oneof![
        4 => ids().prop_map(|id| Record::Entry(LogEntry { id, body: Body::Blank })),
        2 => ids().prop_map(|id| Record::Cut(id.index)),
        1 => ids().prop_map(Record::Committed),
    ];
    prop::collection::vec(record, 0..12)
}

#[test]
fn a_manifest_that_is_changed_and_sealed_again_is_read_or_is_an_error() {
    let files = written();
    let (content, _) = files[MANIFEST].split_last_chunk::<32>().unwrap();
    for at in 0..content.len() {
        for value in 0..=u8::MAX {
            let mut changed = content.to_vec();
            changed[at] = value;
            is_typed(&with_manifest(sealed(&changed)));
        }
        is_typed(&with_manifest(sealed(&content[..at])));
        is_typed(&with_manifest(sealed(&[&content[..at], &[0xff; 9], &content[at..]].concat())));
    }
    is_typed(&with_manifest(sealed(content)));
}

#[test]
fn a_snapshot_that_is_changed_and_named_again_is_read_or_is_an_error() {
    let head = postcard::to_allocvec(&meta(2)).unwrap();
    let len = u32::try_from(head.len()).unwrap().to_le_bytes();
    let bytes = [&[1][..], &len, &head, b"state"].concat();
    let opened = |bytes: &[u8]| {
        let snapshot = SnapshotRecord {
            number: 3,
            last: meta(2).last,
            len: bytes.len() as u64,
            hash: *blake3::hash(bytes).as_bytes(),
        };
        let mut manifest = Manifest::new(node(1));
        (manifest.snapshot, manifest.next) = (Some(snapshot), 4);
        let content = [&[1][..], &postcard::to_allocvec(&manifest).unwrap()].concat();
        let files =
            BTreeMap::from([(MANIFEST.to_owned(), sealed(&content)), (snapshot_name(3), bytes.to_vec())]);
        open_files(&files, 1).map(|found| found.snapshot)
    };
    assert_eq!(opened(&bytes), Ok(Some((meta(2), b"state".to_vec()))));
    for at in 0..bytes.len() {
        for value in 0..=u8::MAX {
            let mut changed = bytes.clone();
            changed[at] = value;
            let _ = opened(&changed);
        }
        assert!(opened(&bytes[..at]).is_err() || at >= bytes.len() - 5, "a part of a head, {at}");
    }
}

proptest! {
    #[test]
    fn any_bytes_for_a_file_are_an_error(
        file in any::<prop::sample::Index>(),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut files = written();
        let name = file.get(&files.keys().cloned().collect::<Vec<_>>()).clone();
        files.insert(name, bytes);
        prop_assert!(open_files(&files, 1).is_err());
        files.clear();
        files.insert(MANIFEST.to_owned(), vec![]);
        prop_assert!(open_files(&files, 1).is_err());
    }

    #[test]
    fn any_content_of_a_manifest_is_read_or_is_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        is_typed(&with_manifest(sealed(&bytes)));
        is_typed(&with_manifest(sealed(&[&[1], &bytes[..]].concat())));
    }

    #[test]
    fn any_records_are_a_log_without_gaps_or_an_error(records in records(), purged in prop::option::of(ids())) {
        is_typed(&with_records(&records, purged));
    }

    /// The segment that is closed when it is opened: what is read is the same again.
    #[test]
    fn what_was_read_is_read_again(count in 1..20u64, len in 0..300usize) {
        let records: Vec<Record> = (0..count).map(|index| Record::Entry(entry(index, &vec![3; len]))).collect();
        let found = open_files(&with_records(&records, None), 1).unwrap();
        prop_assert_eq!(indices(&found), (0..count).collect::<Vec<_>>());
    }
}
