//! Backups in the cluster: a machine that is lost comes back from the nodes that are left.
use super::*;

impl Place {
    #[track_caller]
    fn vault(&self, name: &str, args: &[&str]) -> String {
        let mut command = program();
        command.arg("vault").arg("--database").arg(self.path(name));
        command.arg("--key-file").arg(self.path(&format!("{name}.key"))).args(args).stdin(Stdio::null());
        let ended = Ended::from(command.output().unwrap());
        assert_eq!(ended.code, 0, "{args:?}: {}", ended.stderr);
        ended.stdout
    }
}

#[cfg(unix)]
#[test]
fn a_vault_comes_back_from_the_cluster() {
    let place = Place::new();
    place.vault("vault", &["init"]);
    place.vault("vault", &["collections", "create", "door"]);
    let secret = place.file("secret", 2_000);
    place.vault("vault", &["put", "door", "ann", secret.to_str().unwrap()]);
    let (backup, words) = (place.path("backup"), place.path("words"));
    std::fs::write(&words, "some long words\n").unwrap();
    let [backup_file, words] = [&backup, &words].map(|path| path.to_str().unwrap());
    place.vault("vault", &["backup", "--out", backup_file, "--backup-passphrase-file", words]);

    let up = place.up("c", 4);
    let reference = place.put("c", &backup);
    let status = place.json("c", &["status"]);
    kill(&status["nodes"][1]["process"]);
    for lost in [&place.path("vault"), &place.path("vault.key")] {
        let gone = if lost.is_dir() { std::fs::remove_dir_all(lost) } else { std::fs::remove_file(lost) };
        gone.unwrap();
    }
    std::fs::remove_file(&backup).unwrap();

    place.ok("c", &["get", &reference, "-o", backup_file]);
    place.vault("again", &["restore-backup", backup_file, "--backup-passphrase-file", words]);
    let out = place.path("out");
    place.vault("again", &["get", "door", "ann", "--out", out.to_str().unwrap()]);
    assert!(std::fs::read(out).unwrap() == std::fs::read(secret).unwrap());
    assert_eq!(up.interrupt(), 0);
}
