use super::{Bundle, Limits};
use crate::store::index::LogIndex;
use crate::{Error, LocalStore};
use std::collections::BTreeMap;
use terachat_event::{DeviceId, LogId};

/// A log on its way to somebody who answers nothing and reads from the beginning: a file. How far it was told.
///
/// It is of the log as it was when it began; what comes meanwhile is not in it. Memory: four bytes an event.
pub struct WholeLog {
    log: LogId,
    /// Positions that are still to be told, ascending.
    rest: Vec<u32>,
    /// Of each chain that forked, the number of the last event that was told.
    told: BTreeMap<DeviceId, u64>,
}

impl WholeLog {
    /// Leaves out what nobody takes in who has the proofs of forks: a chain that would go on behind its fork. What only a
    /// signature behind the fork covers stands in one stored batch with it, and goes with it.
    fn leave_out(&mut self, index: &LogIndex) {
        let told = |device: &DeviceId| self.told.get(device).copied().unwrap_or(0);
        let ended: Vec<&DeviceId> = index
            .frozen
            .iter()
            .filter(|(device, from)| told(device) + 1 >= **from)
            .map(|(it, _)| it)
            .collect();
        if !ended.is_empty() {
            self.rest.retain(|at| !ended.contains(&index.device(index.event(*at).chain)));
        }
    }
}

impl LocalStore {
    /// Begins to tell all of a log, for [`LocalStore::next_of`]. Whoever reads it needs the proofs of forks first
    /// ([`LocalStore::proofs`]).
    ///
    /// # Errors
    /// [`Error::Store`] when the disk cannot be read.
    pub fn whole_log(&mut self, log: LogId) -> Result<WholeLog, Error> {
        let frozen = self.index(&log).is_some_and(|index| !index.frozen.is_empty());
        if frozen {
            // What lies behind a fork travels as hashes.
            self.recompute_missing(&log)?;
        }
        let rest = self.index(&log).map_or_else(Vec::new, |index| (0..index.len()).collect());
        Ok(WholeLog { log, rest, told: BTreeMap::new() })
    }

    /// The next bundle of a log that is told whole; `None` behind the last. Told in this order, each can be taken in at once by
    /// whoever has those before it, the proofs and the epochs' keys.
    ///
    /// # Errors
    /// As [`LocalStore::bundles_to`].
    pub fn next_of(&mut self, whole: &mut WholeLog, limits: Limits) -> Result<Option<Bundle>, Error> {
        let Some(index) = self.index(&whole.log) else { return Ok(None) };
        whole.leave_out(index);
        let Some(plan) = self.next_plan(&whole.log, &whole.rest, limits)? else { return Ok(None) };
        for at in plan.positions.iter().filter(|_| !index.frozen.is_empty()) {
            let event = index.event_ref(*at);
            if index.frozen.contains_key(&event.author) {
                whole.told.insert(event.author, event.seq);
            }
        }
        whole.rest.drain(..plan.positions.len());
        self.pack(&whole.log, plan).map(Some)
    }
}
