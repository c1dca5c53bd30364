use super::ask;
use crate::failure::{Failure, Result};
use crate::home::Home;
use crate::printer::Printer;
use crate::session::Session;
use terachat_client::api::{Answer, Request};

/// Replays and compares; an alarm is a failure.
pub(super) fn run(home: &Home, printer: &Printer) -> Result<()> {
    let mut session = Session::open(home)?;
    let answer = session.execute(Request::Audit)?;
    session.close();
    printer.answer(&answer)?;
    let Answer::Audit(report) = answer else { return Err(ask::unexpected()) };
    let differs = report.logs.iter().any(|log| log.kept != log.replayed);
    if report.alarm.is_empty() && !differs { Ok(()) } else { Err(Failure::Shown) }
}
