//! The one test suite every [`Storage`] passes, for other crates' tests as well. It panics on the first breach.
use super::{Operation, Storage, StorageError, StorageErrorKind as Kind};

/// Checks everything [`Storage`] promises short of a power cut. `fresh` gives an empty storage at each call.
///
/// # Panics
/// When a promise does not hold, saying which.
pub fn conforms(fresh: &mut dyn FnMut() -> Box<dyn Storage>) {
    appends_and_reads(&mut *fresh());
    truncates(&mut *fresh());
    replaces(&mut *fresh());
    removes_and_lists(&mut *fresh());
    refuses_names(&mut *fresh());
    keeps_many_files_apart(&mut *fresh());
}

fn ok<T>(result: Result<T, StorageError>) -> T {
    result.expect("this call conforms, so the storage must carry it out")
}

#[track_caller]
fn fails<T>(result: Result<T, StorageError>, kind: Kind, operation: Operation) {
    let error = result.err().expect("this call cannot be carried out");
    assert_eq!((error.kind, error.operation), (kind, operation), "{error}");
}

fn appends_and_reads(s: &mut dyn Storage) {
    assert_eq!(ok(s.size("a")), None);
    fails(s.read("a", 0, 0), Kind::NotFound, Operation::Read);
    fails(s.sync("a"), Kind::NotFound, Operation::Sync);
    assert_eq!(ok(s.append("a", b"hello ")), 0);
    assert_eq!(ok(s.append("a", b"")), 6, "an empty append changes nothing");
    assert_eq!(ok(s.append("a", b"world")), 6);
    assert_eq!(ok(s.read("a", 0, 11)), b"hello world", "unsynced bytes can be read");
    ok(s.sync("a"));
    ok(s.sync("a"));
    assert_eq!(ok(s.read("a", 4, 3)), b"o w");
    assert_eq!(ok(s.read("a", 11, 0)), b"");
    fails(s.read("a", 11, 1), Kind::Short, Operation::Read);
    fails(s.read("a", 5, 7), Kind::Short, Operation::Read);
    fails(s.read("a", u64::MAX, 2), Kind::Short, Operation::Read);
    assert_eq!(ok(s.append("b", b"")), 0);
    assert_eq!(ok(s.size("b")), Some(0), "an empty append creates the file");
    let large: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
    ok(s.append("large", &large));
    ok(s.sync("large"));
    assert_eq!(ok(s.read("large", 0, large.len())), large);
    assert_eq!(ok(s.read("large", 1_000_001, 7)), large[1_000_001..1_000_008]);
}

fn truncates(s: &mut dyn Storage) {
    fails(s.truncate("a", 0), Kind::NotFound, Operation::Truncate);
    ok(s.append("a", b"0123456789"));
    ok(s.truncate("a", 4));
    assert_eq!(ok(s.size("a")), Some(4));
    fails(s.read("a", 0, 5), Kind::Short, Operation::Read);
    assert_eq!(ok(s.append("a", b"xy")), 4, "appends go to the new end");
    ok(s.sync("a"));
    assert_eq!(ok(s.read("a", 0, 6)), b"0123xy");
    ok(s.truncate("a", 100));
    assert_eq!(ok(s.size("a")), Some(6), "truncating never lengthens");
    ok(s.truncate("a", 0));
    assert_eq!(ok(s.size("a")), Some(0));
}

fn replaces(s: &mut dyn Storage) {
    ok(s.replace("a", b"first"));
    assert_eq!(ok(s.read("a", 0, 5)), b"first");
    ok(s.append("a", b", more"));
    ok(s.replace("a", b"2nd"));
    assert_eq!(ok(s.size("a")), Some(3), "a shorter content leaves nothing of the longer one");
    assert_eq!(ok(s.append("a", b"!")), 3, "appends go to the new file, not to the one replaced");
    ok(s.sync("a"));
    assert_eq!(ok(s.read("a", 0, 4)), b"2nd!");
    ok(s.replace("a", b""));
    assert_eq!(ok(s.size("a")), Some(0));
    assert_eq!(ok(s.list()), ["a"], "no helper file shows");
}

fn removes_and_lists(s: &mut dyn Storage) {
    assert!(ok(s.list()).is_empty());
    ok(s.append("b-2", b"2"));
    ok(s.replace("a.seg", b"1"));
    ok(s.append("c_3", b"3"));
    assert_eq!(ok(s.list()), ["a.seg", "b-2", "c_3"], "sorted");
    ok(s.remove("b-2"));
    ok(s.remove("b-2"));
    assert_eq!(ok(s.list()), ["a.seg", "c_3"]);
    fails(s.read("b-2", 0, 1), Kind::NotFound, Operation::Read);
    assert_eq!(ok(s.append("b-2", b"new")), 0, "a removed name begins anew");
    assert_eq!(ok(s.read("b-2", 0, 3)), b"new");
}

fn refuses_names(s: &mut dyn Storage) {
    let long = "x".repeat(super::NAME_LEN_MAX + 1);
    for name in ["", ".", "..", ".hidden", "a/b", "../a", "a\\b", "A", "a b", "a\0", "ä", "c:", &long] {
        fails(s.append(name, b"x"), Kind::Name, Operation::Append);
        fails(s.read(name, 0, 1), Kind::Name, Operation::Read);
        fails(s.size(name), Kind::Name, Operation::Size);
        fails(s.sync(name), Kind::Name, Operation::Sync);
        fails(s.truncate(name, 0), Kind::Name, Operation::Truncate);
        fails(s.replace(name, b"x"), Kind::Name, Operation::Replace);
        fails(s.remove(name), Kind::Name, Operation::Remove);
    }
    ok(s.append(&long[1..], b"x"));
    assert_eq!(ok(s.list()).len(), 1);
}

fn keeps_many_files_apart(s: &mut dyn Storage) {
    let name = |i: u32| format!("file-{i:04}");
    for round in 0..2u8 {
        for i in 0..300u32 {
            ok(s.append(&name(i), &[round, i.to_le_bytes()[0]]));
        }
    }
    for i in 0..300u32 {
        let low = i.to_le_bytes()[0];
        assert_eq!(ok(s.read(&name(i), 0, 4)), [0, low, 1, low]);
    }
    assert_eq!(ok(s.list()).len(), 300);
}
