//! What the spine costs: figures of its own beside those of its peers, on the same work in the same run.
//!
//! `terachat-bench all`; `README.md` says what each figure means.
#![allow(clippy::print_stdout, reason = "the figures are the program's output")]
mod ahead;
mod catchup;
mod control;
mod counting;
mod crdt;
mod groups;
mod growth;
mod identify;
mod live;
mod open;
mod search;
mod sender;
mod signatures;
mod talk;
mod workload;

use anyhow::Result;
use clap::{Parser, Subcommand};
use measure::on_one_core;
use report::Figure;
use terachat_figures::{measure, report};
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
        #[command(flatten)]
        identify: identify::Options,
        #[command(flatten)]
        growth: growth::Options,
        #[command(flatten)]
        groups: groups::Options,
    },
    /// A fresh device takes in the whole conversation.
    Catchup(catchup::Options),
    /// The store of the whole conversation is opened again.
    Open(open::Options),
    /// One message goes from device to device.
    Live,
    /// Full text.
    Search,
    /// One face is looked for among many.
    Identify(identify::Options),
    /// Signatures are verified together.
    Signatures,
    /// Control events are judged, in a row and at once.
    Control,
    /// MLS groups of ten to ten thousand members, beside the bare library.
    Groups(groups::Options),
    /// A talk with edits, reactions and pins, beside other CRDTs.
    Crdt(crdt::Options),
    /// Stores of ten thousand to a million events.
    Growth(growth::Options),
    #[command(hide = true)]
    OpenChild(open::Child),
    #[command(hide = true)]
    CrdtChild(crdt::Child),
    #[command(hide = true)]
    GrowthChild(growth::Child),
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
    match cli.measure {
        Measure::OpenChild(child) => {
            println!("{}", open::run_child(&child)?);
            return Ok(());
        }
        Measure::CrdtChild(child) => {
            println!("{}", crdt::run_child(&child)?);
            return Ok(());
        }
        Measure::GrowthChild(child) => {
            println!("{}", growth::run_child(&child)?);
            return Ok(());
        }
        Measure::Identify(options) => show(on_one_core(|| identify::run(runs, options))?),
        Measure::Signatures => show(on_one_core(|| signatures::run(runs))?),
        Measure::Control => show(on_one_core(|| control::run(runs))?),
        Measure::Groups(options) => show(on_one_core(|| groups::run(runs, options))?),
        measure => on_the_log(measure, &Workload::load(cli.records)?, runs, &mut show)?,
    }
    if cli.json {
        println!("{}", serde_json::to_string_pretty(&all)?);
    }
    Ok(())
}

/// The measures that work on the conversation.
fn on_the_log(
    measure: Measure,
    workload: &Workload,
    runs: usize,
    show: &mut impl FnMut(Vec<Figure>),
) -> Result<()> {
    eprintln!(
        "{}: {} records, {} authors, {} bytes of text",
        workload.origin,
        workload.records.len(),
        workload.authors.len(),
        workload.text_len()
    );
    let catchup = |options| on_one_core(|| catchup::run(workload, runs, options));
    let open = |options: open::Options| on_one_core(|| open::run(workload, runs, &options));
    let crdt = |options| on_one_core(|| crdt::run(workload, runs, options));
    let growth = |options| on_one_core(|| growth::run(workload, runs, options));
    let search = || on_one_core(|| search::run(workload, runs));
    // Two devices: both cores.
    let live = || live::run(workload);
    match measure {
        Measure::All { catchup: first, open: second, identify: last, growth: sizes, groups } => {
            show(catchup(first)?);
            show(open(second)?);
            show(live()?);
            show(search()?);
            show(crdt(crdt::Options::whole(first.no_peers))?);
            show(growth(sizes)?);
            show(on_one_core(|| signatures::run(runs))?);
            show(on_one_core(|| control::run(runs))?);
            show(on_one_core(|| groups::run(runs, groups))?);
            show(on_one_core(|| identify::run(runs, last))?);
        }
        Measure::Catchup(options) => show(catchup(options)?),
        Measure::Open(options) => show(open(options)?),
        Measure::Live => show(live()?),
        Measure::Search => show(search()?),
        Measure::Crdt(options) => show(crdt(options)?),
        Measure::Growth(options) => show(growth(options)?),
        Measure::Identify(_) | Measure::Signatures | Measure::Control | Measure::Groups(_) => {}
        Measure::OpenChild(_) | Measure::CrdtChild(_) | Measure::GrowthChild(_) => {}
    }
    Ok(())
}
