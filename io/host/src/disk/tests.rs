use super::*;
use std::process::Command;
use terachat_core_store::store::{Block, CommitLog};
use terachat_storage::suite;
use terachat_vault::Secret;

#[test]
fn conforms() {
    let mut folders = Vec::new();
    suite::conforms(&mut || {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::open(&folder.path().join("a/b")).unwrap();
        folders.push(folder);
        Box::new(disk)
    });
}

#[test]
fn files_outlive_the_value_and_leftovers_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = Disk::open(folder.path()).unwrap();
    disk.append("a", b"kept").unwrap();
    disk.sync("a").unwrap();
    drop(disk);
    fs::write(folder.path().join(".new-a"), b"half a repl").unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    let disk = Disk::open(folder.path()).unwrap();
    assert_eq!(disk.list().unwrap(), ["a"]);
    assert_eq!(disk.read("a", 0, 4).unwrap(), b"kept");
    assert!(!folder.path().join(".new-a").exists());
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profile");
    let mut disk = Disk::open(&path).unwrap();
    disk.append("a", b"x").unwrap();
    disk.replace("b", b"x").unwrap();
    let _lock = crate::Lock::acquire(&path).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for file in ["a", "b", ".lock"] {
        assert_eq!(mode(&path.join(file)), 0o600, "{file}");
    }
}

#[test]
fn the_systems_reasons_are_told_apart() {
    let kind = |error: ErrorKind| storage_error(Operation::Append, "a", &error.into()).kind;
    assert_eq!(kind(ErrorKind::StorageFull), StorageErrorKind::Full);
    assert_eq!(kind(ErrorKind::QuotaExceeded), StorageErrorKind::Full);
    assert_eq!(kind(ErrorKind::PermissionDenied), StorageErrorKind::Denied);
    assert_eq!(kind(ErrorKind::ReadOnlyFilesystem), StorageErrorKind::Denied);
    assert_eq!(kind(ErrorKind::Interrupted), StorageErrorKind::Io);
}

/// A file system of 256 KiB, unmounted when the value goes; `None` where this user may not mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
            .arg(folder.path())
            .output();
        mount.is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

/// A real full disk: commits fail with a message, nothing acknowledged is lost, and with space it goes on.
#[test]
fn a_full_disk_loses_nothing() {
    let Some(small) = SmallDisk::mount() else {
        println!("skipped: this user cannot mount a small file system, so no real disk was filled");
        return;
    };
    let key = Secret::take(&mut [1; 32]);
    let mut entropy = crate::OsEntropy::new().unwrap();
    let ballast = small.0.path().join("ballast");
    fs::write(&ballast, vec![0; 100 << 10]).unwrap();
    let disk = Disk::open(small.0.path()).unwrap();
    let (mut log, _) = CommitLog::open(Box::new(disk), &key, &mut entropy).unwrap();
    let noise: Vec<u8> = {
        let mut noise = vec![0; 5000];
        terachat_vault::Entropy::fill(&mut entropy, &mut noise);
        noise
    };
    let mut acknowledged = 0;
    let error = loop {
        match log.commit(&[Block::plain(1, &noise)]) {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 100, "the disk never fills");
    };
    assert!(acknowledged > 10, "{acknowledged}");
    assert!(error.to_string().contains("the disk is full"), "{error}");
    assert_eq!(
        log.blocks(None).unwrap().filter(|block| block.as_ref().unwrap().body == noise).count(),
        acknowledged
    );
    drop(log);
    let disk = Disk::open(small.0.path()).unwrap();
    let (mut log, recovered) = CommitLog::open(Box::new(disk), &key, &mut entropy).unwrap();
    assert_eq!(recovered.bytes_cut, 0, "the tail had been cut back");
    fs::remove_file(&ballast).unwrap();
    log.commit(&[Block::plain(1, &noise)]).unwrap();
    assert_eq!(log.blocks(None).unwrap().filter(|block| block.is_ok()).count(), acknowledged + 1);
}
