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
    // A vault, too, from the first moment on.
    let folder = place.home("templates");
    let vault = |args: &[&str], pin: &std::path::Path| {
        archive(&[&["vault", "--database", folder.to_str().unwrap()], args].concat(), pin)
    };
    let face = place.file("face", "features");
    for args in
        [&["init"][..], &["collections", "create", "door"], &["put", "door", "ann", face.to_str().unwrap()]]
    {
        let ended = vault(args, &right);
        assert_eq!(ended.code, 0, "{args:?}: {}", ended.stderr);
    }
    assert_eq!(vault(&["get", "door", "ann", "--out", "-"], &right).stdout, "features");
    assert_eq!(vault(&["get", "door", "ann", "--out", "-"], &wrong).code, 1);
}

/// Against gnome-keyring, in a session of its own: the keychain guards a vault, and outside of the session nothing opens it.
#[cfg(feature = "keychain")]
#[test]
fn a_vault_lives_in_the_keychain() {
    use std::process::{Command, Stdio};
    for program in ["dbus-run-session", "gnome-keyring-daemon"] {
        let mut asked = Command::new(program);
        if asked.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
            eprintln!("SKIPPED a vault lives in the keychain: {program} is not installed");
            return;
        }
    }
    let place = Place::new();
    let (home, folder) = (place.home("user"), place.home("vault"));
    std::fs::create_dir(&home).unwrap();
    let program = place.command("-", &["vault", "--database", folder.to_str().unwrap()]);
    let with_settings = |command: &mut Command| {
        command.env("TERACHAT_MASTER_KEY", "keychain").env("HOME", &home).env("XDG_RUNTIME_DIR", &home);
        for name in ["TERACHAT_PASSPHRASE_FILE", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"] {
            command.env_remove(name);
        }
        command.env("TERACHAT_COUNTER", "none");
    };
    // The daemon answers on the bus before it goes to the background; it ends with the session.
    let script = "printf password | gnome-keyring-daemon --unlock --daemonize --components=secrets >/dev/null \
        && \"$@\" init >&2 && \"$@\" collections create door >&2 && printf features | \"$@\" put door ann - >&2 \
        && \"$@\" sources >&2 && \"$@\" get door ann --out -";
    let mut inside = Command::new("dbus-run-session");
    inside.args(["--", "sh", "-c", script, "sh"]).arg(program.get_program()).args(program.get_args());
    with_settings(&mut inside);
    let ended = crate::support::Ended::from(inside.output().unwrap());
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "features"), "{}", ended.stderr);
    assert!(ended.stderr.contains("keychain"), "{}", ended.stderr);
    let mut outside = place.command("-", &["vault", "--database", folder.to_str().unwrap(), "stats"]);
    with_settings(&mut outside);
    outside.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", home.join("no bus").display()));
    let ended = crate::support::Ended::from(outside.output().unwrap());
    assert!(ended.pair().0.contains("keychain"), "{ended:?}");
}

/// A node whose ledger's head is bound to a counter in a chip: a copy of its folder from before is not started, the newest is.
#[cfg(all(feature = "tpm", unix))]
#[test]
fn an_older_copy_of_a_node_is_refused_by_a_tpm() {
    use crate::support::{Ended, Running, program};
    use crate::swtpm::{Swtpm, is_installed};
    use std::process::{Command, Stdio};
    if !is_installed("a node's counter in a TPM") {
        return;
    }
    let (place, state) = (Place::new(), tempfile::tempdir().unwrap());
    let (folder, key) = (place.home("node"), place.home("node.key"));
    let mut chip = Swtpm::start(state.path());
    let node = |chip: &Swtpm, args: &[&str]| -> Command {
        let mut command = program();
        command.arg("node").arg("--folder").arg(&folder).arg("--key-file").arg(&key);
        command.arg("--counter").arg(format!("tpm:{}", chip.tcti()));
        command.args(args).stdin(Stdio::null());
        command
    };
    let init = ["init", "--listen", "127.0.0.1:0", "--place", "1/1/1", "--weight", "1"];
    let made = Ended::from(node(&chip, &init).output().unwrap());
    assert_eq!(made.code, 0, "{made:?}");
    let run = |chip: &Swtpm| {
        let mut running = Running::start(node(chip, &["run", "--json"]));
        running.line_with("ready");
        assert_eq!(running.interrupt(), 0);
    };
    run(&chip);
    crate::counter::copy(&folder, &place.home("older"));
    run(&chip);
    // A power cut of the chip is no loss.
    chip.kill();
    chip = Swtpm::start(state.path());
    run(&chip);
    let newest = place.home("newest");
    std::fs::rename(&folder, &newest).unwrap();
    std::fs::rename(place.home("older"), &folder).unwrap();
    let refused = |chip: &Swtpm| {
        let (mut running, said) = Running::start_heard(node(chip, &["run", "--json"]));
        assert_eq!(running.line(), "", "it does not run");
        assert_eq!(running.code(), 1);
        said.map_while(Result::ok).collect::<String>()
    };
    let why = refused(&chip);
    assert!(why.contains("older copy"), "{why}");
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::rename(&newest, &folder).unwrap();
    run(&chip);
    // Another machine's chip has no such counter.
    let other = tempfile::tempdir().unwrap();
    let foreign = Swtpm::start(other.path());
    let why = refused(&foreign);
    assert!(why.contains("counter"), "{why}");
}
