//! tantivy and SQLite FTS5 at the same texts and, where their rules are the same, the same queries.
use super::{LIMIT, NAME, percentiles};
use crate::measure::time;
use crate::report::Figure;
use anyhow::Result;
use rusqlite::Connection;
use tantivy::collector::TopDocs;
use tantivy::query::QueryParser;
use tantivy::schema::{INDEXED, STORED, Schema, TEXT};
use tantivy::{Index, IndexWriter, TantivyDocument};

/// Kinds of queries that all three understand alike.
const SHARED: [&str; 3] = ["one word", "two words", "three words"];

/// Measures both.
///
/// # Errors
/// Theirs.
pub(super) fn run(bodies: &[&str], queries: &[(&'static str, Vec<String>)]) -> Result<Vec<Figure>> {
    let shared: Vec<(&str, Vec<Vec<String>>)> = queries
        .iter()
        .filter(|(kind, _)| SHARED.contains(kind))
        .map(|(kind, texts)| {
            (*kind, texts.iter().map(|text| words(text)).filter(|words| !words.is_empty()).collect())
        })
        .collect();
    let mut figures = tantivy(bodies, &shared)?;
    figures.extend(sqlite(bodies, &shared)?);
    Ok(figures)
}

/// The words of a query, without anything their query languages would read as more.
fn words(text: &str) -> Vec<String> {
    let plain = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    plain.map(str::to_lowercase).collect()
}

fn tantivy(bodies: &[&str], queries: &[(&str, Vec<Vec<String>>)]) -> Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let mut schema = Schema::builder();
    let (doc, body) = (schema.add_u64_field("doc", INDEXED | STORED), schema.add_text_field("body", TEXT));
    let index = Index::create_in_dir(folder.path(), schema.build())?;
    let (result, add) = time(|| -> Result<()> {
        let mut writer: IndexWriter = index.writer_with_num_threads(1, 64 << 20)?;
        for (n, text) in (0u64..).zip(bodies) {
            let mut document = TantivyDocument::new();
            document.add_u64(doc, n);
            document.add_text(body, text);
            writer.add_document(document)?;
        }
        writer.commit()?;
        Ok(writer.wait_merging_threads()?)
    });
    result?;
    let reader = index.reader()?;
    let searcher = reader.searcher();
    let mut parser = QueryParser::for_index(&index, vec![body]);
    parser.set_conjunction_by_default();
    let mut times = Vec::new();
    for words in queries.iter().flat_map(|(_, list)| list) {
        let text = words.join(" ");
        let best = (0..3).map(|_| {
            let (found, took) = time(|| -> Result<usize> {
                let query = parser.parse_query(&text)?;
                Ok(searcher.search(&query, &TopDocs::with_limit(LIMIT).order_by_score())?.len())
            });
            found.map(|_| took.wall * 1e3)
        });
        times.push(best.collect::<Result<Vec<_>>>()?.into_iter().fold(f64::MAX, f64::min));
    }
    summary("tantivy 0.27", bodies, add.cpu, folder_len(folder.path())?, times)
}

fn sqlite(bodies: &[&str], queries: &[(&str, Vec<Vec<String>>)]) -> Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let mut base = Connection::open(folder.path().join("texts"))?;
    base.execute_batch("CREATE VIRTUAL TABLE texts USING fts5(body, content='');")?;
    let (result, add) = time(|| -> Result<()> {
        let change = base.transaction()?;
        {
            let mut insert = change.prepare("INSERT INTO texts(rowid, body) VALUES (?1, ?2)")?;
            for (n, text) in (0i64..).zip(bodies) {
                insert.execute((n, text))?;
            }
        }
        Ok(change.commit()?)
    });
    result?;
    let mut find = base.prepare("SELECT rowid FROM texts WHERE texts MATCH ?1 ORDER BY rank LIMIT ?2")?;
    let mut times = Vec::new();
    for words in queries.iter().flat_map(|(_, list)| list) {
        let text = words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" ");
        let best = (0..3).map(|_| {
            let (found, took) = time(|| -> Result<usize> {
                let rows = find.query_map((&text, LIMIT as i64), |row| row.get::<_, i64>(0))?;
                Ok(rows.collect::<Result<Vec<_>, _>>()?.len())
            });
            found.map(|_| took.wall * 1e3)
        });
        times.push(best.collect::<Result<Vec<_>>>()?.into_iter().fold(f64::MAX, f64::min));
    }
    summary("SQLite FTS5", bodies, add.cpu, folder_len(folder.path())?, times)
}

fn summary(name: &str, bodies: &[&str], add: f64, len: u64, times: Vec<f64>) -> Result<Vec<Figure>> {
    let text: usize = bodies.iter().map(|body| body.len()).sum();
    let mut figures = vec![
        Figure::once(
            NAME,
            format!("{name}: add, all in one, a message"),
            "us",
            add / bodies.len() as f64 * 1e6,
        ),
        Figure::once(NAME, format!("{name}: bytes over the text"), "x", len as f64 / text as f64),
    ];
    figures.extend(percentiles(&format!("{name}, one to three words"), times));
    Ok(figures)
}

fn folder_len(folder: &std::path::Path) -> Result<u64> {
    let entries = std::fs::read_dir(folder)?;
    entries.map(|entry| Ok(entry?.metadata()?.len())).sum()
}
