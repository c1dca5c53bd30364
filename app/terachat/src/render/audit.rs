use super::{Look, Table, one_line, short};
use terachat_client::api::AuditReport;

/// What an audit found; the alarm, if any, last, where it is seen.
pub(crate) fn audit(report: &AuditReport, look: &Look) -> String {
    let mut table = Table::indented(2);
    for log in &report.logs {
        let same = log.kept == log.replayed;
        let verdict = if same { look.paint.good("same") } else { look.paint.alarm("DIFFERS") };
        table.row().cell(&one_line(&log.log)).number(log.events).cell("events");
        table.cell(short(&log.kept)).cell(short(&log.replayed)).painted("", verdict, super::Align::Left);
    }
    let mut out = format!(
        "Replayed {} events in {} chains, verified {} signatures.\n{}",
        report.events,
        report.chains,
        report.signatures,
        table.render()
    );
    for device in &report.equivocations {
        out.push_str(&format!("{} {}\n", look.paint.alarm("Signed twice:"), one_line(device)));
    }
    for line in &report.alarm {
        out.push_str(&format!("{} {}\n", look.paint.alarm("ALARM:"), one_line(line)));
    }
    if report.alarm.is_empty() {
        out.push_str(&look.paint.good("All of it holds."));
        out.push('\n');
    } else {
        out.push_str("Stop writing to this profile and restore it from a backup or from peers.\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use terachat_client::api::AuditLine;

    fn report(replayed: &str) -> AuditReport {
        let log =
            AuditLine { log: "crew/general".into(), events: 7, kept: "aa".into(), replayed: replayed.into() };
        AuditReport { events: 7, chains: 2, signatures: 3, logs: vec![log], ..AuditReport::default() }
    }

    #[test]
    fn a_good_audit_is_calm() {
        assert_eq!(
            audit(&report("aa"), &Look::bare()),
            "Replayed 7 events in 2 chains, verified 3 signatures.\n\
             \x20 crew/general  7  events  aa  aa  same\nAll of it holds.\n"
        );
    }

    #[test]
    fn a_mismatch_is_an_alarm() {
        let report = AuditReport { alarm: vec!["crew/general differs".into()], ..report("bb") };
        let text = audit(&report, &Look::bare());
        assert!(
            text.contains("DIFFERS")
                && text.contains("ALARM: crew/general differs")
                && !text.contains("holds")
        );
    }
}
