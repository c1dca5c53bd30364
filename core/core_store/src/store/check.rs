//! Is all that is on the disk as it was left, and does it fit together? `terachat store check`.
mod beside;

use super::commit_log::StoredBlock;
use super::local_store::{CHUNK, DROP, LocalStore, META, RECORDS, read_drop};
use super::{BlockRef, CommitLog, Error as StoreError, Report, Storage, records};
use crate::Error;
use crate::query::search_index::SearchIndex;
use crate::sync::{Limits, decode_batch};
pub use beside::{CheckProgress, Checking};
use std::collections::BTreeSet;
use terachat_vault::{Entropy, Secret, SecretBytes};

/// What a check of everything found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// Blocks of the log that were read.
    pub blocks: usize,
    /// Bytes of the log.
    pub bytes: u64,
    /// Parts of the snapshot that were read.
    pub snapshot_parts: usize,
    /// What is damaged, worst first; empty when all is well.
    pub findings: Vec<Finding>,
    /// The replay, if the log could be read whole.
    pub audit: Option<Report>,
}

/// Something damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What, and where.
    pub what: String,
    /// What to do about it.
    pub next: String,
    /// Whether conversation is lost with it; otherwise it is made anew from the log.
    pub is_loss: bool,
}

/// The file that is made anew from the log.
const SNAPSHOT: &str = "snapshot";
const RESTORE: &str = "check the disk, keep the folder, and restore it from a backup, or make a new profile and fetch the \
                       conversation from another device";
const REBUILD: &str = "remove the file \"snapshot\" from the folder; it is made anew from the log";
const REINDEX: &str = "nothing: the next search makes it anew from the log";
const MENDED: &str = "nothing: it was made anew from the other one; check the disk";
const REPORT: &str = "keep the folder and report this; another device's copy is not affected";

impl LocalStore {
    /// Reads and checks everything in a storage: every block, its place, its content; every part of the snapshot; the index
    /// against the blocks; the text indexes; and all hashes, signatures and states by an audit. Goes on behind what is
    /// damaged, so that all of it is told.
    ///
    /// Changes nothing but what opening does: an unfinished commit is cut off.
    ///
    /// # Errors
    /// [`Error::Store`] with [`StoreError::WrongKey`], [`StoreError::NewerVersion`] or [`StoreError::Storage`]: nothing can
    /// be said then. Damage is no error.
    pub fn check(
        storage: Box<dyn Storage>,
        key: &Secret<32>,
        mut entropy: Box<dyn Entropy + Send>,
    ) -> Result<CheckReport, Error> {
        let mut report = CheckReport::default();
        let log = match CommitLog::open(storage, key, &mut *entropy) {
            Ok((log, recovered)) => {
                if recovered.secrets_mended {
                    let what = "one of the two files of the segments' secrets was missing or damaged";
                    report.find(&what, MENDED, false);
                }
                log
            }
            Err(
                error @ (StoreError::WrongKey | StoreError::NewerVersion { .. } | StoreError::Storage(_)),
            ) => return Err(error.into()),
            Err(error) => {
                let of_snapshot = matches!(&error, StoreError::Foreign { file } if file == SNAPSHOT);
                report.find(&error, if of_snapshot { REBUILD } else { RESTORE }, !of_snapshot);
                return Ok(report);
            }
        };
        report.bytes = log.bytes();
        let places = check_blocks(&log, &mut report);
        check_snapshot(&log, &mut report)?;
        if report.findings.iter().any(|finding| finding.is_loss) {
            return Ok(report);
        }
        match LocalStore::open(log.into_storage(), key, entropy) {
            Ok(mut store) => {
                store.check_index(&places, &mut report);
                store.check_texts(&mut report)?;
                let audit = store.audit_state_integrity()?;
                store.note_audit(audit, &mut report);
            }
            Err(error) => report.find(&error, RESTORE, true),
        }
        report.findings.sort_by_key(|finding| !finding.is_loss);
        Ok(report)
    }

    fn note_audit(&self, audit: Report, report: &mut CheckReport) {
        if self.reading.is_broken() {
            // What the audit found is a state without it.
            report.find(&"a block of the snapshot was written wrong", REBUILD, false);
        } else {
            audit.alarm.iter().for_each(|alarm| report.find(alarm, REPORT, true));
        }
        report.audit = Some(audit);
    }

    /// Every block that the index names is there, and every batch that is there is in the index.
    fn check_index(&self, places: &Places, report: &mut CheckReport) {
        let mut named = 0;
        let indexes = self.spaces.values().flat_map(|logs| {
            std::iter::once(&logs.control_index).chain(logs.channels.values().map(|channel| &channel.index))
        });
        for index in indexes {
            named += index.metas.len();
            let lost = index.metas.iter().filter(|at| !places.metas.contains(at)).count()
                + index.chunks.iter().filter(|at| !places.chunks.contains(at)).count();
            if lost > 0 {
                let what = format_args!("the index names {lost} blocks that are not in the log");
                report.find(&what, REBUILD, false);
            }
        }
        // Where a crash came while a log was being dropped, the next snapshot goes on with it.
        named += self.dropped_batches();
        if named != places.metas.len() {
            let there = places.metas.len();
            report.find(
                &format_args!("the index names {named} batches, the log holds {there}"),
                REBUILD,
                false,
            );
        }
    }

    fn check_texts(&mut self, report: &mut CheckReport) -> Result<(), Error> {
        let channels: Vec<_> = self
            .spaces
            .iter()
            .flat_map(|(space, logs)| {
                logs.channels.iter().map(|(id, channel)| (*space, *id, channel.stored_search))
            })
            .collect();
        for (space, id, number) in channels {
            let Some(bytes) = number
                .and_then(|number| self.log.snapshot_part(self.snapshot.as_ref()?, number).ok())
                .filter(|bytes| !bytes.is_empty())
            else {
                continue;
            };
            if self.stored_texts(space, id)?.is_none_or(|search| !is_sound(&search)) {
                let len = bytes.len();
                let what = format_args!("the text index of channel {} ({len} bytes) is damaged", id.short());
                report.find(&what, REINDEX, false);
            }
        }
        Ok(())
    }
}

/// Where the log's batches and payloads are.
#[derive(Default)]
struct Places {
    metas: BTreeSet<BlockRef>,
    chunks: BTreeSet<BlockRef>,
}

impl CheckReport {
    fn find(&mut self, what: &impl std::fmt::Display, next: &'static str, is_loss: bool) {
        let text = what.to_string();
        // An error says what to do in its own words; here that is said once, for all of them.
        let what = text.split_once("; ").map_or(text.as_str(), |(what, _)| what).to_owned();
        self.findings.push(Finding { what, next: next.to_owned(), is_loss });
    }

    /// What is not in the log any more, and can only come from elsewhere.
    fn lose(&mut self, what: &impl std::fmt::Display) {
        self.find(what, RESTORE, true);
    }

    /// Whether there is nothing to do.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }
}

fn check_blocks(log: &CommitLog, report: &mut CheckReport) -> Places {
    let mut places = Places::default();
    let blocks = match log.blocks(None) {
        Ok(blocks) => blocks,
        Err(error) => {
            report.find(&error, RESTORE, true);
            return places;
        }
    };
    // Payloads that the last batch still lacks.
    let mut lacks = 0;
    blocks.for_each(|block| note_block(block, &mut lacks, &mut places, report));
    note_end(lacks, report);
    places
}

fn note_block(
    block: Result<StoredBlock, StoreError>,
    lacks: &mut usize,
    places: &mut Places,
    report: &mut CheckReport,
) {
    report.blocks += 1;
    match block {
        Ok(block) => {
            if let Err(what) = check_block(block, lacks, places) {
                report.lose(&what);
            }
        }
        Err(error) => {
            // It may have been one of them.
            *lacks = 0;
            report.lose(&error);
        }
    }
}

fn note_end(lacks: usize, report: &mut CheckReport) {
    if lacks > 0 {
        report.lose(&"the log's last batch lacks payloads");
    }
}

fn check_block(block: StoredBlock, lacks: &mut usize, places: &mut Places) -> Result<(), String> {
    let segment = block.at.segment();
    match block.kind {
        CHUNK if *lacks > 0 => {
            *lacks -= 1;
            places.chunks.insert(block.at);
            Ok(())
        }
        _ if *lacks > 0 => {
            *lacks = 0;
            Err(format!("a batch in segment {segment} lacks payloads"))
        }
        META => {
            let batch = decode_batch(&block.body, Limits { events: 1 << 22, payload_len: 1 << 30 })
                .map_err(|error| format!("a batch in segment {segment} cannot be read: {error}"))?;
            *lacks = batch.chunk_ends().len();
            places.metas.insert(block.at);
            Ok(())
        }
        RECORDS => {
            let body = SecretBytes::take(block.body);
            records::decode(body.expose_secret())
                .map(drop)
                .map_err(|error| format!("records in segment {segment} cannot be read: {error}"))
        }
        DROP => read_drop(&block.body).map(drop).map_err(|error| {
            format!("a word about a dropped log in segment {segment} cannot be read: {error}")
        }),
        CHUNK => Err(format!("payloads in segment {segment} stand behind no batch")),
        kind => Err(format!("a block of the unknown kind {kind} stands in segment {segment}")),
    }
}

fn check_snapshot(log: &CommitLog, report: &mut CheckReport) -> Result<(), Error> {
    let snapshot = match log.snapshot() {
        Ok(Some(snapshot)) => snapshot,
        Ok(None) => return Ok(()),
        Err(error @ StoreError::Snapshot { .. }) => {
            report.find(&error, REBUILD, false);
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    for number in 0..snapshot.parts() {
        match log.snapshot_part(&snapshot, number) {
            Ok(part) => {
                report.snapshot_parts += 1;
                drop(SecretBytes::take(part));
            }
            Err(StoreError::Snapshot { .. }) => {
                let parts = snapshot.parts();
                report.find(
                    &format_args!("part {number} of the snapshot's {parts} is damaged"),
                    REBUILD,
                    false,
                );
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn is_sound(search: &SearchIndex) -> bool {
    search.segments().count() > 0
}

#[cfg(test)]
mod tests;
