//! How much is told of what arrives at once.

/// Most messages of one bundle that are told one by one: who catches up on years reads pages instead.
pub(crate) const NOTICES_MAX: usize = 256;
