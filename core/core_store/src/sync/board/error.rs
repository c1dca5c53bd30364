/// Why a board did not do what was asked. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BoardError {
    /// The sender's: bytes that are no record.
    #[error("that is no board record: {0}; its sender is broken, hostile or newer than this version")]
    Record(&'static str),
    /// The sender's: the record is larger than this board takes.
    #[error(
        "a record of {len} bytes is more than the board's {max}; publish with a version that asks for its limit"
    )]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The board's limit.
        max: usize,
    },
    /// The sender's: another content stands under this key and has not expired.
    #[error("another record stands under this key; publish under the next one")]
    Taken,
    /// The sender's: the record has expired, or would be kept longer than any may be.
    #[error("the record's end is past or further ahead than boards keep anything; check the clock")]
    Lifetime,
    /// The board's: what it keeps under a key is not that key's record.
    #[error("the board keeps a damaged record ({0}); whoever published it can publish it anew")]
    Damaged(&'static str),
    /// The board's: a record that does not open with its stream's secret, or not in its place.
    #[error("a record of the board holds nothing that a member would write ({0}); it is left aside")]
    Content(&'static str),
    /// The board's medium.
    #[error("{0}")]
    Failed(String),
}
