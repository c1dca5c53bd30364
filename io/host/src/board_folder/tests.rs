use super::*;
use std::process::Command;
use terachat_core_store::sync::board::suite;

const NOW: u64 = 1_800_000_000_000;
const DAY: u64 = 24 * 3600 * 1000;

fn all(board: &FolderBoard) -> Vec<RecordKey> {
    board.list(&Cursor::default(), usize::MAX).unwrap().keys
}

#[test]
fn conforms() {
    let mut folders = Vec::new();
    suite::conforms(&mut || {
        let folder = tempfile::tempdir().unwrap();
        let board = FolderBoard::open(&folder.path().join("a/b")).unwrap();
        folders.push(folder);
        Box::new(board)
    });
}

#[test]
fn a_board_outlives_its_value_and_keeps_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let record = suite::record(1, NOW + DAY, b"sealed");
    let mut board = FolderBoard::open(folder.path()).unwrap();
    board.publish(&record, NOW).unwrap();
    let again = FolderBoard::open(folder.path()).unwrap();
    assert_eq!((again.id(), all(&again)), (board.id(), vec![record.key()]));
    assert_eq!(again.fetch(&record.key(), NOW), Ok(Some(record)));
    let other = tempfile::tempdir().unwrap();
    assert_ne!(FolderBoard::open(other.path()).unwrap().id(), board.id());
}

#[test]
fn what_is_no_board_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    assert!(!FolderBoard::is_in(folder.path()));
    fs::write(folder.path().join("letter.txt"), "dear").unwrap();
    assert!(matches!(FolderBoard::open(folder.path()), Err(Error::Board(_))));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(NAME), "a plank of wood").unwrap();
    assert!(matches!(FolderBoard::open(folder.path()), Err(Error::Board(_))));
}

#[test]
fn damage_is_told_and_published_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut board = FolderBoard::open(folder.path()).unwrap();
    let record = suite::record(1, NOW + DAY, b"sealed");
    board.publish(&record, NOW).unwrap();
    let path = folder.path().join(FolderBoard::path(&record.key()));
    let whole = fs::read(&path).unwrap();
    let other = suite::record(2, NOW + DAY, b"of another key").bytes().to_vec();
    let flipped: Vec<u8> = whole.iter().enumerate().map(|(at, byte)| byte ^ u8::from(at == 50)).collect();
    for bytes in [vec![], whole[..whole.len() - 1].to_vec(), flipped, other, vec![0; RECORD_LEN_MAX + 1]] {
        fs::write(&path, &bytes).unwrap();
        assert!(
            matches!(board.fetch(&record.key(), NOW), Err(BoardError::Damaged(_))),
            "{} bytes",
            bytes.len()
        );
        assert_eq!(board.publish(&record, NOW), Ok(Published::Added));
        assert_eq!(board.fetch(&record.key(), NOW), Ok(Some(record.clone())));
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(board.fetch(&record.key(), NOW), Err(BoardError::Damaged(_))));
}

/// A power cut between the journal and the record, in the middle of a key, and while the second file was written.
#[test]
fn what_an_interrupted_writer_left_is_put_right() {
    let folder = tempfile::tempdir().unwrap();
    let mut board = FolderBoard::open(folder.path()).unwrap();
    let (a, b) = (suite::record(1, NOW + DAY, b"a"), suite::record(2, NOW + DAY, b"b"));
    board.publish(&a, NOW).unwrap();
    board.note(&b.key()).unwrap();
    let journal = folder.path().join(JOURNAL);
    let mut bytes = fs::read(&journal).unwrap();
    bytes.extend_from_slice(&[7; 20]);
    fs::write(&journal, &bytes).unwrap();
    fs::write(folder.path().join(TEMPORARY), b"half a rec").unwrap();
    assert_eq!(all(&board), [a.key(), b.key()], "half a key is none");
    assert_eq!(board.fetch(&b.key(), NOW), Ok(None));
    let cursor = board.list(&Cursor::default(), 10).unwrap().next;
    assert_eq!(board.publish(&b, NOW), Ok(Published::Added));
    assert_eq!(board.list(&cursor, 10).unwrap().keys, [b.key()], "whoever had read on hears of it");
    assert_eq!(board.fetch(&b.key(), NOW), Ok(Some(b)));
    fs::write(&journal, b"short").unwrap();
    let c = suite::record(3, NOW + DAY, b"c");
    board.publish(&c, NOW).unwrap();
    assert_eq!(all(&board), [c.key()], "a journal without a name begins anew");
}

#[test]
fn a_journal_of_what_is_gone_is_rewritten() {
    let folder = tempfile::tempdir().unwrap();
    let mut board = FolderBoard::open(folder.path()).unwrap();
    let lasting = suite::record(1, NOW + DAY, b"lasting");
    board.publish(&lasting, NOW).unwrap();
    let filler: Vec<u8> = (0..251).cycle().take(JOURNAL_KEYS_MIN * KEY_LEN).collect();
    let mut journal = OpenOptions::new().append(true).open(folder.path().join(JOURNAL)).unwrap();
    journal.write_all(&filler).unwrap();
    let cursor = board.list(&Cursor::default(), usize::MAX).unwrap().next;
    board.collect(NOW).unwrap();
    assert_eq!(all(&board), [lasting.key()]);
    assert_eq!(board.list(&cursor, 10).unwrap().keys, [lasting.key()], "an old cursor is the beginning");
}

/// Processes of their own publish the same and different records into one folder, while this one reads.
#[test]
fn many_processes_write_at_once() {
    if let Ok(folder) = std::env::var("BOARD_WRITER") {
        let mut board = FolderBoard::open(Path::new(&folder)).unwrap();
        let own = std::env::var("BOARD_WRITER_NUMBER").unwrap().parse().unwrap();
        for n in 0..20 {
            board.publish(&suite::record(n, NOW + DAY, b"common"), NOW).unwrap();
            let mine = suite::record(own, NOW + DAY + u64::from(n), b"mine");
            board.publish(&mine, NOW).unwrap();
            assert_eq!(board.fetch(&mine.key(), NOW).unwrap(), Some(mine));
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let writer = |number: u16| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "board_folder::tests::many_processes_write_at_once"]);
        command.env("BOARD_WRITER", folder.path()).env("BOARD_WRITER_NUMBER", number.to_string());
        command.spawn().unwrap()
    };
    let mut writers: Vec<_> = (100..104).map(writer).collect();
    assert!(writers.iter_mut().all(|writer| writer.wait().unwrap().success()));
    let board = FolderBoard::open(folder.path()).unwrap();
    let keys = all(&board);
    let different: BTreeSet<&RecordKey> = keys.iter().collect();
    assert_eq!(different.len(), keys.len(), "each record came once");
    assert_eq!(keys.len(), 24);
    assert!(keys.iter().all(|key| board.fetch(key, NOW).unwrap().is_some()));
}
