//! One page for people, without a script: it is loaded again every few seconds.
use crate::readiness::{health, hindrance};
use std::fmt::Write as _;
use terachat_cluster::NodeStatus;
use terachat_node::{MemberReport, Metered, Report, SECONDS};

/// The page's style sheet.
pub(crate) const STYLE: &str = include_str!("page/style.css");
/// What the page may do: show itself in its own style, and nothing else.
pub(crate) const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A member that was silent for longer is shown as not answering.
const SILENT_MS: u64 = 2_000;

/// The whole page.
pub(crate) fn render(report: &Report, requests: &[Metered]) -> String {
    let node = report.node;
    let (state, word) = match hindrance(report) {
        None => ("good", "Ready".to_owned()),
        Some(why) => ("bad", format!("Not ready: {why}")),
    };
    let members: String =
        report.members.iter().filter(|m| m.status != NodeStatus::Left).map(|m| tile(report, m)).collect();
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{node} · {percent}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta http-equiv=\"refresh\" content=\"5\">\
         <link rel=\"stylesheet\" href=\"/style.css\"></head><body><main>\
         <header><h1>{node}</h1><p class=\"soft\">of cluster {cluster}, process {process}</p>\
         <p class=\"word {state}\">{word}</p></header>\
         <section><h2>Health</h2>{health}</section>\
         <section><h2>Nodes</h2><div class=\"tiles\">{members}</div></section>\
         <section><h2>Kept</h2>{kept}</section>\
         <section><h2>Asked of this node</h2>{requests}</section>\
         <footer>As this node sees it. <a href=\"/metrics\">metrics</a> · <a href=\"/readyz\">readyz</a> · \
         <a href=\"/healthz\">healthz</a></footer></main></body></html>",
        percent = percent(report),
        cluster = escape(&report.cluster.to_string()),
        process = report.process,
        word = escape(&word),
        health = health_of(report),
        kept = kept(report),
        requests = asked(requests),
    )
}

fn percent(report: &Report) -> String {
    match health(report) {
        None => "not counted yet".to_owned(),
        Some(hundredths) if hundredths % 100 == 0 => format!("{} %", hundredths / 100),
        Some(hundredths) => format!("{}.{:02} %", hundredths / 100, hundredths % 100),
    }
}

fn health_of(report: &Report) -> String {
    let hundredths = health(report);
    let state = match (hundredths, report.health.and_then(|health| health.detail)) {
        (_, Some(detail)) if detail.unreadable > 0 => "bad",
        (Some(10_000), _) => "good",
        (None, _) => "none",
        _ => "fair",
    };
    // A bar of an SVG: its length is an attribute, so that the page needs no style of its own.
    let mut out = format!(
        "<p class=\"big {state}\">{}</p><svg class=\"bar {state}\" viewBox=\"0 0 10000 100\" preserveAspectRatio=\"none\" \
         role=\"img\" aria-label=\"{}\"><rect class=\"whole\" width=\"10000\" height=\"100\"/>\
         <rect class=\"part\" width=\"{}\" height=\"100\"/></svg>",
        percent(report),
        percent(report),
        hundredths.unwrap_or(0),
    );
    let Some(health) = report.health else {
        return out
            + "<p class=\"soft\">The leader has every node count its shards; that takes a moment after a start.</p>";
    };
    let _ = write!(
        out,
        "<p>{} of {} shards are verified, each on a node of its own that answers.</p>",
        grouped(health.in_place),
        grouped(health.shards)
    );
    let Some(detail) = health.detail else {
        let why = if health.in_place < health.shards {
            "<p class=\"soft\">The leader knows why not all.</p>"
        } else {
            ""
        };
        return out + why;
    };
    let reasons = [
        (detail.unreadable, "stripes cannot be read now: bring nodes back"),
        (detail.at_the_limit, "stripes bear no further loss"),
        (
            detail.short_of_nodes,
            "stripes have more shards than there are nodes to hold them: bring nodes back or add one",
        ),
        (detail.missing, "shards are missing, and made anew"),
        (detail.away, "shards are on nodes that do not answer"),
        (detail.rotten, "shards are rotten, and made anew"),
        (detail.doubled, "shards share a node with another one of their stripe, and are moved"),
    ];
    let lines: String = reasons
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("<li><b>{}</b> {what}</li>", grouped(*count)))
        .collect();
    if !lines.is_empty() {
        let _ = write!(out, "<ul>{lines}</ul>");
    }
    out
}

fn tile(report: &Report, member: &MemberReport) -> String {
    let number = member.contact.node;
    let own = number == report.node;
    let (state, word) = match (own, member.silent_ms) {
        (true, _) => ("good", "this node".to_owned()),
        (false, None) => ("bad", "never heard".to_owned()),
        (false, Some(ms)) if ms > SILENT_MS => ("bad", format!("silent for {} s", ms / 1_000)),
        (false, Some(_)) => ("good", "answers".to_owned()),
    };
    let mut roles = Vec::new();
    if report.leader == Some(number) {
        roles.push("leads");
    }
    if member.voter {
        roles.push("votes");
    }
    if member.status == NodeStatus::Draining {
        roles.push("is being emptied");
    }
    format!(
        "<div class=\"tile {state}\"><b>{number}</b><span>{word}</span><span class=\"soft\">{}</span>\
         <span class=\"soft\">{} shards</span><span class=\"soft\">{}</span></div>",
        escape(&member.contact.address),
        grouped(member.shards),
        roles.join(", "),
    )
}

fn kept(report: &Report) -> String {
    let disk = &report.disk;
    table(&[
        ("Items in the cluster", grouped(report.items)),
        ("Their bytes", bytes(report.bytes)),
        ("Stripes", grouped(report.stripes)),
        ("Shards on this disk", grouped(disk.shards)),
        ("Rotten among them", grouped(disk.rotten)),
        (
            "Bytes on this disk",
            format!("{}, of which {} count", bytes(disk.disk_bytes), bytes(disk.live_bytes)),
        ),
        ("Ledger", format!("entry {}, election {}", grouped(report.head.0), grouped(report.term))),
    ])
}

fn asked(requests: &[Metered]) -> String {
    let mut rows = String::new();
    for of in requests.iter().filter(|of| of.done + of.refused > 0) {
        let _ = write!(
            rows,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            of.verb.name(),
            grouped(of.done),
            grouped(of.refused),
            bytes(of.bytes),
            within(of, 50),
            within(of, 99),
        );
    }
    if rows.is_empty() {
        return "<p class=\"soft\">Nothing since it started.</p>".to_owned();
    }
    format!(
        "<table class=\"numbers\"><tr><th></th><th>done</th><th>refused</th><th>bytes</th><th>half within</th>\
         <th>99 % within</th></tr>{rows}</table>"
    )
}

/// The bound of the class in which so many percent of the requests are.
fn within(of: &Metered, percent: u64) -> String {
    let all: u64 = of.took.iter().sum();
    let mut sum = 0;
    let class = of.took.iter().position(|count| {
        sum += count;
        sum * 100 >= all * percent
    });
    match class.and_then(|class| SECONDS.get(class)) {
        Some(seconds) if *seconds < 1.0 => format!("{} ms", seconds * 1_000.0),
        Some(seconds) => format!("{seconds} s"),
        None => "longer".to_owned(),
    }
}

fn table(rows: &[(&str, String)]) -> String {
    let rows: String =
        rows.iter().map(|(what, value)| format!("<tr><td>{what}</td><td>{value}</td></tr>")).collect();
    format!("<table>{rows}</table>")
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn bytes(count: u64) -> String {
    let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| count >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", count as f64 / unit as f64),
        None => format!("{count} bytes"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readiness::tests::{member, report};
    use std::time::Duration;
    use terachat_node::{HealthCount, Verb};

    #[test]
    fn the_page_says_how_whole_all_is_and_why_not() {
        let mut report = report();
        report.members.push(member(3, Some(9_000)));
        let page = render(&report, &[]);
        for says in ["95 %", "<b>1</b> shards are missing", "silent for 9 s", "leads, votes", "Nothing since"]
        {
            assert!(page.contains(says), "{says}");
        }
        report.health = report.health.map(|health| HealthCount { detail: None, ..health });
        assert!(render(&report, &[]).contains("The leader knows why"));
        report.health = report.health.map(|health| HealthCount { in_place: health.shards, ..health });
        assert!(!render(&report, &[]).contains("The leader knows why"));
        report.health = None;
        report.leader = None;
        let page = render(&report, &[]);
        assert!(page.contains("not counted yet") && page.contains("Not ready: it knows of no leader"));
    }

    /// An address comes from another machine.
    #[test]
    fn what_others_say_cannot_become_markup() {
        let mut report = report();
        report.members[1].contact.address = "<script>alert(1)</script>".to_owned();
        report.stopped = Some("<img src=x>".to_owned());
        let page = render(&report, &[]);
        assert!(!page.contains("<script") && !page.contains("<img"));
    }

    #[test]
    fn times_are_told_as_bounds() {
        let mut took = [0; SECONDS.len() + 1];
        (took[2], took[8], took[13]) = (98, 1, 1);
        let of = Metered { verb: Verb::Put, done: 100, refused: 0, bytes: 0, took, took_all: Duration::ZERO };
        assert_eq!(
            (within(&of, 50), within(&of, 99), within(&of, 100)),
            ("0.5 ms".into(), "50 ms".into(), "longer".into())
        );
        assert_eq!((grouped(1), grouped(1_234_567)), ("1".into(), "1,234,567".into()));
        assert_eq!((bytes(1), bytes(1536)), ("1 bytes".into(), "1.5 KiB".into()));
    }
}
