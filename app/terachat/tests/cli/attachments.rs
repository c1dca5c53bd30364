//! A large file from one member to another by the organisation's cluster, while everything is killed that can be.
use crate::board::invited;
use crate::board_cluster::{kill_the_leader, let_bo_in, up};
use crate::support::{Ended, Place};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// What any single wait may take on a busy machine; nothing comes near.
const PATIENCE: Duration = Duration::from_secs(60);
const LEN: usize = (8 << 20) + 5;
/// Stands in each line of the file.
const PLAIN: &str = "what nobody but the members may read";

/// Ada's and Bo's machines, each with a client of the cluster.
struct Team {
    place: Place,
    ada: Vec<String>,
    bo: Vec<String>,
}

impl Team {
    fn new(place: Place) -> Self {
        let_bo_in(&place);
        let path = |name: &str| place.home(name).display().to_string();
        let ada = vec!["--cluster".to_owned(), path("cluster")];
        let bo = vec!["--cluster".to_owned(), path("apart"), "--cluster-key".to_owned(), path("bo.key")];
        let team = Self { place, ada, bo };
        team.exchange();
        team
    }

    fn own<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        (if name == "ada" { &self.ada } else { &self.bo }).iter().map(String::as_str)
    }

    fn run(&self, name: &str, args: &[&str]) -> Ended {
        let args: Vec<&str> = args.iter().copied().chain(self.own(name)).collect();
        self.place.run(name, &args)
    }

    #[track_caller]
    fn ok(&self, name: &str, args: &[&str]) -> Ended {
        let ended = self.run(name, args);
        assert_eq!(ended.code, 0, "{args:?}: {}", ended.stderr);
        ended
    }

    fn start(&self, name: &str, args: &[&str]) -> Child {
        let args: Vec<&str> = args.iter().copied().chain(self.own(name)).collect();
        self.place.command(name, &args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// What Ada wrote comes to Bo by the board.
    fn exchange(&self) {
        self.ok("ada", &["board", "publish"]);
        self.ok("bo", &["board", "fetch"]);
    }

    /// Starts a command again and again until it was killed before it was done, but not before `begun`.
    fn killed_midway(&self, name: &str, args: &[&str], begun: impl Fn() -> bool, undo: impl Fn()) {
        let until = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < until, "never midway: {args:?}");
            let mut child = self.start(name, args);
            while !begun() && child.try_wait().unwrap().is_none() {
                assert!(Instant::now() < until, "never begun: {args:?}");
                std::thread::yield_now();
            }
            child.kill().unwrap();
            if child.wait().unwrap().code().is_none() {
                return;
            }
            undo();
        }
    }
}

/// Bytes of all files in and below a folder.
fn len_of(folder: &Path) -> u64 {
    files_in(folder).iter().filter_map(|path| std::fs::metadata(path).ok()).map(|found| found.len()).sum()
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_in(&path) } else { vec![path] }).collect()
}

/// Lines that are like no others, each with what nobody may read.
fn book() -> Vec<u8> {
    let lines = (0..).map(|n| format!("{n} {PLAIN} {}\n", blake3::hash(&u64::to_le_bytes(n))));
    lines.flat_map(String::into_bytes).take(LEN).collect()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// The first number of a line of talk that says how much was there before.
fn known(ended: &Ended) -> usize {
    let line = ended.stderr.lines().find(|line| line.contains("were there")).unwrap_or_default();
    line.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[test]
fn a_large_file_reaches_a_member_and_nobody_else() {
    let (place, _) = invited();
    let up = up(&place, 4);
    let team = Team::new(place);
    let place = &team.place;
    let book = book();
    let file = place.file("book.txt", &book).display().to_string();
    let shards = place.home("cluster");
    let before = len_of(&shards);

    // Killed on the way in: nothing is posted, and what is there is not sent again.
    let send = ["send", "a book for you", "--attach", &file];
    let posted = || place.json("ada", &["read"])["messages"].as_array().unwrap().len();
    team.killed_midway("ada", &send, || len_of(&shards) > before + (3 << 20), || panic!("it was too quick"));
    assert_eq!(posted(), 0, "posted before all of it is stored");
    kill_the_leader(place);
    let sent = team.ok("ada", &send);
    assert!((1..=LEN).contains(&known(&sent)), "{}", sent.stderr);
    let message = sent.stdout.trim().to_owned();
    assert_eq!(posted(), 1);

    // Killed on the way out.
    team.exchange();
    let listed = place.json("bo", &["attachment", "list"]);
    let listed = &listed["attachments"][0];
    assert_eq!((&listed["name"], &listed["len"]), (&"book.txt".into(), &LEN.into()), "{listed}");
    assert_eq!(listed["message"], message);
    assert!(place.ok("bo", &["attachment", "list", &message]).ends_with("in the cluster"));
    let (out, part) = (place.home("got.txt"), place.home("got.txt.part"));
    let target = out.display().to_string();
    let fetch = ["attachment", "fetch", &message, "--out", &target];
    let begun = || std::fs::metadata(&part).is_ok_and(|found| found.len() > 1 << 20);
    team.killed_midway("bo", &fetch, begun, || std::fs::remove_file(&out).unwrap());
    assert!(!out.exists(), "not before it is whole");
    let got = team.ok("bo", &fetch);
    assert!((1..=LEN).contains(&known(&got)), "{}", got.stderr);
    assert!(std::fs::read(&out).unwrap() == book && !part.exists());
    let again = team.run("bo", &fetch);
    assert!(again.pair().0.contains("got.txt") && again.pair().1.contains("another path"), "{again:?}");

    let disks = files_in(&shards);
    assert!(
        disks.len() > 8
            && disks.iter().filter_map(|path| std::fs::read(path).ok()).all(|bytes| !holds(&bytes, PLAIN))
    );

    // Who is removed has the chunks' keeper, and not the key.
    place.ok("ada", &["member", "remove", "Bo"]);
    let second = place.file("second.txt", "only for those who are left").display().to_string();
    let later = team.ok("ada", &["send", "--attach", &second]).stdout.trim().to_owned();
    team.ok("ada", &["board", "publish"]);
    team.ok("bo", &["board", "fetch"]);
    let ended = team.run("bo", &["attachment", "fetch", &later]);
    assert!(ended.pair().0.contains("message"), "{ended:?}");
    assert_eq!(place.json("bo", &["attachment", "list"])["attachments"].as_array().unwrap().len(), 1);

    // The key goes with the message.
    let mine = place.home("mine.txt").display().to_string();
    team.ok("ada", &["attachment", "fetch", &later, "--out", &mine]);
    assert_eq!(std::fs::read_to_string(&mine).unwrap(), "only for those who are left");
    place.ok("ada", &["delete", &later]);
    assert!(place.ok("ada", &["store", "compact"]).contains("1 erased"));
    std::fs::remove_file(&mine).unwrap();
    let ended = team.run("ada", &["attachment", "fetch", &later, "--out", &mine]);
    assert!(ended.pair().0.contains("was deleted"), "{ended:?}");
    assert_eq!(up.interrupt(), 0);
}

#[test]
fn what_cannot_be_stored_or_fetched_is_told() {
    let (place, folder) = invited();
    let up = up(&place, 1);
    let team = Team::new(place);
    let place = &team.place;
    let small = place.file("small.txt", "small").display().to_string();
    let other = place.file("other.txt", "other").display().to_string();
    let case = |ended: Ended, what: &str, next: &str| {
        let pair = ended.pair();
        assert!(pair.0.contains(what) && pair.1.contains(next), "{pair:?}");
    };
    case(team.run("ada", &["send", "words"]), "no file", "--attach");
    let home = place.home("ada").display().to_string();
    case(team.run("ada", &["send", "--attach", &home]), "is no file", "archive");
    let nowhere = place.run("ada", &["send", "--attach", &small, "--cluster", &folder]);
    case(nowhere, "no client of a cluster", "cluster join");

    let both = team.ok("ada", &["send", "--attach", &small, "--attach", &other]).stdout.trim().to_owned();
    case(place.run("ada", &["attachment", "fetch", &both]), "no cluster is named", "--cluster");
    case(team.run("ada", &["attachment", "fetch", &both, "third.txt"]), "called \"third.txt\"", "list");
    let target = place.home("got").display().to_string();
    case(team.run("ada", &["attachment", "fetch", &both, "--out", &target]), "2 attachments", "folder");
    std::fs::create_dir(&target).unwrap();
    team.ok("ada", &["attachment", "fetch", &both, "--out", &target]);
    for name in ["small", "other"] {
        assert_eq!(
            std::fs::read_to_string(place.home("got").join(name).with_extension("txt")).unwrap(),
            name
        );
    }
    let told = place.ok("ada", &["send", "--attach", &small]);
    case(team.run("ada", &["attachment", "fetch", &told]), "not its bytes", "--cluster");
    let words = place.ok("ada", &["send", "words"]);
    case(team.run("ada", &["attachment", "fetch", &words]), "no attachments", "list");
    assert_eq!(up.interrupt(), 0);
    let ended = team
        .run("ada", &["attachment", "fetch", &both, "small.txt", "--out", &small.replace("small", "late")]);
    case(ended, "answered", "node run");
}
