//! From the command line to the counter that tells when a folder is an older copy.
use crate::args::CounterSpec;
use crate::hardware;
use etcetera::BaseStrategy;
use std::path::PathBuf;
use terachat_host::CounterFile;
use terachat_vault::{BoxedCounter, CounterError, CounterKind, Secret, VaultId};

/// The kind that is to be made; `None` for none.
pub(crate) fn kind(spec: &CounterSpec) -> Option<CounterKind> {
    match spec {
        CounterSpec::None => None,
        CounterSpec::File(_) => Some(CounterKind::File),
        CounterSpec::Tpm(_) => Some(CounterKind::Tpm),
    }
}

/// Makes a counter for the keyring `owner`, in the place of one that was made for it before.
///
/// # Errors
/// [`CounterError`].
pub(crate) fn make(
    spec: &CounterSpec,
    owner: VaultId,
    secret: &Secret<32>,
) -> Result<BoxedCounter, CounterError> {
    match spec {
        CounterSpec::None => Err(refused("no counter was named; name one with --counter")),
        CounterSpec::File(folder) => {
            let path = path(folder.as_ref(), owner)?;
            Ok(Box::new(CounterFile::create(&path, &owner, secret)?))
        }
        CounterSpec::Tpm(tcti) => hardware::make_counter(tcti.as_deref(), owner, secret),
    }
}

/// Opens the counter that a keyring is bound to: of the kind it says, where the flag says.
///
/// # Errors
/// [`CounterError`], also when the flag names another kind.
pub(crate) fn open(
    spec: Option<&CounterSpec>,
    kind: CounterKind,
    owner: VaultId,
    secret: &Secret<32>,
) -> Result<BoxedCounter, CounterError> {
    match (kind, spec) {
        (CounterKind::File, None) => open_file(None, owner, secret),
        (CounterKind::File, Some(CounterSpec::File(folder))) => open_file(folder.as_ref(), owner, secret),
        (CounterKind::Tpm, None) => hardware::open_counter(None, owner, secret),
        (CounterKind::Tpm, Some(CounterSpec::Tpm(tcti))) => {
            hardware::open_counter(tcti.as_deref(), owner, secret)
        }
        _ => Err(refused(&format!(
            "its keys are bound to a counter of the kind {name}; name that one with --counter {name}, or adopt another",
            name = kind.name()
        ))),
    }
}

fn open_file(
    folder: Option<&PathBuf>,
    owner: VaultId,
    secret: &Secret<32>,
) -> Result<BoxedCounter, CounterError> {
    Ok(Box::new(CounterFile::open(&path(folder, owner)?, &owner, secret)?))
}

/// The counter's file: named after the keyring, so that one folder serves many.
fn path(folder: Option<&PathBuf>, owner: VaultId) -> Result<PathBuf, CounterError> {
    let folder = match folder {
        Some(folder) => folder.clone(),
        None => {
            let none = |_| refused("this system names no folder for it; name one with --counter file:FOLDER");
            let system = etcetera::base_strategy::choose_native_strategy().map_err(none)?;
            system.state_dir().unwrap_or_else(|| system.data_dir()).join("terachat").join("counters")
        }
    };
    Ok(folder.join(owner.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}

fn refused(reason: &str) -> CounterError {
    CounterError { reason: reason.to_owned() }
}
