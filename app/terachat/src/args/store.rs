use clap::{Args, Subcommand, value_parser};
use std::path::PathBuf;

/// What is done to the store as a whole.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Read and check every byte that is kept; says what is damaged and what to do about it
    Check,
    /// Put small commits together, which saves space, and erase the texts of deleted messages
    Compact,
    /// Write all conversations to a sealed file, for another device of yours
    ///
    /// The file holds what was said, the keys to read it, and the key that vouches for your devices; not this device's own
    /// keys, so that no copy can write in its name. Choose a passphrase or a key file for it.
    Export {
        /// Where to; a file that is there is replaced
        file: PathBuf,
        #[command(flatten)]
        source: super::NewSource,
    },
    /// Make a new profile from such a file, as another device of the same user
    ///
    /// It reads everything at once. To write, let your old device or a member who may invite admit it: `terachat whoami`,
    /// `terachat invite`, `terachat join`. The new profile's own passphrase is chosen as with `terachat init`.
    Import(StoreImportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct StoreImportArgs {
    /// What `terachat store export` wrote
    pub(crate) file: PathBuf,
    /// File whose first line is the passphrase of the backup; without it, it is asked for
    #[arg(long, value_name = "FILE")]
    pub(crate) backup_passphrase_file: Option<PathBuf>,
    /// Key file that opens the backup
    #[arg(long, value_name = "FILE", conflicts_with = "backup_passphrase_file")]
    pub(crate) backup_key_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// Go on: audit again and again, until the first alarm
    #[arg(long, conflicts_with_all = ["map", "compare"])]
    pub(crate) watch: bool,
    /// Seconds between two audits of --watch
    #[arg(long, value_name = "SECONDS", default_value_t = 600, requires = "watch", value_parser = value_parser!(u32).range(1..=86_400))]
    pub(crate) every: u32,
    /// Write the hashes of everything in a space to a file, for another member's device to compare
    #[arg(long, value_name = "FILE", conflicts_with = "compare")]
    pub(crate) map: Option<PathBuf>,
    /// Name what is not the same here and on the device that wrote this file with --map
    #[arg(long, value_name = "FILE")]
    pub(crate) compare: Option<PathBuf>,
}
