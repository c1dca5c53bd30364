use clap::Subcommand;
use std::path::PathBuf;

/// A device that the space's members see reading along, for whoever has to keep what is said.
#[derive(Debug, Subcommand)]
pub(crate) enum ArchiveCommand {
    /// Show which devices the space requires as its archive, and which legal holds stand
    Show,
    /// Require that a device stays in the space and reads along in all its channels
    ///
    /// Admit it first, with rank 0: an archive writes nothing. While it is required nobody removes it. All members are told. Takes
    /// the permission manage-archive, which owners have and may give.
    Require {
        /// Id of the device, or its beginning, or the name of a member who has one device
        device: String,
    },
    /// Require it no longer; it stays a member until it is removed
    Release {
        /// Id of the device, or its beginning, or the name of a member who has one device
        device: String,
    },
    /// Put a legal hold on the channel that --channel names, or on what a member writes
    ///
    /// What is deleted there is deleted for everybody, but archives erase it only after the hold has ended. All members are told.
    /// Takes the permission manage-archive.
    Hold {
        /// The member, present or former: name, id or the beginning of the id
        #[arg(long)]
        member: Option<String>,
    },
    /// End a legal hold; what archives kept for it alone, they erase
    EndHold {
        /// The member, present or former: name, id or the beginning of the id
        #[arg(long)]
        member: Option<String>,
    },
    /// Write all that this archive can read of the space, or of --channel, to a file that proves itself
    ///
    /// The file holds the texts in clear, with signatures and keys by which anybody can check them: `terachat archive verify`.
    /// Guard it as you guard the archive.
    Export {
        /// Only messages from this time on (UTC), by what their authors claim: a day or a moment like 2004-12-25T09:14
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Only messages before this time, likewise
        #[arg(long, value_name = "TIME")]
        to: Option<String>,
        /// Where to; a file that is there is replaced
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Check that such a file is whole and that its archive and every author signed it; takes no profile
    ///
    /// Compare the device that it names with the one that the space requires (`terachat archive show`).
    Verify {
        /// The file
        file: PathBuf,
    },
}
