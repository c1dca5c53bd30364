//! What the vault costs: figures of its own beside those of its peers, on the same work in the same run.
//!
//! `terachat-bench-vault all`; `../README.md` says what each figure means.
#![allow(clippy::print_stdout, reason = "the figures are the program's output")]
mod records;
mod rotation;
mod stores;

use anyhow::Result;
use clap::{Parser, Subcommand};
use terachat_figures::report::Figure;

/// Measures the vault and its peers.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// Print JSON instead of a table.
    #[arg(long, global = true)]
    json: bool,
    /// How often each thing is repeated.
    #[arg(long, global = true, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    #[command(subcommand)]
    measure: Measure,
}

#[derive(Subcommand)]
enum Measure {
    /// Records of 2 KiB, put and got, beside bare fjall, sled and SQLCipher.
    Records(records::Options),
    /// Rotation of a DEK under load, and opening the vault.
    Rotation(rotation::Options),
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let runs = usize::from(cli.runs);
    let figures: Vec<Figure> = match &cli.measure {
        Measure::Records(options) => records::run(options, runs)?,
        Measure::Rotation(options) => rotation::run(options, runs)?,
    };
    if cli.json {
        println!("{}", serde_json::to_string_pretty(&figures)?);
    } else {
        figures.iter().for_each(|figure| println!("{}", figure.line()));
    }
    Ok(())
}
