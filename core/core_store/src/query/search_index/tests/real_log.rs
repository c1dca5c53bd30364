//! On the real log, if it is at hand.
use super::{Model, Pair};
use crate::query::search_index::{Query, SearchIndex};
use std::io::Read;
use std::path::{Path, PathBuf};

fn log_path() -> Option<PathBuf> {
    let named = std::env::var_os("TERACHAT_DATA").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("shared/data"));
    named
        .into_iter()
        .chain(beside)
        .map(|folder| folder.join("ubuntu-irc.jsonl.gz"))
        .find(|path| path.is_file())
}

fn bodies() -> Option<Vec<String>> {
    let Some(path) = log_path() else {
        eprintln!("SKIPPED: no ubuntu-irc.jsonl.gz; set TERACHAT_DATA to its folder");
        return None;
    };
    let mut lines = String::new();
    let file = std::fs::File::open(path).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut lines).unwrap();
    let body = |line: &str| {
        serde_json::from_str::<serde_json::Value>(line).unwrap()["body"].as_str().unwrap_or("").to_owned()
    };
    Some(lines.lines().map(body).collect())
}

/// Words, pairs, phrases, prefixes and exclusions drawn from the log itself.
fn queries(bodies: &[String], count: usize) -> Vec<String> {
    let mut random = 4711u64;
    let mut draw = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    let mut queries = Vec::new();
    while queries.len() < count {
        let words: Vec<&str> = bodies[draw(bodies.len())].split_whitespace().collect();
        if words.len() < 3 {
            continue;
        }
        let at = draw(words.len() - 1);
        let (one, two, far) = (words[at], words[at + 1], words[draw(words.len())]);
        let stem: String = one.chars().take(1 + draw(4)).collect();
        queries.push(match draw(7) {
            0 => one.to_owned(),
            1 | 2 => format!("{one} {far}"),
            3 => format!("\"{one} {two}\""),
            4 => format!("{stem}*"),
            5 => format!("{stem}* {far}"),
            _ => format!("{one} -{two}"),
        });
    }
    queries
}

#[test]
fn equals_a_naive_scan_of_the_log() {
    let Some(bodies) = bodies() else { return };
    let mut pair = Pair { index: SearchIndex::new(3), model: Model::default(), next: 0 };
    for (n, body) in bodies.iter().enumerate() {
        pair.add(body);
        if n % 30_000 == 29_999 {
            pair.index.freeze().unwrap();
        }
    }
    let queries = queries(&bodies, 400);
    for query in &queries[..200] {
        pair.compare(query, 50);
    }
    for doc in (0..pair.next).step_by(11) {
        assert_eq!(pair.index.remove(doc), pair.model.remove(doc));
    }
    for query in &queries[200..300] {
        pair.compare(query, 50);
    }
    pair.index.freeze().unwrap();
    let count = pair.index.segments().len();
    pair.index.merge(0..count).unwrap();
    pair.index.verify().unwrap();
    assert_eq!(pair.index.docs(), pair.model.docs());
    for query in &queries[300..] {
        pair.compare(query, usize::MAX);
    }
}

#[test]
fn one_segment_is_under_a_quarter_of_the_text() {
    let Some(bodies) = bodies() else { return };
    let mut index = SearchIndex::new(3);
    bodies.iter().zip(0..).for_each(|(body, doc)| index.add(doc, body).unwrap());
    let text: usize = bodies.iter().map(String::len).sum();
    let segment = index.freeze().unwrap().unwrap().bytes.len();
    assert!(segment * 4 < text, "{segment} of {text}");
    assert_eq!(index.search(&Query::parse("ubuntu"), 10, |_| true, |_| None).unwrap().len(), 10);
}
