//! What people hold: one binary. It parses, asks the client, shows the answer; it decides nothing about messages.
mod args;
mod board;
mod cluster_client;
mod commands;
mod counter;
mod daemon;
mod demo;
mod failure;
mod hardware;
mod home;
mod import;
mod logging;
mod master_key;
mod memory;
mod passphrase;
mod printer;
mod render;
mod session;
mod shown_disk;

use clap::Parser;
use failure::Failure;
use printer::Printer;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    logging::start();
    let printer = Printer::new(cli.global.json, cli.global.quiet);
    match commands::run(cli, &printer) {
        Ok(()) | Err(Failure::Pipe) => ExitCode::SUCCESS,
        Err(Failure::Shown) => ExitCode::FAILURE,
        Err(Failure::Told { what, next }) => {
            printer.failure(&what, &next);
            ExitCode::FAILURE
        }
    }
}
