use crate::support::{Place, Running};

#[test]
fn a_passphrase_gives_way_to_a_key_file_and_back() {
    let place = Place::crew();
    place.ok("ada", &["send", "before"]);
    let (file, words) = (place.home("key"), place.file("words", "battery staple\n"));
    let (file, words) = (file.to_str().unwrap(), words.to_str().unwrap());
    let sources = |args: &[&str]| place.json("ada", args)["sources"].clone();

    assert_eq!(
        sources(&["keys", "guard", "--new-key-file", file]),
        serde_json::json!(["passphrase", "file"])
    );
    for opens in [&["read"][..], &["read", "--key-file", file]] {
        assert!(place.ok("ada", opens).contains("before"), "{opens:?}");
    }
    assert_eq!(sources(&["keys", "unguard", "passphrase"]), serde_json::json!(["file"]));
    let ended = place.run("ada", &["read"]);
    let (what, next) = ended.pair();
    assert!(what.contains("not guarded by a passphrase") && next.contains("one of these"), "{what} / {next}");
    let ended = place.run("ada", &["keys", "unguard", "file", "--key-file", file]);
    assert!(ended.pair().0.contains("only thing"), "the last source stays");

    place.ok("ada", &["keys", "rotate", "--key-file", file]);
    let master = ["keys", "master", "--new-passphrase-file", words, "--key-file", file];
    assert_eq!(sources(&master), serde_json::json!(["passphrase"]));
    assert_eq!(place.run("ada", &["read"]).code, 1, "the passphrase of old is no guard any more");
    assert_eq!(place.run("ada", &["read", "--key-file", file]).code, 1);
    assert!(place.ok("ada", &["read", "--passphrase-file", words]).contains("before"));
}

#[test]
fn keys_are_not_changed_under_a_running_process() {
    let place = Place::crew();
    let (listener, _) = Running::listen(&place, "ada", &["--listen", "127.0.0.1:0"]);
    let ended = place.run("ada", &["keys", "rotate"]);
    assert_eq!(ended.code, 1);
    drop(listener);
}
