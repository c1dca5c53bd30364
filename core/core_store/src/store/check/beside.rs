//! The check of a store that is open and goes on being used: in slices between other work.
use super::{CheckReport, Places, check_snapshot, note_block, note_end};
use crate::Error;
use crate::store::{Audit, BlockRef, LocalStore};

/// A check of an open store, under way. Memory: some 16 bytes a block, then a second store, as [`LocalStore::begin_audit`].
pub struct Checking {
    report: CheckReport,
    places: Places,
    /// Payloads that the last batch still lacks.
    lacks: usize,
    after: Option<BlockRef>,
    /// How often segments had been rewritten when it began.
    rewritten: u32,
    are_blocks_read: bool,
    audit: Option<Audit>,
}

/// How far a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckProgress {
    /// The log is read: so many bytes of so many.
    Blocks {
        /// Bytes.
        done: u64,
        /// Bytes.
        of: u64,
    },
    /// All is replayed from genesis: so many events of so many.
    Replay {
        /// Events.
        done: usize,
        /// Events.
        of: usize,
    },
}

impl LocalStore {
    /// Begins what [`LocalStore::check`] does, of this store while it goes on being used, to be gone on with in slices. An audit
    /// that is under way already is gone on with rather than begun a second time.
    pub fn begin_check(&self, audit: Option<Audit>) -> Checking {
        Checking {
            report: CheckReport::default(),
            places: Places::default(),
            lacks: 0,
            after: None,
            rewritten: self.log.rewritten(),
            are_blocks_read: false,
            audit,
        }
    }

    /// Reads or replays about `len` bytes more (the snapshot and the text indexes at once), and gives the report once all is
    /// checked, what was committed meanwhile included. It reads the log again when that was compacted meanwhile. What is lost, and
    /// an audit's alarm, let nothing be written any more: see [`LocalStore::halt`].
    ///
    /// # Errors
    /// As [`LocalStore::check`].
    pub fn go_on_checking(
        &mut self,
        checking: &mut Checking,
        len: usize,
    ) -> Result<Option<CheckReport>, Error> {
        if checking.are_blocks_read {
            return self.replay_checked(checking, len);
        }
        if checking.rewritten != self.log.rewritten() {
            *checking = self.begin_check(checking.audit.take());
        }
        if !self.read_checked(checking, len) {
            return Ok(None);
        }
        // The log was read to its end, so index and log are of one moment.
        let Checking { report, places, lacks, .. } = checking;
        note_end(*lacks, report);
        report.bytes = self.log.bytes();
        check_snapshot(&self.log, report)?;
        if let Some(loss) = report.findings.iter().find(|finding| finding.is_loss) {
            let what = loss.what.clone();
            self.halt(&what);
            return Ok(Some(std::mem::take(report)));
        }
        self.check_index(places, report);
        self.check_texts(report)?;
        checking.places = Places::default();
        checking.are_blocks_read = true;
        Ok(None)
    }

    /// How far it is.
    pub fn check_progress(&self, checking: &Checking) -> CheckProgress {
        if checking.are_blocks_read {
            let of = self.logs().iter().map(|log| self.len(log)).sum();
            return CheckProgress::Replay {
                done: checking.audit.as_ref().map_or(0, Audit::events).min(of),
                of,
            };
        }
        let done = checking.after.map_or(0, |after| self.log.bytes_before(after));
        CheckProgress::Blocks { done, of: self.log.bytes() }
    }

    /// Whether it came to the end of the log.
    fn read_checked(&self, checking: &mut Checking, len: usize) -> bool {
        let Checking { report, places, lacks, after, .. } = checking;
        let mut blocks = match self.log.blocks(*after) {
            Ok(blocks) => blocks,
            Err(error) => {
                report.lose(&error);
                return true;
            }
        };
        let mut done = 0;
        while done < len {
            let Some(block) = blocks.next() else { return true };
            match &block {
                Ok(block) => {
                    done += block.body.len();
                    *after = Some(block.at);
                }
                // The way goes on behind it within this slice only: where that is, no good block says.
                Err(_) => done = 0,
            }
            note_block(block, lacks, places, report);
        }
        false
    }

    fn replay_checked(&mut self, checking: &mut Checking, len: usize) -> Result<Option<CheckReport>, Error> {
        let mut audit = match checking.audit.take() {
            Some(audit) => audit,
            None => self.begin_audit()?,
        };
        let Some(audited) = self.go_on_auditing(&mut audit, len)? else {
            checking.audit = Some(audit);
            return Ok(None);
        };
        let mut report = std::mem::take(&mut checking.report);
        self.note_audit(audited, &mut report);
        report.findings.sort_by_key(|finding| !finding.is_loss);
        Ok(Some(report))
    }
}
