use crate::model::{ChannelOp, ControlLog, Explanation, Forks, Reason, Verdict, Written};
use crate::store::space_logs::permission_for;
use crate::{Error, LocalStore};
use terachat_event::{Equivocation, EventHash, EventRef, LogId, link, prefix};

impl LocalStore {
    /// Why an event of a log counts or not, and which control events decide that. Replays control state, so it takes time
    /// that grows with the control log; it changes nothing and keeps nothing.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Store`].
    pub fn explain(&mut self, log: &LogId, event: &EventRef) -> Result<Explanation, Error> {
        let (hash, at) = self.with_hash(log, event)?;
        let Some(id) = &log.channel else {
            let logs = self.spaces.get(&log.space).ok_or(Error::Unknown("the space"))?;
            let control = logs.control.history().ok_or(Error::Unknown("the space"))?;
            let forks = control_forks(&self.proofs(&log.space));
            return control.explain(&hash, &forks).ok_or(Error::Unknown("the event"));
        };
        let logs = self.spaces.get(&log.space).ok_or(Error::Unknown("the space"))?;
        let channel = logs.channels.get(id).ok_or(Error::Unknown("the channel"))?;
        let payload = self.payload(&channel.index, at)?;
        self.explain_in_channel(
            log,
            *event,
            hash,
            channel.index.control_heads(at),
            &payload,
            channel.void(at),
        )
    }

    /// Why an event of a channel counts or not, be it in the log or ahead of it. The control log's history is here.
    ///
    /// # Errors
    /// [`Error::Unknown`].
    pub(super) fn explain_in_channel(
        &self,
        log: &LogId,
        event: EventRef,
        hash: EventHash,
        cited: &[EventHash],
        payload: &[u8],
        void: Option<&'static str>,
    ) -> Result<Explanation, Error> {
        let logs = self.spaces.get(&log.space).ok_or(Error::Unknown("the space"))?;
        let control = logs.control.history().ok_or(Error::Unknown("the space"))?;
        let channel = log.channel.as_ref().ok_or(Error::Unknown("the channel"))?;
        let proofs = self.proofs(&log.space);
        let proof = proofs.iter().find(|proof| proof.log == *log && proof.author == event.author);
        let frozen = logs.index(log).and_then(|index| index.frozen.get(&event.author));
        let written = Written {
            event,
            hash,
            channel,
            cited,
            permission: permission_for(ChannelOp::decode(payload).ok().as_ref()),
            verdict: void.map_or(Verdict::Counts, Verdict::Void),
            fork: frozen.map(|from| (*from, proof.and_then(signed))),
        };
        let explained = control.explain_written(&written, &control_forks(&proofs));
        // Whatever else may be said of it.
        match self.history(log).misfit(payload) {
            Some(why) if void.is_some() => {
                let (verdict, deciding) = (Verdict::Void(why), Vec::new());
                Ok(Explanation { verdict, reason: Reason::AnotherForm, deciding, ..explained })
            }
            _ => Ok(explained),
        }
    }

    /// The name of a control event, by its hash; `None` for one that is not here.
    ///
    /// # Errors
    /// [`Error::Store`] when the history cannot be read.
    pub fn control_event_ref(&self, log: &LogId, hash: &EventHash) -> Result<Option<EventRef>, Error> {
        let event = |control: &ControlLog| control.event(hash).map(|event| event.stamp.event());
        Ok(self.control(&log.space)?.and_then(event))
    }
}

/// Who forked the control log, with what a proof says of it.
fn control_forks(proofs: &[Equivocation]) -> Forks {
    let of_control = proofs.iter().filter(|proof| proof.log.channel.is_none());
    of_control.filter_map(|proof| Some((proof.author, signed(proof)?))).collect()
}

/// Hashes of the two events of one number that a proof is about.
fn signed(proof: &Equivocation) -> Option<[EventHash; 2]> {
    let [a, b] = &proof.branches;
    let first = |branch: &terachat_event::Branch| {
        let step = branch.steps.first()?;
        Some(link(&prefix(&branch.previous, &step.header), &step.payload_hash))
    };
    Some([first(a)?, first(b)?])
}

#[cfg(test)]
mod tests;
