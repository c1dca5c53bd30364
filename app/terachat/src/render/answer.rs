use super::{
    Look, audit, compared, devices, events, hits, json_line, live_change, messages, posts, roles, short,
    status, supply, why,
};
use serde::Serialize;
use serde_json::{Value, json};
use terachat_client::api::{Answer, BoardFetched, RenewalStatus};

/// When keys are renewed.
fn renewed(renewal: &RenewalStatus) -> String {
    let RenewalStatus { days, messages, days_here } = *renewal;
    let later = if days_here > u64::from(days) {
        format!(" ({days_here} with as many devices as there are)")
    } else {
        String::new()
    };
    format!("after {days} days{later} or {messages} messages\n")
}

/// An answer as a person reads it. Secrets that are to be handed on (cards, invitations) and new ids stand alone on
/// their line, so that a script can take them.
pub(crate) fn answer(answer: &Answer, look: &Look) -> String {
    match answer {
        Answer::Done | Answer::Moved { .. } => String::new(),
        Answer::Renewal(renewal) => renewed(renewal),
        Answer::Card { card, .. } => format!("{card}\n"),
        Answer::Space { id, .. } | Answer::Channel { id, .. } => format!("{id}\n"),
        Answer::Invitation { invitation } => format!("{invitation}\n"),
        Answer::Invitations { invitations } => {
            invitations.iter().map(|invitation| format!("{invitation}\n")).collect()
        }
        Answer::Invited(told) => told.devices.iter().map(|device| format!("{device}\n")).collect(),
        Answer::Supply { boards, invitations } => supply(boards, invitations, look),
        Answer::Devices { devices: all, missing, .. } => devices(all, *missing, look),
        Answer::Roles { roles: all } => roles(all, look),
        Answer::Revoked { spaces } => format!("{spaces}\n"),
        Answer::Joined { space, .. } => format!("{space}\n"),
        Answer::Sent { id } => format!("{id}\n"),
        // For the program that asked, never shown.
        Answer::Upload { .. } | Answer::Attachments { .. } => String::new(),
        Answer::Posts { posts: list } => posts(list, look),
        Answer::Messages { messages: page } => messages(page, look, &mut None),
        Answer::Hits { hits: found } => hits(found, look),
        Answer::ImportPosition { last_id } => format!("{last_id}\n"),
        Answer::Imported { added, skipped } => format!("{added} added, {skipped} already there\n"),
        Answer::Events { events: chain } => events(chain, look),
        Answer::Why(told) => why(told, look),
        Answer::Audit(report) => audit(report, look),
        Answer::StoreChecked(told) => format!("{}: {} of {}\n", told.step, told.done, told.of),
        Answer::Status(all) => status(all, look),
        Answer::StateMap { bytes } => format!("{} bytes\n", bytes.len()),
        Answer::Compared { space, left_out, count, differences, .. } => {
            compared(space, left_out, *count, differences, look)
        }
        Answer::Live { messages: page, .. } => messages(page, look, &mut None),
        Answer::LiveChanges { changes } => {
            changes.iter().map(|change| live_change(change, look, &mut None)).collect()
        }
        Answer::Dropped { events, before, after } => {
            format!("{events} events dropped; {before} bytes before, {after} after\n")
        }
        Answer::Compacted { before, after, erased, pending, held } => {
            let held = if *held > 0 { format!(", {held} kept for a legal hold") } else { String::new() };
            format!(
                "{before} bytes before, {after} after; texts of deleted messages: {erased} erased, {pending} to be erased{held}\n"
            )
        }
        Answer::Bundle { bytes, events } => format!("{events} events, {} bytes\n", bytes.len()),
        Answer::BoardPublished(left) => {
            let packages = match left.key_packages {
                0 => String::new(),
                count => format!("; {count} key packages"),
            };
            format!("{} events left in {} records, {} bytes{packages}\n", left.events, left.records, left.len)
        }
        Answer::Behind { space } => format!("another member's change to {space} comes first\n"),
        Answer::BoardFetched(BoardFetched { added, known, waiting, left, reasons, invitations, .. }) => {
            let mut out =
                format!("{added} new, {known} known, {} waiting, {left} left aside\n", waiting.len());
            if *invitations > 0 {
                out.push_str(&format!("  {invitations} invitations; `terachat card status` shows them\n"));
            }
            let line = |what: &str, reason: &String| format!("  {what}  {}\n", super::one_line(reason));
            waiting.iter().for_each(|reason| out.push_str(&line("waiting", reason)));
            reasons.iter().for_each(|reason| out.push_str(&line("left aside", reason)));
            out
        }
        Answer::BundleApplied { added, known, waiting, refused } => {
            let mut out =
                format!("{added} new, {known} known, {} waiting, {} refused\n", waiting.len(), refused.len());
            waiting
                .iter()
                .for_each(|reason| out.push_str(&format!("  waiting  {}\n", super::one_line(reason))));
            refused
                .iter()
                .for_each(|reason| out.push_str(&format!("  refused  {}\n", super::one_line(reason))));
            out
        }
    }
}

/// An answer for programs: its fields in one object, without the variant's name around them.
pub(crate) fn json(answer: &Answer) -> String {
    json_value(&unwrapped(serde_json::to_value(answer).unwrap_or(Value::Null)))
}

/// Any value as one line.
pub(crate) fn json_value(value: &impl Serialize) -> String {
    json_line(&serde_json::to_string(value).unwrap_or_default()) + "\n"
}

fn unwrapped(value: Value) -> Value {
    match value {
        Value::Object(mut map) if map.len() == 1 => {
            map.values_mut().next().map(Value::take).unwrap_or_default()
        }
        Value::String(name) => json!({ name: true }),
        other => other,
    }
}

/// One line of talk on what an answer means for the next step; nothing where the answer speaks for itself.
pub(crate) fn hint(answer: &Answer) -> Option<String> {
    Some(match answer {
        Answer::Card { name, device, .. } => {
            format!("This is {} on device {}. Hand the card to whoever invites you.", super::one_line(name), short(device))
        }
        Answer::Space { name, .. } => {
            format!("Space {} is there. Next: `terachat channel create NAME`.", super::one_line(name))
        }
        Answer::Channel { name, archives, .. } => {
            format!("Channel {} is there.{}", super::one_line(name), read_along(archives))
        }
        Answer::Posts { posts } if posts.is_empty() => "There are no posts here.".to_owned(),
        Answer::Messages { messages } if messages.is_empty() => "There are no messages here.".to_owned(),
        Answer::Hits { hits } if hits.is_empty() => "Nothing was found.".to_owned(),
        Answer::Invitation { .. } => "Hand this to the newcomer, for `terachat join`.".to_owned(),
        Answer::Invitations { invitations } if invitations.is_empty() => {
            "This device is in no space.".to_owned()
        }
        Answer::Invitations { .. } => {
            "Hand each to whom it is for, for `terachat join`.".to_owned()
        }
        Answer::Invited(told) => {
            let mut line = format!(
                "{} is invited on {} devices, which find the invitation with `terachat board sync` and accept it with `terachat join SPACE`.",
                super::one_line(&told.person),
                told.devices.len()
            );
            if told.last_resort > 0 {
                line.push_str(" Some by their key package of last resort: no other was left.");
            }
            told.skipped.iter().for_each(|why| line.push_str(&format!(" Not {}.", super::one_line(why))));
            line
        }
        Answer::Supply { boards, .. } if boards.is_empty() => {
            "This device offers no key packages. Next: `terachat card publish --folder DIR` or `--cluster DIR`.".to_owned()
        }
        Answer::Moved { moved: true, suite, .. } => format!("The space has moved to suite {suite}."),
        Answer::Moved { suite, waits_for, .. } => {
            let names: Vec<String> = waits_for.iter().map(|name| super::one_line(name)).collect();
            format!(
                "The space moves to suite {suite} when the devices of these have offered keys for it: {}. `terachat space reinit --now` does it without them.",
                names.join(", ")
            )
        }
        Answer::Revoked { spaces } => format!(
            "The device was revoked in {spaces} spaces; others follow when a member there hears of it."
        ),
        Answer::Joined { ready: false, .. } => {
            "Accepted. The space fills at the next `terachat sync --peer ADDR`, `terachat listen --peer ADDR` or `terachat board fetch --folder DIR`.".to_owned()
        }
        Answer::Joined { archives, .. } if !archives.is_empty() => {
            format!("Accepted.{}", read_along(archives))
        }
        _ => return None,
    })
}

/// Whose devices read along as the space's archive; nothing without any.
fn read_along(archives: &[String]) -> String {
    let names: Vec<String> = archives.iter().map(|name| super::one_line(name)).collect();
    match names.is_empty() {
        true => String::new(),
        false => format!(" The space's archive reads along: {}.", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An empty channel printed nothing at all, as if the command had not run.
    #[test]
    fn an_empty_page_says_so_beside_the_data() {
        let empty = Answer::Messages { messages: vec![] };
        assert_eq!(answer(&empty, &Look::bare()), "");
        assert!(hint(&empty).is_some_and(|line| line.contains("no messages")));
    }

    #[test]
    fn json_is_one_flat_object() {
        assert_eq!(json(&Answer::Sent { id: "e1".into() }), "{\"id\":\"e1\"}\n");
        assert_eq!(json(&Answer::Done), "{\"done\":true}\n");
        assert_eq!(json(&Answer::Messages { messages: vec![] }), "{\"messages\":[]}\n");
        assert!(json(&Answer::Audit(Default::default())).contains("\"signatures\":0"));
    }
}
