use crate::disk::private;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use terachat_vault::{
    Entropy, MasterKeySource, Secret, SourceError, SourceKind, VaultId, derive_key, unwrap_key, wrap_key,
};

const MAGIC: &[u8; 8] = b"TCkeyf\x00\x01";
const CHECK_AT: usize = MAGIC.len() + 32;
const CHECK_LEN: usize = 8;
const LEN: usize = CHECK_AT + CHECK_LEN;

/// A file with 32 random bytes that only its owner may read, as the source of the master key:
/// `docs/format/key-file.md`.
///
/// Whoever reads the file and the vault's folder has the vault, so the two belong on different media.
pub struct KeyFile {
    key: Secret<32>,
    vault: VaultId,
}

impl KeyFile {
    /// Makes a new file, mode 0600, durable with its folder's entry when this returns. Never overwrites.
    ///
    /// # Errors
    /// [`SourceError::Unavailable`]; nothing is left behind.
    pub fn create(path: &Path, vault: VaultId, entropy: &mut dyn Entropy) -> Result<Self, SourceError> {
        ownership::supported()?;
        let key = Secret::generate(|key| entropy.fill(key));
        let bytes: Secret<LEN> = Secret::generate(|bytes| {
            bytes[..MAGIC.len()].copy_from_slice(MAGIC);
            bytes[MAGIC.len()..CHECK_AT].copy_from_slice(key.expose_secret());
            bytes[CHECK_AT..].copy_from_slice(&check(&key));
        });
        let failed = |error: io::Error| match error.kind() {
            ErrorKind::AlreadyExists => {
                unavailable(path, "is there already and is not overwritten; open it, or choose another path")
            }
            _ => unavailable(
                path,
                &format!("cannot be made: {error}; check that the folder is there and yours"),
            ),
        };
        let mut file = private::options().write(true).create_new(true).open(path).map_err(failed)?;
        let written = (|| {
            file.write_all(bytes.expose_secret())?;
            file.sync_all()?;
            private::sync_folder(&folder(path))
        })();
        if let Err(error) = written {
            // It was made a moment ago and nothing is wrapped by it yet.
            let _ = fs::remove_file(path);
            return Err(failed(error));
        }
        Ok(Self { key, vault })
    }

    /// Opens a file that [`KeyFile::create`] made.
    ///
    /// # Errors
    /// [`SourceError::Unavailable`] when it is missing, when others may read it or it belongs to someone else;
    /// [`SourceError::Refused`] when it is no key file or was damaged.
    pub fn open(path: &Path, vault: VaultId) -> Result<Self, SourceError> {
        ownership::supported()?;
        let failed = |error: io::Error| match error.kind() {
            ErrorKind::NotFound => {
                unavailable(path, "is missing; mount the medium it is on, or give its path")
            }
            _ => unavailable(path, &format!("cannot be read: {error}")),
        };
        // Asked first because opening a pipe would wait for a writer.
        if !fs::metadata(path).map_err(failed)?.is_file() {
            return Err(unavailable(path, "is not a file"));
        }
        let mut file = File::open(path).map_err(failed)?;
        // Asked of the open file, so that it cannot be exchanged in between.
        ownership::check(path, &file.metadata().map_err(failed)?)?;
        let mut read = Ok(());
        let bytes: Secret<LEN> = Secret::generate(|bytes| read = file.read_exact(bytes));
        let foreign = || refused(path, "is not a key file; was the path mistyped?");
        match read {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Err(foreign()),
            read => read.map_err(failed)?,
        }
        let bytes = bytes.expose_secret();
        if !bytes.starts_with(MAGIC) || file.read(&mut [0]).map_err(failed)? > 0 {
            return Err(foreign());
        }
        let key = Secret::generate(|key| key.copy_from_slice(&bytes[MAGIC.len()..CHECK_AT]));
        if check(&key) != bytes[CHECK_AT..] {
            return Err(refused(path, "was damaged; take another copy of it"));
        }
        Ok(Self { key, vault })
    }
}

impl MasterKeySource for KeyFile {
    fn kind(&self) -> SourceKind {
        SourceKind::File
    }

    fn wrap(&mut self, key: &Secret<32>, entropy: &mut dyn Entropy) -> Result<Vec<u8>, SourceError> {
        Ok(wrap_key(&self.key, SourceKind::File, &self.vault, key, entropy))
    }

    fn unwrap(&mut self, wrapped: &[u8]) -> Result<Secret<32>, SourceError> {
        unwrap_key(&self.key, SourceKind::File, &self.vault, wrapped)
    }
}

fn check(key: &Secret<32>) -> [u8; CHECK_LEN] {
    let derived = derive_key("terachat 2026-11 key file check", key, &[]);
    std::array::from_fn(|at| derived.expose_secret()[at])
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn unavailable(path: &Path, what: &str) -> SourceError {
    SourceError::Unavailable { kind: SourceKind::File, reason: format!("{} {what}", path.display()) }
}

fn refused(path: &Path, what: &str) -> SourceError {
    SourceError::Refused { kind: SourceKind::File, reason: format!("{} {what}", path.display()) }
}

#[cfg(unix)]
mod ownership {
    use super::{Path, SourceError, unavailable};
    use std::fs::Metadata;
    use std::os::unix::fs::MetadataExt;

    #[allow(clippy::unnecessary_wraps, reason = "elsewhere it refuses")]
    pub(super) fn supported() -> Result<(), SourceError> {
        Ok(())
    }

    pub(super) fn check(path: &Path, metadata: &Metadata) -> Result<(), SourceError> {
        let (owner, own) = (metadata.uid(), rustix::process::geteuid().as_raw());
        if owner != own {
            let what =
                format!("belongs to user {owner}, this is user {own}; run: chown {own} {}", path.display());
            return Err(unavailable(path, &what));
        }
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 != 0 {
            let what = format!("may be used by others (mode {mode:04o}); run: chmod 600 {}", path.display());
            return Err(unavailable(path, &what));
        }
        Ok(())
    }
}

/// Without owners and modes nobody can say who else may read the file.
#[cfg(not(unix))]
mod ownership {
    use super::{Path, SourceError, SourceKind};
    use std::fs::Metadata;

    pub(super) fn supported() -> Result<(), SourceError> {
        Err(SourceError::Unavailable {
            kind: SourceKind::File,
            reason:
                "this system has no file modes to protect a key file with; use a passphrase or the keychain"
                    .into(),
        })
    }

    pub(super) fn check(_path: &Path, _metadata: &Metadata) -> Result<(), SourceError> {
        supported()
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::OsEntropy;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    const VAULT: VaultId = VaultId([9; 16]);

    struct World {
        folder: tempfile::TempDir,
        entropy: OsEntropy,
    }

    impl World {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap(), entropy: OsEntropy::new().unwrap() }
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("vault.key")
        }

        fn create(&mut self) -> KeyFile {
            KeyFile::create(&self.path(), VAULT, &mut self.entropy).unwrap()
        }

        fn open_error(&self) -> SourceError {
            KeyFile::open(&self.path(), VAULT).err().unwrap()
        }
    }

    #[test]
    fn opens_again_and_unwraps() {
        let mut world = World::new();
        let mut made = world.create();
        assert_eq!(fs::metadata(world.path()).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(fs::metadata(world.path()).unwrap().len(), LEN as u64);
        let wrapped = made.wrap(&Secret::take(&mut [7; 32]), &mut world.entropy).unwrap();
        let mut opened = KeyFile::open(&world.path(), VAULT).unwrap();
        assert_eq!(opened.unwrap(&wrapped).unwrap().expose_secret(), &[7; 32]);
        let error = KeyFile::open(&world.path(), VaultId([8; 16])).unwrap().unwrap(&wrapped).err().unwrap();
        assert!(error.to_string().contains("another key"), "{error}");
    }

    #[test]
    fn another_key_file_is_told() {
        let (mut world, mut other) = (World::new(), World::new());
        let wrapped = world.create().wrap(&Secret::take(&mut [7; 32]), &mut other.entropy).unwrap();
        let error = other.create().unwrap(&wrapped).err().unwrap();
        assert!(error.to_string().contains("another key"), "{error}");
    }

    #[test]
    fn never_overwrites() {
        let mut world = World::new();
        world.create();
        let before = fs::read(world.path()).unwrap();
        let error = KeyFile::create(&world.path(), VAULT, &mut world.entropy).err().unwrap();
        assert!(error.to_string().contains("not overwritten"), "{error}");
        assert_eq!(fs::read(world.path()).unwrap(), before);
    }

    #[test]
    fn refuses_what_others_may_read_and_says_the_command() {
        let mut world = World::new();
        world.create();
        for mode in [0o640, 0o604, 0o620, 0o601, 0o777] {
            fs::set_permissions(world.path(), Permissions::from_mode(mode)).unwrap();
            let error = world.open_error();
            assert!(matches!(error, SourceError::Unavailable { kind: SourceKind::File, .. }));
            let command = format!("chmod 600 {}", world.path().display());
            assert!(error.to_string().contains(&command), "{error}");
        }
        fs::set_permissions(world.path(), Permissions::from_mode(0o400)).unwrap();
        assert!(KeyFile::open(&world.path(), VAULT).is_ok());
    }

    #[test]
    fn refuses_what_belongs_to_someone_else() {
        let mut world = World::new();
        world.create();
        // Only root can give a file away; anyone else meets a file of root's instead.
        let path = if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(world.path(), Some(65_534), None).unwrap();
            world.path()
        } else {
            PathBuf::from("/etc/passwd")
        };
        let error = KeyFile::open(&path, VAULT).err().unwrap();
        assert!(error.to_string().contains("belongs to user"), "{error}");
    }

    #[test]
    fn tells_a_wrong_file() {
        let mut world = World::new();
        assert!(world.open_error().to_string().contains("is missing"));
        fs::create_dir(world.path()).unwrap();
        assert!(world.open_error().to_string().contains("is not a file"));
        fs::remove_dir(world.path()).unwrap();
        world.create();
        let whole = fs::read(world.path()).unwrap();
        let case = |bytes: &[u8], says: &str| {
            fs::write(world.path(), bytes).unwrap();
            let error = world.open_error();
            assert!(
                matches!(error, SourceError::Refused { .. }) && error.to_string().contains(says),
                "{error}"
            );
        };
        case(b"", "not a key file");
        case(&whole[..47], "not a key file");
        case(&[&whole[..], b"\n"].concat(), "not a key file");
        case(&[b'x'; LEN], "not a key file");
        for at in 0..LEN {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            case(&flipped, if at < 8 { "not a key file" } else { "was damaged" });
        }
    }
}
