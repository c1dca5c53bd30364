use crate::FILE_LEN_MAX;

/// Why a file cannot be sealed, or a chunk is not the next of a file. Nothing was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's.
    #[error("the file is longer than {} GiB; cut it into several", FILE_LEN_MAX >> 30)]
    TooLong,
    /// The caller's: the file gave other lengths than it has.
    #[error("the file changed its length while it was read; wait until nobody writes to it, then try again")]
    Changed,
    /// The keeper's: these are not the bytes that the address stands for.
    #[error("what is kept under the file's address is something else; ask another keeper")]
    Manifest,
    /// The author's: the right bytes, and no manifest that the key opens.
    #[error("the key does not open the file's manifest; have its author send the file again")]
    ManifestKey,
    /// The keeper's: a chunk that lacks its end.
    #[error("chunk {index} of the file is cut short; ask another keeper")]
    Short {
        /// Which chunk was to come.
        index: u32,
    },
    /// The keeper's: a chunk with something behind its end.
    #[error("chunk {index} of the file is too long; ask another keeper")]
    Long {
        /// Which chunk was to come.
        index: u32,
    },
    /// The keeper's: a chunk that was there already.
    #[error("chunk {came} of the file came again in the place of chunk {index}; ask another keeper")]
    Repeated {
        /// Which chunk was to come.
        index: u32,
        /// Which came.
        came: u32,
    },
    /// The keeper's: a chunk whose turn is later.
    #[error("chunk {came} of the file came in the place of chunk {index}; ask another keeper")]
    OutOfOrder {
        /// Which chunk was to come.
        index: u32,
        /// Which came.
        came: u32,
    },
    /// The keeper's: no chunk of this file.
    #[error("what came as chunk {index} of the file is something else; ask another keeper")]
    Altered {
        /// Which chunk was to come.
        index: u32,
    },
    /// The author's: the right bytes, and no chunk that the key opens here.
    #[error("the key does not open chunk {index} of the file; have its author send the file again")]
    Key {
        /// Which chunk was to come.
        index: u32,
    },
    /// The keeper's: something behind the last chunk.
    #[error("something came behind the file's last chunk; ask another keeper")]
    Ended,
    /// The caller's: the file was taken for whole before its last chunk.
    #[error("the file ends before its chunk {index}; fetch the rest")]
    Unfinished {
        /// Which chunk was to come.
        index: u32,
    },
}
