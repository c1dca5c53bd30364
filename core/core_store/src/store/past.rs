//! What a device knew, or would have known, at an earlier moment: a store in memory, replayed from the events up to there.
use super::index::LogIndex;
use super::local_store::LocalStore;
use super::validator::{Staging, Trust};
use crate::Error;
use crate::sync::{Batch, Frames};
use hashbrown::HashMap;
use std::collections::BTreeSet;
use terachat_event::{EventHash, EventRef, LogId, SpaceId};

/// Events put into one batch of a replay.
const BATCH_LEN: usize = 4096;

/// Up to where a store is replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moment {
    /// Milliseconds since 1970: every event that claims this time or an earlier one and builds on none that claims a later
    /// one. The times are their authors' claims; one whose clock is ahead takes what builds on its events along.
    Time(u64),
    /// These events of one log and all that they build on, with the control events that they cite or are. Other channels
    /// are empty then.
    Events(LogId, Vec<EventRef>),
}

impl LocalStore {
    /// A store in memory that holds exactly the events up to a moment, in all spaces. Its states are those that any device
    /// with these events had or has, byte for byte; proofs of forks count from the beginning, whenever they came. It can
    /// be asked everything; what is written to it is gone with it.
    ///
    /// Costs the replay of what it holds, and memory for that.
    ///
    /// # Errors
    /// [`Error::Unknown`] for an event that is not here, [`Error::NoKey`] for content whose epoch is not open here,
    /// [`Error::Store`]; nothing changed.
    pub fn state_at(&mut self, moment: &Moment) -> Result<Self, Error> {
        let mut past = self.empty_replica()?;
        let spaces: Vec<SpaceId> = match moment {
            Moment::Time(_) => self.spaces().collect(),
            Moment::Events(log, _) => vec![log.space],
        };
        for space in spaces {
            let cut = self.cut(space, moment)?;
            for (log, positions) in cut {
                self.replay_positions(&log, &positions, &mut past)?;
            }
        }
        past.restore_frozen()?;
        Ok(past)
    }

    /// The positions of each of a space's logs that a moment includes, ascending; the control log first.
    fn cut(&mut self, space: SpaceId, moment: &Moment) -> Result<Vec<(LogId, Vec<u32>)>, Error> {
        let Some(logs) = self.spaces.get(&space) else { return Err(Error::Unknown("the space")) };
        let control = LogId::control(space);
        let mut channels: Vec<LogId> = logs.channels.keys().map(|id| LogId::channel(space, *id)).collect();
        if let Moment::Events(log, _) = moment {
            channels.retain(|channel| channel == log);
        }
        // Stubs and the citations of forked heads travel by hash.
        for log in channels.iter().chain([&control]) {
            if self.index(log).is_some_and(|index| !index.frozen.is_empty()) {
                self.recompute_hashes(log)?;
            }
        }
        let index = self.index(&control).ok_or(Error::Unknown("the space"))?;
        match moment {
            Moment::Time(until) => {
                let mut cut = Vec::new();
                let times = claimed(index, |_| 0);
                let known: HashMap<EventHash, u64> =
                    (0..).zip(&times).filter_map(|(at, time)| Some((index.hash(at)?, *time))).collect();
                cut.push((control, up_to(&times, *until)));
                for log in channels {
                    let Some(index) = self.index(&log) else { continue };
                    let of_list = |list: &Vec<EventHash>| {
                        list.iter().map(|head| known.get(head).copied().unwrap_or(0)).max().unwrap_or(0)
                    };
                    let lists: Vec<u64> = index.controls.iter().map(of_list).collect();
                    let times = claimed(index, |at| {
                        lists.get(index.event(at).control as usize).copied().unwrap_or(0)
                    });
                    cut.push((log, up_to(&times, *until)));
                }
                Ok(cut)
            }
            Moment::Events(log, events) => {
                let of = self.index(log).ok_or(Error::Unknown("the log"))?;
                let found = events.iter().map(|event| of.find(event).ok_or(Error::Unknown("the event")));
                let positions = below(of, found.collect::<Result<_, _>>()?);
                if log.channel.is_none() {
                    return Ok(vec![(control, positions)]);
                }
                let lists: BTreeSet<u32> = positions.iter().map(|at| of.event(*at).control).collect();
                let cited: BTreeSet<EventHash> =
                    lists.into_iter().flat_map(|list| of.controls[list as usize].iter().copied()).collect();
                let heads =
                    (0..index.len()).filter(|at| index.hash(*at).is_some_and(|hash| cited.contains(&hash)));
                Ok(vec![(control, below(index, heads.collect())), (*log, positions)])
            }
        }
    }

    /// Takes the events at these positions into another store, as from a disk.
    fn replay_positions(&self, log: &LogId, positions: &[u32], past: &mut Self) -> Result<(), Error> {
        let Some(index) = self.index(log) else { return Ok(()) };
        let mut rest = positions;
        while let Some(first) = rest.first() {
            let key = index.key(*first);
            let same = rest.iter().take(BATCH_LEN).take_while(|at| index.key(**at) == key).count();
            let (now, later) = rest.split_at(same);
            rest = later;
            // Nobody checks signatures that were checked before they came here.
            let batch = index.batch(now, |_, _| Some([0; 64])).filter(|batch| !batch.events.is_empty());
            let mut batch: Batch = batch.ok_or_else(|| Error::Corrupt("events make no batch".to_owned()))?;
            batch.skeletons = self.skeletons_for(&batch)?;
            let (mut chunks, mut from) = (Vec::new(), 0);
            for end in batch.chunk_ends() {
                let mut chunk = Vec::new();
                for at in &now[from..end] {
                    chunk.append(&mut self.payload(index, *at)?);
                }
                chunks.push(chunk);
                from = end;
            }
            match past.stage(&batch, &chunks, Trust::Disk)? {
                Staging::Ready(staged) => {
                    past.accept(&batch, &chunks, &Frames::default(), &staged, Vec::new())?;
                }
                Staging::Waits(crate::Wait::Epoch(epoch)) => return Err(Error::NoKey(epoch)),
                _ => return Err(Error::Corrupt("events do not follow from those before them".to_owned())),
            }
        }
        Ok(())
    }
}

/// For each event the latest time that it or anything it builds on claims; `cited` is that of the control events it names.
fn claimed(index: &LogIndex, cited: impl Fn(u32) -> u64) -> Vec<u64> {
    let mut times: Vec<u64> = Vec::with_capacity(index.len() as usize);
    for at in 0..index.len() {
        let parents = index.parents_of(at).iter().filter_map(|parent| index.find(&index.parent_ref(*parent)));
        let before =
            parents.chain(index.predecessor(at)).filter_map(|before| times.get(before as usize)).max();
        times.push(index.event(at).wall_ms.max(before.copied().unwrap_or(0)).max(cited(at)));
    }
    times
}

fn up_to(times: &[u64], until: u64) -> Vec<u32> {
    (0..).zip(times).filter(|(_, time)| **time <= until).map(|(at, _)| at).collect()
}

/// The events at these positions and all that they build on, ascending.
fn below(index: &LogIndex, heads: Vec<u32>) -> Vec<u32> {
    let (mut found, mut left) = (BTreeSet::new(), heads);
    while let Some(at) = left.pop() {
        if found.insert(at) {
            left.extend(index.predecessor(at));
            let parents = index.parents_of(at).iter();
            left.extend(parents.filter_map(|parent| index.find(&index.parent_ref(*parent))));
        }
    }
    found.into_iter().collect()
}

#[cfg(test)]
mod tests;
