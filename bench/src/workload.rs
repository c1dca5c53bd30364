//! The conversation every measure runs on: the real log where it is at hand, otherwise one of the same shape.
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};
use terachat_core_store::model::Style;

/// The real log's file name, in the folder that `TERACHAT_DATA` names or in `shared/data` beside the repository.
const FILE: &str = "ubuntu-irc.jsonl.gz";
/// The real log's figures: what a made-up one imitates.
const RECORDS: usize = 219_329;
const AUTHORS: usize = 24_275;

/// One record of the log.
#[derive(Clone)]
pub(crate) struct Record {
    /// Index into [`Workload::authors`].
    pub(crate) author: u32,
    /// Milliseconds since 1970.
    pub(crate) ts_ms: i64,
    /// How it is to be read.
    pub(crate) style: Style,
    /// Its text.
    pub(crate) body: String,
    /// Index of an earlier record that it answers.
    pub(crate) reply_to: Option<u32>,
}

/// A conversation.
pub(crate) struct Workload {
    /// Where it is from, for the report.
    pub(crate) origin: String,
    /// Names by first appearance.
    pub(crate) authors: Vec<String>,
    /// Records in the log's order.
    pub(crate) records: Vec<Record>,
    /// Names the content: caches are kept under it.
    pub(crate) fingerprint: String,
}

impl Workload {
    /// The real log, or a made-up one with a message that says so; `records` cuts it short.
    ///
    /// # Errors
    /// A log that is there and cannot be read.
    pub(crate) fn load(limit: Option<usize>) -> Result<Self> {
        let mut workload = match find() {
            Some(path) => read(&path).with_context(|| format!("reading {}", path.display()))?,
            None => {
                eprintln!(
                    "SKIPPED the real log: no {FILE} in $TERACHAT_DATA or in shared/data beside the repository. \
                     Measuring a made-up log of the same shape; its figures are not those of real text."
                );
                made_up(RECORDS, AUTHORS)
            }
        };
        if let Some(limit) = limit.filter(|limit| *limit < workload.records.len()) {
            workload.records.truncate(limit);
            let authors = workload.records.iter().map(|record| record.author + 1).max().unwrap_or(0);
            // Authors stand by first appearance, so a start of the log needs a start of the list.
            workload.authors.truncate(authors as usize);
            workload.fingerprint = format!("{}-{limit}", workload.fingerprint);
        }
        Ok(workload)
    }

    /// The beginning of it, as long as no more than `authors` have spoken.
    pub(crate) fn start(&self, authors: usize) -> Self {
        let records: Vec<Record> =
            self.records.iter().take_while(|record| (record.author as usize) < authors).cloned().collect();
        Self {
            origin: self.origin.clone(),
            authors: self.authors.iter().take(authors).cloned().collect(),
            fingerprint: format!("{}-{authors}a", self.fingerprint),
            records,
        }
    }

    /// Bytes of text.
    pub(crate) fn text_len(&self) -> usize {
        self.records.iter().map(|record| record.body.len()).sum()
    }
}

fn find() -> Option<PathBuf> {
    let given = std::env::var_os("TERACHAT_DATA").map(PathBuf::from);
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).to_owned();
    // A worktree's `.git` is a file that names the repository it belongs to.
    let home = here
        .ancestors()
        .find_map(|folder| std::fs::read_to_string(folder.join(".git")).ok())
        .and_then(|link| Some(PathBuf::from(link.trim().strip_prefix("gitdir: ")?)));
    let beside = [Some(here), home]
        .into_iter()
        .flatten()
        .flat_map(|start| start.ancestors().map(|folder| folder.join("shared/data")).collect::<Vec<_>>());
    given.into_iter().chain(beside).map(|folder| folder.join(FILE)).find(|path| path.is_file())
}

#[derive(Deserialize)]
struct Line {
    id: u64,
    ts: String,
    #[serde(rename = "type")]
    style: Style,
    author: String,
    #[serde(default)]
    body: String,
    reply_to: Option<u64>,
}

fn read(path: &Path) -> Result<Workload> {
    let packed = std::fs::read(path)?;
    let fingerprint = blake3::hash(&packed).to_hex()[..16].to_owned();
    let mut lines = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut lines)?;
    let mut workload =
        Workload { origin: FILE.to_owned(), authors: Vec::new(), records: Vec::new(), fingerprint };
    let mut authors: HashMap<String, u32> = HashMap::new();
    let mut places: BTreeMap<u64, u32> = BTreeMap::new();
    for line in lines.lines() {
        let line: Line = serde_json::from_str(line)?;
        let next = u32::try_from(authors.len())?;
        let author = *authors.entry(line.author).or_insert_with_key(|name| {
            workload.authors.push(name.clone());
            next
        });
        let reply_to = line.reply_to.and_then(|id| places.get(&id).copied());
        places.insert(line.id, u32::try_from(workload.records.len())?);
        workload.records.push(Record {
            author,
            ts_ms: parse_ts(&line.ts).context("a time that is not RFC 3339")?,
            style: line.style,
            body: line.body,
            reply_to,
        });
    }
    Ok(workload)
}

/// `2004-12-25T09:14:00Z` as milliseconds since 1970.
fn parse_ts(ts: &str) -> Option<i64> {
    let number = |from: usize, to: usize| ts.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    // Days from civil (Howard Hinnant): years begin in March, so that the leap day is the last.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some((((days * 24 + number(11, 13)?) * 60 + number(14, 16)?) * 60 + number(17, 19)?) * 1000)
}

/// A log whose authors, lengths, answers and word frequencies fall about as the real one's.
pub(crate) fn made_up(records: usize, authors: usize) -> Workload {
    let mut state = 4711u64;
    let mut draw = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits") % below.max(1)
    };
    let mut seen = 0u32;
    let list = (0..records).map(|at| {
        // Newcomers arrive evenly; the rest of the talk falls to few (rank falls with the square).
        let due = (at as u64 * authors as u64 / records as u64) as u32;
        let author = if seen <= due {
            seen += 1;
            seen - 1
        } else {
            let share = draw(1 << 15) as f64 / f64::from(1 << 15);
            (share * share * share * f64::from(seen)) as u32
        };
        let words = 1 + draw(8) + draw(12);
        let body = (0..words).map(|_| word(&mut draw)).collect::<Vec<_>>().join(" ");
        let reply_to = (at > 0 && draw(13) < 3).then(|| (at - 1 - draw(at.min(30))) as u32);
        let ts_ms = 1_103_966_040_000 + at as i64 / 4 * 60_000;
        Record { author, ts_ms, style: Style::Message, body, reply_to }
    });
    let records: Vec<Record> = list.collect();
    Workload {
        origin: "made up".to_owned(),
        authors: (0..seen).map(|n| format!("author{n}")).collect(),
        records,
        fingerprint: "made-up-1".to_owned(),
    }
}

fn word(draw: &mut impl FnMut(usize) -> usize) -> String {
    let rank = 50_000.0_f64.powf(draw(65_536) as f64 / 65_536.0) as u32;
    (0..1 + rank.ilog2() / 3).map(|at| char::from(b'a' + (rank >> (at * 4)) as u8 % 26)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(parse_ts("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse_ts("2004-12-25T09:14:00Z"), Some(1_103_966_040_000));
        assert_eq!(parse_ts("2016-02-29T23:59:59Z"), Some(1_456_790_399_000));
        assert_eq!(parse_ts("yesterday"), None);
    }

    #[test]
    fn what_is_made_up_has_the_shape() {
        let log = made_up(20_000, 2_200);
        assert_eq!((log.records.len(), log.authors.len()), (20_000, 2_200));
        assert!(log.records.iter().enumerate().all(|(at, record)| {
            (record.author as usize) < log.authors.len()
                && record.reply_to.is_none_or(|to| (to as usize) < at)
        }));
        let mean = log.text_len() / log.records.len();
        assert!((40..80).contains(&mean), "{mean}");
    }
}
