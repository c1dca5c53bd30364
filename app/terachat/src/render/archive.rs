use super::{Align, Look, Table, one_line, short};
use terachat_client::api::{ArchiveReport, SpaceStatus};

/// What a space requires of its archive, a line each; nothing where it requires nothing.
pub(crate) fn archive(space: &SpaceStatus, look: &Look) -> String {
    let mut table = Table::indented(2);
    for archive in &space.archives {
        let name = one_line(&archive.name);
        table.row().cell("archive").painted(&name, look.paint.name(&name, &archive.name), Align::Left);
        table.painted(short(&archive.device), look.paint.dim(short(&archive.device)), Align::Left);
        let reads = if archive.reads { "reads along in all channels" } else { "does not read along" };
        table.cell(reads).cell(&format!("required by {}", one_line(&archive.by)));
    }
    for hold in &space.holds {
        let what = match hold.what.as_str() {
            "member" => format!("what {} writes", one_line(&hold.name)),
            what => format!("{what} {}", one_line(&hold.name)),
        };
        table.row().cell("hold").cell(&what);
        table.painted(short(&hold.id), look.paint.dim(short(&hold.id)), Align::Left);
        table.cell("deleted for all but the archive").cell(&format!("put by {}", one_line(&hold.by)));
    }
    let warnings = space.warnings.iter().map(|warning| format!("  warning  {}\n", one_line(warning)));
    table.render() + &warnings.collect::<String>()
}

/// What an export holds that was verified.
pub(crate) fn archive_report(report: &ArchiveReport) -> String {
    let mut table = Table::indented(0);
    let mut row = |what: &str, value: &str| {
        table.row().cell(what).cell(value);
    };
    row("space", &format!("{} {}", one_line(&report.name), report.space));
    if let Some(channel) = &report.channel {
        row("channel", channel);
    }
    row("archive", &report.device);
    row("of", &report.author.as_deref().map_or_else(|| "nobody whom the space knows".to_owned(), one_line));
    row("events", &format!("{}, {} of them texts", report.events, report.texts));
    row("signed", &format!("{} chains by their authors, the whole by the archive", report.chains));
    if report.forks > 0 {
        row("forks", &report.forks.to_string());
    }
    table.render()
}
