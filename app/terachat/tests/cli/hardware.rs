//! Chips and tokens through the program: a TPM emulator and a PKCS#11 module that are the real ones of their kind.
use crate::support::Place;

/// A profile and a vault sealed to a chip, each with its counter in it; and that a power cut of the chip is no loss.
#[cfg(feature = "tpm")]
#[test]
fn a_profile_and_a_vault_live_on_a_tpm() {
    use crate::swtpm::{Swtpm, is_installed};
    if !is_installed("a profile and a vault on a TPM") {
        return;
    }
    let (place, state) = (Place::new(), tempfile::tempdir().unwrap());
    let chip = Swtpm::start(state.path());
    let run = |chip: &Swtpm, args: &[&str]| {
        let mut command = place.command("ada", args);
        command.env("TERACHAT_MASTER_KEY", format!("tpm:{}", chip.tcti()));
        command.env("TERACHAT_COUNTER", format!("tpm:{}", chip.tcti()));
        crate::support::Ended::from(command.output().unwrap())
    };
    let ok = |chip: &Swtpm, args: &[&str]| {
        let ended = run(chip, args);
        assert_eq!(ended.code, 0, "{args:?}: {}", ended.stderr);
        ended.stdout
    };
    ok(&chip, &["init", "--name", "Ada"]);
    ok(&chip, &["space", "create", "Crew"]);
    assert!(ok(&chip, &["keys", "sources"]).contains("tpm"));
    let vault = place.home("vault");
    let vault = vault.to_str().unwrap();
    ok(&chip, &["vault", "--database", vault, "init"]);
    ok(&chip, &["vault", "--database", vault, "collections", "create", "door"]);
    chip.kill();
    let chip = Swtpm::start(state.path());
    assert!(ok(&chip, &["status"]).contains("Crew"));
    assert!(ok(&chip, &["vault", "--database", vault, "collections", "list"]).contains("door"));
    // A copy from before, with the chip as it is now.
    let (home, newest) = (place.home("ada"), place.home("newest"));
    crate::counter::copy(&home, &place.home("older"));
    ok(&chip, &["channel", "create", "deck"]);
    std::fs::rename(&home, &newest).unwrap();
    std::fs::rename(place.home("older"), &home).unwrap();
    assert!(run(&chip, &["status"]).pair().0.contains("older copy"));
    std::fs::remove_dir_all(&home).unwrap();
    std::fs::rename(&newest, &home).unwrap();
    assert!(ok(&chip, &["status"]).contains("deck"));
    let other = tempfile::tempdir().unwrap();
    let foreign = Swtpm::start(other.path());
    assert_eq!(run(&foreign, &["status"]).code, 1, "another machine's chip opens nothing");
}

/// Against SoftHSM: the token guards the profile, a wrong PIN is told, and no PIN is on the command line.
#[cfg(feature = "pkcs11")]
#[test]
fn a_token_guards_a_profile() {
    use std::process::Command;
    const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
    if !std::path::Path::new(MODULE).exists()
        || Command::new("softhsm2-util").arg("--version").output().is_err()
    {
        eprintln!(
            "SKIPPED a token guards a profile: SoftHSM is not installed. Next: apt-get install softhsm2"
        );
        return;
    }
    let place = Place::crew();
    std::fs::create_dir(place.home("tokens")).unwrap();
    let configuration = place.file(
        "softhsm2.conf",
        format!("directories.tokendir = {}\nlog.level = ERROR\n", place.home("tokens").display()),
    );
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", "crew", "--pin", "1234", "--so-pin", "5678"])
        .env("SOFTHSM2_CONF", &configuration)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let (right, wrong) = (place.file("pin", "1234\n"), place.file("wrong", "4321\n"));
    let run = |args: &[&str], pin: &std::path::Path| {
        let mut command = place.command("ada", args);
        command.env("SOFTHSM2_CONF", &configuration).env("TERACHAT_PKCS11_MODULE", MODULE);
        command.env("TERACHAT_PIN_FILE", pin);
        crate::support::Ended::from(command.output().unwrap())
    };
    // An archive has its keys in the token from the first moment on: nothing else opens it.
    let archive = |args: &[&str], pin: &std::path::Path| {
        let mut command = place.command("vault", args);
        command.env("SOFTHSM2_CONF", &configuration).env("TERACHAT_PKCS11_MODULE", MODULE);
        command.env("TERACHAT_PIN_FILE", pin).env("TERACHAT_MASTER_KEY", "pkcs11:crew");
        command.env_remove("TERACHAT_PASSPHRASE_FILE");
        crate::support::Ended::from(command.output().unwrap())
    };
    let ok = |args: &[&str]| {
        let ended = archive(args, &right);
        assert_eq!(ended.code, 0, "{args:?}: {}", ended.stderr);
        ended.stdout.trim_end().to_owned()
    };
    ok(&["init", "--name", "Vault"]);
    assert_eq!(ok(&["keys", "sources"]), "sources  pkcs11");
    let invitation = place.ok("ada", &["invite", &ok(&["whoami"]), "--rank", "0"]);
    ok(&["join", &invitation]);
    place.ok("ada", &["archive", "require", "Vault"]);
    place.ok("ada", &["send", "for the record"]);
    let (file, none) = (place.home("export"), place.home("none"));
    let (file, none) = (file.to_str().unwrap(), none.to_str().unwrap());
    let (ada, addr) = crate::support::Running::listen(&place, "ada", &[]);
    ok(&["sync", "--peer", &addr]);
    drop(ada);
    ok(&["archive", "export", "--out", file]);
    assert!(std::fs::read_to_string(file).unwrap().contains("for the record"));
    place.ok("ada", &["archive", "verify", file]);
    assert_eq!(archive(&["archive", "export", "--out", none], &wrong).code, 1);
    assert!(!std::path::Path::new(none).exists());
    let guarded = run(&["keys", "guard", "--new-master-key", "pkcs11:crew"], &right);
    assert_eq!(guarded.code, 0, "{}", guarded.stderr);
    assert_eq!(run(&["read", "--master-key", "pkcs11:crew"], &right).code, 0);
    assert_eq!(run(&["read", "--master-key", "pkcs11:crew"], &wrong).code, 1);
    assert!(
        run(&["read", "--master-key", "pkcs11:another"], &right).pair().0.contains("no token is labelled")
    );
}
