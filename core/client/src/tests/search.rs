//! Searches of the real log through the whole client, against a scan of its lines.
use super::*;
use std::io::Read;
use std::path::{Path, PathBuf};
use terachat_core_store::query::search_index::Query;

struct Line {
    id: u64,
    author: String,
    ts: String,
    body: String,
}

fn lines() -> Option<Vec<Line>> {
    let named = std::env::var_os("TERACHAT_DATA").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("shared/data"));
    let name = "ubuntu-irc-small.jsonl.gz";
    let Some(path) =
        named.into_iter().chain(beside).map(|folder| folder.join(name)).find(|path| path.is_file())
    else {
        eprintln!("SKIPPED: no {name}; set TERACHAT_DATA to its folder");
        return None;
    };
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let line = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
        Line { id: value["id"].as_u64().unwrap(), author: text("author"), ts: text("ts"), body: text("body") }
    };
    Some(text.lines().map(line).collect())
}

/// A query of words from the log, what it asks of author and time beside, and whether these are excluded.
fn query(
    lines: &[Line],
    draw: &mut impl FnMut(usize) -> usize,
) -> (String, String, Option<String>, [Option<String>; 2]) {
    let line = &lines[draw(lines.len())];
    let words: Vec<&str> = line.body.split_whitespace().collect();
    let words = match (draw(5), &words[..]) {
        (0, [one, ..]) => (*one).to_owned(),
        (1, [one, two, ..]) => format!("\"{one} {two}\""),
        (2, [one, ..]) => format!("{}*", one.chars().take(3).collect::<String>()),
        (3, [one, .., last]) => format!("{one} -{last}"),
        (_, [one, .., last]) => format!("{one} {last}"),
        _ => "the".to_owned(),
    };
    let author = (draw(2) == 0).then(|| line.author.clone());
    let mut date = |odds| (draw(odds) == 0).then(|| lines[draw(lines.len())].ts[..16].to_owned());
    let (after, before) = (date(3), date(3));
    let mut all = words.clone();
    author.iter().for_each(|author| all.push_str(&format!(" author:\"{author}\"")));
    after.iter().for_each(|after| all.push_str(&format!(" after:{after}")));
    before.iter().for_each(|before| all.push_str(&format!(" before:{before}")));
    (all, words, author, [after, before])
}

#[test]
fn searches_find_what_a_scan_of_the_log_finds() {
    let Some(lines) = lines() else { return };
    let mut world = club(&["ada"]);
    for part in lines.chunks(1_000) {
        let records = part.iter().map(|line| ImportRecord {
            id: line.id,
            ts_ms: crate::filters::time_of(line.ts.trim_end_matches('Z')).unwrap(),
            style: Style::Message,
            author: line.author.clone(),
            body: line.body.clone(),
            reply_to: None,
        });
        world.ask("ada", Request::Import { place: place(), source: 1, records: records.collect() });
    }
    let mut random = 815u64;
    let mut draw = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    let mut found = 0;
    for _ in 0..300 {
        let (all, words, author, [after, before]) = query(&lines, &mut draw);
        let Answer::Hits { hits } =
            world.ask("ada", Request::Search { place: Place::default(), query: all.clone(), limit: 10_000 })
        else {
            panic!()
        };
        let words = Query::parse(&words);
        let bodies = |mut bodies: Vec<String>| {
            bodies.sort();
            bodies
        };
        // Times in this form compare as texts do.
        let naive = lines.iter().filter(|line| {
            words.accepts(&line.body)
                && author.as_ref().is_none_or(|author| line.author.eq_ignore_ascii_case(author))
                && after.as_ref().is_none_or(|after| line.ts >= *after)
                && before.as_ref().is_none_or(|before| line.ts < *before)
        });
        let expected = bodies(naive.map(|line| line.body.clone()).collect());
        found += expected.len();
        for hit in &hits {
            assert!(
                hit.highlights.iter().all(|(from, to)| hit
                    .message
                    .body
                    .get(*from..*to)
                    .is_some_and(|text| !text.is_empty())),
                "{all}"
            );
        }
        assert_eq!(bodies(hits.into_iter().map(|hit| hit.message.body).collect()), expected, "{all}");
    }
    assert!(found > 1_000, "{found} hits: the queries ask for nothing");
}
