//! Shares of a recovery key open what its passphrase opened.
use crate::support::Place;

#[test]
fn any_two_of_three_keepers_open_a_profile() {
    let place = Place::crew();
    place.ok("ada", &["send", "kept"]);
    let folder = place.home("keepers");
    std::fs::create_dir(&folder).unwrap();
    let out = folder.to_str().unwrap();
    let recovery = ["keys", "recovery", "--threshold", "2", "--shares", "3", "--out", out];
    assert!(place.ok("ada", &recovery).contains("3 shares"));
    let again = place.run("ada", &recovery);
    assert!(again.code == 1 && again.pair().0.contains("share-1.txt"), "no share is overwritten");
    let open = |numbers: &[u8]| {
        let files: Vec<String> = numbers.iter().map(|number| format!("{out}/share-{number}.txt")).collect();
        place.run("ada", &["read", "--master-key", &format!("recovery:{}", files.join(","))])
    };
    for pair in [[1, 2], [2, 3], [3, 1]] {
        assert!(open(&pair).stdout.contains("kept"), "{pair:?}");
    }
    let alone = open(&[2]);
    let alone = alone.pair();
    assert!(alone.0.contains("1 different shares are here, 2 are needed"), "{alone:?}");
    let one = std::fs::read_to_string(folder.join("share-1.txt")).unwrap();
    std::fs::write(folder.join("share-1.txt"), one.replacen(one.chars().nth(20).unwrap(), "Q", 2)).unwrap();
    let typo = open(&[1, 2]);
    let typo = typo.pair();
    assert!(typo.0.contains("share-1.txt is not a share"), "{typo:?}");
}

#[test]
fn shares_of_a_vault_can_be_shown_and_kept_in_one_file() {
    let place = Place::new();
    let folder = place.home("vault");
    let folder = folder.to_str().unwrap();
    let vault = |args: &[&str]| {
        [&["vault", "--database", folder], args]
            .concat()
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    let run = |args: &[&str]| {
        let args = vault(args);
        place.run("-", &args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert_eq!(run(&["init"]).code, 0);
    let shown = run(&["recovery", "--threshold", "2", "--shares", "2"]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    let file = place.file("shares", &shown.stdout);
    assert!(run(&["sources"]).stdout.contains("recovery"));
    assert_eq!(run(&["unguard", "passphrase"]).code, 0);
    assert_eq!(run(&["collections", "list"]).code, 1, "the passphrase opens it no more");
    let by_shares = format!("recovery:{}", file.display());
    assert_eq!(run(&["--master-key", &by_shares, "collections", "create", "door"]).code, 0);
    let usage = run(&["recovery", "--threshold", "3", "--shares", "2", "--master-key", &by_shares]);
    assert!(usage.code == 1 && usage.pair().0.contains("3 of 2 cannot be split"), "{:?}", usage.pair());
}
