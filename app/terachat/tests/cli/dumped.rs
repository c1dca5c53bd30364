//! The program while it serves, dumped whole: its keys lie in pinned pages and nowhere else, and neither its environment, its
//! arguments nor a core file have any. What the keys are is read from the keyring's file, with the passphrase.
use crate::scan;
use crate::support::{Place, Running};
use crate::vault::{Served, vault};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use terachat_vault::{Keyring, PassphraseCost, PassphraseSource, Secret, SecretBytes, derive_key};

type Secrets = BTreeMap<String, Vec<u8>>;

/// A place whose passphrase no other process has in its memory, and the passphrase.
fn place() -> (Place, String) {
    let place = Place::new();
    let mut random = [0; 20];
    std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut random).unwrap();
    let passphrase: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    place.file("passphrase", format!("{passphrase}\n"));
    (place, passphrase)
}

fn keyring(folder: &Path, passphrase: &str) -> Keyring {
    let words = SecretBytes::take(passphrase.as_bytes().to_vec());
    let mut source = PassphraseSource::new(words, PassphraseCost::RECOMMENDED);
    Keyring::open(&std::fs::read(folder.join("keyring")).unwrap(), &mut source).unwrap()
}

fn add(secrets: &mut Secrets, label: &str, secret: &Secret<32>) {
    secrets.insert(label.to_owned(), secret.expose_secret().to_vec());
}

/// Where pieces of secrets are, in a process that stands still meanwhile: outside of pinned pages, and which are inside.
fn look(process: u32, secrets: &Secrets) -> (BTreeMap<String, Vec<String>>, BTreeSet<String>) {
    let id = Pid::from_raw(i32::try_from(process).unwrap()).unwrap();
    kill_process(id, Signal::STOP).unwrap();
    let (patterns, pinned) = (scan::patterns(secrets), scan::pinned(process));
    let (mut outside, mut inside) = (BTreeMap::<String, Vec<String>>::new(), BTreeSet::new());
    scan::dump(process, |start, bytes, line| {
        scan::search(&patterns, bytes, |label, at| {
            let at = start + at as u64;
            if pinned.iter().any(|range| range.contains(&at)) {
                inside.insert(label.to_owned());
            } else {
                outside.entry(label.to_owned()).or_default().push(format!("{at:#x} in {line}"));
            }
        });
    });
    dumped_core_holds_nothing(process, secrets, &outside);
    kill_process(id, Signal::CONT).unwrap();
    (outside, inside)
}

/// A core file as a debugger writes it: what is pinned is not in it.
fn dumped_core_holds_nothing(process: u32, secrets: &Secrets, outside: &BTreeMap<String, Vec<String>>) {
    let folder = tempfile::tempdir().unwrap();
    let prefix = folder.path().join("core");
    let gcore = Command::new("gcore").arg("-o").arg(&prefix).arg(process.to_string()).output();
    let core = folder.path().join(format!("core.{process}"));
    if !gcore.is_ok_and(|output| output.status.success()) || !core.exists() {
        eprintln!(
            "SKIPPED: gcore (of gdb) is not here or may not attach, so no core file was looked through"
        );
        return;
    }
    let kept: Secrets = secrets
        .iter()
        .filter(|(label, _)| !outside.contains_key(*label))
        .map(|(l, s)| (l.clone(), s.clone()))
        .collect();
    let mut found = BTreeSet::new();
    scan::search(&scan::patterns(&kept), &std::fs::read(core).unwrap(), |label, _| {
        found.insert(label.to_owned());
    });
    assert!(found.is_empty(), "in the core file: {found:?}");
}

/// Takes a backup, and gives how many bytes came.
fn back_up(served: &Served) -> usize {
    let mut stream = TcpStream::connect(&served.address).unwrap();
    let body = r#"{"passphrase":"words of the backup"}"#;
    let (token, len) = (&served.token, body.len());
    write!(
        stream,
        "POST /v1/backup HTTP/1.1\r\nhost: vault\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {len}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    answer.len()
}

/// What any list of processes shows, and what a child would inherit.
fn listings_have_nothing(process: u32, secrets: &Secrets) {
    let patterns = scan::patterns(secrets);
    for file in ["environ", "cmdline"] {
        let bytes = std::fs::read(format!("/proc/{process}/{file}")).unwrap();
        assert!(!bytes.is_empty(), "{file} was read");
        scan::search(&patterns, &bytes, |label, _| panic!("{label} is in {file}"));
    }
}

/// Whether this test may look into a process that refuses to be dumped.
fn may_look(process: u32) -> bool {
    let may = std::fs::File::open(format!("/proc/{process}/mem")).is_ok();
    if !may {
        eprintln!("SKIPPED: only root looks into the memory of a process that refuses it");
    }
    may
}

#[test]
fn a_served_vault_has_its_keys_in_pinned_pages_only() {
    let (place, passphrase) = place();
    place.ok("-", &vault(&place, &["init"]));
    place.ok("-", &vault(&place, &["collections", "create", "door"]));
    let token =
        place.ok("-", &vault(&place, &["token", "create", "root", "--grant", "*=all", "--operator", "all"]));
    let mut command =
        place.command("-", &vault(&place, &["serve", "--listen", "127.0.0.1:0", "--rate", "0", "--json"]));
    command.env("RUST_LOG", "trace");
    let log = place.home("log");
    let running = Running::start_logging(command, &log);
    let served = Served::of(place, running, token);
    let ask = |method: &str, path: &str, body: &str| {
        let answer = served.ask(method, path, body).unwrap();
        assert!(answer.starts_with("HTTP/1.1 2"), "{method} {path}: {answer}");
        answer
    };
    for n in 0..20 {
        ask("PUT", &format!("/v1/collections/door/records/somebody-{n}"), "what is kept of somebody");
    }
    for n in 0..20 {
        ask("GET", &format!("/v1/collections/door/records/somebody-{n}"), "");
    }
    let face = r#"{"content":{"template":{"metadata":{"subject":"somebody","type":"face"},"body":{"vector":[0.628318,0.777777]}}}}"#;
    ask("PUT", "/v1/collections/door/records/somebody", face);
    let probe = r#"{"probe":{"type":"face","body":{"vector":[0.628318,0.777777]}},"threshold":0.9}"#;
    ask("POST", "/v1/collections/door/identify", probe);
    ask("POST", "/v1/rotations", r#"{"kek":{}}"#);
    ask("POST", "/v1/rotations", r#"{"dek":{"collection":"door"}}"#);
    while !ask("GET", "/v1/rotations", "").contains(r#""running":[]"#) {
        std::thread::yield_now();
    }
    ask("DELETE", "/v1/collections/door/records/somebody-7", "");
    let missing = served.ask("GET", "/v1/collections/door/records/somebody-7", "").unwrap();
    assert!(missing.starts_with("HTTP/1.1 404"), "{missing}");
    assert!(back_up(&served) > 10_000);
    ask("POST", "/v1/check", "");
    ask("POST", "/v1/audit/verify", "");

    let log = std::fs::read(log).unwrap();
    let lines = String::from_utf8_lossy(&log);
    assert!(lines.contains("answered") && lines.lines().count() > 40, "it logs all it has: {lines}");
    for word in [&served.token[..], "somebody", "0.628", "words of the backup"] {
        assert!(!lines.contains(word), "{word:?} is in the log: {lines}");
    }

    let process = served.running.child.id();
    if !may_look(process) {
        return;
    }
    let keyring = keyring(&served.place.home("vault"), &passphrase);
    let mut secrets = Secrets::from([("passphrase".to_owned(), passphrase.into_bytes())]);
    let seed = keyring.audit_seed();
    add(&mut secrets, "audit seed", seed);
    add(&mut secrets, "small rows", &derive_key("terachat 2026-11 vault small rows key", seed, &[]));
    add(&mut secrets, "digest", &derive_key("terachat 2026-11 vault digest key", seed, &[]));
    for (_, collection) in keyring.collections() {
        for (generation, dek) in collection.generations() {
            add(&mut secrets, &format!("{} {generation}", collection.name()), &dek.root);
        }
    }
    assert!(secrets.contains_key("door 2") && secrets.contains_key(".tokens 1"), "{:?}", secrets.keys());
    listings_have_nothing(process, &secrets);
    scan::search(&scan::patterns(&secrets), &log, |label, _| panic!("{label} is in the log"));
    let (outside, inside) = look(process, &secrets);
    assert!(outside.is_empty(), "outside of pinned pages: {outside:#?}");
    for label in ["audit seed", "small rows", "door 2", ".tokens 1"] {
        assert!(inside.contains(label), "{label} is pinned: {inside:?}");
    }
    assert!(!inside.contains("passphrase"), "the passphrase is forgotten once the vault is open");
    assert!(
        served.ask("GET", "/v1/collections/door/records/somebody-1", "").unwrap().starts_with("HTTP/1.1 200")
    );
}

/// A messenger that listens, with a peer that synchronised, wrote and changed the group. The network's library has a copy of the
/// device's key in memory of its own (ADR 0012); all else is the program's.
#[test]
fn a_messenger_has_its_profiles_keys_in_pinned_pages_only() {
    let (place, passphrase) = place();
    place.ok("ada", &["init", "--name", "Ada"]);
    place.ok("ada", &["space", "create", "Crew"]);
    place.ok("ada", &["channel", "create", "deck"]);
    place.ok("bob", &["init", "--name", "Bob"]);
    let invitation = place.ok("ada", &["invite", &place.ok("bob", &["whoami"])]);
    place.ok("bob", &["join", &invitation]);
    let (listening, address) = Running::listen(&place, "ada", &[]);
    for text in ["one", "two"] {
        place.ok("bob", &["sync", "--peer", &address]);
        place.ok("bob", &["send", text]);
    }
    place.ok("bob", &["sync", "--peer", &address]);

    let process = listening.child.id();
    if !may_look(process) {
        return;
    }
    let keyring = keyring(&place.home("ada"), &passphrase);
    let mut secrets = Secrets::from([("passphrase".to_owned(), passphrase.into_bytes())]);
    for name in ["user", "device", "store"] {
        add(&mut secrets, name, keyring.secret(name).unwrap());
    }
    add(&mut secrets, "audit seed", keyring.audit_seed());
    listings_have_nothing(process, &secrets);
    let (mut outside, inside) = look(process, &secrets);
    outside.remove("device");
    assert!(outside.is_empty(), "outside of pinned pages: {outside:#?}");
    for label in ["user", "device", "store"] {
        assert!(inside.contains(label), "{label} is pinned: {inside:?}");
    }
    assert!(!inside.contains("passphrase"), "the passphrase is forgotten once the profile is open");
}
