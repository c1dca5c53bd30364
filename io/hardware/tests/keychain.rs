//! The keychain source against a real Secret Service: gnome-keyring in a D-Bus session of its own, with its files in a
//! temporary folder. The test starts itself again inside that session, and so has no harness.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that is a program")]

use std::process::{Command, ExitCode, Stdio};
use terachat_hardware::KeychainSource;
use terachat_vault::{Entropy, MasterKeySource, Secret, SourceError, SourceKind, VaultId};

const INSIDE: &str = "TERACHAT_TEST_SECRET_SERVICE";
const VAULT: VaultId = VaultId([9; 16]);

fn main() -> ExitCode {
    match std::env::var(INSIDE).as_deref() {
        Ok("open") => inside(),
        Ok("absent") => without_a_service(),
        _ => return outside(),
    }
    ExitCode::SUCCESS
}

fn outside() -> ExitCode {
    for (program, package) in [("dbus-run-session", "dbus"), ("gnome-keyring-daemon", "gnome-keyring")] {
        if Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_err()
        {
            println!("SKIPPED keychain: {program} is not installed. Next: apt-get install {package}");
            return ExitCode::SUCCESS;
        }
    }
    let test = std::env::current_exe().unwrap();
    // The daemon answers on the bus before it goes to the background; it ends with the session.
    let unlocked = "printf password | gnome-keyring-daemon --unlock --daemonize --components=secrets >/dev/null && exec \"$0\"";
    let home = tempfile::tempdir().unwrap();
    let alone = |program: &str, inside: &str| {
        let mut command = Command::new(program);
        command.env("HOME", home.path()).env("XDG_RUNTIME_DIR", home.path()).env(INSIDE, inside);
        for folder in ["XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"] {
            command.env_remove(folder);
        }
        command
    };
    let open =
        alone("dbus-run-session", "open").args(["--", "sh", "-c", unlocked]).arg(&test).status().unwrap();
    let nowhere = format!("unix:path={}", home.path().join("no bus").display());
    let absent =
        alone(test.to_str().unwrap(), "absent").env("DBUS_SESSION_BUS_ADDRESS", nowhere).status().unwrap();
    if open.success() && absent.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Counting(u8);

impl Entropy for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
    }
}

#[track_caller]
fn error(vault: VaultId, wrapped: &[u8]) -> SourceError {
    KeychainSource::new(vault).unwrap(wrapped).err().unwrap()
}

fn inside() {
    let wrap = |vault, byte: u8| {
        KeychainSource::new(vault).wrap(&Secret::take(&mut [byte; 32]), &mut Counting(byte)).unwrap()
    };
    let missing = error(VAULT, &[]);
    assert!(matches!(missing, SourceError::Refused { kind: SourceKind::OsKeychain, .. }), "{missing}");
    assert!(missing.to_string().contains("no key for this vault"), "{missing}");

    let (first, second) = (wrap(VAULT, 7), wrap(VAULT, 8));
    assert_eq!(KeychainSource::new(VAULT).unwrap(&first).unwrap().expose_secret(), &[7; 32]);
    assert_eq!(KeychainSource::new(VAULT).unwrap(&second).unwrap().expose_secret(), &[8; 32]);
    let other = VaultId([8; 16]);
    wrap(other, 1);
    assert!(error(other, &first).to_string().contains("another key"));
    assert!(error(VAULT, &first[1..]).to_string().contains("not a wrapped key"));

    KeychainSource::new(VAULT).forget().unwrap();
    KeychainSource::new(VAULT).forget().unwrap();
    assert!(error(VAULT, &first).to_string().contains("no key for this vault"));
    wrap(VAULT, 9);
    assert!(error(VAULT, &first).to_string().contains("another key"), "forgotten is forgotten");

    let entry = keyring::v1::Entry::new("terachat", &format!("vault {}", "09".repeat(16))).unwrap();
    entry.set_secret(b"edited").unwrap();
    assert!(error(VAULT, &first).to_string().contains("not a key"));
    println!("test keychain against gnome-keyring ... ok");
}

fn without_a_service() {
    let missing = error(VAULT, &[]);
    assert!(matches!(missing, SourceError::Unavailable { kind: SourceKind::OsKeychain, .. }), "{missing}");
    println!("test keychain without a service ... ok: {missing}");
}
