use super::{Home, as_client, failed};
use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::printer::Printer;
use crate::render::{self, ClusterView};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use terachat_node::{Ask, AuditReport, Client, Contact, Error, Report, Told};
use terachat_shard::NodeId;

/// How long to look for a node that answers.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Shows the cluster as its nodes see it.
pub(super) fn run(folder: &Path, watch: bool, global: &Global, printer: &Printer) -> Result<()> {
    as_client(folder, global, PATIENCE, async |client, _| {
        loop {
            // One that answers says who the members are.
            client.ask(&Ask::Status).await.map_err(failed)?;
            let reports = of_all(client).await;
            show(&ClusterView::new(reports), printer)?;
            if !watch {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    })
}

/// Shows the cluster as one node sees it.
pub(in crate::commands) fn node_status(home: &Home, watch: bool, printer: &Printer) -> Result<()> {
    loop {
        let report = crate::commands::node::asked(home, async |operator, own| report(operator, own).await)?;
        show(&ClusterView::of_one(report), printer)?;
        if !watch {
            return Ok(());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn show(view: &ClusterView, printer: &Printer) -> Result<()> {
    printer.data(&match printer.is_json() {
        true => render::cluster_json(view),
        false => render::cluster(view, printer.look()),
    })
}

async fn report(client: &Client, contact: &Contact) -> Result<Report, Error> {
    match client.ask_node(contact, &Ask::Status).await? {
        Told::Status(report) => Ok(*report),
        _ => Err(Error::Answer),
    }
}

/// Each member's own word, all asked at once.
async fn of_all(client: &std::sync::Arc<Client>) -> Vec<(Contact, Option<Report>)> {
    let mut asked = tokio::task::JoinSet::new();
    for contact in client.members() {
        let client = client.clone();
        asked.spawn(async move {
            let report = report(&client, &contact).await.ok();
            (contact, report)
        });
    }
    let mut reports = asked.join_all().await;
    reports.sort_by_key(|(contact, _)| contact.node);
    reports
}

/// Has every node replay the history, and compares.
pub(super) fn audit(folder: &Path, global: &Global, printer: &Printer) -> Result<()> {
    let (audits, silent) = as_client(folder, global, PATIENCE, async |client, _| {
        client.ask(&Ask::Status).await.map_err(failed)?;
        let (mut audits, mut silent) = (Vec::new(), Vec::new());
        for contact in client.members() {
            match client.ask_node(&contact, &Ask::Audit).await {
                Ok(Told::Audit(audit)) => audits.push(audit),
                _ => silent.push(contact.node),
            }
        }
        Ok::<(Vec<AuditReport>, Vec<NodeId>), Failure>((audits, silent))
    })?;
    let differ = differences(&audits);
    let sound = differ.is_empty() && audits.iter().all(|audit| audit.wrong.is_none()) && silent.is_empty();
    if printer.is_json() {
        let nodes: Vec<_> = audits
            .iter()
            .map(|audit| {
                json!({
                    "node": audit.node.0, "deeds": audit.deeds, "last": render::hex(&audit.last),
                    "entries": audit.head.0, "head": render::hex(&audit.head.1), "wrong": audit.wrong,
                })
            })
            .collect();
        let silent: Vec<_> = silent.iter().map(|node| node.0).collect();
        printer.data(&render::json_value(&json!({ "sound": sound, "nodes": nodes, "silent": silent })))?;
    } else {
        let mut text = String::new();
        for audit in &audits {
            let verdict = audit.wrong.as_deref().unwrap_or("follows from its first deed");
            text += &render::one_line(&format!("{}: {} deeds, {verdict}", audit.node, audit.deeds));
            text += "\n";
        }
        silent.iter().for_each(|node| text += &format!("{node}: does not answer\n"));
        differ.iter().for_each(|line| text += &format!("{line}\n"));
        text += if sound { "All histories are sound and the same.\n" } else { "Not all of it is sound.\n" };
        printer.data(&text)?;
    }
    if sound { Ok(()) } else { Err(Failure::Shown) }
}

/// Where nodes that applied as much do not agree.
fn differences(audits: &[AuditReport]) -> Vec<String> {
    let mut differ = Vec::new();
    for (at, one) in audits.iter().enumerate() {
        for other in &audits[at + 1..] {
            let (same_deeds, same_entries) = (one.deeds == other.deeds, one.head.0 == other.head.0);
            if same_deeds && one.last != other.last || same_entries && one.head.1 != other.head.1 {
                differ.push(format!("{} and {} have different histories", one.node, other.node));
            }
        }
    }
    differ
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    #[test]
    fn histories_are_compared_where_they_are_as_long() {
        let audit = |node, deeds, last: u8, entries, head: u8| AuditReport {
            node: NodeId(NonZeroU32::new(node).unwrap()),
            deeds,
            last: [last; 32],
            wrong: None,
            head: (entries, [head; 32]),
        };
        assert_eq!(differences(&[audit(1, 2, 7, 9, 8), audit(2, 2, 7, 9, 8), audit(3, 2, 7, 8, 1)]).len(), 0);
        assert_eq!(differences(&[audit(1, 2, 7, 9, 8), audit(2, 2, 6, 10, 8)]).len(), 1, "deeds");
        assert_eq!(differences(&[audit(1, 2, 7, 9, 8), audit(2, 2, 7, 9, 1)]).len(), 1, "entries");
    }
}
