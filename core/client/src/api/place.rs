//! Where something is.
use serde::{Deserialize, Serialize};

/// A channel, named by space and channel; either may be left out where there is exactly one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Space: its name, id or unique id prefix.
    pub space: Option<String>,
    /// Channel: its name, id or unique id prefix.
    pub channel: Option<String>,
}
