//! A node whose shards are lost: how soon it has them again, and what everybody else feels of it.
use crate::load::{Load, Stock};
use crate::nodes::{COUNTING, FAST, Nodes};
use anyhow::{Result, ensure};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use terachat_figures::report::Figure;

/// Bytes of an item that fills the disks.
pub(crate) const ITEM_LEN: usize = 128 << 10;

/// What is measured.
pub(crate) struct Plan<'p> {
    /// The program whose nodes are measured.
    pub(crate) program: &'p Path,
    /// Where their disks are.
    pub(crate) folder: &'p Path,
    pub(crate) nodes: u8,
    /// Bytes that are put before.
    pub(crate) bytes: usize,
    /// Clients that put and get items of `len` bytes meanwhile, for so long each.
    pub(crate) load: Load,
}

/// A node's shards made anew twice: as fast as it goes, and at the rate that nodes keep to while others are served.
pub(crate) async fn measure(plan: &Plan<'_>, disk: f64) -> Result<Vec<Figure>> {
    let (_, rate) = lose_and_mend(plan, "fast", &FAST).await?;
    let fast = Figure::once("cluster", "shards of a node made anew, no rate set", "MB/s", rate);
    let (p99, rate) = lose_and_mend(plan, "gentle", &COUNTING).await?;
    let gentle = Figure::once("cluster", "shards of a node made anew, at the usual rate", "MB/s", rate);
    let mut figures = vec![
        fast.beside("what a disk of this machine syncs", disk),
        gentle.beside("what a disk of this machine syncs", disk),
    ];
    for (word, [before, meanwhile]) in p99 {
        let name = format!("p99 of a {word} meanwhile, over the one before");
        figures.push(Figure::once("cluster", name, "times", meanwhile / before).at_most(2.0));
    }
    Ok(figures)
}

/// The p99 of puts and of gets before and meanwhile, in microseconds, and MB/s of shards made anew.
async fn lose_and_mend(
    plan: &Plan<'_>,
    name: &str,
    settings: &[(&str, &str)],
) -> Result<([(&'static str, [f64; 2]); 2], f64)> {
    let nodes =
        Arc::new(Nodes::start_with(plan.program, &plan.folder.join(name), plan.nodes, settings).await?);
    Stock { items: (plan.bytes / ITEM_LEN) as u64, len: ITEM_LEN }.put(&*nodes).await?;
    nodes.wait(|health| health.in_place == health.shards).await?;
    let at = |load: Load, salt: u64| Load { salt: salt << 8, ..load };
    let puts = at(plan.load, 0xbeef).put(nodes.clone()).await?;
    let gets = at(plan.load, 0xbeef).get(nodes.clone()).await?;
    let leader = nodes.leader().await?;
    let victim = (1..).find(|node| *node != leader).unwrap_or(1);
    nodes.kill(victim)?;
    let lost = nodes.lose_shards(victim)?;
    nodes.start_again(plan.program, victim)?;
    nodes.wait(|health| health.in_place < health.shards).await?;
    let begun = Instant::now();
    let mending = {
        let nodes = nodes.clone();
        tokio::spawn(async move {
            nodes.wait(|health| health.in_place == health.shards).await?;
            anyhow::Ok(begun.elapsed())
        })
    };
    let puts_meanwhile = at(plan.load, 0xbeee).put(nodes.clone()).await?;
    let gets_meanwhile = at(plan.load, 0xbeef).get(nodes.clone()).await?;
    if mending.is_finished() {
        eprintln!("the shards were back before the load had ended; take more with --repair");
    }
    let took: Duration = mending.await??;
    ensure!(took > Duration::ZERO, "nothing was made anew");
    let p99 = |told: &crate::load::Told| told.percentile(0.99);
    let both = [("put", [p99(&puts), p99(&puts_meanwhile)]), ("get", [p99(&gets), p99(&gets_meanwhile)])];
    Ok((both, lost as f64 / took.as_secs_f64() / 1e6))
}
