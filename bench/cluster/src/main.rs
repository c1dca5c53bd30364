//! What the cluster costs: seven nodes, each a process on this machine, beside three of etcd, on the same work in turn.
//!
//! `terachat-bench-cluster --terachat PATH`; `../README.md` says what each figure means.
#![allow(clippy::print_stdout, reason = "the figures are the program's output")]
mod cpu;
mod etcd;
mod limits;
mod load;
mod nodes;
mod repair;

use anyhow::Result;
use clap::Parser;
use etcd::Etcd;
use load::{Load, Stock};
use nodes::{Nodes, Stored};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use terachat_figures::measure::Spread;
use terachat_figures::report::Figure;

/// Measures the cluster and etcd.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// The program whose nodes are measured.
    #[arg(long, value_name = "PATH")]
    terachat: PathBuf,
    /// The peer's program; without it only our own figures are taken.
    #[arg(long, value_name = "PATH", default_value = "etcd")]
    etcd: PathBuf,
    /// Nodes of ours.
    #[arg(long, default_value_t = 7)]
    nodes: u8,
    /// Bytes of an item.
    #[arg(long, default_value_t = 1024)]
    len: usize,
    /// Seconds of each load.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How often each is repeated, in turn with the peer's.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Clients at once.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64])]
    clients: Vec<usize>,
    /// Take only what a node's lost shards cost, with so many MiB put before.
    #[arg(long, value_name = "MIB")]
    repair: Option<usize>,
    /// MiB of large items that lie there before nodes are killed: more than all caches hold.
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    stock: usize,
    /// Where the disks are; by default the folder for temporary files.
    #[arg(long)]
    folder: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let cli = Cli::parse();
    let folder = match &cli.folder {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    let mut all = Vec::new();
    let mut show = |figure: Figure| {
        if !cli.json {
            println!("{}", figure.line());
        }
        all.push(figure);
    };
    if let Some(mib) = cli.repair {
        let lasts = Duration::from_secs(cli.seconds);
        let load = Load { clients: 4, lasts, len: cli.len, salt: 0 };
        let plan = repair::Plan {
            program: &cli.terachat,
            folder: folder.path(),
            nodes: cli.nodes,
            bytes: mib << 20,
            load,
        };
        let disk = limits::written_mb(folder.path())?;
        show(Figure::once("cluster", "a file written and synced by the MiB", "MB/s", disk));
        for figure in repair::measure(&plan, disk).await? {
            show(figure);
        }
        if cli.json {
            println!("{}", serde_json::to_string_pretty(&all)?);
        }
        return Ok(());
    }
    let sync = limits::sync_micros(folder.path(), cli.len)?;
    let trip = limits::round_trip_micros(cli.len).await?;
    show(Figure::new("cluster", "one sync of a file", "us", sync));
    show(Figure::new("cluster", "one round trip on loopback", "us", trip));
    let nodes = Arc::new(Nodes::start(&cli.terachat, &folder.path().join("ours"), cli.nodes).await?);
    let etcd = Etcd::start(&cli.etcd, &folder.path().join("etcd"), 3).await?.map(Arc::new);
    let lasts = Duration::from_secs(cli.seconds);
    for &clients in &cli.clients {
        let (mut ours, mut theirs, mut got) = (Vec::new(), Vec::new(), Vec::new());
        for run in 0..u64::from(cli.runs) {
            let load = Load { clients, lasts, len: cli.len, salt: run << 8 | clients as u64 };
            ours.push(load.put(nodes.clone()).await?);
            got.push(load.get(nodes.clone()).await?);
            if let Some(etcd) = &etcd {
                theirs.push(load.put(etcd.clone()).await?);
            }
        }
        let rate = |runs: &[load::Told]| Spread::of(runs.iter().map(|told| told.rate));
        let at = |runs: &[load::Told], share: f64| Spread::of(runs.iter().map(|told| told.percentile(share)));
        let what = |word: &str| format!("{word}, {clients} clients");
        let mut puts = Figure::new("cluster", what("acknowledged puts of 1 KiB"), "/s", rate(&ours));
        if !theirs.is_empty() {
            puts = puts.beside("etcd, three nodes", rate(&theirs).median);
            if clients == 64 {
                puts = puts.at_least(rate(&theirs).median);
            }
        }
        show(puts);
        for (word, share) in [("p50 of a put", 0.5), ("p99 of a put", 0.99)] {
            let mut figure = Figure::new("cluster", what(word), "us", at(&ours, share));
            figure = figure.beside("a sync and a round trip", sync.median + trip.median);
            if !theirs.is_empty() {
                figure = figure.beside("etcd", at(&theirs, share).median);
            }
            show(figure);
        }
        let cpu = |runs: &[load::Told]| {
            let all: Option<Vec<f64>> = runs.iter().map(|told| told.cpu_micros).collect();
            all.map(Spread::of)
        };
        if let Some(ours) = cpu(&ours) {
            let mut figure = Figure::new("cluster", what("processors of all nodes for a put"), "us", ours);
            if let Some(theirs) = cpu(&theirs).filter(|_| !theirs.is_empty()) {
                figure = figure.beside("etcd", theirs.median);
            }
            show(figure);
        }
        show(Figure::new("cluster", what("gets"), "/s", rate(&got)));
        show(Figure::new("cluster", what("p99 of a get"), "us", at(&got, 0.99)));
        if !theirs.is_empty() {
            show(Figure::new("cluster", what("etcd's puts"), "/s", rate(&theirs)));
        }
    }
    let small = nodes.stored().await?;
    let stock = Stock { items: ((cli.stock << 20) / repair::ITEM_LEN) as u64, len: repair::ITEM_LEN };
    stock.put(&*nodes).await?;
    let stored = nodes.stored().await?;
    for figure in overhead(small, stored, nodes.ideal()?) {
        show(figure);
    }
    for figure in losses(&nodes, lasts, cli.len, stock).await? {
        show(figure);
    }
    if cli.json {
        println!("{}", serde_json::to_string_pretty(&all)?);
    }
    Ok(())
}

/// What two dead nodes cost: gets before and after, and the longest time in which no put was acknowledged while they died.
async fn losses(nodes: &Arc<Nodes>, lasts: Duration, len: usize, stock: Stock) -> Result<Vec<Figure>> {
    let load = Load { clients: 16, lasts, len, salt: 0xdead << 8 };
    let healthy = load.get_of(stock, nodes.clone()).await?;
    let dying = {
        let load = Load { salt: 0xdeae << 8, ..load };
        let puts = tokio::spawn(load.put(nodes.clone()));
        let gets = tokio::spawn(load.get_of(stock, nodes.clone()));
        tokio::time::sleep(lasts / 3).await;
        let leader = nodes.leader().await?;
        nodes.kill(leader)?;
        tokio::time::sleep(lasts / 3).await;
        // Not the one that took the lead: each pause is to be seen alone.
        let next = nodes.leader().await?;
        nodes.kill((1..).find(|node| ![leader, next].contains(node)).unwrap_or(1))?;
        (puts.await??, gets.await??)
    };
    let bereft = load.get_of(stock, nodes.clone()).await?;
    let ratio = bereft.percentile(0.99) / healthy.percentile(0.99);
    Ok(vec![
        Figure::once("cluster", "p99 of a get, all nodes there", "us", healthy.percentile(0.99)),
        Figure::once("cluster", "p99 of a get, two nodes dead, over that", "times", ratio).at_most(1.5),
        Figure::once("cluster", "no put acknowledged while the leader died", "ms", dying.0.longest_pause_ms)
            .at_most(1000.0),
        Figure::once("cluster", "no get answered while nodes died", "ms", dying.1.longest_pause_ms)
            .at_most(100.0),
    ])
}

/// Bytes on all disks over bytes that were put, of the small items and of the large ones after them.
fn overhead(small: Stored, all: Stored, ideal: f64) -> Vec<Figure> {
    let mut figures = Vec::new();
    let large = Stored {
        shards: all.shards - small.shards,
        ledger: all.ledger - small.ledger,
        put: all.put - small.put,
        items: all.items - small.items,
    };
    for (word, Stored { shards, ledger, put, items }) in [("1 KiB", small), ("128 KiB", large)] {
        let name = format!("bytes of shards on all disks over bytes put, items of {word}");
        let figure = Figure::once("cluster", name, "times", shards / put);
        figures.push(figure.beside("(k + m) / k", ideal));
        let name = format!("bytes of shards and ledgers on all disks over bytes put, items of {word}");
        let figure = Figure::once("cluster", name, "times", (shards + ledger) / put);
        figures.push(figure.beside("(k + m) / k", ideal).at_most(ideal * 1.05));
        let name = format!("bytes of all ledgers for an item of {word}");
        figures.push(Figure::once("cluster", name, "B", ledger / items));
    }
    figures
}

/// Microseconds since.
fn since(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e6
}
