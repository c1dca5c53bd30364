use super::{LINE_LEN_MAX, Lines, Unreadable, parse};
use std::io::{self, BufRead};
use terachat_client::api::ImportRecord;

/// Most bytes of text in one batch: long messages make a batch end early, so that a forwarded one stays small.
const BATCH_LEN_MAX: usize = 4 * 1024 * 1024;

/// What the file gave next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Batch {
    /// Records to be made durable together; never empty.
    Records(Vec<ImportRecord>),
    /// A line that is no record. Everything before it has been given; what follows can be asked for.
    Bad {
        /// Its number, from 1.
        number: u64,
        /// Why.
        reason: Unreadable,
    },
    /// The end of the file.
    End,
}

/// Cuts a log into batches.
pub(crate) struct Batches<R> {
    lines: Lines<R>,
    line: Vec<u8>,
    last_id: u64,
    batch_max: usize,
    fingerprint: Option<u64>,
    waiting: Option<io::Result<Batch>>,
}

impl<R: BufRead> Batches<R> {
    /// Batches of up to `batch_max` records.
    pub(crate) fn new(reader: R, batch_max: usize) -> Self {
        Self {
            lines: Lines::new(reader),
            line: Vec::new(),
            last_id: 0,
            batch_max,
            fingerprint: None,
            waiting: None,
        }
    }

    /// What tells this log from others: a hash of its first line. A log that has grown since, or comes compressed, or
    /// through a pipe, is the same log; 0 before the first [`Batches::next_batch`] and for an empty one.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint.unwrap_or(0)
    }

    /// The next batch, bad line or end.
    ///
    /// # Errors
    /// What reading failed with. Records read before it have been given.
    pub(crate) fn next_batch(&mut self) -> io::Result<Batch> {
        if let Some(batch) = self.waiting.take() {
            return batch;
        }
        let (mut records, mut len) = (Vec::new(), 0);
        while records.len() < self.batch_max && len < BATCH_LEN_MAX {
            match self.next_record() {
                Ok(Ok(record)) => {
                    len += self.line.len();
                    records.push(record);
                }
                other => {
                    let other = other.map(|no_record| no_record.err().unwrap_or(Batch::End));
                    if records.is_empty() {
                        return other;
                    }
                    self.waiting = Some(other);
                    break;
                }
            }
        }
        Ok(Batch::Records(records))
    }

    fn next_record(&mut self) -> io::Result<Result<ImportRecord, Batch>> {
        let Some(number) = self.lines.next_line(&mut self.line)? else { return Ok(Err(Batch::End)) };
        self.fingerprint.get_or_insert_with(|| fingerprint(&self.line));
        if self.line.len() > LINE_LEN_MAX {
            let reason = Unreadable(format!("it is longer than {} KiB", LINE_LEN_MAX / 1024));
            return Ok(Err(Batch::Bad { number, reason }));
        }
        Ok(match parse(&self.line, self.last_id) {
            Ok(record) => {
                self.last_id = record.id;
                Ok(record)
            }
            Err(reason) => Err(Batch::Bad { number, reason }),
        })
    }
}

fn fingerprint(line: &[u8]) -> u64 {
    let hash = blake3::hash(line.trim_ascii());
    let first = hash.as_bytes().first_chunk().expect("a hash has 32 bytes");
    u64::from_le_bytes(*first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(id: u64) -> String {
        format!(r#"{{"id":{id},"ts":"2004-12-25T09:14:00Z","type":"message","author":"a","body":"b"}}"#)
            + "\n"
    }

    fn ids(batch: &Batch) -> Vec<u64> {
        let Batch::Records(records) = batch else { panic!("{batch:?}") };
        records.iter().map(|record| record.id).collect()
    }

    #[test]
    fn what_stands_before_a_bad_line_comes_first() {
        let text = [line(1), line(2), "oops\n".into(), line(3), line(3), line(4)].concat();
        let mut batches = Batches::new(text.as_bytes(), 10);
        assert_eq!(ids(&batches.next_batch().unwrap()), [1, 2]);
        assert!(matches!(batches.next_batch().unwrap(), Batch::Bad { number: 3, .. }));
        assert_eq!(ids(&batches.next_batch().unwrap()), [3]);
        assert!(matches!(batches.next_batch().unwrap(), Batch::Bad { number: 5, .. }));
        assert_eq!(ids(&batches.next_batch().unwrap()), [4]);
        assert_eq!(batches.next_batch().unwrap(), Batch::End);
    }

    #[test]
    fn batches_are_bounded() {
        let text: String = (1..=5).map(line).collect();
        let mut batches = Batches::new(text.as_bytes(), 2);
        let sizes: Vec<usize> = (0..3).map(|_| ids(&batches.next_batch().unwrap()).len()).collect();
        assert_eq!(sizes, [2, 2, 1]);
    }

    #[test]
    fn a_log_that_grew_is_the_same_log() {
        let of = |text: String| {
            let mut batches = Batches::new(text.as_bytes(), 1);
            batches.next_batch().unwrap();
            batches.fingerprint()
        };
        assert_eq!(of(line(1)), of("\n".to_owned() + &line(1) + &line(2)));
        assert_ne!(of(line(1)), of(line(2)));
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic_or_loop(text in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut batches = Batches::new(text.as_slice(), 3);
            for _ in 0..=text.len() + 1 {
                if batches.next_batch().unwrap() == Batch::End {
                    return Ok(());
                }
            }
            prop_assert!(false, "more batches than bytes");
        }
    }
}
