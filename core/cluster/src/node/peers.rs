//! Which members answer, and how quickly: learned from what is sent anyway, and from pings where nothing is.
use super::event::Moment;
use std::collections::BTreeMap;
use terachat_shard::NodeId;

#[derive(Debug, Clone, Copy, Default)]
struct Peer {
    reachable: bool,
    heard: Option<Moment>,
    /// Microseconds to answer a fetch, smoothed.
    answers_in: u64,
}

/// What a node knows of the others.
#[derive(Debug, Default)]
pub(super) struct Peers(BTreeMap<NodeId, Peer>);

impl Peers {
    pub(super) fn heard(&mut self, node: NodeId, now: Moment) {
        let peer = self.0.entry(node).or_default();
        (peer.reachable, peer.heard) = (true, Some(now));
    }

    pub(super) fn reachable(&mut self, node: NodeId, yes: bool) {
        self.0.entry(node).or_default().reachable = yes;
    }

    /// A fetch was answered after so long; one that was not counts with the time it was waited for.
    pub(super) fn took(&mut self, node: NodeId, micros: u64) {
        let peer = self.0.entry(node).or_default();
        peer.answers_in = if peer.answers_in == 0 { micros } else { (7 * peer.answers_in + micros) / 8 };
    }

    pub(super) fn is_reachable(&self, node: NodeId) -> bool {
        self.0.get(&node).is_some_and(|peer| peer.reachable)
    }

    /// Whether a word came from it within so many microseconds.
    pub(super) fn answers(&self, node: NodeId, now: Moment, within: u64) -> bool {
        let peer = self.0.get(&node).filter(|peer| peer.reachable);
        peer.and_then(|peer| peer.heard).is_some_and(|heard| now.since(heard) <= within)
    }

    /// Microseconds since a word came from it.
    pub(super) fn silent_for(&self, node: NodeId, now: Moment) -> Option<u64> {
        self.0.get(&node)?.heard.map(|heard| now.since(heard))
    }

    pub(super) fn answers_in(&self, node: NodeId) -> u64 {
        self.0.get(&node).map_or(0, |peer| peer.answers_in)
    }
}
