#![cfg(unix)]
//! Roles: shown, given and taken, and what somebody is told who may not.
use crate::support::{Place, Running};

#[test]
fn roles_are_shown_and_changed() {
    let place = Place::crew();
    place.ok("bo", &["init", "--name", "Bo"]);
    let card = place.ok("bo", &["whoami"]);
    place.ok("bo", &["join", &place.ok("ada", &["invite", &card, "--rank", "50"])]);
    let shown = place.ok("ada", &["role", "show"]);
    let lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
    assert_eq!(lines.len(), 5, "{shown}");
    assert!(lines[0].starts_with("role  100") && lines[0].ends_with("Ada"), "{shown}");
    assert!(lines[2].contains("post pin invite remove manage-channels moderate manage-roles"), "{shown}");
    assert!(lines[2].ends_with("Bo") && lines[4].ends_with("reads only"), "{shown}");
    place.ok("ada", &["role", "take", "50", "moderate", "manage-channels"]);
    place.ok("ada", &["role", "give", "10", "pin"]);
    let roles = place.json("ada", &["role", "show"]);
    let role =
        |rank: u64| roles["roles"].as_array().unwrap().iter().find(|role| role["rank"] == rank).unwrap();
    assert_eq!(role(10)["permissions"], serde_json::json!(["post", "pin"]));
    assert_eq!((&role(50)["changed"], &role(50)["members"]), (&true.into(), &serde_json::json!(["Bo"])));
    let (ada, addr) = Running::listen(&place, "ada", &[]);
    place.ok("bo", &["sync", "--peer", &addr]);
    assert_eq!(ada.interrupt(), 0);
    let refused = place.run("bo", &["channel", "create", "hold"]);
    let (what, next) = refused.pair();
    assert!(what.contains("takes the permission manage-channels, which your role lacks"), "{what}");
    assert_eq!(next, "Ada (rank 100) may give it");
    let refused = place.run("bo", &["role", "give", "10", "moderate"]);
    assert!(refused.pair().0.contains("gives the permission moderate, which your role lacks"), "{refused:?}");
    let log = place.ok("bo", &["log"]);
    assert!(log.contains("of role 50: took manage-channels, moderate"), "{log}");
}

#[test]
fn what_is_no_permission_or_no_role_is_a_usage_error_and_completions_know_the_names() {
    let place = Place::new();
    for args in [&["role", "give", "10", "fly"][..], &["role", "give", "10"], &["role", "take", "100", "pin"]]
    {
        assert_eq!(place.run("ada", args).code, 2, "{args:?}");
    }
    for shell in ["bash", "zsh"] {
        assert!(place.run("ada", &["completions", shell]).stdout.contains("manage-channels"), "{shell}");
    }
}
