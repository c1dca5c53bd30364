use super::{Home, as_client, failed};
use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::printer::Printer;
use crate::render::{self, ClusterView};
use std::path::Path;
use std::time::Duration;
use terachat_node::{Ask, Client, Contact, Error, Report, Told};

/// How long to look for a node that answers.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Shows the cluster as its nodes see it.
pub(super) fn run(folder: &Path, watch: bool, global: &Global, printer: &Printer) -> Result<()> {
    as_client(folder, global, PATIENCE, async |client, _| {
        let mut is_first = true;
        loop {
            show(seen(client).await, is_first, printer)?;
            if !watch {
                return Ok(());
            }
            is_first = false;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    })
}

async fn seen(client: &std::sync::Arc<Client>) -> Result<ClusterView> {
    // One that answers says who the members are.
    client.ask(&Ask::Status).await.map_err(failed)?;
    Ok(ClusterView::new(of_all(client).await))
}

/// Shows the cluster as one node sees it.
pub(in crate::commands) fn node_status(home: &Home, watch: bool, printer: &Printer) -> Result<()> {
    let mut is_first = true;
    loop {
        let report = crate::commands::node::asked(home, async |operator, own| report(operator, own).await);
        show(report.map(ClusterView::of_one), is_first, printer)?;
        if !watch {
            return Ok(());
        }
        is_first = false;
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Whoever watches is told that nobody answers, and looks on; at the first look that is the end.
fn show(view: Result<ClusterView>, is_first: bool, printer: &Printer) -> Result<()> {
    match view {
        Ok(view) if printer.is_json() => printer.data(&render::cluster_json(&view)),
        Ok(view) => printer.frame(&render::cluster(&view, printer.look()), is_first),
        Err(Failure::Told { what, next }) if !is_first => {
            printer.failure(&what, &next);
            Ok(())
        }
        Err(failure) => Err(failure),
    }
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
