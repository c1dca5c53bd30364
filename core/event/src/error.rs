/// Why bytes are not a valid event, or a chain not an honest one. No variant changed any state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer's: the header's bytes do not follow `docs/format/event.md`.
    #[error("malformed event header: {0}; the sender is broken or newer than this version")]
    Header(&'static str),
    /// The peer's: a signature does not fit its author, log, number and hash.
    #[error("the signature on event {0} does not verify; it was forged, changed or signed for another log")]
    Signature(crate::EventRef),
    /// The peer's: what is called a proof of equivocation proves nothing.
    #[error("not a proof of equivocation: {0}")]
    Proof(&'static str),
    /// The caller's: an id is 64 hexadecimal digits.
    #[error("an id is 64 hexadecimal digits")]
    Id,
}
