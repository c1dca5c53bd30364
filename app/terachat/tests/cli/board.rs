//! Two people who are never online at the same time, and a folder.
use crate::support::Place;
#[cfg(unix)]
use crate::support::Running;

/// Ada's crew, Bo invited, and where the board is.
pub(crate) fn invited() -> (Place, String) {
    let place = Place::crew();
    place.ok("bo", &["init", "--name", "Bo"]);
    let card = place.ok("bo", &["whoami"]);
    place.ok("bo", &["join", &place.ok("ada", &["invite", &card])]);
    let folder = place.home("board").display().to_string();
    (place, folder)
}

#[test]
fn two_profiles_exchange_by_a_folder_alone() {
    let (place, folder) = invited();
    place.ok("ada", &["send", "I leave this for you"]);
    let ended = place.run("bo", &["board", "fetch", "--folder", &folder]);
    let (what, next) = ended.pair();
    assert!(what.contains("no board in") && next.contains("board publish"), "{what} / {next}");

    let left = place.json("ada", &["board", "publish", "--folder", &folder]);
    assert!(left["events"].as_u64().unwrap() >= 4 && left["more"] == false, "{left}");
    let got = place.json("bo", &["board", "fetch", "--folder", &folder]);
    assert!(got["added"].as_u64().unwrap() >= 4 && got["left"] == 0, "{got}");
    assert_eq!(place.json("bo", &["read"])["messages"][0]["body"], "I leave this for you");

    place.ok("bo", &["send", "and this is for you"]);
    let both = place.json("bo", &["board", "sync", "--folder", &folder]);
    assert_eq!((&both["fetched"]["added"], &both["published"]["events"]), (&0.into(), &1.into()), "{both}");
    assert!(place.ok("ada", &["board", "sync", "--folder", &folder]).contains("1 new"));
    assert!(place.ok("ada", &["read"]).contains("and this is for you"));
    let both = place.json("ada", &["board", "sync", "--folder", &folder]);
    assert_eq!((&both["fetched"]["added"], &both["published"]["records"]), (&0.into(), &0.into()), "{both}");
    let state = |name: &str| place.json(name, &["status"])["spaces"][0]["state_hash"].clone();
    assert_eq!(state("ada"), state("bo"));
}

#[test]
fn who_was_removed_finds_nothing_more_and_damage_is_told() {
    let (place, folder) = invited();
    place.ok("ada", &["board", "sync", "--folder", &folder]);
    place.ok("bo", &["board", "sync", "--folder", &folder]);
    place.ok("ada", &["member", "remove", "Bo"]);
    place.ok("ada", &["send", "without Bo"]);
    place.ok("ada", &["board", "sync", "--folder", &folder]);
    let got = place.json("bo", &["board", "fetch", "--folder", &folder]);
    assert_eq!(got["added"], 0, "{got}");
    assert!(got["waiting"][0].as_str().unwrap().contains("without this device"), "{got}");
    assert!(!place.ok("bo", &["read"]).contains("without Bo"));

    let letter = place.home("letters");
    std::fs::create_dir(&letter).unwrap();
    std::fs::write(letter.join("a.txt"), "dear").unwrap();
    let ended = place.run("ada", &["board", "publish", "--folder", letter.to_str().unwrap()]);
    assert!(ended.pair().0.contains("letters"), "{ended:?}");
    assert_eq!(
        std::fs::read_dir(&letter)
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name() != ".lock")
            .count(),
        1
    );

    for entry in walk(&place.home("board").join("records")) {
        std::fs::write(entry, "cut short").unwrap();
    }
    place.ok("cy", &["init", "--name", "Cy"]);
    let card = place.ok("cy", &["whoami"]);
    place.ok("cy", &["join", &place.ok("ada", &["invite", &card])]);
    place.ok("ada", &["board", "publish", "--folder", &folder]);
    let got = place.json("cy", &["board", "fetch", "--folder", &folder]);
    assert!(got["added"].as_u64().unwrap() > 0 && got["left"].as_u64().unwrap() > 0, "{got}");
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[cfg(unix)]
#[test]
fn a_running_listen_serves_the_board_too() {
    let (place, folder) = invited();
    let (mut listen, _) = Running::listen(&place, "ada", &[]);
    place.ok("ada", &["send", "from a device that stays"]);
    let mut command = place.command("ada", &["board", "sync", "--folder", "board"]);
    // The path is the caller's, wherever the other process runs.
    assert!(command.current_dir(place.folder.path()).output().unwrap().status.success());
    place.ok("bo", &["board", "sync", "--folder", &folder]);
    place.ok("bo", &["send", "heard"]);
    place.ok("bo", &["board", "publish", "--folder", &folder]);
    place.ok("ada", &["board", "fetch", "--folder", &folder]);
    listen.line_with("heard");
    assert_eq!(listen.interrupt(), 0);
}
