use serde::{Deserialize, Serialize};

/// What of a space is exported.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveRange {
    /// The space, as in [`Place`](super::Place).
    pub space: Option<String>,
    /// A channel: name, id or unique id prefix; all of them when absent.
    pub channel: Option<String>,
    /// Only messages from this time on, by what their authors claim (UTC): a day or a moment like 2004-12-25T09:14.
    pub from: Option<String>,
    /// Only messages before this time, likewise.
    pub to: Option<String>,
}

/// What an export holds, found to be whole and as it was signed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveReport {
    /// The space's id, hexadecimal.
    pub space: String,
    /// Its name, by the exporting device.
    pub name: String,
    /// The exporting device's id, hexadecimal.
    pub device: String,
    /// Id of its user, hexadecimal, by the space's log.
    pub user: Option<String>,
    /// Name of its user.
    pub author: Option<String>,
    /// The channel's id, if only one was exported.
    pub channel: Option<String>,
    /// Messages from this time on, in milliseconds since 1970.
    pub from_ms: Option<u64>,
    /// Messages before this time.
    pub to_ms: Option<u64>,
    /// When it was made, by the exporting device.
    pub exported_ms: u64,
    /// Events with what they say.
    pub events: u64,
    /// Those of them that say something in words.
    pub texts: u64,
    /// Chains, each with its author's signature.
    pub chains: u64,
    /// Proven forks.
    pub forks: u64,
}
