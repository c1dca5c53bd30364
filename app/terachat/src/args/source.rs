//! How the sources of a master key, and the counters against rollback, are named on the command line.
use clap::Args;
use std::path::PathBuf;
use std::str::FromStr;

/// What opens a profile or a vault. The first that is named counts: a source, a key file, a passphrase.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SourceArgs {
    /// File whose first line is the passphrase; without it, it is asked for
    #[arg(
        long,
        global = true,
        env = "TERACHAT_PASSPHRASE_FILE",
        value_name = "FILE",
        hide_env_values = true
    )]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Key file that opens the profile or the vault; a passphrase is not looked at then
    #[arg(long, global = true, env = "TERACHAT_KEY_FILE", value_name = "FILE", hide_env_values = true)]
    pub(crate) key_file: Option<PathBuf>,
    /// Another source that opens it: keychain, tpm, pkcs11:TOKEN, or recovery:FILE,FILE,...
    ///
    /// tpm can be followed by PCRs that a new seal is bound to and by how the chip is reached: tpm/0,7:device:/dev/tpmrm0.
    /// The files of recovery hold shares of the recovery key, one or more each.
    #[arg(
        long,
        global = true,
        env = "TERACHAT_MASTER_KEY",
        value_name = "SOURCE",
        hide_env_values = true,
        verbatim_doc_comment
    )]
    pub(crate) master_key: Option<SourceSpec>,
    /// The HSM vendor's PKCS#11 module, for pkcs11:TOKEN
    #[arg(long, global = true, env = "TERACHAT_PKCS11_MODULE", value_name = "FILE", hide_env_values = true)]
    pub(crate) pkcs11_module: Option<PathBuf>,
    /// File whose first line is the PIN, for pkcs11:TOKEN
    #[arg(long, global = true, env = "TERACHAT_PIN_FILE", value_name = "FILE", hide_env_values = true)]
    pub(crate) pin_file: Option<PathBuf>,
}

/// A source that is neither passphrase nor key file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SourceSpec {
    Keychain,
    Tpm { tcti: Option<String>, pcrs: Vec<u8> },
    Pkcs11 { token: String },
    Recovery { files: Vec<PathBuf> },
}

impl FromStr for SourceSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, rest) = text.split_once(':').map_or((text, None), |(word, rest)| (word, Some(rest)));
        let (word, pcrs) = word.split_once('/').map_or((word, None), |(word, pcrs)| (word, Some(pcrs)));
        match (word, rest, pcrs) {
            ("keychain", None, None) => Ok(Self::Keychain),
            ("tpm", tcti, pcrs) => {
                let number = |text: &str| {
                    text.parse().map_err(|_| format!("{text:?} is no PCR; they go from 0 to 23"))
                };
                let pcrs: Result<_, _> =
                    pcrs.into_iter().flat_map(|pcrs| pcrs.split(',')).map(number).collect();
                Ok(Self::Tpm { tcti: tcti.map(str::to_owned), pcrs: pcrs? })
            }
            ("pkcs11", Some(token), None) if !token.is_empty() => {
                Ok(Self::Pkcs11 { token: token.to_owned() })
            }
            ("recovery", Some(files), None) if !files.is_empty() => {
                Ok(Self::Recovery { files: files.split(',').map(PathBuf::from).collect() })
            }
            _ => {
                Err("a source is keychain, tpm[/PCR,PCR][:TCTI], pkcs11:TOKEN or recovery:FILE,FILE"
                    .to_owned())
            }
        }
    }
}

/// A counter outside of the folder that tells when the folder is an older copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CounterSpec {
    /// Nothing tells.
    None,
    /// A file in this folder, or in the system's folder for application state.
    File(Option<PathBuf>),
    /// A TPM's counter.
    Tpm(Option<String>),
}

impl FromStr for CounterSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, rest) = text.split_once(':').map_or((text, None), |(word, rest)| (word, Some(rest)));
        match (word, rest) {
            ("none", None) => Ok(Self::None),
            ("file", Some("")) => Err("file: is followed by a folder, or stands alone".to_owned()),
            ("file", folder) => Ok(Self::File(folder.map(PathBuf::from))),
            ("tpm", tcti) => Ok(Self::Tpm(tcti.map(str::to_owned))),
            _ => Err("a counter is file[:FOLDER], tpm[:TCTI] or none".to_owned()),
        }
    }
}

/// What is to guard the keys from now on.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct NewSource {
    /// File whose first line is the new passphrase
    #[arg(long, value_name = "FILE")]
    pub(crate) new_passphrase_file: Option<PathBuf>,
    /// A passphrase that is asked for at the terminal
    #[arg(long)]
    pub(crate) new_passphrase: bool,
    /// A key file to be made
    #[arg(long, value_name = "FILE")]
    pub(crate) new_key_file: Option<PathBuf>,
    /// keychain, tpm, or pkcs11:TOKEN, as for --master-key
    #[arg(long, value_name = "SOURCE")]
    pub(crate) new_master_key: Option<SourceSpec>,
}

/// How a recovery key is split.
#[derive(Debug, Clone, Args)]
pub(crate) struct RecoveryArgs {
    /// Shares that are needed to open
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u8).range(2..))]
    pub(crate) threshold: u8,
    /// Shares to make, one for each keeper
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(2..))]
    pub(crate) shares: u8,
    /// Write each share to a file of its own in this folder, share-1.txt and so on, instead of showing them all
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_named_in_one_word() {
        #[track_caller]
        fn case(text: &str, expected: Option<SourceSpec>) {
            assert_eq!(text.parse().ok(), expected, "{text}");
        }
        let tpm = |tcti: Option<&str>, pcrs: &[u8]| {
            Some(SourceSpec::Tpm { tcti: tcti.map(str::to_owned), pcrs: pcrs.to_vec() })
        };
        case("keychain", Some(SourceSpec::Keychain));
        case("tpm", tpm(None, &[]));
        case("tpm:device:/dev/tpmrm0", tpm(Some("device:/dev/tpmrm0"), &[]));
        case("tpm/0,7:swtpm:host=127.0.0.1,port=2321", tpm(Some("swtpm:host=127.0.0.1,port=2321"), &[0, 7]));
        case("tpm/x", None);
        case("pkcs11:door keys", Some(SourceSpec::Pkcs11 { token: "door keys".to_owned() }));
        case("pkcs11:", None);
        case("recovery:a,b", Some(SourceSpec::Recovery { files: vec!["a".into(), "b".into()] }));
        case("recovery", None);
        case("keychain:x", None);
        case("keychain/1", None);
        case("", None);
    }

    #[test]
    fn counters_are_named_in_one_word() {
        let case = |text: &str, expected| assert_eq!(text.parse().ok(), expected, "{text}");
        case("none", Some(CounterSpec::None));
        case("file", Some(CounterSpec::File(None)));
        case("file:/run/counters", Some(CounterSpec::File(Some("/run/counters".into()))));
        case("tpm:device:/dev/tpmrm0", Some(CounterSpec::Tpm(Some("device:/dev/tpmrm0".to_owned()))));
        case("file:", None);
        case("none:x", None);
        case("hsm", None);
    }
}
