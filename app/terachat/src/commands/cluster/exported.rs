//! A folder that was given out of a cluster.
use super::failed;
use super::file::{fetched_into, shown};
use crate::failure::{Failure, Result};
use crate::printer::Printer;
use crate::render;
use serde_json::json;
use std::path::Path;
use terachat_cluster::ExportManifest;
use terachat_node::{Progress, check_export, open_exported};

/// Checks all of it.
pub(super) fn verify(folder: &Path, printer: &Printer) -> Result<()> {
    let shown = shown(printer, 0);
    let made = check_export(folder, |progress| {
        shown.set_length(progress.len);
        shown.set_position(progress.done);
    });
    shown.finish_and_clear();
    told(&made.map_err(failed)?, printer)
}

/// Says what an export is of, and by which deed.
pub(in crate::commands) fn told(made: &ExportManifest, printer: &Printer) -> Result<()> {
    printer.data(&match printer.is_json() {
        true => render::exported_json(made),
        false => render::exported(made, printer.look()),
    })?;
    printer.talk("Whether that deed is in the cluster's history: terachat cluster history");
    Ok(())
}

/// Opens a file of it.
pub(super) fn open(folder: &Path, reference: &str, out: &Path, printer: &Printer) -> Result<()> {
    let reference = reference.parse().map_err(Failure::from_text)?;
    let progress = fetched_into(out, |part| {
        let len = open_exported(folder, &reference, part).map_err(failed)?;
        Ok(Progress { done: len, len, known: 0 })
    })?;
    if printer.is_json() {
        return printer.data(&render::json_value(&json!({ "file": out, "bytes": progress.len })));
    }
    printer.talk(&format!("{} bytes in {}", progress.len, out.display()));
    Ok(())
}
