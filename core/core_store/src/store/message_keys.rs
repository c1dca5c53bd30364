//! Keys to single messages, which the caller keeps among the records: one that was used is not to be kept anywhere.
use super::local_store::LocalStore;

/// Names of these records begin so. A former value of one is left out when its segment is rewritten.
pub const MESSAGE_KEYS: &[u8] = b"message-key/";

impl LocalStore {
    /// Whether this is a key's former value: what is derived from it was used.
    pub(super) fn is_spent(&self, name: &[u8], value: &[u8]) -> bool {
        name.starts_with(MESSAGE_KEYS) && self.records.value(name) != Some(value)
    }
}
