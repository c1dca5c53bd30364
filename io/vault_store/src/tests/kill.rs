//! SIGKILL in the middle of everything: what was acknowledged is there, what was erased stays erased.
use super::world::*;
use crate::{CollectionOptions, Config, Error, PutOptions, TemplateVault};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

/// Set for the process that is to be killed: its vault.
const CHILD: &str = "TERACHAT_TEST_VAULT_CHILD";
/// How many kills a run has; more for a long one.
const KILLS: &str = "TERACHAT_TEST_VAULT_KILLS";
const WRITERS: usize = 4;
const IDS: usize = 6;

fn config(path: PathBuf) -> Config {
    let mut config = Config::new(path);
    config.cache_size = 4 << 20;
    config.flush_interval = Duration::from_millis(5);
    config.sweep_interval = Duration::from_millis(20);
    config.reencrypt_per_s = 1_000_000;
    config
}

fn value(id: &str, version: u64) -> Vec<u8> {
    format!("{id} {version} ").repeat(60).into_bytes()
}

/// What is known of a record: its version, 0 for none.
type Known = BTreeMap<String, u64>;

/// The life of the process that is killed. Does nothing in a normal run of the tests.
#[test]
fn child() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let vault = TemplateVault::open(&config(path.into()), &mut passphrase("correct horse")).unwrap();
    let out = Mutex::new(std::io::stdout());
    let say = |word: &str, id: &str, version: u64| {
        let mut out = out.lock().unwrap();
        writeln!(out, "@ {word} {id} {version}").unwrap();
        out.flush().unwrap();
    };
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (vault, say) = (&vault, &say);
            scope.spawn(move || {
                let session = session(vault);
                for round in 0.. {
                    let id = format!("{writer}-{}", round % IDS);
                    let before = session.info("door", &id).map_or(0, |info| info.version);
                    if round % 11 == 10 && before != 0 {
                        say("erases", &id, before);
                        session.delete("door", &id).unwrap();
                        say("erased", &id, before);
                        continue;
                    }
                    // The version of a record that was erased goes on where it was.
                    let next = session.versions("door", &id).map_or(0, |infos| infos[0].version) + 1;
                    say("puts", &id, next);
                    let stored =
                        session.put("door", &id, secret(&value(&id, round as u64)), &PutOptions::default());
                    say("put", &format!("{id}={round}"), stored.unwrap());
                }
            });
        }
        let vault = &vault;
        scope.spawn(move || {
            for round in 0.. {
                let keys = vault.keys("op").unwrap();
                keys.rotate_kek().unwrap();
                keys.rotate_dek("door").unwrap();
                keys.wait("door").unwrap();
                if round % 4 == 3 {
                    vault.compact().unwrap();
                }
            }
        });
    });
}

#[test]
fn what_was_acknowledged_survives_being_killed() {
    let kills = std::env::var(KILLS).ok().and_then(|kills| kills.parse().ok()).unwrap_or(8);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vault");
    let vault =
        TemplateVault::create(&config(path.clone()), &mut [&mut passphrase("correct horse")]).unwrap();
    vault
        .create_collection("op", "door", &CollectionOptions { versions_max: 3, ..Default::default() })
        .unwrap();
    vault.close().unwrap();
    let (mut known, mut rounds): (Known, BTreeMap<(String, u64), u64>) = Default::default();
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    for kill in 0..kills {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let pending = run(&path, 5 + (seed % 400) as usize, &mut known, &mut rounds);
        let vault = TemplateVault::open(&config(path.clone()), &mut passphrase("correct horse")).unwrap();
        let session = session(&vault);
        for writer in 0..WRITERS {
            for n in 0..IDS {
                let id = format!("{writer}-{n}");
                let acknowledged = known.get(&id).copied().unwrap_or(0);
                let found = match session.get("door", &id) {
                    Ok(record) => {
                        let version = record.info.version;
                        if let Some(round) = rounds.get(&(id.clone(), version)) {
                            assert_eq!(
                                record.content.bytes(),
                                Some(&value(&id, *round)[..]),
                                "kill {kill}, {id}"
                            );
                        }
                        version
                    }
                    Err(Error::NotFound) => 0,
                    Err(error) => panic!("kill {kill}, {id}: {error}"),
                };
                // The one operation that was under way may have happened or not.
                let fits = match pending.get(&id).map(String::as_str) {
                    None => found == acknowledged,
                    Some("puts") => found >= acknowledged,
                    Some(_) => found == acknowledged || found == 0,
                };
                assert!(
                    fits,
                    "kill {kill}, {id}: version {found}, acknowledged {acknowledged}, {:?}",
                    pending.get(&id)
                );
                known.insert(id, found);
            }
        }
        vault.sweep().unwrap();
        vault.keys("op").unwrap().wait("door").unwrap();
        whole(&vault);
    }
}

/// Runs a process until it has said so many things, kills it, and gives what each record was in the middle of.
fn run(
    path: &std::path::Path,
    lines: usize,
    known: &mut Known,
    rounds: &mut BTreeMap<(String, u64), u64>,
) -> BTreeMap<String, String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::kill::child", "--nocapture", "--test-threads", "1"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut pending = BTreeMap::new();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut heard = 0;
    while let Some(Ok(line)) = said.next() {
        let words: Vec<_> = line.split(' ').collect();
        let [_, word, id, version] = words[..] else { continue };
        let version: u64 = version.parse().unwrap();
        let (id, round) = id.split_once('=').map_or((id, None), |(id, round)| (id, round.parse().ok()));
        match word {
            "put" => {
                known.insert(id.to_owned(), version);
                rounds.extend(round.map(|round| ((id.to_owned(), version), round)));
                pending.remove(id);
            }
            "erased" => {
                known.insert(id.to_owned(), 0);
                pending.remove(id);
            }
            doing => drop(pending.insert(id.to_owned(), doing.to_owned())),
        }
        heard += 1;
        if heard == lines {
            // What it says from here on until it is dead is heard, too.
            child.kill().unwrap();
        }
    }
    assert!(heard >= lines, "the process ended by itself after {heard} lines");
    child.wait().unwrap();
    pending
}
