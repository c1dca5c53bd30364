//! What the search index costs on a real log: time to add, size of segments, time to search, memory.
//!
//! `cargo run --release --example search_cost [LOG.jsonl.gz] [add|freeze|search]`; without a log one is made up.
//! A third argument does only that part, for counting instructions (`perf stat -e instructions:u`).
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::cast_possible_truncation)]

use std::io::Read;
use std::time::Instant;
use terachat_core_store::query::search_index::{Query, SearchIndex, highlight};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let bodies = arguments.next().map_or_else(made_up, |path| read(&path));
    let only = arguments.next();
    let is_on = |part: &str| only.as_deref().is_none_or(|only| only == part);
    let text: usize = bodies.iter().map(String::len).sum();
    println!("log: {} messages, {text} bytes of text", bodies.len());
    if only.as_deref() == Some("none") {
        return;
    }

    // The same pass over the text without an index: what a machine of this speed takes to touch each byte.
    let touch = best_of(7, || bodies.iter().flat_map(|body| body.bytes()).map(u64::from).sum::<u64>());
    let mut index = SearchIndex::new(4711);
    let rounds = if only.is_some() { 1 } else { 7 };
    let add = best_of(rounds, || {
        index = SearchIndex::new(4711);
        bodies.iter().zip(0..).for_each(|(body, doc)| index.add(doc, body).unwrap());
    });
    let count = bodies.len() as f64;
    println!(
        "add, all in one: {:.3} µs a message ({:.1} x a pass over the bytes), {:.1} MB in memory",
        add / count * 1e6,
        add / touch,
        index.memory() as f64 / 1e6
    );
    if only.as_deref() == Some("add") {
        return;
    }
    let freeze = Instant::now();
    let len = index.freeze().unwrap().unwrap().bytes.len();
    println!(
        "freeze: {:.3} µs a message; segment {len} bytes, {:.1} % of the text",
        freeze.elapsed().as_secs_f64() / count * 1e6,
        100.0 * len as f64 / text as f64
    );
    let whole: Vec<Vec<u8>> = index.segments().map(|segment| segment.bytes.to_vec()).collect();
    let open = best_of(7, || index = SearchIndex::open(1, whole.clone()).unwrap());
    println!("open: {:.3} ms, copying its bytes included", open * 1e3);
    if only.as_deref() == Some("freeze") {
        return;
    }

    let mut live = SearchIndex::new(4711);
    let (mut most, mut adding) = (0, 0.0);
    let begin = Instant::now();
    for (nth, bodies) in bodies.chunks(4096).enumerate() {
        let add = Instant::now();
        for (body, doc) in bodies.iter().zip(nth as u32 * 4096..) {
            live.add(doc, body).unwrap();
        }
        adding += add.elapsed().as_secs_f64();
        most = most.max(live.memory());
        live.freeze().unwrap();
        while let Some(range) = live.merge_due() {
            live.merge(range).unwrap();
        }
    }
    println!("live, add alone: {:.3} µs a message", adding / count * 1e6);
    let bytes: usize = live.segments().map(|segment| segment.bytes.len()).sum();
    println!(
        "live, a segment every 4,096 messages, merged when due: {:.3} µs a message; {} segments, {bytes} bytes, {:.1} % of the text; at most {:.2} MB unsealed",
        begin.elapsed().as_secs_f64() / count * 1e6,
        live.segments().len(),
        100.0 * bytes as f64 / text as f64,
        most as f64 / 1e6
    );
    if is_on("search") {
        let queries = queries(&bodies);
        let mut unsealed = SearchIndex::new(4711);
        bodies.iter().zip(0..).for_each(|(body, doc)| unsealed.add(doc, body).unwrap());
        for (name, index) in [("one segment", &index), ("live", &live), ("unsealed", &unsealed)] {
            search(name, index, &bodies, &queries);
        }
        let query = Query::parse("the install*");
        let mark = best_of(7, || {
            bodies.iter().take(10_000).map(|body| highlight(body, &query).len()).sum::<usize>()
        });
        println!("highlight: {:.2} µs a message", mark / 1e4 * 1e6);
    }
}

fn search(name: &str, index: &SearchIndex, bodies: &[String], queries: &[(&str, Vec<String>)]) {
    let mut all = Vec::new();
    for (kind, queries) in queries {
        let mut times: Vec<f64> = queries
            .iter()
            .map(|text| {
                best_of(3, || {
                    let query = Query::parse(text);
                    index.search(&query, 50, |_| true, |doc| bodies.get(doc as usize).cloned()).unwrap().len()
                })
            })
            .collect();
        all.extend_from_slice(&times);
        println!("search, {name}, {kind}: {}", percentiles(&mut times));
    }
    println!("search, {name}, all: {}", percentiles(&mut all));
}

fn percentiles(times: &mut [f64]) -> String {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize] * 1e3;
    format!(
        "p50 {:.3} ms, p99 {:.3} ms, worst {:.3} ms ({} queries)",
        at(0.5),
        at(0.99),
        at(1.0),
        times.len()
    )
}

/// Queries drawn from the log: what people search for is what people wrote.
fn queries(bodies: &[String]) -> Vec<(&'static str, Vec<String>)> {
    let mut random = 4711u64;
    let mut draw = move |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    let kinds = [
        "one word",
        "two words",
        "three words",
        "phrase of two",
        "phrase of three",
        "prefix of 1 to 4",
        "word and prefix",
        "word without another",
    ];
    let mut queries: Vec<(&str, Vec<String>)> = kinds.map(|kind| (kind, Vec::new())).into();
    while queries[0].1.len() < 300 {
        let words: Vec<&str> = bodies[draw(bodies.len())].split_whitespace().collect();
        if words.len() < 4 {
            continue;
        }
        let at = draw(words.len() - 2);
        let (a, b, c, far) = (words[at], words[at + 1], words[at + 2], words[draw(words.len())]);
        let stem: String = a.chars().take(1 + draw(4)).collect();
        let texts = [
            a.to_owned(),
            format!("{a} {far}"),
            format!("{a} {b} {far}"),
            format!("\"{a} {b}\""),
            format!("\"{a} {b} {c}\""),
            format!("{stem}*"),
            format!("{far} {stem}*"),
            format!("{a} -{b}"),
        ];
        queries.iter_mut().zip(texts).for_each(|((_, queries), text)| queries.push(text));
    }
    // The hard ones: frequent words that hardly ever stand so, or exclude each other.
    let hard = [
        "\"the to\"",
        "\"is the the\"",
        "\"a i\"",
        "a* b* c*",
        "a* -the -to -i -is",
        "the to a i is it you",
        "-a* -t* -i*",
        "e* zzz*",
    ];
    queries.push(("hard", hard.map(str::to_owned).into()));
    queries
}

fn best_of<T>(rounds: usize, mut run: impl FnMut() -> T) -> f64 {
    let time = |_| {
        let begin = Instant::now();
        std::hint::black_box(run());
        begin.elapsed().as_secs_f64()
    };
    (0..rounds).map(time).fold(f64::MAX, f64::min)
}

fn read(path: &str) -> Vec<String> {
    let mut lines = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut lines).unwrap();
    let body = |line: &str| {
        serde_json::from_str::<serde_json::Value>(line).unwrap()["body"].as_str().unwrap_or("").to_owned()
    };
    lines.lines().map(body).collect()
}

/// 200,000 messages of words whose frequencies fall as in a language.
fn made_up() -> Vec<String> {
    let mut random = 1u64;
    let mut draw = move || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        random >> 33
    };
    let mut word = move || {
        let rank = 50_000.0_f64.powf((draw() % 65_536) as f64 / 65_536.0) as u64;
        (0..1 + rank.ilog2() / 3)
            .map(|at| char::from(b'a' + (rank >> (at * 4)) as u8 % 26))
            .collect::<String>()
    };
    (0..200_000).map(|n| (0..3 + n % 13).map(|_| word()).collect::<Vec<_>>().join(" ")).collect()
}
