//! What guards a profile's keys.
use clap::Subcommand;

/// What guards a profile's keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Show which kinds of sources open the profile
    Sources,
    /// Let one more source open the profile, or replace the one of its kind
    Guard {
        #[command(flatten)]
        source: super::NewSource,
    },
    /// No longer let a kind of source open the profile
    Unguard {
        /// passphrase, file, keychain, tpm, pkcs11 or recovery
        kind: String,
    },
    /// A new master key: from now on only this source opens the profile
    Master {
        #[command(flatten)]
        source: super::NewSource,
    },
    /// A new key-encrypting key; what opens the profile stays as it is
    Rotate,
    /// Make a recovery key that opens the profile, and split it: any M of N shares join
    ///
    /// Each keeper gets one share. A new key makes the shares of the one before worthless. To open with shares: --master-key
    /// recovery:FILE,FILE
    Recovery(super::RecoveryArgs),
    /// Give the profile another counter, where it moved to another machine on purpose or its counter is lost
    ///
    /// The counter tells when the folder is an older copy, which would sign numbers twice. Adopt one only for the newest copy
    /// there is, and use no other copy any more. The counter is the one that --counter names, a file by default.
    Adopt,
}
