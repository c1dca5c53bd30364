//! A message on its way: durable on the sender, across loopback, durable and visible on the reader.
mod delivery;
mod flushes;

use crate::catchup::{apply_all, store_over};
use crate::counting::{Counting, Counts};
use crate::measure::{Spread, percentile, time};
use crate::report::Figure;
use crate::sender::{Prepared, device, prepare};
use crate::workload::{Record, Workload};
use anyhow::{Result, ensure};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use terachat_core_store::LocalStore;
use terachat_core_store::model::{ChannelOp, Post};
use terachat_core_store::store::Storage;
use terachat_event::DeviceKey;
use terachat_host::Disk;

const NAME: &str = "live";
/// Messages sent one by one.
const MESSAGES: usize = 400;
/// Messages that share a commit, and how many such commits.
const TOGETHER: usize = 256;
const ROUNDS: usize = 20;
/// Chains of a small space.
const FEW: usize = 10;

/// Measures.
///
/// # Errors
/// The stores', the disk's, the network's; a message that took more than one sync.
pub(crate) fn run(workload: &Workload) -> Result<Vec<Figure>> {
    let all = prepare(workload)?;
    let few = prepare(&workload.start(FEW))?;
    let mut figures = Vec::new();
    for (kind, prepared) in [("few chains", &few), ("all chains", &all)] {
        let folder = tempfile::tempdir()?;
        let mut sender = Sender::over(prepared, workload, Disk::open(folder.path())?)?;
        figures.extend(durable(kind, &mut sender, folder.path())?);
        figures.extend(together(kind, &mut sender)?);
        figures.extend(delivery::run(kind, sender, prepared)?);
        figures.extend(flushes::run(kind, prepared, workload)?);
    }
    Ok(figures)
}

/// A device with the whole log on its disk, and what it will say.
pub(crate) struct Sender<'a> {
    pub(crate) store: LocalStore,
    pub(crate) counts: Arc<Counts>,
    key: DeviceKey,
    prepared: &'a Prepared,
    records: std::iter::Cycle<std::slice::Iter<'a, Record>>,
}

impl<'a> Sender<'a> {
    fn over(prepared: &'a Prepared, workload: &'a Workload, storage: impl Storage + 'static) -> Result<Self> {
        let (storage, counts) = Counting::over(storage);
        let mut store = store_over(prepared, Box::new(storage))?;
        apply_all(&mut store, prepared)?;
        let records = workload.records.iter().cycle();
        Ok(Self { store, counts, key: device(0), prepared, records })
    }

    /// Posts the next message.
    pub(crate) fn post(&mut self) -> Result<()> {
        let record = self.records.next().expect("a cycle has no end");
        let post = Post { style: record.style, body: &record.body, reply_to: None, imported: None };
        let (log, key) = (self.prepared.log, self.prepared.key);
        self.store.post(&self.key, log, key, 1_700_000_000_000, &[ChannelOp::Post(post)])?;
        Ok(())
    }
}

/// Messages that are durable one by one, each beside a bare append and sync of as many bytes.
fn durable(kind: &str, sender: &mut Sender<'_>, folder: &Path) -> Result<Vec<Figure>> {
    let mut bare = File::create(folder.join("bare"))?;
    let (mut ours, mut theirs, mut cpu, mut bare_cpu) = (Vec::new(), Vec::new(), 0.0, 0.0);
    let before = (sender.counts.syncs(), sender.counts.appended());
    for _ in 0..MESSAGES {
        let appended = sender.counts.appended();
        let (result, took) = time(|| sender.post());
        result?;
        ours.push(took.wall);
        cpu += took.cpu;
        let bytes = vec![7; usize::try_from(sender.counts.appended() - appended)?];
        let (result, took) = time(|| bare.write_all(&bytes).and_then(|()| bare.sync_data()));
        result?;
        theirs.push(took.wall);
        bare_cpu += took.cpu;
    }
    std::fs::remove_file(folder.join("bare"))?;
    let (syncs, bytes) = (sender.counts.syncs() - before.0, sender.counts.appended() - before.1);
    ensure!(syncs == MESSAGES as u64, "{MESSAGES} messages took {syncs} syncs");
    let count = MESSAGES as f64;
    let mut figures = Vec::new();
    ours.sort_by(f64::total_cmp);
    theirs.sort_by(f64::total_cmp);
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let (ours, theirs) = (percentile(&ours, share) * 1e6, percentile(&theirs, share) * 1e6);
        figures.push(
            Figure::once(NAME, format!("{kind}: send to durable, {name}"), "us", ours)
                .beside("bare append and fsync", theirs),
        );
        figures.push(Figure::once(NAME, format!("{kind}: bare append and fsync, {name}"), "us", theirs));
    }
    figures.extend([
        Figure::once(NAME, format!("{kind}: CPU time a message"), "us", cpu / count * 1e6)
            .beside("bare append and fsync", bare_cpu / count * 1e6),
        Figure::once(NAME, format!("{kind}: syncs a message"), "", syncs as f64 / count).at_most(1.0),
        Figure::once(NAME, format!("{kind}: bytes on disk a message"), "bytes", bytes as f64 / count),
    ]);
    Ok(figures)
}

/// Many messages a commit.
fn together(kind: &str, sender: &mut Sender<'_>) -> Result<Vec<Figure>> {
    let before = sender.counts.syncs();
    let mut all = Vec::new();
    for _ in 0..ROUNDS {
        let (result, took) = time(|| -> Result<()> {
            sender.store.defer();
            (0..TOGETHER).try_for_each(|_| sender.post())?;
            Ok(sender.store.flush()?)
        });
        result?;
        all.push(took);
    }
    let syncs = (sender.counts.syncs() - before) as f64 / (ROUNDS * TOGETHER) as f64;
    let each = TOGETHER as f64 / 1e6;
    let wall = Spread::of(all.iter().map(|took| took.wall)).per(each);
    let cpu = Spread::of(all.iter().map(|took| took.cpu)).per(each);
    Ok(vec![
        Figure::new(NAME, format!("{kind}: {TOGETHER} messages a sync, each"), "us", wall),
        Figure::new(NAME, format!("{kind}: {TOGETHER} messages a sync, CPU time each"), "us", cpu),
        Figure::once(NAME, format!("{kind}: syncs a message then"), "", syncs).at_most(1.0 / TOGETHER as f64),
    ])
}
