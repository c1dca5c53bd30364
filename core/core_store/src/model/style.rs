use serde::{Deserialize, Serialize};

/// How a message is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// Plain text.
    Message,
    /// What the author does (`/me`).
    Action,
    /// The author came.
    Join,
    /// The author went.
    Leave,
    /// The author's new name.
    Rename,
}
