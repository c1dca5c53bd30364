use super::{Look, one_line};
use terachat_core_store::store::CheckReport;

/// What a check of the store found, worst first, each with its next step.
pub(crate) fn check(report: &CheckReport, look: &Look) -> String {
    let mut out = format!(
        "Read {} blocks, {} bytes, and {} parts of the snapshot.\n",
        report.blocks, report.bytes, report.snapshot_parts
    );
    match &report.audit {
        Some(audit) => out.push_str(&format!(
            "Replayed {} events in {} chains, verified {} signatures.\n",
            audit.events, audit.chains, audit.signatures
        )),
        None => out.push_str("The log could not be replayed.\n"),
    }
    for finding in &report.findings {
        let kind = if finding.is_loss { look.paint.alarm("DAMAGED:") } else { look.paint.strong("damaged:") };
        out.push_str(&format!("{kind} {}\n next: {}\n", one_line(&finding.what), finding.next));
    }
    if report.is_sound() {
        out.push_str(&look.paint.good("All of it holds."));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use terachat_core_store::store::{Finding, Report};

    #[test]
    fn what_is_sound_is_calm_and_what_is_not_says_what_to_do() {
        let audit = Report { events: 7, chains: 2, signatures: 3, ..Report::default() };
        let mut report = CheckReport {
            blocks: 4,
            bytes: 900,
            snapshot_parts: 3,
            audit: Some(audit),
            ..CheckReport::default()
        };
        assert_eq!(
            check(&report, &Look::bare()),
            "Read 4 blocks, 900 bytes, and 3 parts of the snapshot.\n\
             Replayed 7 events in 2 chains, verified 3 signatures.\nAll of it holds.\n"
        );
        report.findings = vec![Finding { what: "block 3".into(), next: "restore it".into(), is_loss: true }];
        let text = check(&report, &Look::bare());
        assert!(text.ends_with("DAMAGED: block 3\n next: restore it\n"), "{text}");
    }
}
