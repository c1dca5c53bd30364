//! A counter that only goes up guards a stored head against being set back. What is decided here is pure; the chip is
//! behind [`RollbackCounter`]. ADR 0011 says why the checkpoint is written before the counter advances.

mod binding;

pub use binding::{BoxedCounter, CounterKind};

/// A counter outside the disk that never goes down: a TPM's NV counter.
pub trait RollbackCounter {
    /// Its value. Does not wear the chip.
    ///
    /// # Errors
    /// [`CounterError`].
    fn read(&mut self) -> Result<u64, CounterError>;

    /// Adds one and gives the new value. One write of the chip's memory, of which it stands 10^5 to 10^6.
    ///
    /// # Errors
    /// [`CounterError`]; whether the counter advanced is then unknown, and [`RollbackCounter::read`] tells.
    fn advance(&mut self) -> Result<u64, CounterError>;
}

/// The counter gave no answer. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the rollback counter cannot be used: {reason}")]
pub struct CounterError {
    /// What is missing, and what to do about it.
    pub reason: String,
}

/// What a stored head's counter value says beside the chip's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// The head is the newest.
    Fresh,
    /// The head is the newest, and the crash came between writing it and advancing the counter. Advancing once
    /// finishes the checkpoint.
    Unfinished,
    /// The disk was set back: so many checkpoints were written after this head.
    RolledBack {
        /// How many, at least 1.
        by: u64,
    },
    /// The counter is behind the head by more than a crash explains: it is not this head's counter, or a virtual chip
    /// was itself restored from a copy.
    CounterSetBack {
        /// By how many, at least 1.
        by: u64,
    },
}

impl Freshness {
    /// Compares the value written in the head with the counter's.
    pub fn judge(stored: u64, counter: u64) -> Self {
        match stored.checked_sub(counter) {
            Some(0) => Self::Fresh,
            Some(1) => Self::Unfinished,
            Some(ahead) => Self::CounterSetBack { by: ahead - 1 },
            None => Self::RolledBack { by: counter - stored },
        }
    }
}

/// Why a stored head is not trusted. The counter was not advanced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RollbackError {
    /// As [`Freshness::RolledBack`].
    #[error(
        "this disk was set back: {by} later checkpoints are missing; put the newest copy back, or make a new device"
    )]
    RolledBack {
        /// How many checkpoints are missing.
        by: u64,
    },
    /// As [`Freshness::CounterSetBack`].
    #[error(
        "the counter is {by} behind this disk: it belongs to another machine, or a virtual TPM was restored from a copy; make a new device"
    )]
    CounterSetBack {
        /// By how many.
        by: u64,
    },
    /// The chip did not answer, or not as a counter that only this process advances.
    #[error(transparent)]
    Counter(#[from] CounterError),
}

/// Checkpoints to complete after opening, before anything new is acknowledged or signed.
///
/// One is not enough. Say the power is cut after a head with 7 is written and before the counter goes from 6 to 7. That
/// head is copied, the head with 6 is put back, and the process goes on and completes another head with 7: the copy
/// would pass for it. After two, the counter is beyond every head that an earlier run can have left anywhere.
pub const OPENING_CHECKPOINTS: u64 = 2;

/// Makes the counter agree with the head that is durable on disk and says `stored`.
///
/// It serves both ends of a checkpoint. On opening, with the value read from disk: an interrupted checkpoint is
/// finished, a disk that was set back is refused; [`OPENING_CHECKPOINTS`] follow. And to complete a checkpoint: first
/// write the signed head with `stored + 1` and sync it, then call this with `stored + 1`; what the head covers is
/// guarded once it returns. After an error call it again with the same value: it reads before it advances, so it never
/// advances twice.
///
/// # Errors
/// [`RollbackError`].
pub fn settle(stored: u64, counter: &mut dyn RollbackCounter) -> Result<(), RollbackError> {
    match Freshness::judge(stored, counter.read()?) {
        Freshness::Fresh => Ok(()),
        Freshness::Unfinished => match counter.advance()? {
            value if value == stored => Ok(()),
            value => Err(CounterError {
                reason: format!(
                    "it went to {value} where {stored} was expected; is another process using the same counter?"
                ),
            }
            .into()),
        },
        Freshness::RolledBack { by } => Err(RollbackError::RolledBack { by }),
        Freshness::CounterSetBack { by } => Err(RollbackError::CounterSetBack { by }),
    }
}

#[cfg(test)]
mod tests;
