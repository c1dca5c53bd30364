//! Folders that are not as they should be: told in two lines, left as they are, and good again once put right.
#![cfg(unix)]
use crate::support::{Ended, Place, Running, holds};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The files of a profile with their content, without the lock.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| path.is_file() && path.file_name().unwrap() != ".lock")
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn a_foreign_folder_is_left_alone() {
    let place = Place::new();
    let home = place.home("letters");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(home.join("letter.txt"), "dear").unwrap();
    for args in [&["status"][..], &["init", "--name", "Ada"], &["listen"], &["audit"]] {
        let ended = place.run("letters", args);
        let (what, next) = ended.pair();
        assert!(what.contains("no profile") || what.contains("not empty"), "{args:?}: {what}");
        assert!(next.contains("--home"), "{args:?}: {next}");
    }
    assert_eq!(files(&home), [(home.join("letter.txt"), b"dear".to_vec())]);
}

#[test]
fn a_damaged_key_file_is_told_and_a_backup_of_it_heals_all() {
    let place = Place::crew();
    place.ok("ada", &["send", "before"]);
    let keyring = place.home("ada").join("keyring");
    let whole = std::fs::read(&keyring).unwrap();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for damaged in [&flipped[..], &whole[..whole.len() / 2], b"", b"not a key file at all", &[0xff; 5000]] {
        std::fs::write(&keyring, damaged).unwrap();
        let before = files(&place.home("ada"));
        let ended = place.run("ada", &["read"]);
        let (what, next) = ended.pair();
        // A wrong passphrase and a changed file cannot always be told apart.
        let named = what.contains("damaged") || what.contains("changed");
        assert!(named && next.contains("backup"), "{what} / {next}");
        assert_eq!(files(&place.home("ada")), before, "nothing was changed");
    }
    std::fs::write(&keyring, whole).unwrap();
    assert!(place.ok("ada", &["read"]).contains("before"));
    place.ok("ada", &["audit"]);
}

/// A command on a disk that takes no more, by the only limit that needs no rights: no file grows beyond some blocks.
fn limited(place: &Place, blocks: usize, args: &[&str]) -> Ended {
    let inner = place.command("ada", args);
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\"", &blocks.to_string()]);
    command.arg(inner.get_program()).args(inner.get_args()).stdin(Stdio::null());
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Ended::from(command.output().unwrap())
}

#[test]
fn what_does_not_fit_is_refused_and_all_else_stays() {
    let place = Place::crew();
    place.ok("ada", &["send", "before"]);
    let largest = files(&place.home("ada")).iter().map(|(_, bytes)| bytes.len()).max().unwrap();
    let body = &letters(60_000);
    let ended = limited(&place, largest / 512 + 16, &["send", body]);
    let (what, next) = ended.pair();
    assert!(what.contains("cannot") && !next.is_empty(), "{what} / {next}");
    let page = place.json("ada", &["read"]);
    assert_eq!(page["messages"].as_array().unwrap().len(), 1, "what was refused is not there");
    place.ok("ada", &["send", body]);
    place.ok("ada", &["audit"]);
    assert_eq!(place.json("ada", &["read"])["messages"].as_array().unwrap().len(), 2);
}

/// A snapshot that could not be written once failed the command whose answer was there already: nothing could be read
/// on a full disk, and a message was reported as failed that was sent.
#[test]
fn a_full_disk_can_be_read() {
    let place = Place::crew();
    let mut command = place.command("ada", &["import", "-", "--batch", "1", "--json"]);
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    let mut pipe = running.child.stdin.take().unwrap();
    // Killed before its end, so that the next command has much to put into a snapshot.
    for id in 1..=30 {
        let body = letters(60_000);
        let line = format!(
            r#"{{"id":{id},"ts":"2004-12-25T09:14:00Z","type":"message","author":"a","body":"{body}"}}"#
        );
        writeln!(pipe, "{line}").unwrap();
    }
    running.line_with("\"last_id\":30");
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    for args in [&["status"][..], &["read", "--limit", "1"], &["audit"]] {
        let ended = limited(&place, 1, args);
        assert!(ended.code == 0 && !ended.stdout.is_empty(), "{args:?}: {}", ended.stderr);
    }
    assert!(!holds(&place.home("ada"), "snapshot"), "or this tests nothing");
    place.ok("ada", &["status"]);
    assert!(holds(&place.home("ada"), "snapshot"), "or this tests nothing");
}

/// Letters that packing makes hardly smaller than half.
fn letters(len: usize) -> String {
    let mut bytes = vec![0; len / 2];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
