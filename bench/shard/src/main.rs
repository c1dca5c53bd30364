//! What cutting and mending stripes costs: figures of its own beside those of its peers and of a plain copy.
//!
//! `terachat-bench-shard all`; `../README.md` says what each figure means.
#![allow(clippy::print_stdout, reason = "the figures are the program's output")]
mod arena;
mod coders;
mod codes;

use anyhow::Result;
use clap::{Parser, Subcommand};
use terachat_figures::measure::on_one_core;
use terachat_figures::report::Figure;

/// Measures the code and its peers.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// Print JSON instead of a table.
    #[arg(long, global = true)]
    json: bool,
    /// How often each thing is repeated.
    #[arg(long, global = true, default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    #[command(subcommand)]
    measure: Measure,
}

#[derive(Subcommand)]
enum Measure {
    /// All counts and lengths.
    All(codes::Options),
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let Measure::All(options) = &cli.measure;
    let mut all: Vec<Figure> = Vec::new();
    on_one_core(|| {
        codes::run(options, usize::from(cli.runs), |figure| {
            if !cli.json {
                println!("{}", figure.line());
            }
            all.push(figure);
        })
    })?;
    if cli.json {
        println!("{}", serde_json::to_string_pretty(&all)?);
    }
    Ok(())
}
