//! Members that are emptied and return, leave for good, whether they were emptied or never came back, and are replaced: all while
//! disks, clocks and the network fail.
use super::world::{World, id};
use crate::testing::{Dice, deed, joining_by};
use crate::{NodeStatus, Outcome, What};
use std::collections::BTreeSet;
use terachat_shard::NodeId;

/// What was done, how often.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Deeds {
    pub(super) drained: usize,
    pub(super) returned: usize,
    /// Left when nothing was on them any more.
    pub(super) left: usize,
    /// Left though they still had shards, which are lost.
    pub(super) forced: usize,
    pub(super) joined: usize,
}

impl Deeds {
    pub(super) fn add(&mut self, other: Self) {
        self.drained += other.drained;
        self.returned += other.returned;
        self.left += other.left;
        self.forced += other.forced;
        self.joined += other.joined;
    }

    /// The next change. At most one node takes no shards at a time, and who leaves with what it has is one of those whose disks may
    /// lose what they have: that is what a cluster of so many nodes bears.
    pub(super) fn play(&mut self, world: &mut World, dice: &mut Dice, begun: u64, bad: &[NodeId]) {
        let members: Vec<NodeId> = world.truth.roster().members().map(|(node, _)| node).collect();
        let any = |dice: &mut Dice| members[dice.below(members.len() as u64) as usize];
        if let Some(node) = draining(world) {
            let is_empty = world.truth.stripes().values().all(|stripe| {
                let record = &stripe.record;
                record.counts().indices().all(|place| record.holder(place) != Some(node))
            });
            if is_empty && dice.below(4) > 0 {
                self.left += 1;
                do_it(world, What::Left(node));
                world.parted(node);
            } else if dice.below(4) == 0 {
                self.returned += 1;
                do_it(world, What::Returned(node));
            }
            return;
        }
        let lost: Vec<NodeId> = bad.iter().copied().filter(|node| members.contains(node)).collect();
        match dice.below(4) {
            _ if (members.len() as u64) < begun => self.join(world),
            0 if members.len() as u64 == begun => self.join(world),
            1 if !lost.is_empty() => {
                self.forced += 1;
                let node = lost[dice.below(lost.len() as u64) as usize];
                // It may run yet: whoever counted it out could not reach it.
                if dice.below(3) > 0 {
                    world.crash(node);
                }
                do_it(world, What::Left(node));
                world.parted(node);
            }
            _ => {
                self.drained += 1;
                let node = any(dice);
                do_it(world, What::Draining(node));
            }
        }
    }

    fn join(&mut self, world: &mut World) {
        self.joined += 1;
        let next = world.truth.roster().nodes().count() as u32 + 1;
        let (mut state, mut entries) = (world.truth.clone(), world.log.clone());
        let before = entries.len();
        joining_by(&mut state, &mut entries, signer(world), next);
        for entry in entries.split_off(before) {
            assert!(!matches!(world.commit(entry), Outcome::Refused(_)));
        }
        world.add(id(u64::from(next)));
    }
}

fn draining(world: &World) -> Option<NodeId> {
    let mut members = world.truth.roster().members();
    members.find(|(_, record)| record.status == NodeStatus::Draining).map(|(node, _)| node)
}

/// Whoever signs deeds now.
fn signer(world: &World) -> u32 {
    world.truth.roster().members().next().expect("somebody stays").0.0.get()
}

pub(super) fn do_it(world: &mut World, what: What) {
    let entry = deed(&world.truth, signer(world), 0, what);
    let outcome = world.commit(entry);
    assert!(!matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
}

/// Who left: nobody hears it any more.
pub(super) fn left(state: &crate::State) -> BTreeSet<NodeId> {
    let all = state.roster().nodes();
    all.filter(|(_, record)| record.status == NodeStatus::Left).map(|(node, _)| node).collect()
}
