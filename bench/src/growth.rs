//! What things cost in stores of ten thousand, a hundred thousand and a million events.
use crate::measure::{percentile, time};
use crate::open::{files, open_again};
use crate::report::Figure;
use crate::search::queries::queries;
use crate::sender::empty_store;
use crate::talk::{Act, Flush, Speakers, Talk};
use crate::workload::Workload;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use terachat_core_store::query::search_index::Query;
use terachat_core_store::query::{MessageView, PageStart};
use terachat_event::EventRef;
use terachat_host::Disk;

const NAME: &str = "growth";
/// Events in the smallest store.
const FIRST: usize = 10_000;
/// Events inserted at once.
const TOGETHER: usize = 256;
/// Events inserted one by one at each size, the last ones before it is reached.
const SINGLY: usize = 300;
/// Messages on a page.
const PAGE: usize = 50;
/// Pages and searches at each size.
const QUESTIONS: usize = 200;
/// Most that a whole may grow by: its exponent from size to size.
const TOTAL_AIM: f64 = 1.1;
/// Most that what is one event's may grow by: the same, for each of ten times as many.
const EACH_AIM: f64 = 0.1;
/// Most that a page may grow by: by the depth of trees and by what no longer fits the processor's caches.
const PAGE_AIM: f64 = 0.15;

/// What to run.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Options {
    /// Events of the largest store.
    #[arg(long, default_value_t = 1_000_000)]
    most: usize,
}

/// What was measured at one size: name, unit, value, aim of its exponent.
type Line = (&'static str, &'static str, f64, Option<f64>);

/// Measures.
///
/// # Errors
/// The store's, the disk's, the child's.
pub(crate) fn run(workload: &Workload, runs: usize, options: Options) -> Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let mut speakers = Speakers::new(Box::new(Disk::open(folder.path())?))?;
    // Some more than are needed: a change comes for every ten messages.
    let talk = Talk::new(workload, options.most, TOGETHER..=TOGETHER);
    let mut flushes = talk.flushes.into_iter();
    let mut together = 0.0;
    let mut figures = Vec::new();
    let mut before: Option<(f64, Vec<Line>)> = None;
    let sizes = std::iter::successors(Some(FIRST), |size| size.checked_mul(10));
    for size in sizes.take_while(|size| *size <= options.most) {
        let mut next = || flushes.next().context("the talk is too short");
        while speakers.len() + SINGLY + TOGETHER < size {
            let flush = next()?;
            let (result, took) = time(|| speakers.flush(&flush));
            result?;
            together += took.cpu;
        }
        let together_each = together / speakers.len() as f64;
        let mut singles = Vec::new();
        while singles.len() + speakers.len() < size {
            singles.extend(singly(next()?));
        }
        speakers.store.defer();
        let mut single = Vec::with_capacity(singles.len());
        for flush in &singles {
            let (result, took) = time(|| speakers.flush(flush));
            result?;
            single.push(took.cpu * 1e6);
        }
        speakers.store.flush()?;
        let mut lines: Vec<Line> = vec![
            ("insert by 256, each durable, CPU time an event", "us", together_each * 1e6, Some(EACH_AIM)),
            ("insert singly without a sync, CPU time an event", "us", median(single), Some(EACH_AIM)),
        ];
        lines.extend(at(&mut speakers, workload, runs, folder.path())?);
        let events = speakers.len() as f64;
        for (n, (what, unit, value, aim)) in lines.iter().enumerate() {
            figures.push(Figure::once(NAME, format!("{size} events: {what}"), unit, *value));
            let Some((fewer, smaller)) = &before else { continue };
            let exponent = (value / smaller[n].2).log10() / (events / fewer).log10();
            let figure = Figure::once(NAME, format!("exponent from {}: {what}", size / 10), "", exponent);
            figures.extend(aim.map(|aim| figure.at_most(aim)));
        }
        before = Some((events, lines));
    }
    Ok(figures)
}

/// What the store as it is takes.
fn at(speakers: &mut Speakers, workload: &Workload, runs: usize, folder: &Path) -> Result<Vec<Line>> {
    let log = speakers.log;
    // Of what came since the last size: the whole is its sum.
    let (result, texts) = time(|| speakers.store.index_texts());
    result?;
    // Pins come in small batches; where there are many the snapshot would do this first.
    let (result, compact) = time(|| speakers.store.compact());
    result?;
    let (result, snapshot) = time(|| speakers.store.snapshot());
    result?;
    let ahead = crate::ahead::ahead(speakers, PAGE as u16, QUESTIONS)?;
    let [newest, middle] = pages_again(folder, &speakers.messages()[speakers.messages().len() / 2])?;
    let bodies: Vec<&str> = workload.records.iter().take(20_000).map(|record| record.body.as_str()).collect();
    let wanted: Vec<String> = queries(&bodies).into_iter().flat_map(|(_, texts)| texts).collect();
    let mut found = Vec::new();
    for text in wanted.iter().step_by((wanted.len() / QUESTIONS).max(1)) {
        let query = Query::parse(text);
        let mut best = f64::MAX;
        for _ in 0..3 {
            let (result, took) = time(|| speakers.store.search(&log, &query, PAGE, |_| true));
            result?;
            best = best.min(took.cpu * 1e3);
        }
        found.push(best);
    }
    found.sort_by(f64::total_cmp);
    let seen = (0..runs).map(|_| open_again(folder)).collect::<Result<Vec<_>>>()?;
    ensure!(seen.iter().all(|seen| seen.messages == speakers.messages().len()), "messages are missing");
    let of = |value: fn(&crate::open::Seen) -> f64| median(seen.iter().map(value).collect());
    let disk: u64 = files(folder)?.iter().map(|(_, len)| len).sum();
    Ok(vec![
        ("index the texts that are new, CPU time", "ms", texts.cpu * 1e3, Some(TOTAL_AIM)),
        ("put small commits together, where that is due, CPU time", "ms", compact.cpu * 1e3, None),
        ("write the snapshot, CPU time", "ms", snapshot.cpu * 1e3, Some(TOTAL_AIM)),
        ("write the snapshot, by the wall clock", "ms", snapshot.wall * 1e3, None),
        ("newest page of 50, CPU time", "us", newest, Some(PAGE_AIM)),
        ("a page of 50 back from the middle, CPU time", "us", middle, Some(PAGE_AIM)),
        ("make the newest 50 for who has nothing, CPU time", "us", ahead.make, Some(PAGE_AIM)),
        ("judge and show them there, CPU time", "us", ahead.show, Some(PAGE_AIM)),
        ("their bytes", "B", ahead.bytes, None),
        ("search, p50, CPU time", "ms", percentile(&found, 0.5), Some(TOTAL_AIM)),
        ("search, p99, CPU time", "ms", percentile(&found, 0.99), Some(TOTAL_AIM)),
        ("open and first page, fresh process, CPU time", "ms", of(|seen| seen.cpu_s * 1e3), Some(TOTAL_AIM)),
        ("open and first page, by the wall clock", "ms", of(|seen| (seen.open_s + seen.page_s) * 1e3), None),
        (
            "most memory while opening",
            "MB",
            of(|seen| seen.memory_most.map_or(f64::NAN, |bytes| bytes as f64 / 1e6)),
            Some(TOTAL_AIM),
        ),
        ("bytes on disk", "MB", disk as f64 / 1e6, Some(TOTAL_AIM)),
    ])
}

/// Pages, in a process of its own, in whose memory is nothing but the store: how this program calls itself.
#[derive(Debug, clap::Args)]
pub(crate) struct Child {
    folder: PathBuf,
    /// The message before which pages behind the newest end.
    event: String,
}

fn pages_again(folder: &Path, middle: &EventRef) -> Result<[f64; 2]> {
    let event = format!("{}-{}", middle.author, middle.seq);
    let output =
        Command::new(std::env::current_exe()?).arg("growth-child").arg(folder).arg(event).output()?;
    ensure!(output.status.success(), "paging failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Shows the newest page again and again, then pages further and further back from the middle; gives the median of
/// either, in microseconds.
///
/// # Errors
/// The store's.
pub(crate) fn run_child(child: &Child) -> Result<String> {
    let store = empty_store(Box::new(Disk::open(&child.folder)?), 4)?;
    let log = *store.logs().iter().find(|log| log.channel.is_some()).context("no channel in the store")?;
    let found = store.find_events(&log, &child.event);
    let mut middle = *found.first().context("no such message")?;
    let page = |start| -> Result<(Vec<MessageView>, f64)> {
        let (page, took) = time(|| store.page(&log, start, PAGE));
        let page = page?;
        ensure!(page.len() == PAGE, "a page is not full");
        Ok((page, took.cpu * 1e6))
    };
    let (mut newest, mut back) = (Vec::new(), Vec::new());
    for _ in 0..QUESTIONS {
        newest.push(page(PageStart::Newest)?.1);
        let (messages, took) = page(PageStart::Before(middle))?;
        back.push(took);
        // A quarter of a page further.
        middle = messages[PAGE - PAGE / 4].event;
    }
    Ok(serde_json::to_string(&[median(newest), median(back)])?)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    percentile(&values, 0.5)
}

/// A flush act by act.
fn singly(flush: Flush) -> impl Iterator<Item = Flush> {
    let Flush { author, wall_ms, acts } = flush;
    acts.into_iter().map(move |act: Act| Flush { author, wall_ms, acts: vec![act] })
}
