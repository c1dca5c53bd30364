//! The MLS epochs that the control log decides on.
use super::{ControlLog, Verdict};
use crate::model::{ControlEvent, GroupCommit, Rank};
use std::collections::{BTreeMap, BTreeSet};
use terachat_event::EventHash;

impl ControlLog {
    /// The MLS epochs in order: the genesis, then for each epoch the commit that won. Of several commits that leave
    /// one epoch the one by the highest rank wins, then the lowest hash; `broken` names commits that do not process.
    pub fn epochs(&self, broken: &BTreeSet<EventHash>) -> Vec<EventHash> {
        let mut next: BTreeMap<EventHash, (std::cmp::Reverse<Rank>, EventHash)> = BTreeMap::new();
        for (hash, commit) in self.commits() {
            if broken.contains(&hash) {
                continue;
            }
            let Ok(author) = &self.nodes[self.by_hash[&hash]].authority else { continue };
            let candidate = (std::cmp::Reverse(author.rank), hash);
            next.entry(commit.previous).and_modify(|best| *best = candidate.min(*best)).or_insert(candidate);
        }
        let genesis = self.order.first().map(|at| self.nodes[*at].event.hash);
        let chain = std::iter::successors(genesis, |hash| next.get(hash).map(|(_, hash)| *hash));
        // A commit names a predecessor that existed before it, so the chain cannot loop.
        chain.collect()
    }

    /// The commits among the events that count, in total order.
    pub fn commits(&self) -> impl Iterator<Item = (EventHash, &GroupCommit)> {
        self.events()
            .filter(|(_, verdict)| *verdict == Verdict::Counts)
            .filter_map(|(event, _)| Some((event.hash, event.transaction.commit()?)))
    }

    /// The commits that lead to an epoch in which something may have been sealed that counts, in total order: those of
    /// [`Self::commits`], and void ones that these build on or link, or that a device made which can still decide something.
    /// Whoever was demoted without knowing of it went on in the epochs that it had made, and whoever did not know of a removal in those
    /// that the removed one had made; who did links them.
    pub fn commits_with_words(&self) -> Vec<(EventHash, &GroupCommit)> {
        let void: BTreeMap<EventHash, EventHash> = self
            .events()
            .filter(|(_, verdict)| *verdict != Verdict::Counts)
            .filter_map(|(event, _)| Some((event.hash, event.transaction.commit()?.previous)))
            .collect();
        let mut followed = BTreeSet::new();
        for (_, commit) in self.commits() {
            let linked = commit.links.iter().map(|link| link.commit);
            for mut led_to in linked.chain([commit.previous]) {
                while let Some(before) = void.get(&led_to)
                    && followed.insert(led_to)
                {
                    led_to = *before;
                }
            }
        }
        let leads = |event: &ControlEvent, counts: bool| {
            counts || followed.contains(&event.hash) || self.decides(&event.stamp.author)
        };
        self.events()
            .filter(|(event, verdict)| leads(event, *verdict == Verdict::Counts))
            .filter_map(|(event, _)| Some((event.hash, event.transaction.commit()?)))
            .collect()
    }
}
