use super::commit_log::StoredBlock;
use super::local_store::{DROP, META, RECORDS, read_drop};
use super::records;
use super::storage::MemoryStorage;
use super::validator::{Staging, Trust};
use super::{BlockRef, CommitLog, Error as StoreError, LocalStore, Storage};
use crate::Error;
use crate::model::{ControlEvent, Verdict, vouched};
use crate::sync::{Batch, Frames, Limits, decode_batch};
use terachat_event::LogId;
use terachat_vault::{Entropy, Secret, SecretBytes};

/// What an audit of the whole store found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Events replayed.
    pub events: usize,
    /// Chains followed.
    pub chains: usize,
    /// Signatures verified.
    pub signatures: usize,
    /// State hashes by log.
    pub logs: Vec<LogAudit>,
    /// Every mismatch in words; not empty means the red alarm.
    pub alarm: Vec<String>,
}

/// One log of a [`Report`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogAudit {
    /// The log.
    pub log: LogId,
    /// Events in it.
    pub events: usize,
    /// Hash of the state in use.
    pub kept: [u8; 32],
    /// Hash of the state replayed from genesis.
    pub replayed: [u8; 32],
}

/// An audit under way: what was replayed so far, in a store of its own.
pub struct Audit {
    replica: LocalStore,
    after: Option<BlockRef>,
    /// How often segments had been rewritten when it began.
    rewritten: u32,
    report: Report,
}

impl Audit {
    /// Events replayed so far.
    pub fn events(&self) -> usize {
        self.report.events
    }
}

impl LocalStore {
    /// Replays everything on disk from genesis as if a stranger had sent it, verifying every hash, signature and
    /// certificate, and compares the states that result: Hash(state) == Hash(replay(all events)).
    ///
    /// Findings are in the report's alarm; they are not errors. With any, the store takes no more writes until it is opened
    /// anew: see [`LocalStore::halt`].
    ///
    /// # Errors
    /// [`Error::Store`] when the disk cannot be read at all.
    pub fn audit_state_integrity(&mut self) -> Result<Report, Error> {
        let mut audit = self.begin_audit()?;
        loop {
            if let Some(report) = self.go_on_auditing(&mut audit, usize::MAX)? {
                return Ok(report);
            }
        }
    }

    /// Begins what [`LocalStore::audit_state_integrity`] does, to be gone on with in slices between other work. Takes
    /// memory for a second store until it is done.
    ///
    /// # Errors
    /// As [`LocalStore::audit_state_integrity`].
    pub fn begin_audit(&mut self) -> Result<Audit, Error> {
        let replica = self.empty_replica()?;
        Ok(Audit { replica, after: None, rewritten: self.log.rewritten(), report: Report::default() })
    }

    /// Replays about `len` bytes more, and what belongs to the last of them; gives the report once it has caught up with
    /// what was committed meanwhile. It begins again when the log was compacted meanwhile.
    ///
    /// # Errors
    /// As [`LocalStore::audit_state_integrity`].
    pub fn go_on_auditing(&mut self, audit: &mut Audit, len: usize) -> Result<Option<Report>, Error> {
        if audit.rewritten != self.log.rewritten() {
            *audit = self.begin_audit()?;
        }
        match self.replay_into(audit, len) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => audit.report.alarm.push(error.to_string()),
        }
        let mut report = std::mem::take(&mut audit.report);
        self.compare(&mut audit.replica, &mut report)?;
        self.check_certificates(&mut report)?;
        if let Some(alarm) = report.alarm.first() {
            self.halt(alarm);
        }
        Ok(Some(report))
    }

    /// Checks what was committed after `after`, with every hash and signature, against the state in use, and gives up to
    /// where that is. Costs as much as what is new; what an audit compares besides, it does not.
    ///
    /// # Errors
    /// As [`LocalStore::audit_state_integrity`].
    pub fn audit_news(&mut self, after: Option<BlockRef>) -> Result<(Report, Option<BlockRef>), Error> {
        let mut report = Report::default();
        if let Err(error) = self.check_news(after, &mut report) {
            report.alarm.push(error.to_string());
        }
        for log in self.logs() {
            // Reads the messages that have changed.
            if let Err(error) = self.state_hash(&log) {
                report.alarm.push(format!("the state of {} cannot be read: {error}", name(&log)));
            }
        }
        if let Some(alarm) = report.alarm.first() {
            self.halt(alarm);
        }
        Ok((report, self.log.last()))
    }

    /// The last block of the log: what [`LocalStore::audit_news`] goes on from after an audit of everything.
    pub fn last_block(&self) -> Option<BlockRef> {
        self.log.last()
    }

    /// How often the log was compacted: a block that was named before may be gone when it changes.
    pub fn times_compacted(&self) -> u32 {
        self.log.rewritten()
    }

    fn check_news(&mut self, after: Option<BlockRef>, report: &mut Report) -> Result<(), Error> {
        let blocks: Vec<StoredBlock> = self.log.blocks(after)?.collect::<Result<_, _>>()?;
        let mut blocks = blocks.into_iter();
        while let Some(block) = blocks.next() {
            if block.kind != META {
                continue;
            }
            let (batch, chunks) = read_batch(block, &mut blocks.by_ref().map(Ok))?;
            let frozen = self.index(&batch.log).is_some_and(|index| !index.frozen.is_empty());
            match self.stage(&batch, &chunks, Trust::Audit)? {
                Staging::Ready(staged) if !staged.fresh.contains(&true) => {}
                // Both branches of a fork are in the log.
                Staging::Forked(_) if frozen => {}
                _ => return Err(Error::Corrupt("a batch on disk is not in the state in use".to_owned())),
            }
            report.events += batch.events.len();
            report.signatures += batch.authors.iter().filter(|author| author.count > 0).count();
        }
        Ok(())
    }

    fn compare(&self, replica: &mut LocalStore, report: &mut Report) -> Result<(), Error> {
        replica.restore_frozen()?;
        for log in self.logs() {
            let kept = self.state_hash(&log)?;
            let replayed = match replica.state_hash(&log) {
                Ok(hash) => hash,
                Err(error) => {
                    report.alarm.push(format!("the replay has no state for log {log:?}: {error}"));
                    [0; 32]
                }
            };
            if kept != replayed {
                report.alarm.push(format!("the state of {} differs from its replay", name(&log)));
            }
            if kept != self.state_hash_anew(&log)? {
                report.alarm.push(format!("the hashes kept of {} are not those of its state", name(&log)));
            }
            if self.frontier(&log) != replica.frontier(&log) {
                report.alarm.push(format!("the heads of {} differ from their replay", name(&log)));
            }
            report.logs.push(LogAudit { log, events: self.len(&log), kept, replayed });
            report.chains += replica.frontier(&log).map_or(0, |frontier| frontier.chains.len());
        }
        Ok(())
    }

    /// A store in memory that knows this one's epoch secrets and proofs, and no events.
    pub(super) fn empty_replica(&mut self) -> Result<LocalStore, Error> {
        let key = Secret::generate(|out| self.entropy.fill(out));
        let storage: Box<dyn Storage> = Box::new(MemoryStorage::new());
        let entropy = Echo(self.seed());
        let (log, _) = CommitLog::open(storage, &key, &mut *self.entropy)?;
        let mut replica = LocalStore::over(log, Box::new(entropy));
        replica.records.apply(records::decode(self.records.encode_all().expose_secret())?);
        Ok(replica)
    }

    /// Whether it came to the end of the log.
    fn replay_into(&self, audit: &mut Audit, len: usize) -> Result<bool, Error> {
        let Audit { replica, after, report, .. } = audit;
        let mut blocks = self.log.blocks(*after)?;
        let mut done = 0;
        while done < len {
            let Some(block) = blocks.next() else { return Ok(true) };
            let block = block?;
            *after = Some(block.at);
            done += block.body.len();
            match block.kind {
                RECORDS => {
                    // Of epochs that came since this began. What was deleted is of use for what stands between.
                    let body = SecretBytes::take(block.body);
                    let mut writes = records::decode(body.expose_secret())?;
                    writes.retain(|(name, value)| value.is_some() && super::keyring::is_secret(name));
                    replica.records.apply(writes);
                }
                META => {
                    let (batch, chunks) = read_batch(
                        block,
                        &mut blocks.by_ref().map(|block| {
                            let block = block?;
                            *after = Some(block.at);
                            Ok(block)
                        }),
                    )?;
                    done += chunks.iter().map(Vec::len).sum::<usize>();
                    match replica.stage(&batch, &chunks, Trust::Audit)? {
                        Staging::Ready(staged) => {
                            report.events += staged.fresh.iter().filter(|fresh| **fresh).count();
                            report.signatures +=
                                batch.authors.iter().filter(|author| author.count > 0).count();
                            replica.accept(&batch, &chunks, &Frames::default(), &staged, Vec::new())?;
                        }
                        Staging::Waits(wait) => return Err(Error::Corrupt(format!("a stored batch {wait}"))),
                        _ => return Err(Error::Corrupt("a stored batch contradicts its chain".to_owned())),
                    }
                }
                DROP => replica.clear_log(&read_drop(&block.body)?),
                _ => return Err(Error::Corrupt("a block of unknown kind".to_owned())),
            }
        }
        Ok(false)
    }

    /// What users and devices signed inside control events is checked when those come; here it is checked again for all
    /// that count.
    fn check_certificates(&self, report: &mut Report) -> Result<(), Error> {
        for space in self.spaces.keys() {
            let Some(control) = self.control(space)? else { continue };
            let counting: Vec<&ControlEvent> = control
                .events()
                .filter(|(_, verdict)| *verdict == Verdict::Counts)
                .map(|(event, _)| event)
                .collect();
            let genuine = vouched(counting.iter().map(|event| &event.transaction));
            for (event, _) in counting.iter().zip(genuine).filter(|(_, genuine)| !genuine) {
                report.alarm.push(format!(
                    "event {} counts and holds a card or revocation that nobody signed",
                    event.stamp.event()
                ));
            }
        }
        Ok(())
    }
}

/// A batch with the payloads that stand behind it.
fn read_batch(
    meta: StoredBlock,
    blocks: &mut impl Iterator<Item = Result<StoredBlock, StoreError>>,
) -> Result<(Batch, Vec<Vec<u8>>), Error> {
    let batch = decode_batch(&meta.body, Limits { events: 1 << 22, payload_len: 1 << 30 })?;
    let mut chunks = Vec::new();
    for _ in batch.chunk_ends() {
        let chunk = blocks.next().ok_or_else(|| Error::Corrupt("a batch lacks payloads".to_owned()))??;
        chunks.push(chunk.body);
    }
    Ok((batch, chunks))
}

fn name(log: &LogId) -> String {
    match &log.channel {
        None => format!("space {}", log.space.short()),
        Some(channel) => format!("channel {} of space {}", channel.short(), log.space.short()),
    }
}

/// Randomness for a replica that nobody ever reads from disk: it only has to differ, not to be secret.
struct Echo(u64);

impl Entropy for Echo {
    fn fill(&mut self, out: &mut [u8]) {
        self.0 = self.0.wrapping_add(1);
        blake3::Hasher::new_derive_key("terachat 2026-11 audit replica")
            .update(&self.0.to_le_bytes())
            .finalize_xof()
            .fill(out);
    }
}

#[cfg(test)]
mod tests;
