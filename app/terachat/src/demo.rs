//! All of it at work, on real processes: every device is a folder of its own and runs this same program. Nothing is
//! taken for granted; each promise is checked from outside, by what the commands answer.
mod child;
mod cluster;
mod damage;
mod device;
mod listener;
mod log;
mod promise;
mod report;
mod stage;
mod steps;

use crate::args::DemoArgs;
use crate::failure::{Failure, Result};
use crate::printer::Printer;
use report::Report;
use stage::Stage;
use std::time::Instant;

/// One act: its name, and what it does. What it returns was shown.
type Act = (&'static str, fn(&mut Stage) -> Result<String>);

const ACTS: [Act; 13] = [
    ("found", steps::found),
    ("gather", steps::gather),
    ("import and crash", steps::import),
    ("deliver", steps::deliver),
    ("write at once", steps::write_at_once),
    ("answer and edit", steps::respond),
    ("remove", steps::remove),
    ("search", steps::search),
    ("audit", steps::audit),
    ("damage", steps::damage),
    ("store on seven nodes", steps::store),
    ("lose two of them", steps::lose_two),
    ("have them back", steps::come_back),
];

/// Plays all acts and reports. Every promise that did not hold is named, and makes it a failure.
///
/// # Errors
/// [`Failure::Told`] when the stage cannot be set; [`Failure::Shown`] when a promise did not hold.
pub(crate) fn run(args: &DemoArgs, printer: &Printer) -> Result<()> {
    let mut stage = Stage::set(args)?;
    let mut report = Report::new(args.devices, stage.log.records.len());
    for (number, (name, act)) in ACTS.iter().enumerate() {
        printer.talk(&format!("{:>2}/{}  {name}", number + 1, ACTS.len()));
        let began = Instant::now();
        let outcome = act(&mut stage);
        let failed = outcome.is_err();
        report.step(name, outcome, began.elapsed());
        if failed {
            break;
        }
    }
    report.take_promises(&stage);
    stage.end();
    if printer.is_json() {
        printer.data(&report.json())?;
    } else {
        printer.data(&report.text(printer.look()))?;
    }
    if let Some(folder) = &args.keep {
        printer.talk(&format!("Profiles and logs are kept in {}.", folder.display()));
    }
    if report.holds() { Ok(()) } else { Err(Failure::Shown) }
}
