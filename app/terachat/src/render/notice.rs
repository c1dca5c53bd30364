use super::{Look, messages, one_line, short};
use terachat_client::api::Notice;

/// What happened, for those who follow. `since` as in [`messages`].
pub(crate) fn notice(notice: &Notice, look: &Look, since: &mut Option<String>) -> String {
    match notice {
        Notice::Message(message) | Notice::Changed(message) => {
            messages(std::slice::from_ref(message), look, since)
        }
        Notice::Space { what, .. } => format!("  {}\n", look.paint.dim(&one_line(what))),
        Notice::InSync { peer } => {
            format!("  {}\n", look.paint.dim(&format!("in sync with {}", short(peer))))
        }
        Notice::NotMember { peer, space } => {
            let what =
                format!("{} says that this device is no member of space {}", short(peer), short(space));
            format!("  {}\n", look.paint.dim(&what))
        }
        Notice::Stranger { peer, space } => {
            let what = format!("{} is no member of space {}; it gets nothing", short(peer), short(space));
            format!("  {}\n", look.paint.dim(&what))
        }
        Notice::Audited { events, everything, alarm } if alarm.is_empty() => {
            let what = if *everything { "replayed, all of it holds" } else { "checked" };
            format!("  {}\n", look.paint.dim(&format!("{events} events {what}")))
        }
        Notice::Audited { alarm, .. } => alarm
            .iter()
            .map(|line| format!("  {} {}\n", look.paint.alarm("ALARM:"), one_line(line)))
            .collect(),
        Notice::Alarm { what } => format!("  {} {}\n", look.paint.alarm("ALARM:"), one_line(what)),
    }
}
