use crate::failure::{Failure, Result};
use std::io::{IsTerminal, Read};
use std::path::Path;
use std::time::Instant;
use terachat_vault::{Entropy, PassphraseCost, SecretBytes, seal_with_passphrase};

/// How long a guess at a new passphrase takes on this machine: what nobody minds at each command.
const GUESS_MS: u64 = 250;
/// Longest passphrase file that is read, in bytes.
const FILE_LEN_MAX: u64 = 64 * 1024;

/// The passphrase of an existing profile, from its file or from the person at the terminal.
///
/// # Errors
/// [`Failure::Told`] when there is neither, or the file cannot be read.
pub(crate) fn given(file: Option<&Path>) -> Result<SecretBytes> {
    match file {
        Some(file) => from_file(file, "read the passphrase file"),
        None => asked("Passphrase: "),
    }
}

/// The passphrase for a new profile: not empty, and asked for twice at a terminal.
///
/// # Errors
/// As [`given`], and when it is empty or the two differ.
pub(crate) fn chosen(file: Option<&Path>) -> Result<SecretBytes> {
    let passphrase = match file {
        Some(file) => from_file(file, "read the passphrase file")?,
        None => asked("New passphrase: ")?,
    };
    if passphrase.expose_secret().is_empty() {
        return Err(Failure::new("the passphrase is empty", "choose some words that nobody else would"));
    }
    if file.is_none() && asked("Once more: ")?.expose_secret() != passphrase.expose_secret() {
        return Err(Failure::new("the two passphrases differ", "run the command again"));
    }
    Ok(passphrase)
}

/// What a new passphrase is to cost, measured on this machine.
pub(crate) fn tuned_cost(entropy: &mut dyn Entropy) -> PassphraseCost {
    PassphraseCost::tuned(GUESS_MS, |cost| {
        let start = Instant::now();
        // What cannot be had is no cost to choose: as long as it takes to say no.
        match seal_with_passphrase(b"measured", cost, b"", entropy) {
            Ok(_) => u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
            Err(_) => u64::MAX / 2,
        }
    })
}

fn asked(prompt: &str) -> Result<SecretBytes> {
    let none = || {
        Failure::new("no passphrase was given", "put it into a file and name it with --passphrase-file FILE")
    };
    if !std::io::stderr().is_terminal() {
        return Err(none());
    }
    let text = rpassword::prompt_password(prompt).map_err(|_| none())?;
    Ok(SecretBytes::take(text.into_bytes()))
}

/// The file's first line, without its end: a passphrase, or a PIN. `doing` is said when it cannot be had.
///
/// # Errors
/// [`Failure::Told`] when the file cannot be read.
pub(crate) fn from_file(path: &Path, doing: &str) -> Result<SecretBytes> {
    let whole = whole_file(path, FILE_LEN_MAX, doing)?;
    let line = whole.expose_secret().split(|&byte| byte == b'\n').next().unwrap_or_default();
    Ok(SecretBytes::take(line.strip_suffix(b"\r").unwrap_or(line).to_vec()))
}

/// What is in the file, up to `len_max` bytes.
///
/// # Errors
/// [`Failure::Told`] when the file cannot be read.
pub(crate) fn whole_file(path: &Path, len_max: u64, doing: &str) -> Result<SecretBytes> {
    let failed = |error: std::io::Error| Failure::file(doing, path, &error);
    let file = std::fs::File::open(path).map_err(failed)?;
    // Reserved whole, so that no copy is left behind by growing.
    let mut bytes = Vec::with_capacity(usize::try_from(len_max).unwrap_or(0) + 1);
    file.take(len_max).read_to_end(&mut bytes).map_err(failed)?;
    Ok(SecretBytes::take(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_counts_without_its_end() {
        #[track_caller]
        fn case(content: &str, expected: &str) {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), content).unwrap();
            assert_eq!(from_file(file.path(), "read").unwrap().expose_secret(), expected.as_bytes());
        }
        case("correct horse\n", "correct horse");
        case("correct horse", "correct horse");
        case(" spaces stay \r\nmore", " spaces stay ");
        case("", "");
    }

    #[test]
    fn an_empty_one_is_not_chosen() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(chosen(Some(file.path())), Err(Failure::Told { .. })));
    }
}
