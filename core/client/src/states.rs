//! Which epochs' states of the group a device keeps: those from which somebody may still go on.
//!
//! A commit is processed in the state that it follows. Whoever parted from a member before that state keeps making epochs
//! beside those here until the two hear of each other, and what is sealed in them is for this device too. So a state is kept
//! until all members are known to be past it, within bounds: states can be followed again to the keys of messages (ADR 0028).
use crate::membership::{EPOCHS_KEPT, commit_of, group_name, groups_prefix};
use crate::{Client, Error};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use terachat_core_store::model::ControlOp;
use terachat_event::{DeviceId, EventHash, SpaceId};

/// Epochs further back than this are given up, whoever may still stand there.
const EPOCHS_KEPT_MAX: usize = 64;
/// Epochs of branches that lost whose states are kept, at most: two parts of the members may have gone on beside the one whose chain
/// holds, or one that fell apart in its turn.
const LOST_KEPT_MAX: usize = 2 * EPOCHS_KEPT_MAX;
/// Bytes of states that are kept besides those of the newest [`EPOCHS_KEPT`] epochs: in wide groups these are few.
const STATES_LEN_MAX: usize = 8 << 20;

/// Where an epoch is, as far as it is known here.
#[derive(Clone, Copy)]
struct Position {
    /// On the chain, or where its branch leaves that.
    at: usize,
    on_chain: bool,
    /// How many commits led to it.
    depth: usize,
}

/// What decides which of the older states stay, the first of them first: the furthest along, of a branch that lost behind those
/// on the chain, and of those at the ends of branches before what led there.
type Turn = (Reverse<usize>, bool, Reverse<usize>);

/// What is left for older states.
#[derive(Default)]
struct Room {
    len: usize,
    on_chain: usize,
    lost: usize,
}

impl Room {
    /// Whether one more of so many bytes stays.
    fn takes(&mut self, on_chain: bool, len: usize) -> bool {
        let (count, max) =
            if on_chain { (&mut self.on_chain, EPOCHS_KEPT_MAX) } else { (&mut self.lost, LOST_KEPT_MAX) };
        *count += 1;
        self.len = self.len.saturating_add(len);
        self.len <= STATES_LEN_MAX && *count <= max
    }
}

/// Which epochs' states are kept.
struct Keeping {
    positions: BTreeMap<EventHash, Position>,
    /// From here on in any case.
    newest: usize,
    /// From here on while there is room.
    from: usize,
}

impl Keeping {
    fn is_newest(&self, commit: &EventHash) -> bool {
        self.positions.get(commit).is_some_and(|position| position.on_chain && position.at >= self.newest)
    }

    /// When it is an older one's turn, if somebody may still go on from it.
    fn turn(&self, commit: &EventHash) -> Option<Turn> {
        let Position { at, on_chain, depth } = *self.positions.get(commit)?;
        (at >= self.from && !self.is_newest(commit)).then_some((Reverse(at), !on_chain, Reverse(depth)))
    }
}

impl Client {
    /// Drops group states of epochs that nobody will come back to; their exported secrets stay.
    pub(crate) fn prune_states(&mut self, space: SpaceId, chain: &[EventHash]) -> Result<(), Error> {
        let states = self.state_lens(&space);
        let due = self.memberships.entry(space).or_default().states_max.max(2 * EPOCHS_KEPT);
        if states.len() <= due {
            return Ok(());
        }
        let keeping = self.keeping(&space, chain)?;
        let (mut held, mut stale) = (Vec::new(), Vec::new());
        for (commit, len) in states.iter().copied().filter(|(commit, _)| !keeping.is_newest(commit)) {
            match keeping.turn(&commit) {
                Some(turn) => held.push((turn, commit, len)),
                None => stale.push(commit),
            }
        }
        held.sort_unstable();
        let mut room = Room::default();
        let over = held.into_iter().filter(|((_, lost, _), _, len)| !room.takes(!lost, *len));
        stale.extend(over.map(|(_, commit, _)| commit));
        // What stays is not looked through again for each epoch.
        let kept = states.len() - stale.len();
        self.memberships.entry(space).or_default().states_max = kept + EPOCHS_KEPT;
        let stale = stale.iter().map(|commit| (group_name(&space, commit), None));
        Ok(self.store.write_records(stale.collect())?)
    }

    /// The epochs among those that the control log has commits of whose states would stay: whoever comes to them on a long way
    /// keeps these, for others may have left them for where nobody has told of yet.
    pub(crate) fn worth_keeping(
        &self,
        space: &SpaceId,
        chain: &[EventHash],
    ) -> Result<BTreeSet<EventHash>, Error> {
        let keeping = self.keeping(space, chain)?;
        // A state's length is that of its tree, for the most part.
        let len = self.state_lens(space).into_iter().map(|(_, len)| len).max().unwrap_or_default();
        let commits = keeping.positions.keys();
        let mut held: Vec<(Turn, EventHash)> =
            commits.filter_map(|commit| Some((keeping.turn(commit)?, *commit))).collect();
        held.sort_unstable();
        let mut room = Room::default();
        held.retain(|((_, lost, _), _)| room.takes(!lost, len));
        let newest = chain.iter().skip(keeping.newest).copied();
        Ok(held.into_iter().map(|(_, commit)| commit).chain(newest).collect())
    }

    /// The epochs whose states are here, with their lengths in bytes.
    fn state_lens(&self, space: &SpaceId) -> Vec<(EventHash, usize)> {
        let prefix = groups_prefix(space);
        let states = self.store.records(&prefix);
        states
            .filter_map(|(name, state)| Some((EventHash(name[prefix.len()..].try_into().ok()?), state.len())))
            .collect()
    }

    fn keeping(&self, space: &SpaceId, chain: &[EventHash]) -> Result<Keeping, Error> {
        let newest = chain.len().saturating_sub(EPOCHS_KEPT);
        let furthest = chain.len().saturating_sub(EPOCHS_KEPT_MAX);
        let from = self.all_are_past(space, chain)?.min(newest).max(furthest);
        Ok(Keeping { positions: self.positions(space, chain)?, newest, from })
    }

    fn positions(
        &self,
        space: &SpaceId,
        chain: &[EventHash],
    ) -> Result<BTreeMap<EventHash, Position>, Error> {
        let on_chain =
            |(at, commit): (usize, &EventHash)| (*commit, Position { at, on_chain: true, depth: at });
        let mut positions: BTreeMap<EventHash, Position> = chain.iter().enumerate().map(on_chain).collect();
        let Some(control) = self.store.control(space)? else { return Ok(positions) };
        for (event, _) in control.events() {
            let Some(commit) = commit_of(event) else { continue };
            if let Some(Position { at, depth, .. }) = positions.get(&commit.previous).copied() {
                let lost = Position { at, on_chain: false, depth: depth + 1 };
                positions.entry(event.hash).or_insert(lost);
            }
        }
        Ok(positions)
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
