//! Chains on which a device signed two events with one number: proofs of it, what they void, and what is carried on of the
//! void events (ADR 0003, ADR 0015).
use super::{Batch, Outcome};
use crate::model::{ControlLog, Skeleton};
use crate::store::index::LogIndex;
use crate::store::{Fork, Write};
use crate::{Error, LocalStore};
use terachat_event::{
    Branch, DeviceId, Equivocation, EventHash, EventRef, LogId, STEPS_MAX, SpaceId, Step, prefix,
};
use terachat_vault::SecretBytes;

const PROOF_PREFIX: &[u8] = b"proof/";
const SKELETON_PREFIX: &[u8] = b"skeleton/";
/// Proofs against devices of which nothing is known here yet: anybody can make any number of keys and of proofs.
const STRANGERS_MAX: usize = 1024;

impl LocalStore {
    /// Takes in a proof of equivocation from a peer. It may come before the log it is about, and counts from when that is
    /// here.
    ///
    /// # Errors
    /// [`Error::Event`] when it proves nothing. `false` when it says nothing new.
    pub fn apply_proof(&mut self, proof: &Equivocation) -> Result<bool, Error> {
        let seq = proof.verify()?;
        let name = proof_name(&proof.log, &proof.author);
        let known = self.record(&name).and_then(|bytes| Equivocation::decode(bytes).ok());
        if known.is_some_and(|known| known.verify().is_ok_and(|from| from <= seq)) {
            return Ok(false);
        }
        let space = proof.log.space;
        let named =
            |device: &DeviceId| self.spaces.get(&space).is_some_and(|logs| logs.control.names(device));
        let strangers = || self.proofs(&space).iter().filter(|proof| !named(&proof.author)).count();
        // A backup holds what was within these bounds where it was made, and all of it is needed.
        if !self.bares_opened && !named(&proof.author) && strangers() >= STRANGERS_MAX {
            return Ok(false);
        }
        self.write_records(vec![(name, Some(SecretBytes::take(proof.encode())))])?;
        self.freeze(&proof.log, proof.author, seq)?;
        Ok(true)
    }

    /// The proofs of equivocation that are kept for a space, to be shown to peers.
    pub fn proofs(&self, space: &SpaceId) -> Vec<Equivocation> {
        let prefix = [PROOF_PREFIX, &space.0].concat();
        self.records(&prefix).filter_map(|(_, value)| Equivocation::decode(value).ok()).collect()
    }

    /// Makes the proofs on disk count again after opening. Where there are none, the control log's history stays unread.
    pub(crate) fn restore_frozen(&mut self) -> Result<(), Error> {
        for space in self.spaces().collect::<Vec<_>>() {
            let prefix = [SKELETON_PREFIX, &space.0].concat();
            let kept = self.records(&prefix).filter_map(|(_, value)| Skeleton::from_record(value));
            let kept: Vec<Skeleton> = kept.collect();
            self.know(&space, &kept)?;
            for proof in self.proofs(&space) {
                self.freeze(&proof.log, proof.author, proof.verify()?)?;
            }
        }
        Ok(())
    }

    /// Takes skeletons into a space's control log, as [`ControlLog::know`].
    pub(crate) fn know(&mut self, space: &SpaceId, skeletons: &[Skeleton]) -> Result<(), Error> {
        if skeletons.is_empty() {
            return Ok(());
        }
        let log = LogId::control(*space);
        let bones = skeletons.iter().map(|skeleton| Ok((skeleton.hash(), skeleton.bones(&log)?)));
        let bones = bones.collect::<Result<Vec<_>, Error>>()?;
        if let Some(control) = self.control_mut(space)? {
            control.know(bones);
        }
        Ok(())
    }

    /// Makes proofs count that came before the log they are about.
    pub(crate) fn adopt_proofs(&mut self, space: &SpaceId) -> Result<(), Error> {
        for proof in self.proofs(space) {
            let counts = self.index(&proof.log).is_none_or(|index| index.frozen.contains_key(&proof.author));
            if !counts {
                self.freeze(&proof.log, proof.author, proof.verify()?)?;
            }
        }
        Ok(())
    }

    /// The index of a log of which there are no events yet.
    pub(crate) fn blank_index(&self, log: &LogId) -> LogIndex {
        let mut index = LogIndex::new(*log);
        let proofs = self.proofs(&log.space).into_iter().filter(|proof| proof.log == *log);
        index.frozen = proofs.filter_map(|proof| Some((proof.author, proof.verify().ok()?))).collect();
        index
    }

    /// The control log of a space of which there are no events yet.
    pub(crate) fn blank_control(&self, space: &SpaceId) -> ControlLog {
        let mut control = ControlLog::default();
        let frozen = self.blank_index(&LogId::control(*space)).frozen;
        frozen.into_iter().for_each(|(device, seq)| control.freeze(device, seq));
        control
    }

    fn freeze(&mut self, log: &LogId, author: DeviceId, seq: u64) -> Result<(), Error> {
        // The end of what counts is named by its hash from now on, and may lie far back.
        self.recompute_hashes(log)?;
        if log.channel.is_none() {
            self.control(&log.space)?;
        }
        let Some(logs) = self.spaces.get_mut(&log.space) else { return Ok(()) };
        let Some(index) = logs.index_mut(log) else { return Ok(()) };
        let from = index.frozen.entry(author).or_insert(seq);
        *from = seq.min(*from);
        index.forget_head_sum();
        index.refresh_heads();
        let before = logs.control.shared_state();
        if log.channel.is_none() {
            logs.control.history_mut().freeze(author, seq);
            logs.open_channels();
        }
        self.rejudge(log.space, &before)
    }

    pub(super) fn freeze_forks(&mut self, log: &LogId, forks: Vec<Fork>) -> Result<Outcome, Error> {
        let (mut proofs, mut is_news) = (Vec::new(), false);
        // The own branch may be old, and its events' parents older.
        self.recompute_hashes(log)?;
        for fork in forks {
            let event = EventRef { author: fork.author, seq: fork.seq };
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
        let own = index.positions_from(&fork.author, fork.seq).into_iter().take(STEPS_MAX + 1);
        let links = own.map(|at| self.step(index, at)).collect::<Result<Vec<_>, Error>>()?;
        let previous =
            links.first().map(|(previous, _)| *previous).ok_or(Error::Unknown("the forked event"))?;
        let steps = links.into_iter().map(|(_, step)| step).collect();
        Ok(Branch { previous, steps, signature: head.signature })
    }

    /// What is hashed of the event at this position, and the hash before it. Its parents' hashes are at hand.
    fn step(&self, index: &LogIndex, at: u32) -> Result<(EventHash, Step), Error> {
        let corrupt = || Error::Corrupt("a hash is missing after it was recomputed".to_owned());
        let before = match index.predecessor(at) {
            Some(before) => index.hash(before).ok_or_else(corrupt)?,
            None => index.start_of(at),
        };
        let (mut header, mut scratch) = (Vec::new(), Vec::new());
        index.header(at, |parent| index.hash(parent), &mut header).ok_or_else(corrupt)?;
        let payload_hash = self.hash_payload(index, at, &prefix(&before, &header), &mut scratch)?;
        Ok((before, Step { header, payload_hash }))
    }

    /// The control events behind forks through which the causal past of a batch's events leads, or of the control heads
    /// that they cite: whoever gets the batch may hold other branches.
    pub(crate) fn skeletons_for(&self, batch: &Batch) -> Result<Vec<Skeleton>, Error> {
        let space = batch.log.space;
        let Some(logs) = self.spaces.get(&space) else { return Ok(Vec::new()) };
        // A control log whose history was not asked for yet has no forks.
        let Some(control) = logs.control.history() else { return Ok(Vec::new()) };
        let stubs = batch.stubs.iter().map(|stub| stub.hash).filter(|_| batch.log.channel.is_none());
        let roots: Vec<EventHash> = stubs.chain(batch.controls.iter().flatten().copied()).collect();
        let index = &logs.control_index;
        let skeleton = |hash: EventHash| {
            if let Some(kept) = self.record(&skeleton_name(&space, &hash)) {
                return Skeleton::from_record(kept).ok_or_else(|| Error::Corrupt("a skeleton".to_owned()));
            }
            let event = control.event(&hash).map(|event| event.stamp.event());
            let at = event.and_then(|event| index.find(&event)).filter(|at| index.hash(*at) == Some(hash));
            let at = at.ok_or_else(|| Error::Corrupt("an event behind a fork is not here".to_owned()))?;
            let (previous, step) = self.step(index, at)?;
            Ok(Skeleton { author: index.event_ref(at).author, previous, step })
        };
        control.behind_forks(&roots).into_iter().map(skeleton).collect()
    }

    /// Records that keep these skeletons.
    pub(crate) fn skeleton_records(&self, space: &SpaceId, skeletons: &[Skeleton]) -> Vec<Write> {
        let named = skeletons.iter().map(|skeleton| (skeleton_name(space, &skeleton.hash()), skeleton));
        let fresh = named.filter(|(name, _)| self.record(name).is_none());
        fresh.map(|(name, skeleton)| (name, Some(SecretBytes::take(skeleton.to_record())))).collect()
    }
}

fn proof_name(log: &LogId, author: &DeviceId) -> Vec<u8> {
    let channel = log.channel.map_or([0; 32], |channel| channel.0);
    [PROOF_PREFIX, &log.space.0, &channel, &author.0].concat()
}

fn skeleton_name(space: &SpaceId, hash: &EventHash) -> Vec<u8> {
    [SKELETON_PREFIX, &space.0, &hash.0].concat()
}
