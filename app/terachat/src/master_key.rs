//! From the command line to what guards a keyring: a profile's or a vault's.
use crate::args::NewSource;
use crate::failure::{Failure, Result};
use crate::passphrase;
use std::path::Path;
use terachat_host::{KeyFile, OsEntropy};
use terachat_vault::{MasterKeySource, PassphraseCost, PassphraseSource, SourceError, VaultId};

/// What the flags name as the guard of an existing keyring. Every other kind of source is to be added here.
///
/// # Errors
/// [`Failure::Told`] when the file or the passphrase cannot be had.
pub(crate) fn given(
    key_file: Option<&Path>,
    passphrase_file: Option<&Path>,
    vault: VaultId,
) -> Result<Box<dyn MasterKeySource>> {
    if let Some(path) = key_file {
        return Ok(Box::new(KeyFile::open(path, vault).map_err(|error| failed(&error))?));
    }
    let passphrase = passphrase::given(passphrase_file)?;
    // What is opened says itself what it costs.
    Ok(Box::new(PassphraseSource::new(passphrase, PassphraseCost::RECOMMENDED)))
}

/// The source that a keyring is to have from now on, made if need be.
///
/// # Errors
/// As [`given`], and when the key file is there already.
pub(crate) fn new(new: &NewSource, vault: VaultId) -> Result<Box<dyn MasterKeySource>> {
    match &new.new_key_file {
        Some(path) => Ok(Box::new(new_key_file(path, vault)?)),
        None => Ok(Box::new(new_passphrase(new.new_passphrase_file.as_deref())?)),
    }
}

/// A passphrase that was just chosen, at a cost measured on this machine.
///
/// # Errors
/// As [`passphrase::chosen`].
pub(crate) fn new_passphrase(file: Option<&Path>) -> Result<PassphraseSource> {
    let passphrase = passphrase::chosen(file)?;
    let mut entropy = OsEntropy::new().map_err(Failure::from_text)?;
    Ok(PassphraseSource::new(passphrase, passphrase::tuned_cost(&mut entropy)))
}

/// A fresh key file; one that is there is not overwritten.
///
/// # Errors
/// [`Failure::Told`].
pub(crate) fn new_key_file(path: &Path, vault: VaultId) -> Result<KeyFile> {
    let mut entropy = OsEntropy::new().map_err(Failure::from_text)?;
    KeyFile::create(path, vault, &mut entropy).map_err(|error| failed(&error))
}

fn failed(error: &SourceError) -> Failure {
    let text = error.to_string();
    match text.rsplit_once("; ") {
        Some((what, next)) => Failure::new(what, next),
        None => Failure::new(text, "check the path and its owner"),
    }
}
