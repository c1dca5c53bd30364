/// What can go wrong when sealed bytes are opened. Nothing here carries a secret, and no variant changed state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes do not belong to this key, nonce and context, or were damaged.
    #[error("the sealed bytes do not open: wrong key, or the bytes were changed")]
    Open,
    /// The passphrase is wrong, or the sealed bytes were changed; the two cannot be told apart.
    #[error(
        "the passphrase does not open this: it is wrong, or the file was changed; try again, or restore the file from a backup"
    )]
    Passphrase,
    /// The envelope's frame is not one this version reads.
    #[error("not a sealed envelope of this version ({0}); was it made by a newer terachat?")]
    Envelope(&'static str),
    /// The system has not the memory that the envelope's cost asks for.
    #[error(
        "{kib} KiB of memory are needed to check the passphrase, and the system has not got them; close something"
    )]
    Memory {
        /// How much.
        kib: usize,
    },
}
