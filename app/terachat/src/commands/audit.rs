use super::{ask, file};
use crate::args::AuditArgs;
use crate::failure::{Failure, Result};
use crate::home::Home;
use crate::printer::Printer;
use crate::render;
use crate::session::Session;
use std::path::Path;
use std::time::Duration;
use terachat_client::api::{Answer, Request};

/// Replays and compares; an alarm is a failure, and so is a difference between two devices.
pub(super) fn run(home: &Home, space: Option<String>, args: &AuditArgs, printer: &Printer) -> Result<()> {
    match (&args.map, &args.compare) {
        (Some(out), _) => map(home, space, out, printer),
        (_, Some(path)) => compare(home, path, printer),
        _ if args.watch => watch(home, Duration::from_secs(args.every.into()), printer),
        _ => once(home, printer),
    }
}

fn once(home: &Home, printer: &Printer) -> Result<()> {
    let mut session = Session::open(home)?;
    let answer = session.execute(Request::Audit)?;
    session.close();
    printer.answer(&answer)?;
    let Answer::Audit(report) = answer else { return Err(ask::unexpected()) };
    let differs = report.logs.iter().any(|log| log.kept != log.replayed);
    if report.alarm.is_empty() && !differs { Ok(()) } else { Err(Failure::Shown) }
}

/// Until the first alarm. Between two audits the profile is free for other commands.
fn watch(home: &Home, every: Duration, printer: &Printer) -> Result<()> {
    loop {
        once(home, printer)?;
        std::thread::sleep(every);
    }
}

fn map(home: &Home, space: Option<String>, out: &Path, printer: &Printer) -> Result<()> {
    let mut session = Session::open(home)?;
    let answer = session.execute(Request::StateMap { space })?;
    session.close();
    let Answer::StateMap { bytes } = answer else { return Err(ask::unexpected()) };
    file::write(out, &bytes)?;
    if printer.is_json() {
        let value = serde_json::json!({ "file": out, "len": bytes.len() });
        return printer.data(&render::json_value(&value));
    }
    printer.talk(&format!("The state's hashes, {} bytes, are in {}.", bytes.len(), out.display()));
    Ok(())
}

fn compare(home: &Home, path: &Path, printer: &Printer) -> Result<()> {
    let bytes = file::read(path)?;
    let mut session = Session::open(home)?;
    let answer = session.execute(Request::CompareStates { bytes })?;
    session.close();
    printer.answer(&answer)?;
    let Answer::Compared { count, .. } = answer else { return Err(ask::unexpected()) };
    if count == 0 { Ok(()) } else { Err(Failure::Shown) }
}
