//! File systems of their own under folders of nodes: small ones in memory, and ones in a file that can stop answering or go bad. Needs Linux
//! and root.
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in a folder, until it is dropped.
pub(super) struct OwnDisk {
    folder: PathBuf,
    /// What it is in, unless that is memory.
    image: Option<PathBuf>,
}

impl OwnDisk {
    /// A small one in memory takes the place of the folder, with what was in it. None where nothing can be mounted, which is said.
    pub(super) fn in_memory(folder: &Path, size: &str) -> Option<Self> {
        let options = format!("size={size},mode=700");
        Self::under(folder, None, &["-t", "tmpfs", "-o", &options, "tmpfs"])
    }

    /// The same with 64 MiB of ext4 in a file beside the folder, which is read-only from the first error on.
    pub(super) fn in_a_file(folder: &Path) -> Option<Self> {
        let image = folder.with_extension("image");
        std::fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
        let made = run("mkfs.ext4", &["-q", "-F", "-m", "0", "-e", "remount-ro", text(&image)]);
        if let Err(why) = made {
            skipped(&why);
            return None;
        }
        let disk = Self::under(folder, Some(image.clone()), &["-o", "loop", text(&image)])?;
        let _ = std::fs::remove_dir(folder.join("lost+found"));
        Some(disk)
    }

    fn under(folder: &Path, image: Option<PathBuf>, mount: &[&str]) -> Option<Self> {
        let aside = folder.with_extension("aside");
        std::fs::rename(folder, &aside).unwrap();
        std::fs::create_dir(folder).unwrap();
        if let Err(why) = run("mount", &[mount, &[text(folder)]].concat()) {
            skipped(&why);
            std::fs::remove_dir(folder).unwrap();
            std::fs::rename(aside, folder).unwrap();
            return None;
        }
        let disk = Self { folder: folder.to_owned(), image };
        super::copy_all(&aside, folder);
        let mode = std::fs::metadata(&aside).unwrap().permissions();
        std::fs::set_permissions(folder, mode).unwrap();
        std::fs::remove_dir_all(aside).unwrap();
        Some(disk)
    }

    pub(super) fn grow(&self, size: &str) {
        run("mount", &["-o", &format!("remount,size={size}"), text(&self.folder)]).unwrap();
    }

    /// Takes all its room but for so many bytes.
    pub(super) fn fill(&self, but_for: u64) {
        let mut file = std::fs::File::create(self.folder.join("filler")).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
        let len = file.metadata().unwrap().len();
        file.set_len(len.saturating_sub(but_for)).unwrap();
    }

    pub(super) fn free(&self) {
        std::fs::remove_file(self.folder.join("filler")).unwrap();
    }

    /// From now on nothing that is written to it comes to an end.
    pub(super) fn freeze(&self) {
        run("fsfreeze", &["--freeze", text(&self.folder)]).unwrap();
    }

    pub(super) fn thaw(&self) {
        run("fsfreeze", &["--unfreeze", text(&self.folder)]).unwrap();
    }

    /// The kernel comes upon an error in it, and lets nothing be written any more.
    pub(super) fn fail(&self) {
        let device = run("findmnt", &["-n", "-o", "SOURCE", text(&self.folder)]).unwrap();
        let device = Path::new(&device).file_name().unwrap();
        std::fs::write(Path::new("/sys/fs/ext4").join(device).join("trigger_fs_error"), "1").unwrap();
        std::fs::write(self.folder.join("probe"), "").unwrap_err();
    }

    /// What an operator does then, with nobody at work in it.
    pub(super) fn mend(&self) {
        let image = self.image.as_deref().unwrap();
        run("umount", &[text(&self.folder)]).unwrap();
        // 1: errors were corrected.
        let checked = Command::new("e2fsck").args(["-p", "-f"]).arg(image).output().unwrap();
        assert!(matches!(checked.status.code(), Some(0 | 1)), "{checked:?}");
        run("mount", &["-o", "loop", text(image), text(&self.folder)]).unwrap();
    }
}

impl Drop for OwnDisk {
    fn drop(&mut self) {
        // Whoever waits for a frozen one could not even be killed.
        let _ = run("fsfreeze", &["--unfreeze", text(&self.folder)]);
        let _ = run("umount", &["-l", text(&self.folder)]);
    }
}

fn skipped(why: &str) {
    eprintln!(
        "SKIPPED a disk of its own: nothing can be mounted here ({why}). Next: run the tests as root on Linux"
    );
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What a command says that succeeds.
fn run(command: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(command).args(args).output().map_err(|error| format!("{command}: {error}"))?;
    let said = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(said(&output.stdout)) } else { Err(said(&output.stderr)) }
}
