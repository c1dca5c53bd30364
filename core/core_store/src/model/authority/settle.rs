//! What events add up to: those of a causal past, or all.
use super::ControlLog;
use super::beside::Within;
use super::checkpoints::Checkpoint;
use super::event::Node;
use super::grounds::Grounds;
use super::resolved::Resolved;
use super::segments::segments;
use super::strong_removal::Cut;
use super::views::View;
use crate::crdt::{Crdt, VectorClock};
use terachat_event::EventHash;

impl ControlLog {
    /// `view_of`, remembered for the heads asked last.
    pub(super) fn view_at(&mut self, heads: &[EventHash]) -> View {
        if let Some(view) = self.views.at(heads) {
            return view.clone();
        }
        let view = self.view_of(heads);
        self.views.keep(view.clone());
        view
    }

    /// The state of the causal past of `heads`, from the largest part of it that is kept.
    pub(super) fn view_of(&self, heads: &[EventHash]) -> View {
        let past = self.past_of(heads);
        let checkpoint = self.checkpoints.last_in(&past).map(|kept| (self.past_up_to(kept), &kept.resolved));
        let views = self.views.below(heads).map(|view| (view.past.clone(), &view.resolved));
        let events = |past: &VectorClock| past.iter().map(|(_, seq)| seq).sum::<u64>();
        let most = checkpoint.into_iter().chain(views).max_by_key(|(past, _)| events(past));
        let (mut within, mut resolved) =
            most.map_or_else(Default::default, |(past, resolved)| (past, resolved.clone()));
        let mut more = self.links.between(&within, &past);
        more.sort_unstable_by_key(|at| self.nodes[*at].event.stamp);
        for at in more {
            within.apply(self.nodes[at].event.stamp.event());
            if !self.add_beside(&mut resolved, Within::Past(&within), at) {
                resolved = self.settle(Within::Past(&past));
                break;
            }
        }
        View { heads: heads.to_vec(), past, resolved }
    }

    fn past_up_to(&self, checkpoint: &Checkpoint) -> VectorClock {
        let tip = &checkpoint.tip;
        let at = self.links.chain(&tip.author, tip.seq - 1, tip.seq);
        at.first().map(|at| self.nodes[*at].past.clone()).unwrap_or_default()
    }

    /// The newest checkpoint that all of these build on, or are before.
    pub(super) fn checkpoint(&self, within: Within<'_>) -> Option<&Checkpoint> {
        match within {
            Within::Past(past) => self.checkpoints.last_in(past),
            Within::All => self.checkpoints.last(),
        }
    }

    /// Those of some events in total order that are behind the first `from` of the log.
    pub(super) fn behind(&self, from: usize, within: Within<'_>) -> Vec<&Node> {
        let all = self.order[from..].iter().map(|at| &self.nodes[*at]);
        all.filter(|node| self.holds(within, node)).collect()
    }

    /// Resolves events that are a causal past, or all, from the last checkpoint among them.
    pub(super) fn settle(&self, within: Within<'_>) -> Resolved {
        let known = self.checkpoint(within);
        let (from, start) = known.map_or_else(Default::default, |known| (known.len, known.resolved.clone()));
        self.resolve_from(start, &self.behind(from, within), within, |_| {})
    }

    /// The state of the causal past of `heads`, from the beginning; `cut` is told of every event that strong removal cuts off,
    /// and by which.
    pub(super) fn resolve_noting(&self, heads: &[EventHash], cut: impl FnMut(Cut<'_>)) -> Resolved {
        let past = self.past_of(heads);
        let within = Within::Past(&past);
        self.resolve_from(Resolved::default(), &self.behind(0, within), within, cut)
    }

    fn resolve_from(
        &self,
        mut resolved: Resolved,
        behind: &[&Node],
        within: Within<'_>,
        mut cut: impl FnMut(Cut<'_>),
    ) -> Resolved {
        let mut take = |segment: &[&Node]| {
            let Some(first) = segment.first() else { return };
            let void = resolved.void.clone();
            let grounds = Grounds { log: self, within, before: first.event.stamp, void };
            resolved.take(segment, &grounds, &mut cut);
        };
        if self.frozen.is_empty() {
            segments(behind).for_each(take);
        } else {
            // What lies behind forks is in nobody's past, so nothing is known to be comparable with all.
            take(behind);
        }
        resolved
    }
}
