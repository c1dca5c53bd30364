use std::path::{Path, PathBuf};

/// What the machine refused. No variant changed anything.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process works in this folder.
    #[error("{} is in use by {}; stop it, or choose another folder", folder.display(), Holder(*process))]
    Locked {
        /// The folder.
        folder: PathBuf,
        /// The other process's id, where it could be read.
        process: Option<u32>,
    },
    /// The folder cannot be made, opened or locked.
    #[error("cannot {what} {}: {source}; check that it is a folder of yours, with space left", path.display())]
    Folder {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder that should hold a board holds something else.
    #[error("{} is neither empty nor a board; choose another folder, or check what its file `board` should be", .0.display())]
    Board(PathBuf),
    /// The system gives no random bytes, without which no key can be made.
    #[error("the system gives no random bytes ({0}); nothing secret can be made without them")]
    Entropy(String),
}

impl Error {
    pub(crate) fn folder(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Folder { what, path, source }
    }
}

struct Holder(Option<u32>);

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(process) => write!(f, "process {process}"),
            None => f.write_str("another process"),
        }
    }
}
