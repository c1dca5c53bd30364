//! What a case holds, given out.
use super::{Home, asked};
use crate::commands::cluster::{shown, told_of_export};
use crate::failure::Result;
use crate::printer::Printer;
use std::path::Path;
use terachat_node::export_case;

/// Has it written into a folder.
pub(super) fn run(home: &Home, case: &str, to: &str, out: &Path, printer: &Printer) -> Result<()> {
    let made = asked(home, async |operator, node| {
        let shown = shown(printer, 0);
        let made = export_case(operator, node, (case, to), out, |progress| {
            shown.set_length(progress.len);
            shown.set_position(progress.done);
        });
        let made = made.await;
        shown.finish_and_clear();
        made
    })?;
    told_of_export(&made, printer)
}
