#![cfg(unix)]
//! A channel that members read since they joined.
use crate::support::{Place, Running};

#[test]
fn a_newcomer_reads_what_is_written_since_it_joined() {
    let place = Place::crew();
    place.ok("ada", &["channel", "create", "vault", "--history", "since-join"]);
    let listed = place.ok("ada", &["channel", "list"]);
    let told = |line: &str| line.contains("vault") && line.contains("read since joining");
    assert!(listed.lines().any(told), "{listed}");
    let listed = place.json("ada", &["channel", "list"]).to_string();
    assert!(listed.contains("\"since_join\":true") && listed.contains("\"since_join\":false"), "{listed}");
    let refused = place.run("ada", &["channel", "create", "x", "--history", "some"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);

    let in_vault = |args: &[&'static str]| [&["--channel", "vault"], args].concat();
    place.ok("ada", &in_vault(&["send", "before"]));
    place.ok("ada", &["--channel", "deck", "send", "for everybody"]);
    place.ok("bo", &["init", "--name", "Bo"]);
    let card = place.ok("bo", &["whoami"]);
    let invitation = place.ok("ada", &["invite", &card]);
    place.ok("bo", &["join", &invitation]);
    {
        let (_ada, addr) = Running::listen(&place, "ada", &[]);
        place.ok("ada", &in_vault(&["send", "after"]));
        place.json("bo", &["sync", "--peer", &addr]);
        place.ok("bo", &in_vault(&["send", "by the newcomer"]));
        place.json("bo", &["sync", "--peer", &addr]);
    }
    let read = place.ok("bo", &in_vault(&["read"]));
    assert!(read.contains("(written before you could read here)") && read.contains("after"), "{read}");
    assert!(!read.contains("before\n"), "{read}");
    assert!(place.ok("bo", &["--channel", "deck", "read"]).contains("for everybody"));
    for word in ["before", "after", "newcomer"] {
        let found = |name: &str| place.json(name, &["search", word])["hits"].as_array().unwrap().len();
        assert_eq!((found("ada"), found("bo")), (1, usize::from(word != "before")), "{word}");
    }
    for name in ["ada", "bo"] {
        place.ok(name, &["audit"]);
    }
    let state = |name: &str| place.json(name, &["status"])["spaces"][0]["state_hash"].clone();
    assert_eq!(state("ada"), state("bo"), "who reads and who does not agree on all else");
}
