//! A disk that takes no more: a limit on file sizes stands for it, since it fails the same calls.
use super::world::*;
use crate::{Error, PutOptions, TemplateVault};
use std::process::Command;

/// Set for the process that runs under the limit: its vault.
const CHILD: &str = "TERACHAT_TEST_VAULT_FULL";

fn big(n: usize) -> Vec<u8> {
    vec![n as u8; 1 << 20]
}

/// The life of the process under the limit. Does nothing in a normal run of the tests.
#[test]
fn child() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let mut config = crate::Config::new(path);
    config.background = false;
    let vault = TemplateVault::open(&config, &mut passphrase("correct horse")).unwrap();
    let session = session(&vault);
    let mut stored = 0;
    let error = loop {
        match session.put("door", &stored.to_string(), secret(&big(stored)), &PutOptions::default()) {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 100, "the limit holds");
    };
    assert!(matches!(error, Error::ReadOnly(_)), "{error}");
    assert!(!vault.health().writable);
    (0..stored).for_each(|n| assert_eq!(get(&session, &n.to_string()), Some(big(n))));
    std::fs::write(config.path.with_extension("stored"), stored.to_string()).unwrap();
}

#[test]
#[cfg(unix)]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let world = World::new();
    world.create().close().unwrap();
    // 12 MiB for each file, in blocks of 512 bytes; the signal is ignored, so that the write itself fails.
    let status = Command::new("sh")
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 24576; exec \"$0\" --exact tests::full_disk::child --test-threads 1",
        ])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, world.path())
        .output()
        .unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
    let stored: usize =
        std::fs::read_to_string(world.path().with_extension("stored")).unwrap().parse().unwrap();
    assert!(stored > 0);
    let vault = world.open();
    let session = session(&vault);
    (0..stored).for_each(|n| assert_eq!(get(&session, &n.to_string()), Some(big(n))));
    whole(&vault);
    put(&session, "goes on", b"x");
}
