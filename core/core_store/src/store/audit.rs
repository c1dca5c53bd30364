use super::local_store::{META, RECORDS};
use super::storage::MemoryStorage;
use super::validator::{Staging, Trust};
use super::{CommitLog, LocalStore, Storage};
use crate::Error;
use crate::model::ControlOp;
use crate::sync::{Frames, Limits, decode_batch};
use terachat_event::LogId;
use terachat_vault::{Entropy, Secret};

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

impl LocalStore {
    /// Replays everything on disk from genesis as if a stranger had sent it, verifying every hash, signature and
    /// certificate, and compares the states that result: Hash(state) == Hash(replay(all events)).
    ///
    /// Changes nothing. Findings are in the report's alarm; they are not errors.
    ///
    /// # Errors
    /// [`Error::Store`] when the disk cannot be read at all.
    pub fn audit_state_integrity(&mut self) -> Result<Report, Error> {
        let mut report = Report::default();
        let mut replica = self.empty_replica()?;
        if let Err(error) = self.replay_into(&mut replica, &mut report) {
            report.alarm.push(error.to_string());
        }
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
            if self.frontier(&log) != replica.frontier(&log) {
                report.alarm.push(format!("the heads of {} differ from their replay", name(&log)));
            }
            report.logs.push(LogAudit { log, events: self.len(&log), kept, replayed });
        }
        self.check_certificates(&mut report)?;
        Ok(report)
    }

    /// A store in memory that knows this one's epoch secrets and proofs, and no events.
    fn empty_replica(&mut self) -> Result<LocalStore, Error> {
        let key = Secret::generate(|out| self.entropy.fill(out));
        let storage: Box<dyn Storage> = Box::new(MemoryStorage::new());
        let entropy = Echo(self.seed());
        let (log, _) = CommitLog::open(storage, &key, &mut *self.entropy)?;
        let mut replica = LocalStore::over(log, Box::new(entropy));
        replica.records.apply(super::records::decode(self.records.encode_all().expose_secret())?);
        Ok(replica)
    }

    fn replay_into(&self, replica: &mut LocalStore, report: &mut Report) -> Result<(), Error> {
        let mut blocks = self.log.blocks(None)?.peekable();
        while let Some(block) = blocks.next() {
            let block = block?;
            match block.kind {
                RECORDS => {}
                META => {
                    let batch = decode_batch(&block.body, Limits { events: 1 << 22, payload_len: 1 << 30 })?;
                    let mut chunks = Vec::new();
                    let mut refs = vec![block.at];
                    for _ in batch.chunk_ends() {
                        let chunk = blocks
                            .next()
                            .ok_or_else(|| Error::Corrupt("a batch lacks payloads".to_owned()))??;
                        refs.push(chunk.at);
                        chunks.push(chunk.body);
                    }
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
                _ => return Err(Error::Corrupt("a block of unknown kind".to_owned())),
            }
        }
        report.chains = replica
            .logs()
            .iter()
            .filter_map(|log| replica.frontier(log))
            .map(|frontier| frontier.chains.len())
            .sum();
        Ok(())
    }

    /// Whoever admitted a card vouched for its certificate; here that is checked.
    fn check_certificates(&self, report: &mut Report) -> Result<(), Error> {
        for space in self.spaces.keys() {
            let Some(control) = self.control(space)? else { continue };
            for (event, _) in control.events() {
                for op in &event.transaction.0 {
                    if let ControlOp::Admit { card, .. } | ControlOp::Genesis { owner: card, .. } = op
                        && !card.is_genuine()
                    {
                        report.alarm.push(format!(
                            "event {} admits a device its user never vouched for",
                            event.stamp.event()
                        ));
                    }
                }
            }
        }
        Ok(())
    }
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
