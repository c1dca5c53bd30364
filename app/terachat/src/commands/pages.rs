use crate::args::Cli;
use crate::failure::{Failure, Result};
use crate::printer::Printer;
use clap::CommandFactory;
use std::path::Path;

/// A completion script on stdout.
pub(super) fn completions(shell: clap_complete::Shell, printer: &Printer) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "terachat", &mut script);
    printer.data(&String::from_utf8_lossy(&script))
}

/// A manual page for each command into a folder.
pub(super) fn man(out: &Path, printer: &Printer) -> Result<()> {
    std::fs::create_dir_all(out).map_err(|error| Failure::file("make", out, &error))?;
    clap_mangen::generate_to(Cli::command(), out).map_err(|error| Failure::file("write to", out, &error))?;
    printer.talk(&format!("The manual pages are in {}.", out.display()));
    Ok(())
}
