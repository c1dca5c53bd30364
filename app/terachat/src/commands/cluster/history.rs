//! The cluster's history.
use super::{as_client, failed};
use crate::args::Global;
use crate::failure::Result;
use crate::printer::Printer;
use crate::render;
use std::path::Path;
use terachat_node::{PATIENCE, history};

/// Shows all of it.
pub(super) fn run(folder: &Path, global: &Global, printer: &Printer) -> Result<()> {
    let (chronicle, _) =
        as_client(folder, global, PATIENCE, async |client, _| history(client).await.map_err(failed))?;
    printer.data(&match printer.is_json() {
        true => render::history_json(chronicle.deeds()),
        false => render::history(chronicle.deeds(), printer.look()),
    })
}
