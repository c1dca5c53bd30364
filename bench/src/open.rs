//! The store of the whole log, closed and opened again: how long until the first page, how much memory, how many bytes.
use crate::catchup::{apply_all, fresh_store};
use crate::measure::{Spread, memory, time};
use crate::report::Figure;
use crate::sender::{Prepared, converse, empty_store, prepare};
use crate::workload::Workload;
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::Command;
use terachat_core_store::query::PageStart;
use terachat_core_store::sync::{Bundle, Limits};
use terachat_host::Disk;

const NAME: &str = "open";
/// Messages on the first page.
const PAGE: usize = 50;
const MS_AIM: f64 = 50.0;
const MB_AIM: f64 = 60.0;
const BYTES_AIM: f64 = 1.15;

/// What to run.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Options {
    /// Leave out the store of a sender, in which every message was a commit of its own.
    #[arg(long)]
    no_sender: bool,
    /// Leave the stores in this folder, which must not exist: for a profiler, with `open-child FOLDER/caught-up`.
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// A folder for a store: one that stays where that is asked for.
struct Home {
    path: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

impl Home {
    fn new(options: &Options, name: &str) -> Result<Self> {
        if let Some(keep) = &options.keep {
            let path = keep.join(name);
            std::fs::create_dir_all(keep)?;
            std::fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
            return Ok(Self { path, _temporary: None });
        }
        let folder = tempfile::tempdir()?;
        Ok(Self { path: folder.path().to_owned(), _temporary: Some(folder) })
    }
}

/// The opening itself, in a process of its own: how this program calls itself.
#[derive(Debug, clap::Args)]
pub(crate) struct Child {
    folder: PathBuf,
}

/// What the child saw.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) open_s: f64,
    pub(crate) page_s: f64,
    pub(crate) cpu_s: f64,
    pub(crate) messages: usize,
    pub(crate) memory_before: Option<u64>,
    pub(crate) memory_most: Option<u64>,
    pub(crate) memory_after: Option<u64>,
}

/// Measures.
///
/// # Errors
/// The store's, the disk's, the child's.
pub(crate) fn run(workload: &Workload, runs: usize, options: &Options) -> Result<Vec<Figure>> {
    let prepared = prepare(workload)?;
    let payloads = payloads_len(&prepared)?;
    let home = Home::new(options, "caught-up")?;
    let mut store = fresh_store(&prepared, &home.path)?;
    apply_all(&mut store, &prepared)?;
    let (result, snapshot) = time(|| store.snapshot());
    result?;
    drop(store);
    let mut figures = reopen("caught up", &home.path, workload, runs, payloads)?;
    figures.push(Figure::once(
        NAME,
        "caught up: writing the snapshot, full text included",
        "ms",
        snapshot.wall * 1e3,
    ));
    if !options.no_sender {
        let home = Home::new(options, "sender")?;
        let (mut store, ..) = converse(workload, Box::new(Disk::open(&home.path)?))?;
        let before: u64 = files(&home.path)?.iter().map(|(_, len)| len).sum();
        let (result, snapshot) = time(|| store.snapshot());
        result?;
        drop(store);
        let what = "sender: bytes on disk over the payloads' before its small commits were put together";
        figures.push(Figure::once(NAME, what, "x", before as f64 / payloads as f64));
        let what = "sender: putting them together and writing the snapshot, full text included";
        figures.push(Figure::once(NAME, what, "ms", snapshot.wall * 1e3));
        figures.extend(reopen("sender", &home.path, workload, runs, payloads)?);
    }
    Ok(figures)
}

/// What opening the store in `folder` takes, each time in a fresh process.
fn reopen(kind: &str, folder: &Path, workload: &Workload, runs: usize, payloads: u64) -> Result<Vec<Figure>> {
    let children = (0..runs).map(|_| open_again(folder)).collect::<Result<Vec<_>>>()?;
    ensure!(
        children.iter().all(|seen| seen.messages == workload.records.len()),
        "messages are missing after opening"
    );
    let of = |value: fn(&Seen) -> f64| Spread::of(children.iter().map(value));
    let files = files(folder)?;
    let disk: u64 = files.iter().map(|(_, len)| len).sum();
    // The least that has to be done: to read the snapshot's bytes from the system's cache.
    let snapshot = folder.join("snapshot");
    let read =
        Spread::of((0..runs).map(|_| time(|| std::fs::read(&snapshot).map(|bytes| bytes.len())).1.wall));
    let mega = |bytes: fn(&Seen) -> Option<u64>| {
        Spread::of(children.iter().map(|seen| bytes(seen).map_or(f64::NAN, |bytes| bytes as f64 / 1e6)))
    };
    let figure = |what: &str, unit, spread| Figure::new(NAME, format!("{kind}: {what}"), unit, spread);
    let mut figures = vec![
        figure("to the first page of 50", "ms", of(|seen| (seen.open_s + seen.page_s) * 1e3))
            .at_most(MS_AIM)
            .beside("reading the snapshot file", read.median * 1e3),
        figure("of that the page", "ms", of(|seen| seen.page_s * 1e3)),
        figure("CPU time of both", "ms", of(|seen| seen.cpu_s * 1e3)),
        figure("most memory while opening", "MB", mega(|seen| seen.memory_most)).at_most(MB_AIM),
        figure("memory while open", "MB", mega(|seen| seen.memory_after)),
        figure("memory of the bare process", "MB", mega(|seen| seen.memory_before)),
        Figure::once(
            NAME,
            format!("{kind}: bytes on disk over the payloads'"),
            "x",
            disk as f64 / payloads as f64,
        )
        .at_most(BYTES_AIM),
    ];
    figures.extend(files.iter().map(|(name, len)| {
        Figure::once(NAME, format!("{kind}: file {name}"), "bytes", *len as f64)
            .beside("the payloads", payloads as f64)
    }));
    Ok(figures)
}

/// Opens the store in this folder in a fresh process.
///
/// # Errors
/// The child's.
pub(crate) fn open_again(folder: &Path) -> Result<Seen> {
    let output = Command::new(std::env::current_exe()?).arg("open-child").arg(folder).output()?;
    if !output.status.success() {
        bail!("opening failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Opens the store in a folder, shows the first page, says what it took.
///
/// # Errors
/// The store's.
pub(crate) fn run_child(child: &Child) -> Result<String> {
    let memory_before = memory("VmRSS");
    let (store, open) = time(|| empty_store(Box::new(Disk::open(&child.folder)?), 4));
    let store = store?;
    let log = *store.logs().iter().find(|log| log.channel.is_some()).context("no channel in the store")?;
    let (page, took) = time(|| store.page(&log, PageStart::Newest, PAGE));
    ensure!(page?.len() == PAGE, "the first page is not full");
    let seen = Seen {
        open_s: open.wall,
        page_s: took.wall,
        cpu_s: open.cpu + took.cpu,
        messages: store.message_count(&log),
        memory_before,
        memory_most: memory("VmHWM"),
        memory_after: memory("VmRSS"),
    };
    Ok(serde_json::to_string(&seen)?)
}

/// Bytes of all payloads: the operations of channel and control events as they are encoded, nothing around them.
fn payloads_len(prepared: &Prepared) -> Result<u64> {
    let mut len = 0;
    for bytes in prepared.control.iter().chain(&prepared.channel) {
        let batch = Bundle::decode(bytes, Limits::PEER)?.batch;
        len += batch.events.iter().map(|event| u64::from(event.payload_len)).sum::<u64>();
    }
    Ok(len)
}

/// The files of a folder with their lengths, by name.
///
/// # Errors
/// The disk's.
pub(crate) fn files(folder: &Path) -> Result<Vec<(String, u64)>> {
    let mut files = std::fs::read_dir(folder)?
        .map(|entry| {
            let entry = entry?;
            Ok((entry.file_name().to_string_lossy().into_owned(), entry.metadata()?.len()))
        })
        .collect::<Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}
