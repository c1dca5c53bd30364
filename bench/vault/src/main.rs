//! What the vault costs: figures of its own beside those of its peers, on the same work in the same run.
//!
//! `terachat-bench-vault all`; `../README.md` says what each figure means.
#![allow(clippy::print_stdout, reason = "the figures are the program's output")]
mod http;
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
    /// All of them, each at its usual size.
    All,
    /// Records of 2 KiB, put and got, beside bare fjall, sled and SQLCipher.
    Records(records::Options),
    /// Rotation of a DEK under load, and opening the vault.
    Rotation(rotation::Options),
    /// The HTTP server under load, beside itself answering a constant.
    Http(http::Options),
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let runs = usize::from(cli.runs);
    let mut all = Vec::new();
    let mut show = |figures: Vec<Figure>| {
        if !cli.json {
            figures.iter().for_each(|figure| println!("{}", figure.line()));
        }
        all.extend(figures);
    };
    match &cli.measure {
        Measure::All => {
            show(records::run(&records::Options::default(), runs)?);
            show(rotation::run(&rotation::Options::default(), runs)?);
            show(http::run(&http::Options::default(), runs)?);
        }
        Measure::Records(options) => show(records::run(options, runs)?),
        Measure::Rotation(options) => show(rotation::run(options, runs)?),
        Measure::Http(options) => show(http::run(options, runs)?),
    }
    if cli.json {
        println!("{}", serde_json::to_string_pretty(&all)?);
    }
    Ok(())
}
