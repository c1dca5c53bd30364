//! Causal pasts, through what lies behind forks (ADR 0015).
use super::ControlLog;
use super::beside::Within;
use super::event::Node;
use crate::crdt::{Crdt, VectorClock};
use crate::model::Bones;
use std::collections::{BTreeMap, BTreeSet};
use terachat_event::{EventHash, EventRef};

impl ControlLog {
    /// The newest events that are not behind a fork among these and what they build on, and whether the way there led
    /// through a fork.
    pub(super) fn ground(&self, heads: &[EventHash]) -> (Vec<usize>, bool) {
        let (mut below, mut forked) = (Vec::new(), false);
        self.walk(heads, |at, _| match at {
            Some(at) => below.push(at),
            None => forked = true,
        });
        (below, forked)
    }

    /// Visits events from `heads` down, through those behind forks and as far as the first that are not.
    fn walk(&self, heads: &[EventHash], mut visit: impl FnMut(Option<usize>, &EventHash)) {
        let (mut seen, mut left) = (BTreeSet::new(), heads.to_vec());
        while let Some(hash) = left.pop() {
            let parents = match self.by_hash.get(&hash).map(|at| (*at, &self.nodes[*at].event)) {
                Some((at, event)) if !self.is_frozen(&event.stamp.event()) => {
                    visit(Some(at), &hash);
                    continue;
                }
                Some((_, event)) => &event.parents,
                None => match self.skeletons.get(&hash) {
                    Some(bones) => &bones.parents,
                    None => continue,
                },
            };
            if seen.insert(hash) {
                visit(None, &hash);
                left.extend(parents);
            }
        }
    }

    pub(super) fn is_frozen(&self, event: &EventRef) -> bool {
        self.frozen.get(&event.author).is_some_and(|from| event.seq >= *from)
    }

    /// The causal past of `heads`, heads included.
    pub(super) fn past_of(&self, heads: &[EventHash]) -> VectorClock {
        let mut past = VectorClock::default();
        self.ground(heads).0.into_iter().for_each(|at| past.merge(&self.nodes[at].past));
        past
    }

    /// The causal past of `heads` in total order, heads included.
    pub(super) fn inside(&self, heads: &[EventHash]) -> Vec<&Node> {
        self.behind(0, Within::Past(&self.past_of(heads)))
    }

    /// Whether one of these events is behind a fork, or builds on one that is.
    pub fn builds_on_fork(&self, heads: &[EventHash]) -> bool {
        let (below, forked) = self.ground(heads);
        forked || below.into_iter().any(|at| self.nodes[at].forked)
    }

    /// The events behind forks through which the causal past of these leads.
    pub(crate) fn behind_forks(&self, heads: &[EventHash]) -> Vec<EventHash> {
        let mut found = Vec::new();
        if !self.frozen.is_empty() {
            self.walk(heads, |at, hash| found.extend(at.is_none().then_some(*hash)));
        }
        found
    }

    /// Takes in skeletons: before the events that build on them, or followed by [`ControlLog::judge_anew`].
    pub(crate) fn know(&mut self, skeletons: impl IntoIterator<Item = (EventHash, Bones)>) {
        self.skeletons.extend(skeletons);
    }

    /// Name and Lamport time of an event that is known, be it as a skeleton.
    pub(crate) fn place_of(&self, hash: &EventHash) -> Option<(EventRef, u64)> {
        let held = self.event(hash).map(|event| (event.stamp.event(), event.stamp.lamport));
        held.or_else(|| self.skeletons.get(hash).map(|bones| (bones.event, bones.lamport)))
    }

    /// Which of the offered skeletons have to be known so that the causal past of `wanted` is; `fresh` are events that are
    /// not here yet but will be by then.
    ///
    /// # Errors
    /// The first event of that past that is neither here nor offered, or offered as what it is not.
    pub(crate) fn lacks_of(
        &self,
        wanted: &[EventHash],
        offered: &BTreeMap<EventHash, Bones>,
        fresh: &BTreeMap<EventHash, EventRef>,
    ) -> Result<Vec<EventHash>, EventHash> {
        let here = |hash: &EventHash| {
            self.place_of(hash).map(|(event, _)| event).or_else(|| fresh.get(hash).copied())
        };
        let (mut lacking, mut seen, mut left) = (Vec::new(), BTreeSet::new(), wanted.to_vec());
        while let Some(hash) = left.pop() {
            if here(&hash).is_some() || !seen.insert(hash) {
                continue;
            }
            let bones = offered.get(&hash).ok_or(hash)?;
            // Step by step back to what its author is known to have signed: so nobody else's event passes for its.
            let follows = bones.previous.is_none_or(|previous| {
                let before = here(&previous).or_else(|| offered.get(&previous).map(|bones| bones.event));
                before == Some(EventRef { author: bones.event.author, seq: bones.event.seq - 1 })
            });
            if !follows || !self.is_frozen(&bones.event) {
                return Err(hash);
            }
            lacking.push(hash);
            left.extend(&bones.parents);
        }
        Ok(lacking)
    }
}
