//! From values to text. Nothing here writes, asks or knows the terminal: paint, time zone and time are handed in.
mod answer;
mod archive;
mod attachment;
mod audit;
mod check;
mod cluster;
mod compared;
mod deed;
mod devices;
mod event;
mod failure;
mod forum;
mod hit;
mod live;
mod message;
mod notice;
mod paint;
mod plain;
mod roles;
mod shares;
mod status;
mod supply;
mod table;
mod time;
mod value;
mod why;

pub(crate) use answer::{answer, hint, json, json_value};
pub(crate) use archive::{archive, archive_report};
pub(crate) use attachment::attachments;
pub(crate) use audit::audit;
pub(crate) use check::check;
pub(crate) use cluster::{ClusterView, cluster, cluster_json};
pub(crate) use compared::compared;
pub(crate) use deed::{exported, exported_json, hex, history, history_json};
pub(crate) use devices::devices;
pub(crate) use event::events;
pub(crate) use failure::{failure, failure_json};
pub(crate) use forum::posts;
pub(crate) use hit::hits;
pub(crate) use live::live_change;
pub(crate) use message::messages;
pub(crate) use notice::notice;
pub(crate) use paint::Paint;
pub(crate) use plain::{json_line, one_line, plain};
pub(crate) use roles::roles;
pub(crate) use shares::{shares, shares_json};
pub(crate) use status::{bytes as size, channels, members, status};
pub(crate) use supply::supply;
pub(crate) use table::{Align, Table};
pub(crate) use value::value;
pub(crate) use why::why;

/// Looks shared by all views.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    /// Colours, or none.
    pub(crate) paint: Paint,
    /// In which zone wall times are shown.
    pub(crate) zone: jiff::tz::TimeZone,
}

#[cfg(test)]
impl Look {
    /// No colours, UTC.
    pub(crate) fn bare() -> Self {
        Self { paint: Paint::Never, zone: jiff::tz::TimeZone::UTC }
    }
}

/// The beginning of an id, long enough to be typed and told apart. A message's id is short already, and its end is what
/// tells it from the others of its author: it stays whole.
pub(crate) fn short(id: &str) -> &str {
    if id.contains('-') { id } else { id.get(..10).unwrap_or(id) }
}
