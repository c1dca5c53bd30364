//! Keys that the caller keeps among the records for a while, to single messages and to files that are being stored: one that was used
//! is not to be kept there any more.
use super::local_store::LocalStore;

/// Names of records with keys to messages begin so. A former value of one is left out when its segment is rewritten.
pub const MESSAGE_KEYS: &[u8] = b"message-key/";
/// The same for keys of files whose message is not posted yet.
pub const UPLOAD_KEYS: &[u8] = b"upload-key/";

impl LocalStore {
    /// Whether this is a key's former value: what is derived from it was used.
    pub(super) fn is_spent(&self, name: &[u8], value: &[u8]) -> bool {
        let is_key = name.starts_with(MESSAGE_KEYS) || name.starts_with(UPLOAD_KEYS);
        is_key && self.records.value(name) != Some(value)
    }
}
