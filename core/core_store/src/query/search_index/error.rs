/// What can go wrong in the search index. The index holds nothing that the log does not, so the last resort is
/// always the same: throw it away and add every message again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's fault: numbers must ascend. Nothing was added.
    #[error("document {doc} was not added: numbers must ascend and the next free one is {next}")]
    DocOrder {
        /// The number that was handed in.
        doc: u32,
        /// The smallest number that `add` would take.
        next: u32,
    },
    /// The numbers, the unsealed part, or a segment about to be written, has reached its limit. Nothing was added or written.
    #[error(
        "the search index is full ({0}): freeze it and add again; if it is frozen, rebuild it with new numbers"
    )]
    Full(&'static str),
    /// A segment written by another version. Nothing was opened.
    #[error(
        "a search segment has format version {0}, which this version does not read: rebuild the index from the log"
    )]
    Version(u16),
    /// The storage's fault: a segment's bytes contradict themselves. Nothing was changed; what was found is not
    /// returned, since it may be wrong.
    #[error("a search segment is damaged ({0}): rebuild the index from the log")]
    Damaged(&'static str),
    /// Two of the segments handed to `open`, or asked to be merged, cover the same document numbers. Nothing was
    /// opened or merged.
    #[error(
        "search segments overlap at document {0}: open only the segments of one index, without those that a merge replaced"
    )]
    Overlap(u32),
    /// The caller's fault: such a range of segments does not exist. Nothing was merged.
    #[error("segments {first}..{end} cannot be merged: there are {count}")]
    SegmentRange {
        /// First segment asked for.
        first: usize,
        /// One past the last segment asked for.
        end: usize,
        /// Segments there are.
        count: usize,
    },
}
