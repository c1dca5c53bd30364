//! The one test suite every [`Board`] passes, for other crates' tests as well. It panics on the first breach.
use super::{
    Board, BoardError, BoardRecord, CURSOR_LEN_MAX, Cursor, DHT_RECORD_LEN, Published, RECORD_LEN_MAX,
    RECORD_LIFETIME_MS_MAX, RecordKey,
};
use std::collections::BTreeSet;
use terachat_event::DeviceKey;
use terachat_vault::Secret;

const NOW: u64 = 1_800_000_000_000;
const DAY: u64 = 24 * 3600 * 1000;

/// Checks everything [`Board`] promises short of a power cut. `fresh` gives an empty board at each call.
///
/// # Panics
/// When a promise does not hold, saying which.
pub fn conforms(fresh: &mut dyn FnMut() -> Box<dyn Board>) {
    keeps_and_gives_back(&mut *fresh());
    keeps_the_first_content(&mut *fresh());
    renews_and_never_shortens(&mut *fresh());
    refuses_what_is_out_of_bounds(&mut *fresh());
    expires_and_collects(&mut *fresh());
    lists_what_came_since(&mut *fresh());
    takes_any_cursor(&mut *fresh());
}

/// The record of the `n`-th test key.
pub fn record(n: u16, expires_ms: u64, content: &[u8]) -> BoardRecord {
    let mut seed = [0x5a; 32];
    seed[..2].copy_from_slice(&n.to_le_bytes());
    BoardRecord::sign(&DeviceKey::from_seed(&Secret::take(&mut seed)), expires_ms, content)
}

fn ok<T>(result: Result<T, BoardError>) -> T {
    result.expect("this call conforms, so the board must carry it out")
}

fn keeps_and_gives_back(board: &mut dyn Board) {
    let max = board.record_len_max();
    assert!((DHT_RECORD_LEN..=RECORD_LEN_MAX).contains(&max), "a limit within the bounds");
    assert_eq!(board.id(), board.id(), "one board has one name");
    let frame = record(0, 0, b"").bytes().len();
    let largest = record(2, NOW + DAY, &vec![7; max - frame]);
    for record in [record(0, NOW + DAY, b""), record(1, NOW + DAY, b"sealed"), largest] {
        assert_eq!(ok(board.fetch(&record.key(), NOW)), None);
        assert_eq!(ok(board.publish(&record, NOW)), Published::Added);
        assert_eq!(ok(board.fetch(&record.key(), NOW)), Some(record));
    }
    assert_eq!(ok(board.fetch(&RecordKey([0; 32]), NOW)), None);
}

fn keeps_the_first_content(board: &mut dyn Board) {
    let first = record(1, NOW + DAY, b"first");
    ok(board.publish(&first, NOW));
    for other in
        [record(1, NOW + 2 * DAY, b"other"), record(1, NOW + DAY, b""), record(1, NOW + 1, b"first!")]
    {
        assert_eq!(board.publish(&other, NOW), Err(BoardError::Taken), "the first content stays");
        assert_eq!(ok(board.fetch(&first.key(), NOW)), Some(first.clone()));
    }
    let later = record(1, NOW + 3 * DAY, b"other");
    assert_eq!(ok(board.publish(&later, NOW + DAY)), Published::Added, "after its end the key is free");
    assert_eq!(ok(board.fetch(&first.key(), NOW + DAY)), Some(later));
}

fn renews_and_never_shortens(board: &mut dyn Board) {
    let (short, long) = (record(1, NOW + DAY, b"same"), record(1, NOW + 2 * DAY, b"same"));
    assert_eq!(ok(board.publish(&short, NOW)), Published::Added);
    assert_eq!(ok(board.publish(&short, NOW)), Published::Known);
    assert_eq!(ok(board.publish(&long, NOW)), Published::Renewed);
    assert_eq!(ok(board.publish(&short, NOW)), Published::Known, "an old copy shortens nothing");
    assert_eq!(ok(board.fetch(&long.key(), NOW + DAY)), Some(long));
}

fn refuses_what_is_out_of_bounds(board: &mut dyn Board) {
    let max = board.record_len_max();
    let long = record(1, NOW + DAY, &vec![7; max]);
    let len = long.bytes().len();
    assert_eq!(board.publish(&long, NOW), Err(BoardError::TooLong { len, max }));
    for expires_ms in [0, NOW - 1, NOW, NOW + RECORD_LIFETIME_MS_MAX + 1, u64::MAX] {
        assert_eq!(
            board.publish(&record(1, expires_ms, b"x"), NOW),
            Err(BoardError::Lifetime),
            "{expires_ms}"
        );
    }
    assert_eq!(ok(board.fetch(&long.key(), NOW)), None, "what was refused is not there");
    assert_eq!(ok(board.list(&Cursor::default(), 10)).keys, [], "nor is it listed");
}

fn expires_and_collects(board: &mut dyn Board) {
    let (brief, lasting) = (record(1, NOW + 10, b"brief"), record(2, NOW + DAY, b"lasting"));
    ok(board.publish(&brief, NOW));
    ok(board.publish(&lasting, NOW));
    assert_eq!(ok(board.collect(NOW + 9)), 0);
    assert_eq!(ok(board.fetch(&brief.key(), NOW + 9)), Some(brief.clone()));
    assert_eq!(ok(board.fetch(&brief.key(), NOW + 10)), None, "expired is gone before it is removed");
    assert_eq!(ok(board.collect(NOW + 10)), 1);
    assert_eq!(ok(board.collect(NOW + 10)), 0);
    assert_eq!(ok(board.fetch(&brief.key(), NOW)), None, "removed stays removed");
    assert_eq!(ok(board.fetch(&lasting.key(), NOW)), Some(lasting));
}

/// Follows the list in steps of `step`.
fn follow(board: &dyn Board, cursor: &mut Cursor, step: usize) -> Vec<RecordKey> {
    let mut keys = Vec::new();
    loop {
        let listing = ok(board.list(cursor, step));
        assert!(listing.keys.len() <= step, "no more than was asked for");
        assert!(listing.next.0.len() <= CURSOR_LEN_MAX, "a cursor is short");
        keys.extend(listing.keys);
        *cursor = listing.next;
        if !listing.more {
            return keys;
        }
    }
}

fn lists_what_came_since(board: &mut dyn Board) {
    let mut cursor = Cursor::default();
    assert_eq!(follow(board, &mut cursor, 3), []);
    let mut all = Vec::new();
    for n in 0..40 {
        let record = record(n, NOW + u64::from(n) + 1, b"x");
        ok(board.publish(&record, NOW));
        all.push(record.key());
        if n % 7 == 0 {
            assert_eq!(
                follow(board, &mut cursor, 3),
                all[usize::from(n.saturating_sub(6))..],
                "in order, once"
            );
        }
    }
    assert_eq!(follow(board, &mut cursor, 100).len(), 4);
    ok(board.publish(&record(3, NOW + DAY, b"x"), NOW));
    assert!(follow(board, &mut cursor, 3).len() <= 1, "a renewal is no more than one entry");
    assert_eq!(follow(board, &mut Cursor::default(), 7)[..40], all);
    // What is removed need not be listed any more; whoever follows goes on seeing what is new all the same.
    ok(board.collect(NOW + 30));
    let fresh = record(100, NOW + DAY, b"x");
    ok(board.publish(&fresh, NOW));
    assert!(follow(board, &mut cursor, 3).contains(&fresh.key()));
    let whole: BTreeSet<RecordKey> = follow(board, &mut Cursor::default(), 7).into_iter().collect();
    assert!(all[30..].iter().chain([&all[3], &fresh.key()]).all(|key| whole.contains(key)));
}

fn takes_any_cursor(board: &mut dyn Board) {
    let only = record(1, NOW + DAY, b"x");
    ok(board.publish(&only, NOW));
    for strange in [vec![1], vec![0xff; 8], vec![0xff; 24], vec![0xff; CURSOR_LEN_MAX], vec![7; 1000]] {
        assert_eq!(
            ok(board.list(&Cursor(strange), 10)).keys,
            [only.key()],
            "a strange cursor is the beginning"
        );
    }
}
