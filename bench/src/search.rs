//! Full text: time to add, size of segments, time to find.
#[cfg(feature = "oracles")]
mod oracles;
pub(crate) mod queries;

use crate::measure::{Spread, percentile, time};
use crate::report::Figure;
use crate::workload::Workload;
use anyhow::{Context, Result};
use queries::queries;
use terachat_core_store::query::search_index::{Query, SearchIndex, highlight};

const NAME: &str = "search";
/// Messages between two segments of a live index.
const SEGMENT: usize = 4096;
/// Best results asked for.
const LIMIT: usize = 50;
const P50_AIM_MS: f64 = 0.3;
const P99_AIM_MS: f64 = 1.0;

/// Measures.
///
/// # Errors
/// The index's.
pub(crate) fn run(workload: &Workload, runs: usize) -> Result<Vec<Figure>> {
    let bodies: Vec<&str> = workload.records.iter().map(|record| record.body.as_str()).collect();
    let (count, text) = (bodies.len() as f64, workload.text_len() as f64);
    // What a machine of this speed takes to touch each byte, without an index.
    let touch = Spread::of((0..runs).map(|_| {
        time(|| std::hint::black_box(bodies.iter().flat_map(|body| body.bytes()).map(u64::from).sum::<u64>()))
            .1
            .cpu
    }));
    let mut add = Vec::new();
    let mut whole = SearchIndex::new(4711);
    for _ in 0..runs {
        whole = SearchIndex::new(4711);
        let (result, took) = time(|| (0..).zip(&bodies).try_for_each(|(doc, body)| whole.add(doc, body)));
        result?;
        add.push(took.cpu);
    }
    let add = Spread::of(add);
    let in_memory = whole.memory();
    let (len, freeze) =
        time(|| whole.freeze().map(|segment| segment.map_or(0, |segment| segment.bytes.len())));
    let len = len?;
    let segments: Vec<Vec<u8>> = whole.segments().map(|segment| segment.bytes.to_vec()).collect();
    let open = Spread::of((0..runs).map(|_| time(|| SearchIndex::open(1, segments.clone()).is_ok()).1.wall));
    let (live, grow) = time(|| grow(&bodies));
    let live = live?;
    let live_len: usize = live.segments().map(|segment| segment.bytes.len()).sum();
    let mut figures = vec![
        Figure::new(NAME, "add, all in one, CPU time a message", "us", add.per(count / 1e6))
            .beside("a pass over the bytes", touch.median / count * 1e6),
        Figure::once(NAME, "add, all in one, memory", "MB", in_memory as f64 / 1e6),
        Figure::once(NAME, "freeze, a message", "us", freeze.cpu / count * 1e6),
        Figure::once(NAME, "one segment over the text", "x", len as f64 / text).at_most(0.25),
        Figure::new(NAME, "open one segment, copying its bytes", "ms", open.per(1e-3)),
        Figure::once(
            NAME,
            "live: add, freeze every 4,096, merge when due, a message",
            "us",
            grow.cpu / count * 1e6,
        )
        .at_most(50.0),
        Figure::once(NAME, "live: segments over the text", "x", live_len as f64 / text).at_most(0.25),
    ];
    let queries = queries(&bodies);
    for (name, index) in [("one segment", &whole), ("live", &live)] {
        figures.extend(find(name, index, &bodies, &queries)?);
    }
    let query = Query::parse("the install*");
    let marked = bodies.len().min(10_000);
    let mark = Spread::of((0..runs).map(|_| {
        time(|| bodies.iter().take(marked).map(|body| highlight(body, &query).len()).sum::<usize>()).1.cpu
    }));
    figures.push(Figure::new(NAME, "highlight a message", "us", mark.per(marked as f64 / 1e6)));
    #[cfg(feature = "oracles")]
    figures.extend(oracles::run(&bodies, &queries)?);
    Ok(figures)
}

/// An index as it grows while people talk.
fn grow(bodies: &[&str]) -> Result<SearchIndex> {
    let mut live = SearchIndex::new(4711);
    let mut doc = 0;
    for part in bodies.chunks(SEGMENT) {
        for body in part {
            live.add(doc, body)?;
            doc += 1;
        }
        live.freeze()?;
        while let Some(range) = live.merge_due() {
            live.merge(range)?;
        }
    }
    Ok(live)
}

fn find(
    name: &str,
    index: &SearchIndex,
    bodies: &[&str],
    queries: &[(&'static str, Vec<String>)],
) -> Result<Vec<Figure>> {
    let (mut figures, mut all) = (Vec::new(), Vec::new());
    for (kind, texts) in queries {
        let mut times = Vec::new();
        for text in texts {
            let best = (0..3).map(|_| {
                let (found, took) = time(|| {
                    let body = |doc: u32| bodies.get(doc as usize).map(|body| (*body).to_owned());
                    index.search(&Query::parse(text), LIMIT, |_| true, body).map(|hits| hits.len())
                });
                found.map(|_| took.wall * 1e3)
            });
            let best = best.collect::<Result<Vec<_>, _>>().with_context(|| format!("searching {text}"))?;
            times.push(best.into_iter().fold(f64::MAX, f64::min));
        }
        all.extend_from_slice(&times);
        figures.extend(percentiles(&format!("{name}, {kind}"), times));
    }
    let mut figures_all = percentiles(&format!("{name}, all {} queries", all.len()), all);
    if let [p50, p99] = &mut figures_all[..] {
        p50.aim = Some(crate::report::Aim { bound: P50_AIM_MS, held: p50.value.median <= P50_AIM_MS });
        p99.aim = Some(crate::report::Aim { bound: P99_AIM_MS, held: p99.value.median <= P99_AIM_MS });
    }
    figures.extend(figures_all);
    Ok(figures)
}

fn percentiles(name: &str, mut times: Vec<f64>) -> Vec<Figure> {
    times.sort_by(f64::total_cmp);
    [("p50", 0.5), ("p99", 0.99)]
        .map(|(at, share)| Figure::once(NAME, format!("find, {name}, {at}"), "ms", percentile(&times, share)))
        .into()
}
