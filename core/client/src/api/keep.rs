use serde::{Deserialize, Serialize};

/// A change of which channels of a space a device keeps. Channels are named by name, id or unique id prefix, at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// All there are and will be, as at the beginning.
    All,
    /// These, and no other; new ones only if this device creates them.
    Only {
        /// Which.
        channels: Vec<String>,
    },
    /// These too. Nothing changes where all are kept.
    Also {
        /// Which.
        channels: Vec<String>,
    },
    /// Not these, but for their newest messages, and older ones when somebody scrolls there. They are not written in.
    Newest {
        /// Which.
        channels: Vec<String>,
    },
    /// Not these. Where all are kept, only the others that there are now.
    LeaveOut {
        /// Which.
        channels: Vec<String>,
    },
}
