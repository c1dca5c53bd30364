use std::fmt;

/// What the committed entries mean: the state every node comes to.
///
/// A driver owns it. Who wants to read the state keeps a handle on the inside, such as an `Arc<RwLock<State>>`; after
/// [`crate::Ledger::read_barrier`] that state has everything that was committed before.
pub trait Machine: Send + 'static {
    /// Applies entry `index` and gives the answer for who proposed it, which must be short of
    /// [`crate::ENTRY_LEN_MAX`].
    ///
    /// Called with 1, 2, 3 and so on, without gaps, on every node the same. It must be deterministic: neither a clock
    /// nor a random number, and no order of a hash map. After a restart it is called again for what came after the
    /// last snapshot. It must not block for long, and an entry that makes no sense is no reason to panic: every node
    /// would.
    fn apply(&mut self, index: u64, entry: &[u8]) -> Vec<u8>;

    /// The whole state. [`Machine::restore`] of it gives an equal machine.
    ///
    /// Nothing is applied meanwhile.
    fn snapshot(&self) -> Vec<u8>;

    /// Takes the state of another machine as it was after entry `index`, whatever was here before.
    ///
    /// # Errors
    /// [`BadSnapshot`], and the state is as it was.
    fn restore(&mut self, index: u64, snapshot: &[u8]) -> Result<(), BadSnapshot>;
}

/// A machine's snapshot that cannot be read: what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadSnapshot(pub String);

impl fmt::Display for BadSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the snapshot cannot be read: {}", self.0)
    }
}

impl std::error::Error for BadSnapshot {}
