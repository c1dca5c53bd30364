#![cfg(unix)]
use crate::support::{Place, Running, holds};
use std::os::unix::fs::PermissionsExt;

#[test]
fn commands_go_through_a_running_listen() {
    let place = Place::crew();
    let (mut listen, _) = Running::listen(&place, "ada", &[]);
    let mode = std::fs::metadata(place.home("ada").join(".socket")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let id = place.json("ada", &["send", "through the socket"])["id"].as_str().unwrap().to_owned();
    assert!(listen.line_with("through the socket").contains(&id), "and listen shows it");
    assert_eq!(place.json("ada", &["read"])["messages"][0]["body"], "through the socket");
    // No passphrase is needed for what goes to the process that has it already.
    let mut command = place.command("ada", &["status"]);
    assert!(command.env_remove("TERACHAT_PASSPHRASE_FILE").output().unwrap().status.success());
    let ended = place.run("ada", &["edit", "ffffffffffff", "no"]);
    assert!(!ended.pair().1.is_empty(), "failures come through as pairs");
    assert!(place.run("ada", &["listen"]).pair().0.contains("already"));
    assert_eq!(listen.interrupt(), 0);
    assert!(!holds(&place.home("ada"), ".socket"));
    assert_eq!(place.json("ada", &["read"])["messages"][0]["body"], "through the socket");
}

#[test]
fn many_commands_at_once_are_all_served() {
    let place = Place::crew();
    let (_listen, _) = Running::listen(&place, "ada", &["--quiet"]);
    std::thread::scope(|scope| {
        for n in 0..12 {
            let place = &place;
            scope.spawn(move || place.ok("ada", &["send", &format!("number {n}")]));
        }
    });
    assert_eq!(place.json("ada", &["read"])["messages"].as_array().unwrap().len(), 12);
}

#[test]
fn a_killed_listen_leaves_nothing_in_the_way() {
    let place = Place::crew();
    let (mut listen, _) = Running::listen(&place, "ada", &[]);
    place.ok("ada", &["send", "before"]);
    listen.child.kill().unwrap();
    listen.child.wait().unwrap();
    assert!(holds(&place.home("ada"), ".socket"), "the socket's file is left behind");
    place.ok("ada", &["send", "between"]);
    let (_listen, _) = Running::listen(&place, "ada", &[]);
    place.ok("ada", &["send", "after"]);
    assert_eq!(place.json("ada", &["read"])["messages"].as_array().unwrap().len(), 3);
}

#[test]
fn followers_see_what_arrives_and_end_with_listen() {
    let place = Place::crew();
    place.ok("ada", &["send", "earlier"]);
    let (listen, _) = Running::listen(&place, "ada", &[]);
    let mut follow = Running::start(place.command("ada", &["read", "--follow", "--json"]));
    assert!(follow.line().contains("earlier"));
    place.ok("ada", &["send", "later"]);
    assert!(follow.line_with("later").contains("\"author\":\"Ada\""));
    assert_eq!(listen.interrupt(), 0);
    assert_eq!((follow.line(), follow.child.wait().unwrap().code()), (String::new(), Some(0)));
}

#[test]
fn devices_meet_by_sync_and_by_listen() {
    let place = Place::crew();
    place.ok("bo", &["init", "--name", "Bo"]);
    let card = place.ok("bo", &["whoami"]);
    let invitation = place.ok("ada", &["invite", &card]);
    place.ok("bo", &["join", &invitation]);
    place.ok("ada", &["send", "welcome"]);
    let (_ada, addr) = Running::listen(&place, "ada", &[]);
    let synced = place.json("bo", &["sync", "--peer", &addr]);
    assert_eq!(synced["in_sync"][0]["peer"], addr.as_str());
    assert_eq!(place.json("bo", &["read"])["messages"][0]["body"], "welcome");
    // Written offline, delivered on return; then live, both ways.
    place.ok("bo", &["send", "written offline"]);
    let (mut bo, _) = Running::listen(&place, "bo", &["--peer", &addr]);
    place.ok("ada", &["send", "live"]);
    bo.line_with("\"live\"");
    let bodies = place.ok("ada", &["read"]);
    assert!(bodies.contains("written offline") && bodies.contains("live"), "{bodies}");
}

#[test]
fn nobody_answering_is_a_failure_of_sync() {
    let place = Place::crew();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ended = place.run("ada", &["sync", "--peer", &free.to_string()]);
    let (what, next) = ended.pair();
    assert!(what.contains(&free.to_string()) && next.contains("check"), "{what} / {next}");
}

/// Both hear at once who is a stranger to whom: whoever was removed, and whoever asks a removed one.
#[test]
fn sync_with_a_former_member_ends_at_once_with_the_reason() {
    let place = Place::crew();
    place.ok("bo", &["init", "--name", "Bo"]);
    let card = place.ok("bo", &["whoami"]);
    place.ok("bo", &["join", &place.ok("ada", &["invite", &card])]);
    let ended = place.run("ada", &["member", "remove", "Ada"]);
    assert!(ended.pair().0.contains("without an owner") && ended.pair().1.contains("role set"), "{ended:?}");
    let (ada, addr) = Running::listen(&place, "ada", &[]);
    place.json("bo", &["sync", "--peer", &addr]);
    place.ok("ada", &["member", "remove", "Bo"]);
    let ended = place.run("bo", &["sync", "--peer", &addr]);
    assert!(ended.pair().0.contains("does not know this device"), "{ended:?}");
    assert_eq!(ada.interrupt(), 0);
    let (_bo, addr) = Running::listen(&place, "bo", &[]);
    let ended = place.run("ada", &["sync", "--peer", &addr]);
    assert!(ended.pair().0.contains("is no member of the space"), "{ended:?}");
}

/// Of what is followed everything is told: what comes, what changes, and what does not count any more.
#[test]
fn followers_of_a_thread_see_that_thread_alone() {
    let place = Place::crew();
    let root = place.ok("ada", &["send", "root"]);
    let (listen, _) = Running::listen(&place, "ada", &[]);
    let mut follow = Running::start(place.command("ada", &["read", "--follow", "--thread", &root, "--json"]));
    assert!(follow.line().contains("\"body\":\"root\""));
    place.ok("ada", &["send", "elsewhere"]);
    let reply = place.ok("ada", &["reply", &root, "an answer"]);
    assert!(follow.line().contains("\"body\":\"an answer\""), "what is elsewhere is not shown");
    place.ok("ada", &["reply", &reply, "and one to that"]);
    assert!(follow.line().contains("\"body\":\"and one to that\""));
    place.ok("ada", &["edit", &reply, "a better answer"]);
    assert!(follow.line().contains("\"body\":\"a better answer\""));
    assert_eq!(listen.interrupt(), 0);
    assert_eq!((follow.line(), follow.child.wait().unwrap().code()), (String::new(), Some(0)));
}

#[test]
fn a_search_narrows_to_a_time_and_an_author() {
    let place = Place::crew();
    let line = |id: u64, day: u64, author: &str| {
        format!(
            r#"{{"id":{id},"ts":"2004-12-{day}T12:00:00Z","type":"message","author":"{author}","body":"hello {id}"}}"#
        ) + "\n"
    };
    let file = place.file("log.jsonl", line(1, 24, "a") + &line(2, 25, "b") + &line(3, 26, "a"));
    place.ok("ada", &["import", file.to_str().unwrap()]);
    let case = |query: &str, expected: &[&str]| {
        let hits = place.json("ada", &["search", query]);
        let mut bodies: Vec<_> = hits["hits"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hit| hit["message"]["body"].as_str().unwrap())
            .collect();
        bodies.sort_unstable();
        assert_eq!(bodies, expected, "{query}");
    };
    case("hello after:2004-12-25", &["hello 2", "hello 3"]);
    case("hello before:2004-12-25", &["hello 1"]);
    case("hello after:2004-12-25T12:00 before:2004-12-25T12:01", &["hello 2"]);
    case("hello -after:2004-12-25 author:A", &["hello 1"]);
    case("author:a in:deck", &["hello 1", "hello 3"]);
    case("hello after:yesterday", &[]);
}
