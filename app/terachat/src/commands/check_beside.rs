//! `store check` of a profile that another process has open: that is asked, slice by slice, so that it goes on with its own work.
use super::{ask, cluster};
use crate::daemon::Remote;
use crate::failure::Result;
use crate::printer::Printer;
use indicatif::ProgressStyle;
use terachat_client::api::{Answer, Request, StoreReport};
use terachat_core_store::store::{CheckReport, Finding, Report};

/// Has all checked there, and shows on a terminal how far it is.
///
/// # Errors
/// [`Failure::Told`](crate::failure::Failure::Told), by that process or by the connection to it. Damage is none.
pub(super) fn check(mut remote: Remote, printer: &Printer) -> Result<CheckReport> {
    let bar = cluster::shown(printer, 0);
    let mut number = None;
    loop {
        let Answer::StoreChecked(told) = remote.execute(Request::StoreCheck { number })? else {
            return Err(ask::unexpected());
        };
        if let Some(report) = told.report {
            bar.finish_and_clear();
            return Ok(read(report));
        }
        let what = match told.step.as_str() {
            "blocks" => "{bar:30} {bytes} of {total_bytes} read",
            _ => "{bar:30} {pos} of {len} events replayed",
        };
        if let Ok(style) = ProgressStyle::with_template(what) {
            bar.set_style(style);
        }
        bar.set_length(told.of);
        bar.set_position(told.done);
        number = Some(told.number);
    }
}

/// The report as one of a profile that this process has open.
fn read(told: StoreReport) -> CheckReport {
    let findings = told.findings.into_iter();
    CheckReport {
        blocks: told.blocks,
        bytes: told.bytes,
        snapshot_parts: told.snapshot_parts,
        findings: findings
            .map(|found| Finding { what: found.what, next: found.next, is_loss: found.is_loss })
            .collect(),
        audit: told.events.map(|events| Report {
            events,
            chains: told.chains.unwrap_or(0),
            signatures: told.signatures.unwrap_or(0),
            ..Report::default()
        }),
    }
}
