//! A folder that was set back is refused, and whoever means it can say so.
use crate::support::{Ended, Place};
use std::path::Path;

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

/// Puts the copy in the place of the folder.
fn set_back(copy: &Path, folder: &Path) {
    std::fs::remove_dir_all(folder).unwrap();
    std::fs::rename(copy, folder).unwrap();
}

#[track_caller]
fn refused(ended: &Ended, what: &str, next: &str) {
    let pair = ended.pair();
    assert!(ended.code == 1 && pair.0.contains(what) && pair.1.contains(next), "{pair:?}");
}

#[test]
fn an_older_copy_of_a_profile_is_refused() {
    let place = Place::crew();
    copy(&place.home("ada"), &place.home("older"));
    place.ok("ada", &["send", "said since"]);
    copy(&place.home("ada"), &place.home("newest"));
    set_back(&place.home("older"), &place.home("ada"));
    for command in [&["send", "twice the same number"][..], &["read"]] {
        refused(&place.run("ada", command), "older copy", "newest copy");
    }
    set_back(&place.home("newest"), &place.home("ada"));
    assert!(place.ok("ada", &["read"]).contains("said since"));
    place.ok("ada", &["send", "on it goes"]);
}

#[test]
fn a_lost_counter_is_told_and_another_one_adopted() {
    let place = Place::crew();
    std::fs::remove_dir_all(place.home("counters")).unwrap();
    refused(&place.run("ada", &["read"]), "is missing", "keys adopt");
    let none = place.run("ada", &["--counter", "none", "read"]);
    refused(&none, "bound to a counter of the kind file", "keys adopt");
    let old = place.home("old");
    copy(&place.home("ada"), &old);
    assert_eq!(place.json("ada", &["keys", "adopt"])["counter"], "file");
    place.ok("ada", &["send", "here now"]);
    set_back(&old, &place.home("ada"));
    refused(&place.run("ada", &["read"]), "from before its counter was made anew", "keys adopt");
}

/// Of two profiles in one folder of counters each has its own, and the other's is not taken for it.
#[test]
fn another_profiles_counter_is_none() {
    let place = Place::crew();
    let of = |known: &[std::path::PathBuf]| {
        let files = std::fs::read_dir(place.home("counters")).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|file| !known.contains(file)).collect::<Vec<_>>()
    };
    let ada = of(&[]);
    place.ok("bob", &["init", "--name", "Bob"]);
    let bob = of(&ada);
    assert_eq!((ada.len(), bob.len()), (1, 1));
    std::fs::copy(&bob[0], &ada[0]).unwrap();
    refused(&place.run("ada", &["read"]), "another's counter", "keys adopt");
}

/// A counter that is behind by more than a crash explains was itself set back.
#[test]
fn a_counter_that_was_set_back_is_told() {
    let place = Place::crew();
    copy(&place.home("counters"), &place.home("before"));
    place.ok("ada", &["send", "three checkpoints"]);
    copy(&place.home("counters"), &place.home("after"));
    set_back(&place.home("before"), &place.home("counters"));
    refused(&place.run("ada", &["read"]), "behind this disk", "keys adopt");
    set_back(&place.home("after"), &place.home("counters"));
    assert!(place.ok("ada", &["read"]).contains("three checkpoints"));
}

#[test]
fn a_profile_without_a_counter_is_a_choice() {
    let place = Place::new();
    place.ok("ada", &["--counter", "none", "init", "--name", "Ada"]);
    assert!(!place.home("counters").exists());
    copy(&place.home("ada"), &place.home("older"));
    place.ok("ada", &["space", "create", "Crew"]);
    set_back(&place.home("older"), &place.home("ada"));
    assert!(!place.ok("ada", &["status"]).contains("Crew"), "nothing tells");
    assert_eq!(place.json("ada", &["keys", "adopt"])["counter"], "file");
    assert!(place.home("counters").exists());
}

#[test]
fn an_older_copy_of_a_vault_is_refused_too() {
    let place = Place::new();
    let folder = place.home("vault");
    let folder = folder.to_str().unwrap();
    let vault = |args: &[&'static str]| place.run("-", &[&["vault", "--database", folder], args].concat());
    assert_eq!(vault(&["init"]).code, 0);
    copy(&place.home("vault"), &place.home("older"));
    assert_eq!(vault(&["collections", "create", "door"]).code, 0);
    set_back(&place.home("older"), &place.home("vault"));
    refused(&vault(&["collections", "list"]), "older copy of the vault", "newest copy");
    assert_eq!(vault(&["adopt"]).code, 0);
    assert_eq!(vault(&["collections", "list"]).code, 0);
    let log = vault(&["audit"]).stdout;
    assert!(log.contains("adopt_counter"), "who adopts is on record: {log}");
}

#[cfg(not(feature = "tpm"))]
#[test]
fn what_a_build_does_not_know_says_how_to_build_it() {
    let place = Place::new();
    let ended = place.run("ada", &["--counter", "tpm", "init", "--name", "Ada"]);
    refused(&ended, "this build knows no tpm", "--features tpm");
    place.ok("ada", &["init", "--name", "Ada"]);
    refused(
        &place.run("ada", &["keys", "guard", "--new-master-key", "tpm"]),
        "knows no tpm",
        "--features tpm",
    );
}
