use crate::support::{Ended, Place, program};

fn bare(args: &[&str]) -> Ended {
    Ended::from(program().args(args).output().unwrap())
}

#[test]
fn help_goes_to_stdout_for_every_command() {
    for command in [
        "init",
        "whoami",
        "card",
        "space",
        "channel",
        "category",
        "invite",
        "join",
        "member",
        "device",
        "role",
        "send",
        "forum",
        "retitle",
        "mark",
        "reply",
        "edit",
        "delete",
        "react",
        "pin",
        "read",
        "search",
        "import",
        "log",
        "audit",
        "status",
        "listen",
        "sync",
        "bundle",
        "keys",
        "vault",
        "demo",
        "completions",
        "man",
    ] {
        let ended = bare(&[command, "--help"]);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{command}");
        assert!(ended.stdout.contains("Usage: terachat"), "{command}");
    }
}

#[test]
fn mistakes_on_the_command_line_end_with_2() {
    for args in [
        &["frobnicate"][..],
        &[],
        &["send"],
        &["read", "--limit", "many"],
        &["role", "set", "bo", "200"],
        &["sync"],
        &["demo", "--devices", "99"],
        &["read", "--before", "a", "--after", "b"],
        &["read", "--before", "a", "--around", "b"],
        &["read", "--after", "a", "--around", "b"],
        &["log", "--limit", "3", "--why", "a"],
        &["read", "--from", "a", "--thread", "b"],
        &["read", "--since", "2004-12-25", "--pinned"],
        &["read", "--has", "attachment", "--follow"],
        &["read", "--has", "wings"],
        &["read", "--min-rank", "101"],
    ] {
        let ended = bare(args);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{args:?}");
        let helps = ended.stderr.contains("Usage: terachat") || ended.stderr.contains("try '--help'");
        assert!(helps, "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn every_failure_is_a_pair() {
    let place = Place::crew();
    #[track_caller]
    fn case(place: &Place, home: &str, args: &[&str], what: &str, next: &str) {
        let ended = place.run(home, args);
        let pair = ended.pair();
        assert!(pair.0.contains(what) && pair.1.contains(next), "{args:?}: {pair:?}");
    }
    case(&place, "nobody", &["read"], "no profile", "terachat init");
    case(&place, "ada", &["init", "--name", "Bo"], "not empty", "--home");
    case(&place, "ada", &["read", "--follow"], "nothing can arrive", "terachat listen");
    case(&place, "ada", &["import", "/no/such/log"], "cannot open /no/such/log", "check the path");
    case(
        &place,
        "ada",
        &["bundle", "import", "/no/such/bundle"],
        "cannot read /no/such/bundle",
        "check the path",
    );
    case(&place, "ada", &["member", "list", "--space", "nowhere"], "no space \"nowhere\"", "terachat status");
    case(&place, "ada", &["send", "x", "--channel", "nowhere"], "channel", "");
    case(&place, "ada", &["sync", "--peer", "somewhere"], "not an address", "127.0.0.1:4001");
    case(&place, "ada", &["listen", "--listen", "nowhere"], "not an address", "127.0.0.1:4001");
    case(&place, "ada", &["demo", "--import", "/no/such/log"], "cannot open", "check the path");
    let wrong = place.file("wrong", "battery staple");
    case(&place, "ada", &["status", "--passphrase-file", wrong.to_str().unwrap()], "passphrase", "try again");
    case(
        &place,
        "ada",
        &["status", "--passphrase-file", "/no/such/file"],
        "passphrase file",
        "check the path",
    );
    assert!(!place.home("nobody").exists(), "a look at a missing profile makes no folder");
}

#[test]
fn a_passphrase_is_asked_for_only_at_a_terminal() {
    let place = Place::crew();
    let mut command = place.command("ada", &["status"]);
    let ended = Ended::from(command.env_remove("TERACHAT_PASSPHRASE_FILE").output().unwrap());
    assert!(ended.pair().1.contains("--passphrase-file"));
}

#[test]
fn failures_for_programs_are_json_too() {
    let ended = Place::new().run("nobody", &["read", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&ended.stderr).unwrap();
    assert!(ended.code == 1 && value["error"].is_string() && value["next"].is_string());
}

#[test]
fn answers_are_json_where_asked_for() {
    let place = Place::crew();
    let id = place.json("ada", &["send", "hello world"])["id"].as_str().unwrap().to_owned();
    assert_eq!(place.json("ada", &["whoami"])["name"], "Ada");
    assert_eq!(place.json("ada", &["read"])["messages"][0]["body"], "hello world");
    assert_eq!(place.json("ada", &["search", "hello"])["hits"][0]["message"]["id"], id.as_str());
    assert_eq!(place.json("ada", &["status"])["spaces"][0]["channels"][0]["messages"], 1);
    assert_eq!(place.json("ada", &["member", "list"])["members"][0]["name"], "Ada");
    assert!(!place.json("ada", &["log", "--channel", "deck"])["events"].as_array().unwrap().is_empty());
    assert_eq!(place.json("ada", &["audit"])["alarm"].as_array().unwrap().len(), 0);
    let bundle = place.home("crew.bundle");
    let exported = place.json("ada", &["bundle", "export", "--out", bundle.to_str().unwrap()]);
    assert_eq!(exported["len"], std::fs::metadata(&bundle).unwrap().len());
}

/// An id that was cut for display once named another message, from an author's tenth on.
#[test]
fn what_is_shown_as_an_id_names_that_message() {
    let place = Place::crew();
    for n in 1..=11 {
        place.ok("ada", &["send", &format!("number {n}")]);
    }
    let page = place.ok("ada", &["read"]);
    let line = page.lines().find(|line| line.ends_with("number 11")).unwrap();
    let id = line.split_whitespace().nth(1).unwrap();
    place.ok("ada", &["edit", id, "changed"]);
    let page = place.json("ada", &["read"]);
    let bodies: Vec<_> =
        page["messages"].as_array().unwrap().iter().map(|message| &message["body"]).collect();
    assert_eq!(
        (bodies.len(), bodies[0].as_str(), bodies[10].as_str()),
        (11, Some("number 1"), Some("changed"))
    );
}

#[test]
fn messages_never_steer_the_terminal() {
    let place = Place::crew();
    place.ok("ada", &["send", "a\u{1b}]0;owned\u{7}b\u{9b}2J\u{202e}c"]);
    for args in [&["read"][..], &["read", "--json"], &["search", "a"], &["log", "--channel", "deck"]] {
        let text = place.ok("ada", args);
        let unsafe_char = text.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(unsafe_char, None, "{args:?}: {text}");
    }
    let body = place.json("ada", &["read"])["messages"][0]["body"].as_str().unwrap().to_owned();
    assert_eq!(body, "a\u{1b}]0;owned\u{7}b\u{9b}2J\u{202e}c", "and programs get what was written");
}

#[test]
fn quiet_leaves_only_data() {
    let place = Place::new();
    let ended = place.run("ada", &["init", "--name", "Ada", "--quiet"]);
    assert_eq!((ended.code, ended.stderr.as_str(), ended.stdout.lines().count()), (0, "", 1));
    let ended = place.run("ada", &["whoami"]);
    assert!(ended.stderr.contains("Ada") && ended.stdout.lines().count() == 1);
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_is_no_failure() {
    let place = Place::crew();
    place.ok("ada", &["send", "hello"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ended = Ended::from(place.command("ada", &["read"]).stdout(writer).output().unwrap());
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
}

#[test]
fn completions_and_manual_pages_are_made() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(bare(&["completions", shell]).stdout.contains("terachat"), "{shell}");
    }
    let place = Place::new();
    let out = place.home("man");
    assert_eq!(bare(&["man", "--out", out.to_str().unwrap()]).code, 0);
    let page = std::fs::read_to_string(out.join("terachat-import.1")).unwrap();
    assert!(page.contains("skip\\-bad"));
}
