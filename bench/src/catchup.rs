//! A fresh device takes in the whole conversation: read, verified, encrypted, durable, indexed.
mod peer;
#[cfg(feature = "peers")]
mod peers;
mod stages;

use crate::measure::{Spread, Took, memory, time};
use crate::report::{Figure, Ratio};
use crate::sender::{Prepared, empty_store, epoch_secret, prepare};
use crate::workload::Workload;
use anyhow::{Result, bail};
use std::path::Path;
use terachat_core_store::LocalStore;
use terachat_core_store::query::PageStart;
use terachat_core_store::store::Storage;
use terachat_core_store::sync::{Bundle, Limits, Outcome};
use terachat_host::Disk;

const NAME: &str = "catchup";
/// Events a second on one core: what the spine promises, and what it dreams of.
const AIM: f64 = 500_000.0;

/// What to run.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Options {
    /// Leave out automerge, loro and yrs.
    #[arg(long)]
    pub(crate) no_peers: bool,
    /// Apply once and stop, for a profiler.
    #[arg(long)]
    once: bool,
}

/// Measures.
///
/// # Errors
/// The stores' and the disk's.
pub(crate) fn run(workload: &Workload, runs: usize, options: Options) -> Result<Vec<Figure>> {
    let prepared = prepare(workload)?;
    if options.once {
        let folder = tempfile::tempdir()?;
        let (_, parts) = catch_up(&prepared, folder.path())?;
        eprintln!("{parts:?}");
        return Ok(Vec::new());
    }
    let count = workload.records.len() as f64;
    let mut all = Vec::new();
    for _ in 0..runs {
        let folder = tempfile::tempdir()?;
        let (mut store, mut parts) = catch_up(&prepared, folder.path())?;
        check(&store, &prepared, workload)?;
        let (result, took) = time(|| store.index_texts());
        result?;
        parts.texts = took;
        all.push(parts);
    }
    let of = |seconds: fn(&Parts) -> f64| Spread::of(all.iter().map(seconds));
    let without = of(|parts| parts.control.cpu + parts.decode.cpu + parts.apply.cpu);
    let with = of(|parts| parts.control.cpu + parts.decode.cpu + parts.apply.cpu + parts.texts.cpu);
    let peers = if options.no_peers { Vec::new() } else { peers(workload, runs)? };
    let beside =
        |figure: Figure| peers.iter().fold(figure, |figure, peer| figure.beside(peer.name, peer.rate(count)));
    let rate = |name: &str, spread: Spread| Figure::new(NAME, name, "events/s", spread.rate(count));
    let mut figures = vec![
        beside(rate("all but full text, by CPU time", without).at_least(AIM)),
        rate(
            "all but full text, by the wall clock",
            of(|parts| parts.control.wall + parts.decode.wall + parts.apply.wall),
        ),
        beside(rate("with full text, by CPU time", with)),
        rate(
            "with full text, by the wall clock",
            of(|parts| parts.control.wall + parts.decode.wall + parts.apply.wall + parts.texts.wall),
        ),
    ];
    for peer in &peers {
        figures.extend(peer.figures(count));
    }
    let part = |name: &str, spread: Spread| Figure::new(NAME, name, "ms CPU", spread.per(1e-3));
    figures.extend([
        part("part: control log (admissions), decode and apply", of(|parts| parts.control.cpu)),
        part("part: channel, decode", of(|parts| parts.decode.cpu)),
        part("part: channel, apply and sync", of(|parts| parts.apply.cpu)),
        part("part: full text", of(|parts| parts.texts.cpu)),
    ]);
    let steps = stages::run(&prepared, runs)?;
    let signatures = steps.iter().find(|step| step.name == stages::SIGNATURES).map(|step| step.value.median);
    if let (Some(floor), Some(first)) = (signatures, figures.first_mut()) {
        let whole = without.median * 1e3;
        first.ratios.push(Ratio { to: "what the signatures alone allow".to_owned(), times: floor / whole });
    }
    figures.extend(steps);
    let travelled = Figure::once(NAME, "bytes that travel", "bytes", prepared.len() as f64);
    figures
        .push(peers.iter().fold(travelled, |figure, peer| figure.beside(peer.name, peer.update_len as f64)));
    if let Some(most) = memory("VmHWM") {
        figures.push(Figure::once(
            NAME,
            "most memory of this whole process, peers included",
            "MB",
            most as f64 / 1e6,
        ));
    }
    Ok(figures)
}

#[cfg(feature = "peers")]
fn peers(workload: &Workload, runs: usize) -> Result<Vec<peer::Peer>> {
    peers::run(workload, runs)
}

#[cfg(not(feature = "peers"))]
fn peers(_: &Workload, _: usize) -> Result<Vec<peer::Peer>> {
    eprintln!("SKIPPED automerge, loro and yrs: built without the feature `peers`");
    Ok(Vec::new())
}

/// What the parts of a catch-up took.
#[derive(Debug, Clone, Copy, Default)]
struct Parts {
    control: Took,
    decode: Took,
    apply: Took,
    texts: Took,
}

/// A fresh store in `folder` that has taken in everything; texts not indexed yet.
fn catch_up(prepared: &Prepared, folder: &Path) -> Result<(LocalStore, Parts)> {
    let mut store = fresh_store(prepared, folder)?;
    let (result, control) = time(|| {
        prepared.control.iter().try_for_each(|bytes| apply(&mut store, &Bundle::decode(bytes, Limits::PEER)?))
    });
    result?;
    let mut parts = Parts { control, ..Parts::default() };
    for bytes in &prepared.channel {
        let (bundle, decode) = time(|| Bundle::decode(bytes, Limits::PEER));
        let bundle = bundle?;
        let (result, took) = time(|| apply(&mut store, &bundle));
        result?;
        parts.decode = plus(parts.decode, decode);
        parts.apply = plus(parts.apply, took);
    }
    Ok((store, parts))
}

/// A store in `folder` that knows the epoch's secret and nothing else, as after a join.
pub(crate) fn fresh_store(prepared: &Prepared, folder: &Path) -> Result<LocalStore> {
    store_over(prepared, Box::new(Disk::open(folder)?))
}

/// [`fresh_store`] in any storage.
pub(crate) fn store_over(prepared: &Prepared, storage: Box<dyn Storage>) -> Result<LocalStore> {
    let mut store = empty_store(storage, 2)?;
    let record = LocalStore::epoch_secret_record(&prepared.log.space, &prepared.key.commit, &epoch_secret());
    store.write_records(vec![record])?;
    Ok(store)
}

/// Takes everything in.
///
/// # Errors
/// The store's, and a bundle that was not taken whole.
pub(crate) fn apply_all(store: &mut LocalStore, prepared: &Prepared) -> Result<()> {
    let mut bundles = prepared.control.iter().chain(&prepared.channel);
    bundles.try_for_each(|bytes| apply(store, &Bundle::decode(bytes, Limits::PEER)?))
}

/// Takes in a bundle of which nothing is here.
///
/// # Errors
/// The store's, and a bundle that was not taken whole.
pub(crate) fn apply(store: &mut LocalStore, bundle: &Bundle) -> Result<()> {
    match store.apply_remote(bundle)? {
        Outcome::Applied { new, known: 0 } if new.len() == bundle.batch.events.len() => Ok(()),
        other => bail!("a bundle was not taken whole: {other:?}"),
    }
}

/// The figures stand for nothing if the conversation did not arrive.
fn check(store: &LocalStore, prepared: &Prepared, workload: &Workload) -> Result<()> {
    let count = store.message_count(&prepared.log);
    if count != workload.records.len() {
        bail!("{count} of {} messages arrived", workload.records.len());
    }
    let last = store.page(&prepared.log, PageStart::Newest, 1)?;
    let said = workload.records.last().map(|record| record.body.as_str());
    if last.last().map(|message| message.body.as_str()) != said {
        bail!("the last message is another one");
    }
    Ok(())
}

fn plus(a: Took, b: Took) -> Took {
    Took { wall: a.wall + b.wall, cpu: a.cpu + b.cpu }
}
