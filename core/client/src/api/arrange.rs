//! How a space is laid out.
use serde::{Deserialize, Serialize};

/// A change of a space's layout. Channels and categories are named by name, id or unique id prefix; names are 1 to 100
/// characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arrangement {
    /// Creates a category.
    CreateCategory {
        /// Its name.
        name: String,
    },
    /// Renames the space: takes the permission `rename-space`, all else `manage-channels`.
    RenameSpace {
        /// The new name.
        name: String,
    },
    /// Renames a category.
    RenameCategory {
        /// Which.
        category: String,
        /// The new name.
        name: String,
    },
    /// Renames a channel.
    RenameChannel {
        /// Which.
        channel: String,
        /// The new name.
        name: String,
    },
    /// Says what a channel is about.
    Topic {
        /// Which.
        channel: String,
        /// Up to 1,000 characters; empty takes the old one away.
        topic: String,
    },
    /// Puts a channel elsewhere.
    Place {
        /// Which.
        channel: String,
        /// The category it stands in from now on; in none when absent.
        category: Option<String>,
        /// The channel behind which it stands; before all others when absent.
        after: Option<String>,
    },
}
