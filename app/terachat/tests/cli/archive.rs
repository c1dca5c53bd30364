#![cfg(unix)]
//! A space's archive from outside: required and shown, holding and erasing, exporting what anybody can verify.
use crate::support::{Place, Running};

/// A crew with bo in it and an archive, which ada requires.
fn archived() -> Place {
    let place = Place::crew();
    for (name, rank) in [("bo", "10"), ("vault", "0")] {
        place.ok(name, &["init", "--name", name]);
        let card = place.ok(name, &["whoami"]);
        place.ok(name, &["join", &place.ok("ada", &["invite", &card, "--rank", rank])]);
    }
    place.ok("ada", &["archive", "require", "vault"]);
    place
}

fn sync(place: &Place) {
    let (ada, addr) = Running::listen(place, "ada", &[]);
    for name in ["bo", "vault", "bo"] {
        place.ok(name, &["sync", "--peer", &addr]);
    }
    assert_eq!(ada.interrupt(), 0);
}

#[test]
fn an_archive_is_seen_by_all_and_exports_what_anybody_can_verify() {
    let place = archived();
    let created = place.run("ada", &["channel", "create", "bridge", "--history", "since-join"]);
    assert!(created.stderr.contains("The space's archive reads along: vault."), "{created:?}");
    let created = place.json("ada", &["channel", "create", "galley"]);
    assert_eq!(created["archives"], serde_json::json!(["vault"]));
    place.ok("ada", &["--channel", "deck", "send", "all hands"]);
    place.ok("ada", &["--channel", "bridge", "send", "steer north"]);
    sync(&place);
    for name in ["ada", "bo", "vault"] {
        for args in [&["status"][..], &["member", "list"], &["channel", "list"], &["archive", "show"]] {
            let shown = place.ok(name, args);
            let line = shown
                .lines()
                .find(|line| line.contains("archive  vault"))
                .unwrap_or_else(|| panic!("{shown}"));
            assert!(
                line.contains("reads along in all channels") && line.contains("required by Ada"),
                "{line}"
            );
        }
        let shown = place.json(name, &["archive", "show"]);
        assert_eq!(
            (&shown["archives"][0]["name"], &shown["archives"][0]["reads"]),
            (&"vault".into(), &true.into())
        );
    }
    assert!(place.ok("bo", &["log"]).contains("as an archive"));
    let refused = place.run("ada", &["member", "remove", "vault"]);
    let (what, next) = refused.pair();
    assert!(what.contains("vault is an archive that the space requires"), "{what}");
    assert!(next.contains("archive release"), "{next}");
    assert!(place.run("vault", &["--channel", "deck", "send", "x"]).pair().0.contains("not allowed"));

    let file = place.home("export");
    let path = file.to_str().unwrap();
    assert!(
        place
            .run("bo", &["archive", "export", "--out", path])
            .pair()
            .0
            .contains("only a device that the space requires")
    );
    assert!(!file.exists());
    let told = place.json("vault", &["archive", "export", "--out", path]);
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(told["len"].as_u64(), Some(text.len() as u64));
    assert!(text.contains("all hands") && text.contains("steer north"));
    // Whoever verifies has no profile.
    let report = place.json("nobody", &["archive", "verify", path]);
    assert_eq!((&report["author"], &report["texts"]), (&"vault".into(), &2.into()));
    assert_eq!(report["device"], place.json("bo", &["archive", "show"])["archives"][0]["device"]);
    assert!(place.ok("nobody", &["archive", "verify", path]).contains("chains by their authors"));
    std::fs::write(&file, text.replace("steer north", "steer south")).unwrap();
    let refused = place.run("nobody", &["archive", "verify", path]);
    assert!(refused.pair().0.contains("is not what an archive exported, line "), "{refused:?}");
    let half = &text[..text.len() / 2];
    std::fs::write(&file, &half[..=half.rfind('\n').unwrap()]).unwrap();
    assert!(place.run("nobody", &["archive", "verify", path]).pair().0.contains("cut short"));
    place.ok("vault", &["--channel", "deck", "archive", "export", "--from", "2020-01-01", "--out", path]);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("all hands") && !text.contains("steer north"));
    place.ok("nobody", &["archive", "verify", path]);
}

#[test]
fn a_hold_keeps_what_was_deleted_with_the_archive_until_it_ends() {
    let place = archived();
    let sent = place.json("ada", &["send", "the code is sesame"]);
    sync(&place);
    assert!(place.run("bo", &["--channel", "deck", "archive", "hold"]).pair().0.contains("manage-archive"));
    place.ok("ada", &["--channel", "deck", "archive", "hold"]);
    place.ok("ada", &["delete", sent["id"].as_str().unwrap()]);
    sync(&place);
    let shown = place.ok("bo", &["status"]);
    assert!(
        shown.lines().any(|line| line.contains("hold")
            && line.contains("channel deck")
            && line.contains("put by Ada")),
        "{shown}"
    );
    let erased = |name: &str| {
        let told = place.json(name, &["store", "compact"]);
        ["erased", "pending", "held"].map(|what| told[what].as_u64().unwrap())
    };
    assert_eq!((erased("bo"), erased("vault")), ([1, 0, 0], [0, 0, 1]));
    assert!(place.ok("vault", &["store", "compact"]).contains("1 kept for a legal hold"));
    assert!(!place.ok("vault", &["read"]).contains("sesame"), "it is deleted for the archive's reader too");
    let file = place.home("export");
    let path = file.to_str().unwrap();
    place.ok("vault", &["archive", "export", "--out", path]);
    assert!(std::fs::read_to_string(&file).unwrap().contains("sesame"));
    place.ok("bo", &["archive", "verify", path]);
    let refused = place.run("ada", &["archive", "release", "vault"]);
    assert!(refused.pair().0.contains("a legal hold stands"), "{refused:?}");
    place.ok("ada", &["--channel", "deck", "archive", "end-hold"]);
    sync(&place);
    place.ok("vault", &["archive", "export", "--out", path]);
    assert!(!std::fs::read_to_string(&file).unwrap().contains("sesame"));
    assert_eq!(erased("vault"), [0, 0, 0]);
    place.ok("ada", &["archive", "release", "vault"]);
    place.ok("ada", &["member", "remove", "vault"]);
    for name in ["ada", "bo", "vault"] {
        place.ok(name, &["audit"]);
    }
}
