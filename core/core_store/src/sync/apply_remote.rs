use super::bundle::Opened;
use super::{Batch, BatchAuthor, Bundle};
use crate::model::{ControlOp, ControlTransaction};
use crate::store::{Fork, Staging, Trust};
use crate::{Error, LocalStore, Wait};
use std::collections::BTreeSet;
use std::ops::Range;
use terachat_event::{Branch, DeviceId, Equivocation, LogId, STEPS_MAX, SpaceId, Step, prefix};
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
    Equivocated {
        /// The proofs: whoever sent the bundle should have them.
        proofs: Vec<Equivocation>,
        /// Whether one of them says something new here.
        is_news: bool,
    },
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
        let Some(index) = logs.index(&proof.log) else { return Ok(false) };
        let known = index.frozen.get(&proof.author).is_some_and(|from| *from <= seq);
        if known || !logs.control.state().devices.contains_key(&proof.author) {
            return Ok(false);
        }
        let value = SecretBytes::take(proof.encode());
        self.write_records(vec![(proof_name(&proof.log, &proof.author), Some(value))])?;
        self.freeze(&proof.log, proof.author, seq)?;
        Ok(true)
    }

    /// The proofs of equivocation that are kept for a space, to be shown to peers.
    pub fn proofs(&self, space: &SpaceId) -> Vec<Equivocation> {
        let prefix = [PROOF_PREFIX, &space.0].concat();
        self.records(&prefix).filter_map(|(_, value)| Equivocation::decode(value).ok()).collect()
    }

    /// Makes the proofs on disk count again after opening.
    pub(crate) fn restore_frozen(&mut self) -> Result<(), Error> {
        let proofs = self.spaces().collect::<Vec<_>>().into_iter().flat_map(|space| self.proofs(&space));
        for proof in proofs.collect::<Vec<_>>() {
            self.freeze(&proof.log, proof.author, proof.verify()?)?;
        }
        Ok(())
    }

    fn freeze(&mut self, log: &LogId, author: DeviceId, seq: u64) -> Result<(), Error> {
        // The end of what counts is named by its hash from now on, and may lie far back.
        self.recompute_hashes(log)?;
        let Some(logs) = self.spaces.get_mut(&log.space) else { return Ok(()) };
        let Some(index) = logs.index_mut(log) else { return Ok(()) };
        let from = index.frozen.entry(author).or_insert(seq);
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
        if let Some(index) = logs.index(&log) {
            // What is before a fork may still be missing here; what is behind it nobody needs.
            let goes_on = |author: &&BatchAuthor| {
                let known = index.head(&author.device).map_or(0, |head| head.seq);
                let last = author.first_seq + u64::from(author.count) - 1;
                author.count > 0
                    && last > known
                    && index.frozen.get(&author.device).is_some_and(|from| known + 1 >= *from)
            };
            if let Some(author) = batch.authors.iter().find(goes_on) {
                return Some(Wait::Frozen(author.device));
            }
        }
        let channel = log.channel?;
        if !logs.control.state().channels.contains_key(&channel) {
            return Some(Wait::Channel(channel));
        }
        let control = &logs.control;
        let heads = batch.controls.iter().flatten().find(|head| !control.contains(head));
        if let Some(unknown) = heads {
            return Some(Wait::Control(*unknown));
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
        let Some(index) = self.index(&batch.log) else { return false };
        batch.authors.iter().any(|author| index.frozen.contains_key(&author.device))
    }

    fn freeze_forks(&mut self, log: &LogId, forks: Vec<Fork>) -> Result<Outcome, Error> {
        let (mut proofs, mut is_news) = (Vec::new(), false);
        for fork in forks {
            let event = terachat_event::EventRef { author: fork.author, seq: fork.seq };
            let own = self.own_branch(log, &fork)?;
            if own.steps.len() > STEPS_MAX || fork.branch.steps.len() > STEPS_MAX {
                return Err(Error::Replay(event));
            }
            let proof = Equivocation { log: *log, author: fork.author, branches: [own, fork.branch] };
            is_news |= self.apply_proof(&proof)?;
            proofs.push(proof);
        }
        Ok(Outcome::Equivocated { proofs, is_news })
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
