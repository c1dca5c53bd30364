//! From the command line to what guards a keyring: a profile's or a vault's.
use crate::args::{NewSource, RecoveryArgs, SourceArgs, SourceSpec};
use crate::failure::{Failure, Result};
use crate::printer::Printer;
use crate::{hardware, passphrase, render};
use std::io::Write;
use std::path::{Path, PathBuf};
use terachat_host::{KeyFile, OsEntropy};
use terachat_vault::{
    MasterKeySource, PassphraseCost, PassphraseSource, RecoveryKey, RecoveryShare, RecoverySource,
    SecretBytes, SourceError, VaultId,
};

/// Longest file of shares that is read, in bytes: some hundred shares.
const SHARES_LEN_MAX: u64 = 64 * 1024;

/// What the flags name as the guard of an existing keyring.
///
/// # Errors
/// [`Failure::Told`] when the source or the passphrase cannot be had.
pub(crate) fn given(args: &SourceArgs, vault: VaultId) -> Result<Box<dyn MasterKeySource>> {
    if let Some(spec) = &args.master_key {
        return named(spec, args, vault);
    }
    if let Some(path) = &args.key_file {
        return Ok(Box::new(KeyFile::open(path, vault).map_err(|error| failed(&error))?));
    }
    let passphrase = passphrase::given(args.passphrase_file.as_deref())?;
    // What is opened says itself what it costs.
    Ok(Box::new(PassphraseSource::new(passphrase, PassphraseCost::RECOMMENDED)))
}

/// The source that a keyring is to have from now on, made if need be. `args` say how hardware is reached.
///
/// # Errors
/// As [`given`], and when the key file is there already.
pub(crate) fn new(new: &NewSource, args: &SourceArgs, vault: VaultId) -> Result<Box<dyn MasterKeySource>> {
    match (&new.new_key_file, &new.new_master_key) {
        (Some(path), _) => Ok(Box::new(new_key_file(path, vault)?)),
        (_, Some(spec)) => new_named(spec, args, vault),
        _ => Ok(Box::new(new_passphrase(new.new_passphrase_file.as_deref())?)),
    }
}

/// What the flags name as the first guard of a keyring that is being made.
///
/// # Errors
/// As [`new`].
pub(crate) fn first(args: &SourceArgs, vault: VaultId) -> Result<Box<dyn MasterKeySource>> {
    match (&args.master_key, &args.key_file) {
        (Some(spec), _) => new_named(spec, args, vault),
        (None, Some(path)) => Ok(Box::new(new_key_file(path, vault)?)),
        (None, None) => Ok(Box::new(new_passphrase(args.passphrase_file.as_deref())?)),
    }
}

/// A passphrase of 32 random bytes: nothing can be gained by guessing, so it need not cost much.
///
/// # Errors
/// [`Failure::Told`] without randomness.
pub(crate) fn nobody() -> Result<PassphraseSource> {
    let mut entropy = OsEntropy::new().map_err(Failure::from_text)?;
    let mut random = vec![0; 32];
    terachat_vault::Entropy::fill(&mut entropy, &mut random);
    Ok(PassphraseSource::new(SecretBytes::take(random), PassphraseCost::INSECURE_FAST))
}

/// A source that is to guard a new keyring. A recovery key is not named but made, by [`recovery`].
fn new_named(spec: &SourceSpec, args: &SourceArgs, vault: VaultId) -> Result<Box<dyn MasterKeySource>> {
    if matches!(spec, SourceSpec::Recovery { .. }) {
        return Err(Failure::new(
            "shares of a recovery key cannot be named as a new source",
            "make some with `terachat keys recovery` or `terachat vault recovery`",
        ));
    }
    named(spec, args, vault)
}

fn named(spec: &SourceSpec, args: &SourceArgs, vault: VaultId) -> Result<Box<dyn MasterKeySource>> {
    let source = match spec {
        SourceSpec::Keychain => hardware::keychain(vault),
        SourceSpec::Tpm { tcti, pcrs } => hardware::tpm(tcti.as_deref(), pcrs, vault),
        SourceSpec::Pkcs11 { token } => {
            let lacks = |what, next| Failure::new(format_args!("{what} of the HSM is not named"), next);
            let module = args.pkcs11_module.as_ref();
            let module = module.ok_or_else(|| lacks("the module", "name it with --pkcs11-module FILE"))?;
            let pin = args.pin_file.as_ref();
            let pin =
                pin.ok_or_else(|| lacks("the PIN", "put it into a file and name it with --pin-file FILE"))?;
            hardware::pkcs11(module, token, &passphrase::from_file(pin, "read the PIN file")?, vault)
        }
        SourceSpec::Recovery { files } => return joined(files, vault),
    };
    source.map_err(|error| failed(&error))
}

/// The recovery key that these files' shares give.
fn joined(files: &[PathBuf], vault: VaultId) -> Result<Box<dyn MasterKeySource>> {
    let mut shares = Vec::new();
    for path in files {
        let text = passphrase::whole_file(path, SHARES_LEN_MAX, "read the shares in")?;
        let unreadable = |what: &dyn std::fmt::Display| {
            Failure::new(
                format_args!("{} is not a share: {what}", path.display()),
                "compare it with the paper",
            )
        };
        let text = std::str::from_utf8(text.expose_secret()).map_err(|error| unreadable(&error))?;
        for share in text.split("\n\n").filter(|share| !share.trim().is_empty()) {
            shares.push(RecoveryShare::parse(share.trim()).map_err(|error| unreadable(&error))?);
        }
    }
    let key = RecoveryKey::join(&shares).map_err(Failure::from_text)?;
    Ok(Box::new(RecoverySource::new(key, vault)))
}

/// A fresh recovery key and its shares.
fn recovery(args: &RecoveryArgs, vault: VaultId) -> Result<(RecoverySource, Vec<RecoveryShare>)> {
    let mut entropy = OsEntropy::new().map_err(Failure::from_text)?;
    let key = RecoveryKey::generate(&mut entropy);
    let shares = key.split(&vault, args.threshold, args.shares, &mut entropy).map_err(Failure::from_text)?;
    Ok((RecoverySource::new(key, vault), shares))
}

/// Hands the shares out, each to a file of its own or all through the terminal, once `guard` has let the key guard a keyring:
/// shares of a key that opens nothing are waste, but a key that opens and was never shared is a hole.
///
/// # Errors
/// [`Failure::Told`] when a file cannot be written (none is overwritten), and what `guard` says.
pub(crate) fn hand_out(
    args: &RecoveryArgs,
    vault: VaultId,
    printer: &Printer,
    guard: impl FnOnce(&mut RecoverySource) -> Result<()>,
) -> Result<()> {
    let (mut source, shares) = recovery(args, vault)?;
    let texts: Vec<SecretBytes> = shares.iter().map(RecoveryShare::expose_text).collect();
    if let Some(folder) = &args.out {
        for (number, text) in (1..).zip(&texts) {
            write_share(&folder.join(format!("share-{number}.txt")), text)?;
        }
    }
    guard(&mut source)?;
    printer.talk(&format!(
        "Any {} of {} shares open it: --master-key recovery:FILE,FILE,... Give each to another keeper.",
        args.threshold, args.shares
    ));
    let texts = if args.out.is_some() { &[] } else { &texts[..] };
    printer.data(&if printer.is_json() {
        render::shares_json(texts, args)
    } else {
        render::shares(texts, args)
    })
}

fn write_share(path: &Path, text: &SecretBytes) -> Result<()> {
    let written = (|| {
        // Only its owner may read it, and none that is there is overwritten.
        let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
        file.write_all(text.expose_secret())?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path).map_err(|error| error.error)?;
        Ok(())
    })();
    written.map_err(|error| Failure::file("write a share to", path, &error))
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
