//! The keyring's file, which is replaced in one step.
use crate::Error;
use crate::disk::{self, Kind};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

const FILE: &str = "keyring";
/// A keyring that is not in its place yet.
pub(crate) const NEW: &str = "keyring.new";
/// No keyring comes near this; a larger file is not one.
const LEN_MAX: u64 = 256 << 20;

pub(crate) struct KeyringFile {
    folder: PathBuf,
}

impl KeyringFile {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    pub(crate) fn exists(&self) -> bool {
        self.path().exists()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    pub(crate) fn read(&self) -> Result<Vec<u8>, Error> {
        let path = self.path();
        let failed = Error::file("read", &path);
        let mut bytes = Vec::new();
        let file = File::open(&path).map_err(&failed)?;
        file.take(LEN_MAX).read_to_end(&mut bytes).map_err(&failed)?;
        Ok(bytes)
    }

    /// Puts new bytes in the place of the old ones. Afterwards they are durable, and the old ones overwritten where the
    /// file system writes in place.
    ///
    /// # Errors
    /// [`Error::File`]; then either the old or the new keyring is in place, and which of them is not known.
    pub(crate) fn replace(&self, bytes: &[u8]) -> Result<(), Error> {
        let (path, new) = (self.path(), self.folder.join(NEW));
        wipe(&new)?;
        let failed = Error::file("write", &new);
        let write = || {
            let mut file = options().write(true).create_new(true).open(&new)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        disk::write(&self.folder, Kind::Beside, write).map_err(&failed)?;
        // Kept open, the old bytes can be overwritten once their name is gone.
        let old = OpenOptions::new().write(true).open(&path).ok();
        disk::write(&self.folder, Kind::Beside, || fs::rename(&new, &path))
            .map_err(Error::file("replace", &path))?;
        sync_folder(&self.folder)?;
        if let Some(old) = old
            && let Err(error) = disk::write(&self.folder, Kind::Beside, || overwrite(&old))
        {
            tracing::warn!(%error, "the old keyring's bytes could not be overwritten");
        }
        Ok(())
    }

    /// Removes what an interrupted [`KeyringFile::replace`] left.
    pub(crate) fn clean(&self) -> Result<(), Error> {
        wipe(&self.folder.join(NEW))
    }
}

/// Overwrites and removes a file, if it is there.
fn wipe(path: &Path) -> Result<(), Error> {
    let Ok(file) = OpenOptions::new().write(true).open(path) else { return Ok(()) };
    if let Err(error) = overwrite(&file) {
        tracing::warn!(%error, "an unfinished keyring could not be overwritten");
    }
    fs::remove_file(path).map_err(Error::file("remove", path))
}

fn overwrite(mut file: &File) -> std::io::Result<()> {
    let len = file.metadata()?.len();
    file.rewind()?;
    std::io::copy(&mut std::io::repeat(0).take(len), &mut file)?;
    file.sync_all()
}

pub(crate) fn options() -> OpenOptions {
    #[allow(unused_mut, reason = "only Unix has modes")]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(unix)]
pub(crate) fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::file("sync", folder))
}

#[cfg(not(unix))]
pub(crate) fn sync_folder(_folder: &Path) -> Result<(), Error> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_in_one_step_and_overwrites_what_was() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyringFile::new(folder.path());
        assert!(!file.exists());
        file.replace(b"old keys").unwrap();
        let old = folder.path().join("a second name");
        fs::hard_link(file.path(), &old).unwrap();
        fs::write(folder.path().join(NEW), b"half").unwrap();
        file.replace(b"new").unwrap();
        assert_eq!(file.read().unwrap(), b"new");
        assert_eq!(fs::read(old).unwrap(), [0; 8]);
        fs::write(folder.path().join(NEW), b"half").unwrap();
        file.clean().unwrap();
        assert!(!folder.path().join(NEW).exists());
    }
}
