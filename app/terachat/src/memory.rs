use crate::failure::{Failure, Result};
use terachat_vault::memory::{self, MemoryError, Policy};

/// Locked for keys at the start. A profile has some ten keys; more is locked as needed.
const RESERVED_LEN: usize = 256 * 1024;

/// Sees to it that keys stay out of swap and dumps. Before the first secret.
///
/// # Errors
/// [`Failure::Told`] where the system does not lock memory and nobody allowed to go on without.
pub(crate) fn pin(allow_unpinned: bool) -> Result<()> {
    if let Err(error) = memory::refuse_dumps() {
        tracing::warn!(%error, "the system may write this process into a core dump");
    }
    let policy = if allow_unpinned { Policy::Allow } else { Policy::Require };
    match memory::reserve(policy, RESERVED_LEN) {
        Ok(_) => Ok(()),
        Err(error @ (MemoryError::Limit { .. } | MemoryError::Unsupported)) => Err(Failure::from_text(error)),
        Err(error) => Err(Failure::new(error, "please report this")),
    }
}
