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
        let proofs = self.proofs(&log.space);
        let forks: Forks = proofs
            .iter()
            .filter(|proof| proof.log == LogId::control(log.space))
            .filter_map(|proof| Some((proof.author, signed(proof)?)))
            .collect();
        let logs = self.spaces.get(&log.space).ok_or(Error::Unknown("the space"))?;
        let control = logs.control.history().ok_or(Error::Unknown("the space"))?;
        let Some(id) = &log.channel else {
            return control.explain(&hash, &forks).ok_or(Error::Unknown("the event"));
        };
        let channel = logs.channels.get(id).ok_or(Error::Unknown("the channel"))?;
        let payload = self.payload(&channel.index, at)?;
        let proof = proofs.iter().find(|proof| proof.log == *log && proof.author == event.author);
        let frozen = channel.index.frozen.get(&event.author);
        let written = Written {
            event: *event,
            hash,
            channel: id,
            cited: channel.index.control_heads(at),
            permission: permission_for(ChannelOp::decode(&payload).ok().as_ref()),
            verdict: channel.void(at).map_or(Verdict::Counts, Verdict::Void),
            fork: frozen.map(|from| (*from, proof.and_then(signed))),
        };
        let explained = control.explain_written(&written, &forks);
        // Whatever else may be said of it.
        match self.history(log).misfit(&payload) {
            Some(why) if channel.void(at).is_some() => {
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
