//! Whether all is as it was left, and the space it takes.
use crate::audit::{broken, read_from};
use crate::digest::Digest;
use crate::engine::{Id, Space, key};
use crate::row::read_row;
use crate::store::{Head, Store, mark};
use crate::{AuditEntry, AuditReport, CheckReport, Error};

/// Damaged records that a check names.
const DAMAGED_MAX: usize = 1000;

impl Store {
    pub(crate) fn audit_entries(&self, from_seq: u64, limit: usize) -> Result<Vec<AuditEntry>, Error> {
        let mut entries = Vec::new();
        for row in read_from(&self.engine, from_seq) {
            let (seq, row) = row?;
            let (event, _) = self.audit.open(seq, &row)?;
            if !entries.is_empty() && entries.len() + event.entries.len() > limit {
                break;
            }
            entries.extend(event.entries.into_iter().map(|entry| entry.shown(seq)));
            if entries.len() >= limit {
                break;
            }
        }
        Ok(entries)
    }

    pub(crate) fn audit_all(&self) -> Result<AuditReport, Error> {
        let expected = self.writer().head;
        let (mut head, mut entries) = (self.audit.start(), 0);
        for row in read_from(&self.engine, 0) {
            if head == expected {
                break;
            }
            let (seq, row) = row?;
            if seq != head.seq + 1 {
                return Err(broken(head.seq + 1, "it is missing"));
            }
            let (event, next) = self.audit.follow(&head, &row)?;
            entries += event.entries.len() as u64;
            head = next;
        }
        if head != expected {
            return Err(broken(head.seq + 1, "the log ends before its newest event"));
        }
        let signature = self.audit.sign(&head).signature;
        Ok(AuditReport {
            events: head.seq,
            entries,
            head: head.hash.0,
            audit_key: self.audit.id().0,
            signature,
        })
    }

    pub(crate) fn check(&self) -> Result<CheckReport, Error> {
        let (snapshot, expected) = {
            let writer = self.writer();
            (self.engine.db.snapshot(), writer.digest)
        };
        let mut report = CheckReport { records: 0, versions: 0, complete: false, damaged: Vec::new() };
        let mut digest = Digest::default();
        for space in [Space::Records, Space::Versions] {
            for row in self.engine.rows_at(&snapshot, space, &[]) {
                let (row, value) = row?;
                let Some(collection) = row.get(..16).and_then(|id| Id::try_from(id).ok()) else { continue };
                let Some((record, version, sealed)) = read_row(space, &row, &value) else {
                    let error = self.damaged(&collection, &[0; 16], 0, "its row is cut short");
                    note(&mut report.damaged, error);
                    continue;
                };
                let head = if space == Space::Records { Head::read(value.clone()) } else { None };
                let head_mark = head.as_ref().map_or(0, |head| mark(head.last, head.hour));
                digest.add(self.digest_key.version(&collection, &record, version, head_mark, &sealed));
                match self.open_scanned(&collection, &record, version, &sealed) {
                    Ok(_) => {
                        report.versions += 1;
                        report.records += u64::from(head.is_some());
                    }
                    Err(error @ Error::Damaged { .. }) => note(&mut report.damaged, error),
                    Err(error) => return Err(error),
                }
            }
        }
        for row in self.engine.rows_at(&snapshot, Space::Index, &[key::GONE]) {
            let (row, value) = row?;
            digest.add(self.gone_digest(&row, &value));
        }
        report.complete = digest == expected;
        if !report.complete {
            tracing::error!("the records are not those that the audit log tells of");
        }
        Ok(report)
    }

    pub(crate) fn compact(&self) -> Result<(u64, u64), Error> {
        let failed = Error::storage("compact the database");
        let before = self.engine.db.disk_space().map_err(&failed)?;
        self.engine.write_out()?;
        for space in Space::ALL {
            self.engine.space(space).major_compact().map_err(&failed)?;
        }
        let after = self.engine.db.disk_space().map_err(&failed)?;
        Ok((before, after))
    }
}

fn note(damaged: &mut Vec<Error>, error: Error) {
    if damaged.len() < DAMAGED_MAX {
        damaged.push(error);
    }
}
