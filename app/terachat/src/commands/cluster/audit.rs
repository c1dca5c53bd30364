//! Whether all nodes tell the same history, and it follows from its first deed.
use super::status::PATIENCE;
use super::{as_client, failed};
use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::printer::Printer;
use crate::render;
use serde_json::json;
use std::path::Path;
use terachat_cluster::{Chronicle, PlacementMark};
use terachat_node::{Ask, AuditReport, Client, Contact, Error, Told, history_of};
use terachat_shard::NodeId;

/// What a node says of its history, and that history as it was replayed here.
struct Audit {
    report: AuditReport,
    history: Chronicle,
    /// Why the node's word or its history does not hold.
    wrong: Option<String>,
}

/// Has every node replay its history, replays each here as well, and compares.
pub(super) fn run(folder: &Path, global: &Global, printer: &Printer) -> Result<()> {
    let (audits, silent) = as_client(folder, global, PATIENCE, async |client, _| {
        client.ask(&Ask::Status).await.map_err(failed)?;
        let (mut audits, mut silent) = (Vec::new(), Vec::new());
        let mut members = client.members();
        members.sort_by_key(|contact| contact.node);
        for contact in members {
            match ask(client, &contact).await {
                Ok(audit) => audits.push(audit),
                Err(_) => silent.push(contact.node),
            }
        }
        Ok::<(Vec<Audit>, Vec<NodeId>), Failure>((audits, silent))
    })?;
    let differ = differences(&audits);
    let sound = differ.is_empty() && audits.iter().all(|audit| audit.wrong.is_none()) && silent.is_empty();
    printer.data(&match printer.is_json() {
        true => as_json(&audits, &silent, sound),
        false => as_text(&audits, &silent, &differ, sound),
    })?;
    if sound { Ok(()) } else { Err(Failure::Shown) }
}

async fn ask(client: &Client, contact: &Contact) -> std::result::Result<Audit, Error> {
    let Told::Audit(report) = client.ask_node(contact, &Ask::Audit).await? else { return Err(Error::Answer) };
    match history_of(client, contact).await {
        Ok((history, _)) => {
            let wrong = report.wrong.clone().or_else(|| unlike(&report, &history));
            Ok(Audit { report, history, wrong })
        }
        Err(Error::History(why)) => {
            Ok(Audit { report, history: Chronicle::default(), wrong: Some(why.to_string()) })
        }
        Err(error) => Err(error),
    }
}

/// Whether a node's word is of another history than the one that it tells.
fn unlike(report: &AuditReport, history: &Chronicle) -> Option<String> {
    let is_so = hash_at(history, report.deeds) == Some(report.last);
    (!is_so).then(|| "the history that it tells is not the one that it replayed".to_owned())
}

/// The hash of the last of so many deeds.
fn hash_at(history: &Chronicle, deeds: u64) -> Option<[u8; 32]> {
    let last = usize::try_from(deeds).ok()?.checked_sub(1)?;
    Some(history.deeds().get(last)?.hash())
}

/// Where nodes do not agree: in the deeds that both have, or in all entries if they applied as many.
fn differences(audits: &[Audit]) -> Vec<String> {
    let mut differ = Vec::new();
    for (at, one) in audits.iter().enumerate() {
        for other in &audits[at + 1..] {
            let both = one.history.next().0.min(other.history.next().0);
            let (head, others) = (one.report.head, other.report.head);
            if hash_at(&one.history, both) != hash_at(&other.history, both)
                || head.0 == others.0 && head.1 != others.1
            {
                differ
                    .push(format!("{} and {} have different histories", one.report.node, other.report.node));
            }
            if let Some((mark, others)) = in_common(&one.report, &other.report)
                && mark.digest != others.digest
            {
                differ.push(format!(
                    "{} and {} differ on where shards stand after entry {}",
                    one.report.node, other.report.node, mark.entry
                ));
            }
        }
    }
    let longest = audits.iter().max_by_key(|audit| audit.history.next().0);
    differ.extend(longest.and_then(|audit| dispute(&audit.history)));
    differ
}

/// What two nodes say of where shards stood after the newest change that both remember: each that comes later holds all that came
/// before, so older ones say nothing more.
fn in_common(one: &AuditReport, other: &AuditReport) -> Option<(PlacementMark, PlacementMark)> {
    one.placements.iter().rev().find_map(|mark| {
        let at = other.placements.binary_search_by_key(&mark.entry, |mark| mark.entry).ok()?;
        Some((*mark, *other.placements.get(at)?))
    })
}

/// Whose word on where shards stand was compared with nobody's: so much changed between the questions that nobody else remembers the same
/// change.
fn uncompared(audits: &[Audit]) -> Vec<NodeId> {
    let alone = |audit: &&Audit| {
        let others = audits.iter().filter(|other| other.report.node != audit.report.node);
        !audit.report.placements.is_empty()
            && !others.into_iter().any(|other| in_common(&audit.report, &other.report).is_some())
    };
    match audits.len() {
        0 | 1 => Vec::new(),
        _ => audits.iter().filter(alone).map(|audit| audit.report.node).collect(),
    }
}

/// Who stands against whom in the history, on where shards stood.
fn dispute(history: &Chronicle) -> Option<String> {
    let (entry, said) = history.last_claims();
    let sides: Vec<String> = said.values().map(listed).collect();
    (sides.len() > 1).then(|| {
        format!(
            "where shards stood after entry {entry} is disputed: {}; stop the nodes that the fewest stand with, and start them again",
            sides.join(" against ")
        )
    })
}

fn listed<'a>(nodes: impl IntoIterator<Item = &'a NodeId>) -> String {
    nodes.into_iter().map(NodeId::to_string).collect::<Vec<_>>().join(", ")
}

fn as_json(audits: &[Audit], silent: &[NodeId], sound: bool) -> String {
    let node = |Audit { report, wrong, .. }: &Audit| {
        json!({
            "node": report.node.0, "deeds": report.deeds, "last": render::hex(&report.last),
            "entries": report.head.0, "head": render::hex(&report.head.1), "wrong": wrong,
            "placement": report.placements.last().map(|mark| json!({ "entry": mark.entry, "digest": render::hex(&mark.digest) })),
        })
    };
    let numbers = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect::<Vec<_>>();
    render::json_value(&json!({
        "sound": sound, "nodes": audits.iter().map(node).collect::<Vec<_>>(), "silent": numbers(silent),
        "placement_uncompared": numbers(&uncompared(audits)),
    }))
}

fn as_text(audits: &[Audit], silent: &[NodeId], differ: &[String], sound: bool) -> String {
    let mut text = String::new();
    for Audit { report, wrong, .. } in audits {
        let verdict = wrong.as_deref().unwrap_or("follows from its first deed");
        text += &render::one_line(&format!("{}: {} deeds, {verdict}", report.node, report.deeds));
        text += "\n";
    }
    silent.iter().for_each(|node| text += &format!("{node}: does not answer\n"));
    differ.iter().for_each(|line| text += &format!("{line}\n"));
    let uncompared = uncompared(audits);
    if !uncompared.is_empty() {
        text += &format!(
            "Where shards stand was not compared for {}: that changed too often meanwhile. The nodes compare it by themselves once an hour; ask again \
             when less is written to have it compared now.\n",
            listed(&uncompared)
        );
    }
    text + if sound { "All histories are sound and the same.\n" } else { "Not all of it is sound.\n" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;
    use terachat_cluster::{ClusterId, Deed, NodeKey, NodeProfile, Roster, SignedDeed, What};
    use terachat_event::DeviceKey;
    use terachat_shard::Domain;
    use terachat_vault::Secret;

    const FIRST: NodeId = NodeId(NonZeroU32::MIN);

    /// A history of one node that invited so many others, the last of them with this ticket.
    fn history(invited: u64, last: u8) -> Chronicle {
        let key = DeviceKey::from_seed(&Secret::take(&mut [1; 32]));
        let profile = NodeProfile {
            key: NodeKey(key.id().0),
            address: "here:1".to_owned(),
            domain: Domain { site: 0, rack: 0, host: 0 },
            weight: NonZeroU32::MIN,
        };
        let (mut history, mut roster) = (Chronicle::default(), Roster::default());
        for number in 0..=invited {
            let what = match number {
                0 => What::Founded { cluster: ClusterId([1; 16]), profile: profile.clone() },
                _ => What::invite(
                    &[if number == invited { last } else { 0 }; 32],
                    terachat_cluster::TicketFor::Node,
                    1,
                ),
            };
            let (seq, previous) = history.next();
            let deed = SignedDeed::sign(Deed { seq, previous, at_ms: 0, by: FIRST, what }, &key);
            history.append(deed, &mut roster).unwrap();
        }
        history
    }

    fn audit(node: u32, history: Chronicle, entries: u64, head: u8) -> Audit {
        let (deeds, last) = history.next();
        let node = NodeId(NonZeroU32::new(node).unwrap());
        let report = AuditReport {
            node,
            deeds,
            last,
            wrong: None,
            head: (entries, [head; 32]),
            placements: Vec::new(),
        };
        Audit { report, history, wrong: None }
    }

    #[test]
    fn histories_are_compared_as_far_as_both_go() {
        let one = || audit(1, history(3, 0), 9, 8);
        assert_eq!(
            differences(&[one(), audit(2, history(3, 0), 9, 8), audit(3, history(2, 0), 8, 1)]).len(),
            0
        );
        assert_eq!(differences(&[one(), audit(2, history(3, 7), 10, 8)]).len(), 1, "the last deed");
        assert_eq!(differences(&[one(), audit(2, history(2, 7), 8, 1)]).len(), 1, "a fork that is shorter");
        assert_eq!(differences(&[one(), audit(2, history(3, 0), 9, 1)]).len(), 1, "entries");
    }

    #[test]
    fn where_shards_stand_is_compared_after_the_newest_change_that_both_know() {
        let saw = |node: u32, marks: &[(u64, u8)]| {
            let mut audit = audit(node, history(3, 0), u64::from(node), 8);
            let mark = |&(entry, digest): &(u64, u8)| PlacementMark { entry, digest: [digest; 32] };
            audit.report.placements = marks.iter().map(mark).collect();
            audit
        };
        let moving =
            [saw(1, &[(3, 1), (5, 2)]), saw(2, &[(3, 1), (5, 2), (6, 3)]), saw(3, &[(1, 9), (3, 1)])];
        assert_eq!(
            (differences(&moving).len(), uncompared(&moving)),
            (0, vec![]),
            "nodes at different points"
        );
        let odd = [saw(1, &[(3, 1), (5, 2)]), saw(2, &[(3, 1), (5, 4), (6, 3)])];
        assert!(differences(&odd)[0].contains("after entry 5"), "{:?}", differences(&odd));
        let early = [saw(1, &[(3, 1), (5, 2)]), saw(2, &[(3, 4), (5, 2)])];
        assert_eq!(differences(&early).len(), 0, "what both know now is what counts");
        let apart = [saw(1, &[(5, 1)]), saw(2, &[(5, 1)]), saw(3, &[(4, 2)])];
        assert_eq!(differences(&apart).len(), 0);
        assert_eq!(uncompared(&apart), [NodeId(NonZeroU32::new(3).unwrap())], "it is said");
        assert!(as_text(&apart, &[], &[], true).contains("not compared for node 3"));
        assert_eq!(uncompared(&apart[..2]), []);
        assert_eq!(uncompared(&apart[..1]), [], "nobody is there to compare with");
        assert_eq!(uncompared(&[saw(1, &[]), saw(2, &[(5, 1)])]), [NodeId(NonZeroU32::new(2).unwrap())]);
    }

    #[test]
    fn a_dispute_names_both_sides() {
        let key = DeviceKey::from_seed(&Secret::take(&mut [1; 32]));
        let mut history = history(0, 0);
        let mut roster = history.replay().unwrap();
        let mut claim = |digest: u8| {
            let (seq, previous) = history.next();
            let what = What::Placed(PlacementMark { entry: 7, digest: [digest; 32] });
            let deed = SignedDeed::sign(Deed { seq, previous, at_ms: 0, by: FIRST, what }, &key);
            history.append(deed, &mut roster).unwrap();
            dispute(&history)
        };
        assert_eq!((claim(1), claim(1)), (None, None));
        let text = claim(2).unwrap();
        assert!(text.contains("node 1 against node 1"), "{text}");
    }

    #[test]
    fn a_nodes_word_is_of_what_it_tells() {
        let of = |history: Chronicle| audit(1, history, 9, 8).report;
        assert_eq!(unlike(&of(history(3, 0)), &history(3, 0)), None);
        assert_eq!(unlike(&of(history(2, 0)), &history(3, 0)), None, "a deed came meanwhile");
        assert!(unlike(&of(history(3, 0)), &history(2, 0)).is_some());
        assert!(unlike(&of(history(3, 7)), &history(3, 0)).is_some());
    }
}
