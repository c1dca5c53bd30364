//! Which epochs' states of the group a device keeps: those from which somebody may still go on.
//!
//! A commit is processed in the state that it follows. Whoever parted from a member before that state keeps making epochs
//! beside those here until the two hear of each other, and what is sealed in them is for this device too. So a state is kept
//! until all members are known to be past it, within bounds: states can be followed again to the keys of messages (ADR 0028).
use crate::membership::{EPOCHS_KEPT, commit_of, group_name, groups_prefix};
use crate::{Client, Error};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use terachat_core_store::model::ControlOp;
use terachat_event::{DeviceId, EventHash, SpaceId};

/// Epochs further back than this are given up, whoever may still stand there.
pub(crate) const EPOCHS_KEPT_MAX: usize = 64;
/// Bytes of states that are kept besides those of the newest [`EPOCHS_KEPT`] epochs: in wide groups these are few.
const STATES_LEN_MAX: usize = 8 << 20;

impl Client {
    /// Drops group states of epochs that nobody will come back to; their exported secrets stay.
    pub(crate) fn prune_states(&mut self, space: SpaceId, chain: &[EventHash]) -> Result<(), Error> {
        let prefix = groups_prefix(&space);
        let states = self.store.records(&prefix);
        let states: Vec<(EventHash, usize)> = states
            .filter_map(|(name, state)| Some((EventHash(name[prefix.len()..].try_into().ok()?), state.len())))
            .collect();
        let due = self.memberships.entry(space).or_default().states_max.max(2 * EPOCHS_KEPT);
        if states.len() <= due {
            return Ok(());
        }
        let newest = chain.len().saturating_sub(EPOCHS_KEPT);
        let from =
            self.all_are_past(&space, chain)?.min(newest).max(chain.len().saturating_sub(EPOCHS_KEPT_MAX));
        let places = self.places(&space, chain)?;
        // The furthest along first, of a branch that lost behind those on the chain.
        let mut held: Vec<(Reverse<usize>, bool, EventHash, usize)> = Vec::new();
        for (commit, len) in states.iter().copied() {
            match places.get(&commit) {
                Some((at, true)) if *at >= newest => {}
                Some((at, on_chain)) if *at >= from => {
                    held.push((Reverse(*at), !on_chain, commit, len));
                }
                _ => held.push((Reverse(0), true, commit, usize::MAX)),
            }
        }
        held.sort_unstable();
        let mut len = 0_usize;
        let stale = held.into_iter().enumerate().filter(|(nth, (.., state))| {
            len = len.saturating_add(*state);
            len > STATES_LEN_MAX || *nth >= EPOCHS_KEPT_MAX
        });
        let stale: Vec<_> = stale.map(|(_, (_, _, commit, _))| (group_name(&space, &commit), None)).collect();
        // What stays is not looked through again for each epoch.
        let kept = states.len() - stale.len();
        self.memberships.entry(space).or_default().states_max = kept + EPOCHS_KEPT;
        Ok(self.store.write_records(stale)?)
    }

    /// Where each epoch is, as far as it is known here: on the chain, or where its branch leaves that.
    fn places(
        &self,
        space: &SpaceId,
        chain: &[EventHash],
    ) -> Result<BTreeMap<EventHash, (usize, bool)>, Error> {
        let on_chain = chain.iter().enumerate().map(|(at, commit)| (*commit, (at, true)));
        let mut places: BTreeMap<EventHash, (usize, bool)> = on_chain.collect();
        let Some(control) = self.store.control(space)? else { return Ok(places) };
        for (event, _) in control.events() {
            let Some(commit) = commit_of(event) else { continue };
            if let Some((at, _)) = places.get(&commit.previous).copied() {
                places.entry(event.hash).or_insert((at, false));
            }
        }
        Ok(places)
    }

    /// The furthest place on the chain that all other members' devices are known to have come to. What a control event builds on
    /// its author knows, a device that is admitted begins there, and the keys of its last words in each channel it has.
    fn all_are_past(&self, space: &SpaceId, chain: &[EventHash]) -> Result<usize, Error> {
        let (Some(control), Some(state)) = (self.store.control(space)?, self.store.space(space)) else {
            return Ok(0);
        };
        let places: BTreeMap<&EventHash, usize> = chain.iter().zip(0..).collect();
        let mut known: BTreeMap<EventHash, usize> = BTreeMap::new();
        let mut reached: BTreeMap<DeviceId, usize> = BTreeMap::new();
        let mut reaches = |device: DeviceId, at: usize| {
            let reached = reached.entry(device).or_default();
            *reached = at.max(*reached);
        };
        for (event, _) in control.events() {
            let past = event.parents.iter().filter_map(|parent| known.get(parent)).max().copied();
            let at = past.max(places.get(&event.hash).copied()).unwrap_or_default();
            known.insert(event.hash, at);
            reaches(event.stamp.author, at);
            for op in &event.transaction.0 {
                if let ControlOp::Admit { card, .. } = op {
                    reaches(card.device, at);
                }
            }
        }
        for (device, commit) in self.store.newest_epochs(space) {
            reaches(device, places.get(&commit).copied().unwrap_or_default());
        }
        let me = self.identity.device_id();
        let others = state.present_devices().filter(|device| **device != me);
        let past = others.map(|device| reached.get(device).copied().unwrap_or_default()).min();
        Ok(past.unwrap_or(usize::MAX))
    }
}
