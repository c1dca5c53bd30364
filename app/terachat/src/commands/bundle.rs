use super::{ask, file};
use crate::args::BundleCommand;
use crate::failure::Result;
use crate::home::Home;
use crate::printer::Printer;
use crate::render;
use crate::session::Session;
use std::path::Path;
use terachat_client::api::{Answer, Request};

/// Carries a space by file.
pub(super) fn run(
    home: &Home,
    space: Option<String>,
    command: BundleCommand,
    printer: &Printer,
) -> Result<()> {
    match command {
        BundleCommand::Export { out } => export(home, space, &out, printer),
        BundleCommand::Import { file } => {
            let bytes = super::file::read(&file)?;
            ask::run(home, Request::BundleImport { bytes }, printer)
        }
    }
}

fn export(home: &Home, space: Option<String>, out: &Path, printer: &Printer) -> Result<()> {
    let mut session = Session::open(home)?;
    let answer = session.execute(Request::BundleExport { space })?;
    session.close();
    let Answer::Bundle { bytes, events } = answer else { return Err(ask::unexpected()) };
    file::write(out, &bytes)?;
    if printer.is_json() {
        let len = bytes.len();
        return printer
            .data(&render::json_value(&serde_json::json!({ "file": out, "events": events, "len": len })));
    }
    printer.talk(&format!("{events} events, {} bytes, in {}.", bytes.len(), out.display()));
    Ok(())
}
