use crate::failure::{Failure, Result};
use crate::import::{Batch, Batches, Source};
use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use terachat_client::api::{ImportRecord, Message, Style};

/// The log that the demo imports, and what a device must show of it afterwards.
pub(super) struct Log {
    pub(super) file: PathBuf,
    pub(super) records: Vec<ImportRecord>,
}

/// How often each record occurs: a hash of all that must be kept, counted up by the log and down by what is shown.
#[derive(Debug, Default)]
pub(super) struct Balance {
    counts: BTreeMap<[u8; 32], i64>,
    links: i64,
}

impl Log {
    /// Reads the whole log. Lines that cannot be read are passed over, as the import does it.
    pub(super) fn read(file: &Path) -> Result<Self> {
        let mut batches = Batches::new(Source::open(file)?.reader, 1024);
        let mut records = Vec::new();
        loop {
            match batches.next_batch().map_err(|error| Failure::file("read", file, &error))? {
                Batch::Records(more) => records.extend(more),
                Batch::Bad { .. } => {}
                Batch::End => break,
            }
        }
        if records.len() < 20 {
            let what = format_args!("{} holds {} records", file.display(), records.len());
            return Err(Failure::new(what, "give a log of at least 20, or none for the sample"));
        }
        Ok(Self { file: file.to_owned(), records })
    }

    /// The first `count` lines as they stand in the file, unpacked.
    pub(super) fn lines(file: &Path, count: usize) -> Result<impl Iterator<Item = Vec<u8>>> {
        let mut reader = Source::open(file)?.reader;
        let mut left = count;
        Ok(std::iter::from_fn(move || {
            let mut line = Vec::new();
            left = left.checked_sub(1)?;
            let len = reader.read_until(b'\n', &mut line).ok()?;
            (len > 0).then_some(line)
        }))
    }

    /// What a device must show.
    pub(super) fn balance(&self) -> Balance {
        let mut balance = Balance::default();
        for record in &self.records {
            *balance
                .counts
                .entry(key(record.ts_ms, record.style, &record.author, &record.body))
                .or_default() += 1;
            balance.links += i64::from(record.reply_to.is_some());
        }
        balance
    }

    /// A long word that occurs in exactly one record, and that record: what a search must find.
    pub(super) fn rare_word(&self) -> Option<(String, &ImportRecord)> {
        let mut seen: BTreeMap<String, Option<&ImportRecord>> = BTreeMap::new();
        for record in self.records.iter().filter(|record| record.style == Style::Message) {
            let words = record.body.split(|c: char| !c.is_alphanumeric());
            for word in words.filter(|word| {
                (8..=14).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase())
            }) {
                seen.entry(word.to_owned()).and_modify(|only| *only = None).or_insert(Some(record));
            }
        }
        // Whether a longer word counts as a hit for its beginning is the search's affair: take one that begins no other.
        let words: Vec<(String, Option<&ImportRecord>)> = seen.into_iter().collect();
        let unique = words.windows(2).filter(|pair| !pair[1].0.starts_with(&pair[0].0));
        unique
            .filter_map(|pair| pair[0].1.map(|record| (pair[0].0.clone(), record)))
            .max_by_key(|(word, _)| word.len())
    }
}

impl Balance {
    /// Takes a shown message off.
    pub(super) fn take(&mut self, message: &Message) {
        *self.counts.entry(key(message.ts_ms, message.style, &message.author, &message.body)).or_default() -=
            1;
        self.links -= i64::from(message.reply_to.is_some());
    }

    /// Records that are missing, shown too often, and reply links too few.
    pub(super) fn difference(&self) -> (i64, i64, i64) {
        let lost = self.counts.values().filter(|count| **count > 0).sum();
        let doubled: i64 = self.counts.values().filter(|count| **count < 0).sum();
        (lost, -doubled, self.links)
    }
}

fn key(ts_ms: i64, style: Style, author: &str, body: &str) -> [u8; 32] {
    let mut hash = blake3::Hasher::new();
    hash.update(&ts_ms.to_le_bytes()).update(&[style as u8]).update(&(author.len() as u64).to_le_bytes());
    *hash.update(author.as_bytes()).update(body.as_bytes()).finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Log {
        Log::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/demo/sample.jsonl"))).unwrap()
    }

    fn shown(record: &ImportRecord) -> Message {
        Message {
            id: String::new(),
            space: String::new(),
            channel: String::new(),
            author: record.author.clone(),
            user: String::new(),
            ts_ms: record.ts_ms,
            style: record.style,
            body: record.body.clone(),
            edited: false,
            reply_to: record.reply_to.map(|to| to.to_string()),
            reactions: vec![],
            pinned: false,
            deleted: false,
            missing: false,
            sealed: false,
            begins: false,
            imported: true,
            depth: 0,
            title: None,
            tags: vec![],
            mentions: vec![],
            attachments: vec![],
            read_by: vec![],
        }
    }

    #[test]
    fn the_sample_is_whole_and_varied() {
        let log = sample();
        let lines = Log::lines(&log.file, usize::MAX).unwrap().count();
        assert_eq!(log.records.len(), lines, "every line can be read");
        assert!(lines >= 60);
        for style in [Style::Message, Style::Action, Style::Join, Style::Leave, Style::Rename] {
            assert!(log.records.iter().any(|record| record.style == style), "{style:?}");
        }
        assert!(log.rare_word().is_some());
    }

    #[test]
    fn the_balance_tells_what_is_lost_and_doubled() {
        let log = sample();
        let mut balance = log.balance();
        log.records.iter().for_each(|record| balance.take(&shown(record)));
        assert_eq!(balance.difference(), (0, 0, 0));
        balance.take(&shown(&log.records[3]));
        assert_eq!(balance.difference(), (0, 1, -1));
        let mut balance = log.balance();
        log.records[1..].iter().for_each(|record| balance.take(&shown(record)));
        assert_eq!(balance.difference().0, 1);
    }
}
