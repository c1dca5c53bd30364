//! What the spine costs: figures of its own beside those of its peers, on the same work in the same run.
//!
//! `terachat-bench all`; `README.md` says what each figure means.
#![allow(clippy::print_stdout, reason = "the figures are the program's output")]
mod catchup;
mod counting;
mod live;
mod measure;
mod open;
mod report;
mod search;
mod sender;
mod workload;

use anyhow::Result;
use clap::{Parser, Subcommand};
use measure::on_one_core;
use report::Figure;
use workload::Workload;

/// Measures the spine and its peers.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// Print JSON instead of a table.
    #[arg(long, global = true)]
    json: bool,
    /// How often each thing is repeated.
    #[arg(long, global = true, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Use only this many records of the log.
    #[arg(long, global = true)]
    records: Option<usize>,
    #[command(subcommand)]
    measure: Measure,
}

#[derive(Subcommand)]
enum Measure {
    /// All of them.
    All {
        #[command(flatten)]
        catchup: catchup::Options,
        #[command(flatten)]
        open: open::Options,
    },
    /// A fresh device takes in the whole conversation.
    Catchup(catchup::Options),
    /// The store of the whole conversation is opened again.
    Open(open::Options),
    /// One message goes from device to device.
    Live,
    /// Full text.
    Search,
    #[command(hide = true)]
    OpenChild(open::Child),
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    if let Measure::OpenChild(child) = &cli.measure {
        println!("{}", open::run_child(child)?);
        return Ok(());
    }
    let workload = Workload::load(cli.records)?;
    eprintln!(
        "{}: {} records, {} authors, {} bytes of text",
        workload.origin,
        workload.records.len(),
        workload.authors.len(),
        workload.text_len()
    );
    let runs = usize::from(cli.runs);
    let mut all = Vec::new();
    let mut show = |figures: Vec<Figure>| {
        if !cli.json {
            figures.iter().for_each(|figure| println!("{}", figure.line()));
        }
        all.extend(figures);
    };
    let catchup = |options| on_one_core(|| catchup::run(&workload, runs, options));
    let open = |options| on_one_core(|| open::run(&workload, runs, options));
    let search = || on_one_core(|| search::run(&workload, runs));
    // Two devices: both cores.
    let live = || live::run(&workload);
    match cli.measure {
        Measure::All { catchup: first, open: second } => {
            show(catchup(first)?);
            show(open(second)?);
            show(live()?);
            show(search()?);
        }
        Measure::Catchup(options) => show(catchup(options)?),
        Measure::Open(options) => show(open(options)?),
        Measure::Live => show(live()?),
        Measure::Search => show(search()?),
        Measure::OpenChild(_) => {}
    }
    if cli.json {
        println!("{}", serde_json::to_string_pretty(&all)?);
    }
    Ok(())
}
