use super::ask;
use crate::args::BundleCommand;
use crate::failure::{Failure, Result};
use crate::home::Home;
use crate::printer::Printer;
use crate::render;
use crate::session::Session;
use std::io::Write;
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
            let bytes = std::fs::read(&file).map_err(|error| Failure::file("read", &file, &error))?;
            ask::run(home, Request::BundleImport { bytes }, printer)
        }
    }
}

fn export(home: &Home, space: Option<String>, out: &Path, printer: &Printer) -> Result<()> {
    let mut session = Session::open(home)?;
    let answer = session.execute(Request::BundleExport { space })?;
    session.close();
    let Answer::Bundle { bytes, events } = answer else { return Err(ask::unexpected()) };
    write(out, &bytes).map_err(|error| Failure::file("write", out, &error))?;
    if printer.is_json() {
        let len = bytes.len();
        return printer
            .data(&render::json_value(&serde_json::json!({ "file": out, "events": events, "len": len })));
    }
    printer.talk(&format!("{events} events, {} bytes, in {}.", bytes.len(), out.display()));
    Ok(())
}

/// Whole or not at all: a bundle that is cut short looks like a damaged one to whoever receives it.
fn write(out: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(out)?;
    Ok(())
}
