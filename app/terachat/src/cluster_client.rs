//! The client of a cluster whose folder is on this machine, for commands that work on a profile.
use crate::failure::{Failure, Result};
use std::path::{Path, PathBuf};
use terachat_host::KeyFile;
use terachat_node::{ClientFolder, Keys};

/// What opens the keys of the client in a cluster's folder, unless something else is named.
pub(crate) fn default_key(folder: &Path) -> PathBuf {
    folder.join("keys").join("client.key")
}

/// Opens the client in a cluster's folder by this key file.
///
/// # Errors
/// [`Failure::Told`].
pub(crate) fn open(cluster: &Path, key: &Path) -> Result<ClientFolder> {
    let folder = cluster.join("client");
    let owner = Keys::owner_in(&folder).map_err(Failure::from_text)?;
    let none = || {
        let what = format_args!("there is no client of a cluster in {}", folder.display());
        Failure::new(what, "make one: terachat cluster join TICKET, or terachat cluster up")
    };
    let locked = |error: &dyn std::fmt::Display| {
        let text = error.to_string();
        let why = text.split(';').next().unwrap_or_default();
        let what = format_args!("the keys of the cluster's client do not open: {why}");
        Failure::new(what, "name the key file that opens them with --cluster-key FILE")
    };
    let mut source = KeyFile::open(key, owner.ok_or_else(none)?).map_err(|error| locked(&error))?;
    let keys = Keys::open_unguarded(&folder, &mut source).map_err(|error| locked(&error))?;
    ClientFolder::open(&folder, keys).map_err(Failure::from_text)
}
