//! Which heads of a log differ at two devices, told in bytes that grow with the difference and not with the log: a rateless
//! invertible Bloom lookup table (Yang, Gilad, Alizadeh, "Practical Rateless Set Reconciliation", SIGCOMM 2024) over the
//! frontier. One side sends symbols 0, 1, 2, ...; the other subtracts its own and peels, and says when that is enough.
//!
//! Bytes: `docs/format/sync.md`; why so: `docs/adr/0018-heads-by-symbols.md`.
mod decoder;
mod encoder;
mod head_set;
mod item;
mod mapping;
mod symbol;
#[cfg(test)]
mod tests;

pub use decoder::{Decoder, Difference};
pub use encoder::Encoder;
pub use head_set::{HeadSet, Lack};
pub use item::{ChainName, HeadItem, HeadKey};
pub use symbol::Symbol;

/// Most symbols of one comparison, whatever the peers say of their logs: 1.25 MiB.
pub const SYMBOLS_MAX: u32 = 1 << 16;

/// Fewest symbols that are sent or asked for at once, unless fewer are left.
pub const SYMBOLS_STEP: usize = STEP as usize;

const STEP: u32 = 32;

/// Symbols below which no comparison is given up.
const SYMBOLS_MIN: u32 = 64;

/// How many symbols two devices with so many chains may spend: as many as the larger has chains. A chain that differs at both
/// is two items, and an item takes 1.4 symbols, so about a third of the chains may differ; beyond that the
/// frontier itself is the better answer.
pub fn symbols_max(ours: u32, theirs: u32) -> u32 {
    ours.max(theirs).clamp(SYMBOLS_MIN, SYMBOLS_MAX)
}

/// How many symbols to begin with, by how many events and chains the sides are apart in number; at most `max`. One event stands for
/// one chain, which is two items: the most that it can be if one side is behind.
pub fn first_symbols(events_apart: u64, chains_apart: u32, max: u32) -> u32 {
    let likely = events_apart.max(u64::from(chains_apart)).saturating_mul(3) / 2;
    u32::try_from(likely).unwrap_or(u32::MAX).saturating_add(16).clamp(STEP, max.max(STEP))
}

/// How many symbols to ask for next, after so many did not do; at most `max` in all. Nothing: give up.
pub fn next_symbols(taken: u32, max: u32) -> Option<u32> {
    let left = max.checked_sub(taken).filter(|left| *left > 0)?;
    Some((taken / 2).max(STEP).min(left))
}

/// Why heads cannot be compared by symbols. Nothing is lost: the whole frontier tells the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RatelessError {
    /// Nobody's: two chains have one name in this conversation, or a number is too large for an item.
    #[error("these heads have no symbols; exchange the whole frontier")]
    NoSymbols,
    /// Nobody's, or a lying peer's: more symbols than a comparison may take.
    #[error("the symbols do not suffice; exchange the whole frontier")]
    TooMany,
    /// The peer's: what its symbols say contradicts itself.
    #[error("the peer's symbols contradict themselves; exchange the whole frontier, or leave the peer")]
    Contradiction,
    /// The peer's: not a whole number of symbols, or of another place than was asked for.
    #[error("malformed symbols; the sender is broken or newer than this version")]
    Malformed,
}
