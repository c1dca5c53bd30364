/// One block to commit: what the log stores and gives back, without looking into it.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    /// What it is, for whoever reads it again. Stored in the clear.
    pub kind: u8,
    /// Its bytes, at most [`BODY_LEN_MAX`](super::BODY_LEN_MAX). Compressed and sealed on disk.
    pub body: &'a [u8],
    /// Whether `body` is already a Zstandard frame, of content within the same limit: it is stored as it is, and
    /// reading gives its content.
    pub is_packed: bool,
}

impl<'a> Block<'a> {
    /// A block of plain bytes.
    pub fn plain(kind: u8, body: &'a [u8]) -> Self {
        Self { kind, body, is_packed: false }
    }

    /// A block whose bytes came compressed.
    pub fn packed(kind: u8, body: &'a [u8]) -> Self {
        Self { kind, body, is_packed: true }
    }
}

/// Where a block is. Ordered as the blocks are in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockRef {
    pub(super) segment: u32,
    pub(super) offset: u32,
    pub(super) number: u32,
    /// Where the session begins whose key seals the block.
    pub(super) session: u32,
}

impl BlockRef {
    /// Length of [`BlockRef::to_bytes`].
    pub const LEN: usize = 16;

    /// The reference as bytes, to keep in an index.
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        for (chunk, field) in bytes.chunks_exact_mut(4).zip(self.fields()) {
            chunk.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    /// The reference [`BlockRef::to_bytes`] gave. Any bytes are a reference; one that points at no block is
    /// refused by whoever reads it.
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        let field =
            |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes of sixteen"));
        Self::from_fields([field(0), field(4), field(8), field(12)])
    }

    /// The segment it is in.
    pub(crate) fn segment(self) -> u32 {
        self.segment
    }

    /// Segment, offset, number, and offset of the session.
    pub(crate) fn fields(self) -> [u32; 4] {
        [self.segment, self.offset, self.number, self.session]
    }

    /// The reference that [`BlockRef::fields`] gave; as [`BlockRef::from_bytes`].
    pub(crate) fn from_fields([segment, offset, number, session]: [u32; 4]) -> Self {
        Self { segment, offset, number, session }
    }
}

/// A block as the log gives it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlock {
    /// Where it is.
    pub at: BlockRef,
    /// As it was committed.
    pub kind: u8,
    /// As it was committed.
    pub body: Vec<u8>,
    /// Whether it is the last of its commit.
    pub ends_commit: bool,
}
