//! The one test suite that every [`Objects`] passes, for other crates' tests as well. It panics on the first breach.
use super::{Objects, ObjectsError, ObjectsErrorKind as Kind, ObjectsVerb as Verb, Part};

/// Checks everything [`Objects`] promises while nothing fails. `fresh` gives an empty store at each call.
///
/// # Panics
/// When a promise does not hold, saying which.
pub fn conforms(fresh: &mut dyn FnMut() -> Box<dyn Objects>) {
    puts_and_reads(&mut *fresh());
    lists_and_removes(&mut *fresh());
    keeps_many_apart(&mut *fresh());
}

fn ok<T>(result: Result<T, ObjectsError>) -> T {
    result.expect("this call conforms, so the object store must carry it out")
}

fn part(name: &str, from: u64, len: usize) -> Part {
    Part { name: name.to_owned(), from, len }
}

fn read(objects: &dyn Objects, part: Part) -> Result<Vec<u8>, ObjectsError> {
    let mut read = objects.read(&[part]);
    assert_eq!(read.len(), 1, "as many answers as there are parts");
    read.remove(0)
}

#[track_caller]
fn fails<T>(result: Result<T, ObjectsError>, kind: Kind, verb: Verb) {
    let error = result.err().expect("this call cannot be carried out");
    assert_eq!((error.kind, error.verb), (kind, verb), "{error}");
}

fn puts_and_reads(objects: &mut dyn Objects) {
    fails(read(objects, part("a", 0, 1)), Kind::Missing, Verb::Read);
    ok(objects.put("a", b"hello world".to_vec()));
    assert_eq!(ok(read(objects, part("a", 0, 11))), b"hello world");
    assert_eq!(ok(read(objects, part("a", 4, 3))), b"o w");
    assert_eq!(ok(read(objects, part("a", 10, 1))), b"d");
    fails(read(objects, part("a", 11, 1)), Kind::Short, Verb::Read);
    fails(read(objects, part("a", 5, 7)), Kind::Short, Verb::Read);
    fails(read(objects, part("a", 1 << 40, 7)), Kind::Short, Verb::Read);
    let large: Vec<u8> = (0..3_000_000u32).map(|at| (at % 251) as u8).collect();
    ok(objects.put("large", large.clone()));
    assert_eq!(ok(read(objects, part("large", 1_000_001, 7))), large[1_000_001..1_000_008]);
    // Each answer stands where its question stood.
    let parts = [part("large", 5, 2), part("b", 0, 1), part("a", 0, 5), part("large", 0, large.len())];
    let mut answers = objects.read(&parts);
    assert_eq!(answers.len(), parts.len());
    assert_eq!(ok(answers.pop().expect("four")), large);
    assert_eq!(ok(answers.pop().expect("three")), b"hello");
    fails(answers.pop().expect("two"), Kind::Missing, Verb::Read);
    assert_eq!(ok(answers.pop().expect("one")), large[5..7]);
    assert!(objects.read(&[]).is_empty());
}

fn lists_and_removes(objects: &mut dyn Objects) {
    assert!(ok(objects.list()).is_empty());
    for (name, len) in [("b-2", 2), ("a-1", 1), ("c", 3)] {
        ok(objects.put(name, vec![7; len]));
    }
    let names = [("a-1", 1), ("b-2", 2), ("c", 3)].map(|(name, len)| (name.to_owned(), len));
    assert_eq!(ok(objects.list()), names, "sorted, with their lengths");
    ok(objects.remove(&["b-2".to_owned(), "c".to_owned()]));
    assert_eq!(ok(objects.list()), names[..1]);
    ok(objects.remove(&["b-2".to_owned()]));
    ok(objects.remove(&[]));
    fails(read(objects, part("b-2", 0, 1)), Kind::Missing, Verb::Read);
    assert_eq!(ok(read(objects, part("a-1", 0, 1))), [7]);
}

/// More than a service lists at once.
fn keeps_many_apart(objects: &mut dyn Objects) {
    let name = |at: u32| format!("object-{at:04}");
    for at in 0..1_050u32 {
        ok(objects.put(&name(at), at.to_le_bytes().to_vec()));
    }
    let listed = ok(objects.list());
    assert_eq!(listed, (0..1_050).map(|at| (name(at), 4)).collect::<Vec<_>>());
    let parts: Vec<Part> = (0..1_050).step_by(7).map(|at| part(&name(at), 0, 4)).collect();
    for (answer, at) in objects.read(&parts).into_iter().zip((0..1_050u32).step_by(7)) {
        assert_eq!(ok(answer), at.to_le_bytes());
    }
    ok(objects.remove(&(0..1_050).map(name).collect::<Vec<_>>()));
    assert!(ok(objects.list()).is_empty());
}
