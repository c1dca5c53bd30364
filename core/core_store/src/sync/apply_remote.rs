use super::bundle::Opened;
use super::{Batch, Bundle};
use crate::model::{ControlOp, ControlTransaction};
use crate::store::{Fork, Staging, Trust};
use crate::{Error, LocalStore, Wait};
use std::collections::BTreeSet;
use std::ops::Range;
use terachat_event::{Branch, DeviceId, Equivocation, LogId, STEPS_MAX, Step, prefix};
use terachat_vault::SecretBytes;

const PROOF_PREFIX: &[u8] = b"proof/";

/// What became of a bundle that was not refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Its new events are durable and visible.
    Applied {
        /// Positions of the new events in their log.
        new: Range<u32>,
        /// Events that were here already.
        known: usize,
    },
    /// It cannot be judged yet; nothing changed.
    Waits(Wait),
    /// It proves that devices signed two events with one number. The proofs are durable, the chains frozen, and
    /// nothing else of the bundle was taken.
    Equivocated(Vec<Equivocation>),
}

impl LocalStore {
    /// Takes in a bundle from a peer, whole or not at all: judged, durable, visible, in this order.
    ///
    /// # Errors
    /// A refusal with its reason: the peer is broken or lying. [`Error::Store`]: it can be tried again. Nothing changed.
    pub fn apply_remote(&mut self, bundle: &Bundle) -> Result<Outcome, Error> {
        let batch = &bundle.batch;
        if let Some(wait) = self.misses(batch) {
            return Ok(Outcome::Waits(wait));
        }
        let key = self.epoch_key(&batch.log, batch.key.as_ref());
        if let (Some(id), None) = (&batch.key, &key) {
            return Ok(Outcome::Waits(Wait::Epoch(id.epoch)));
        }
        let Opened { chunks, frames } = bundle.open(key.as_deref())?;
        if let Some(wait) = self.unadmitted(batch, &chunks) {
            return Ok(Outcome::Waits(wait));
        }
        match self.stage(batch, &chunks, Trust::Peer) {
            Ok(Staging::Ready(staged)) => {
                let known = staged.fresh.iter().filter(|fresh| !**fresh).count();
                if known == batch.events.len() {
                    let end = self.index(&batch.log).map_or(0, |index| index.len());
                    return Ok(Outcome::Applied { new: end..end, known });
                }
                let new = self.accept(batch, &chunks, &frames, &staged, Vec::new())?;
                Ok(Outcome::Applied { new, known })
            }
            Ok(Staging::Waits(wait)) => Ok(Outcome::Waits(wait)),
            Ok(Staging::Forked(forks)) => self.freeze_forks(&batch.log, forks),
            Ok(Staging::NeedsHashes) => {
                Err(Error::Corrupt("hashes were recomputed and are still missing".to_owned()))
            }
            // An honest author who built on the branch that is not here seems to have signed something else.
            Err(Error::Event(terachat_event::Error::Signature(event))) if self.touches_frozen(batch) => {
                Ok(Outcome::Waits(Wait::Event(event)))
            }
            Err(error) => Err(error),
        }
    }

    /// Takes in a proof of equivocation from a peer.
    ///
    /// # Errors
    /// [`Error::Event`] when it proves nothing. `false` when it says nothing new.
    pub fn apply_proof(&mut self, proof: &Equivocation) -> Result<bool, Error> {
        let seq = proof.verify()?;
        let Some(logs) = self.spaces.get(&proof.log.space) else { return Ok(false) };
        let known = logs.frozen.get(&(proof.log, proof.author)).is_some_and(|from| *from <= seq);
        if known || !logs.control.state().devices.contains_key(&proof.author) {
            return Ok(false);
        }
        let write =
            (proof_name(&proof.log, &proof.author), Some(SecretBytes::take(seq.to_le_bytes().to_vec())));
        self.write_records(vec![write])?;
        self.freeze(&proof.log, proof.author, seq)?;
        Ok(true)
    }

    /// Makes the proofs on disk count again after opening.
    pub(crate) fn restore_frozen(&mut self) -> Result<(), Error> {
        let known: Vec<(LogId, DeviceId, u64)> =
            self.records(PROOF_PREFIX).filter_map(|(name, value)| parse_proof(name, value)).collect();
        for (log, author, seq) in known {
            self.freeze(&log, author, seq)?;
        }
        Ok(())
    }

    fn freeze(&mut self, log: &LogId, author: DeviceId, seq: u64) -> Result<(), Error> {
        let Some(logs) = self.spaces.get_mut(&log.space) else { return Ok(()) };
        let from = logs.frozen.entry((*log, author)).or_insert(seq);
        *from = seq.min(*from);
        if log.channel.is_none() {
            logs.control.freeze(author, seq);
        }
        for id in logs.recut() {
            self.rebuild(log.space, &id)?;
        }
        Ok(())
    }

    /// What the batch needs that is not here, as far as its description tells.
    fn misses(&mut self, batch: &Batch) -> Option<Wait> {
        let log = batch.log;
        let Some(logs) = self.spaces.get_mut(&log.space) else {
            let founds = log.channel.is_none()
                && batch.authors.iter().any(|author| author.count > 0 && author.first_seq == 1);
            return (!founds).then_some(Wait::Space(log.space));
        };
        let channel = log.channel?;
        if !logs.control.state().channels.contains_key(&channel) {
            return Some(Wait::Channel(channel));
        }
        let control = &logs.control;
        let heads = batch.controls.iter().flatten().find(|head| !control.contains(head));
        if let Some(unknown) = heads {
            return Some(Wait::Control(*unknown));
        }
        let frozen = batch.authors.iter().find(|author| {
            let last = author.first_seq + u64::from(author.count);
            author.count > 0 && logs.frozen.get(&(log, author.device)).is_some_and(|from| last > *from)
        });
        if let Some(author) = frozen {
            return Some(Wait::Author(author.device));
        }
        batch
            .authors
            .iter()
            .find(|author| author.count > 0 && !control.names(&author.device))
            .map(|author| Wait::Author(author.device))
    }

    /// An author of control events whom neither this space nor the batch itself admits.
    fn unadmitted(&self, batch: &Batch, chunks: &[Vec<u8>]) -> Option<Wait> {
        if batch.log.channel.is_some() {
            return None;
        }
        let known = self.control(&batch.log.space);
        let admits = |device: &DeviceId| known.is_some_and(|control| control.names(device));
        let authors = batch.authors.iter().filter(|author| author.count > 0);
        let strangers: BTreeSet<DeviceId> =
            authors.map(|author| author.device).filter(|device| !admits(device)).collect();
        if strangers.is_empty() {
            return None;
        }
        // Only somebody who is known before vouches for somebody new; the founder is known by founding.
        let mut vouched: BTreeSet<DeviceId> = BTreeSet::new();
        let mut payloads = crate::store::Payloads::new(batch, chunks);
        for (at, event) in batch.events.iter().enumerate() {
            let payload = payloads.next(at, event);
            let author = batch.authors[event.author as usize].device;
            let Ok(transaction) = ControlTransaction::decode(payload) else { continue };
            for op in transaction.0 {
                match op {
                    ControlOp::Genesis { owner, .. }
                        if known.is_none() && at == 0 && owner.device == author =>
                    {
                        vouched.insert(author);
                    }
                    ControlOp::Admit { card, .. } if admits(&author) || vouched.contains(&author) => {
                        vouched.insert(card.device);
                    }
                    _ => {}
                }
            }
        }
        strangers.difference(&vouched).next().map(|device| Wait::Author(*device))
    }

    fn touches_frozen(&self, batch: &Batch) -> bool {
        let Some(logs) = self.spaces.get(&batch.log.space) else { return false };
        batch.authors.iter().any(|author| logs.frozen.contains_key(&(batch.log, author.device)))
    }

    fn freeze_forks(&mut self, log: &LogId, forks: Vec<Fork>) -> Result<Outcome, Error> {
        let mut proofs = Vec::new();
        for fork in forks {
            let event = terachat_event::EventRef { author: fork.author, seq: fork.seq };
            let own = self.own_branch(log, &fork)?;
            if own.steps.len() > STEPS_MAX || fork.branch.steps.len() > STEPS_MAX {
                return Err(Error::Replay(event));
            }
            let proof = Equivocation { log: *log, author: fork.author, branches: [own, fork.branch] };
            self.apply_proof(&proof)?;
            proofs.push(proof);
        }
        Ok(Outcome::Equivocated(proofs))
    }

    /// This device's branch of a forked chain, from the fork to its signed head.
    fn own_branch(&self, log: &LogId, fork: &Fork) -> Result<Branch, Error> {
        let index = self.index(log).ok_or(Error::Unknown("the log"))?;
        let head = index.head(&fork.author).ok_or(Error::Unknown("the chain"))?;
        let mut steps = Vec::new();
        let mut previous = None;
        let (mut header, mut scratch) = (Vec::new(), Vec::new());
        for at in index.positions_from(&fork.author, fork.seq).iter().take(STEPS_MAX + 1) {
            let before = match index.predecessor(*at) {
                Some(before) => index.hash(before),
                None => Some(index.start_of(*at)),
            };
            let before = before
                .ok_or_else(|| Error::Corrupt("a hash is missing after it was recomputed".to_owned()))?;
            previous.get_or_insert(before);
            index.header(*at, |parent| index.hash(parent), &mut header).ok_or_else(|| {
                Error::Corrupt("a parent's hash is missing after it was recomputed".to_owned())
            })?;
            let payload_hash = self.hash_payload(index, *at, &prefix(&before, &header), &mut scratch)?;
            steps.push(Step { header: header.clone(), payload_hash });
        }
        let previous = previous.ok_or(Error::Unknown("the forked event"))?;
        Ok(Branch { previous, steps, signature: head.signature })
    }
}

fn proof_name(log: &LogId, author: &DeviceId) -> Vec<u8> {
    let channel = log.channel.map_or([0; 32], |channel| channel.0);
    [PROOF_PREFIX, &log.space.0, &channel, &author.0].concat()
}

fn parse_proof(name: &[u8], value: &[u8]) -> Option<(LogId, DeviceId, u64)> {
    let ids = name.strip_prefix(PROOF_PREFIX)?;
    let id = |at: usize| -> Option<[u8; 32]> { ids.get(at..at + 32)?.try_into().ok() };
    let channel = id(32)?;
    let log = LogId {
        space: terachat_event::SpaceId(id(0)?),
        channel: (channel != [0; 32]).then_some(terachat_event::ChannelId(channel)),
    };
    Some((log, DeviceId(id(64)?), u64::from_le_bytes(value.try_into().ok()?)))
}
