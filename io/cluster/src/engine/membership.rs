//! Who is who: what a change of the cluster means for the connections, and for the ledger's members.
use super::{Engine, Event, Who};
use crate::directory::Directory;
use crate::voters::{Candidate, choose};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use terachat_cluster::wire::Contact;
use terachat_cluster::{HealthReport, Input, NodeStatus};
use terachat_net::PeerKey;
use terachat_shard::NodeId;

/// A voter that was not connected for so long may lose its vote to one that is.
const VOTE_LOST_AFTER: Duration = Duration::from_secs(30);
/// How long a node that left is still told what the ledger takes: until it has heard of it itself.
const LEAVING_FOR: Duration = Duration::from_secs(5);

impl Engine {
    pub(super) fn reach(&mut self, node: NodeId, yes: bool) {
        self.seen.insert(node, Instant::now());
        if self.reachable.insert(node, yes) != Some(yes) {
            tracing::info!(member = node.0.get(), connected = yes, "a member comes or goes");
            self.input(Input::Reachable(node, yes));
        }
    }

    /// Whether the cluster has changed, and with it who is who.
    pub(super) fn notice_deeds(&mut self) {
        let deeds = self.state.read().chronicle().deeds().len();
        if self.deeds == Some(deeds) {
            return;
        }
        self.deeds = Some(deeds);
        tracing::info!(deeds, "the cluster's history has gone on");
        self.hear_claim();
        let remembered = self.parts.place.borrow().members.clone();
        let left: Vec<Contact> = {
            let state = self.state.read();
            let has_left = |contact: &Contact| {
                state.roster().node(contact.node).is_some_and(|record| record.status == NodeStatus::Left)
            };
            self.directory(Directory::list).into_iter().filter(has_left).collect()
        };
        for contact in left {
            self.leaving.entry(contact.node).or_insert((contact, Instant::now()));
        }
        self.leaving.retain(|_, (_, since)| since.elapsed() < LEAVING_FOR);
        let leaving = self.leaving.values().map(|(contact, _)| contact);
        let directory = Directory::new(self.state.read().roster(), &remembered, leaving);
        if self.state.read().roster().cluster().is_some() {
            self.parts.place.send_if_modified(|place| {
                let changed = place.members != directory.list();
                place.members = directory.list();
                changed
            });
        }
        *self.parts.directory.write().unwrap_or_else(PoisonError::into_inner) = directory;
        for peer in self.parts.links.peers() {
            if let Some(node) = self.node_of(peer) {
                self.guests.remove(&peer);
                self.reach(node, true);
            }
        }
        // Who has left is nobody's peer any more.
        let gone: Vec<NodeId> = self
            .reachable
            .keys()
            .copied()
            .filter(|node| self.directory(|all| all.key_of(*node)).is_none())
            .collect();
        for node in gone {
            self.reach(node, false);
            self.reachable.remove(&node);
        }
    }

    pub(super) fn look(&mut self) {
        let within = self.parts.greet_within;
        let late: Vec<PeerKey> = (self.guests.iter())
            .filter(|(_, guest)| guest.who == Who::Stranger && guest.since.elapsed() > within)
            .map(|(peer, _)| *peer)
            .collect();
        late.into_iter().for_each(|peer| self.parts.links.part(peer));
        if self.leaving.values().any(|(_, since)| since.elapsed() >= LEAVING_FOR) {
            // Who is who is looked at anew with the next tick.
            self.deeds = None;
        }
        self.log_health();
        let now = Instant::now();
        for (node, _) in self.reachable.iter().filter(|(_, yes)| **yes) {
            self.seen.insert(*node, now);
        }
        if self.status.is_leader && !self.setting_members {
            self.set_members();
        }
        self.claim();
    }

    /// Says who leads, as far as this node knows.
    pub(super) fn log_leader(&self) {
        let leader = self.status.leader.map(|node| node.0.get());
        tracing::info!(leader, term = self.status.term, "who leads the ledger");
    }

    /// Says what the leader has counted, when that is another thing than before: a node that leads says it, and no other.
    fn log_health(&mut self) {
        let HealthReport::Counted(health) = self.parts.node.health() else {
            self.counted = None;
            return;
        };
        let counted = (health.in_place, health.shards);
        if self.counted.replace(counted) == Some(counted) {
            return;
        }
        let (in_place, shards, unreadable) = (health.in_place, health.shards, health.unreadable.len());
        let (missing, away) = (health.reasons.missing, health.reasons.away);
        if unreadable > 0 {
            tracing::error!(
                in_place,
                shards,
                unreadable,
                missing,
                away,
                "there are stripes that cannot be read now"
            );
        } else {
            tracing::info!(in_place, shards, missing, away, "shards were counted");
        }
    }

    /// Has the ledger's members follow the roster.
    fn set_members(&mut self) {
        let candidates: Vec<Candidate> = {
            let state = self.state.read();
            let members = state.roster().members().map(|(node, record)| Candidate {
                node,
                active: record.status == NodeStatus::Active,
                known: self.status.voters.contains(&node) || self.status.learners.contains(&node),
                votes: self.status.voters.contains(&node),
                answers: node == self.own
                    || self.reachable.get(&node) == Some(&true)
                    || self.seen.get(&node).is_some_and(|seen| seen.elapsed() < VOTE_LOST_AFTER)
                        && self.status.voters.contains(&node),
            });
            let leaving = self.leaving.keys().map(|node| Candidate {
                node: *node,
                active: false,
                known: self.status.voters.contains(node) || self.status.learners.contains(node),
                votes: false,
                answers: false,
            });
            members.chain(leaving).collect()
        };
        let (voters, learners) = choose(&candidates);
        if voters.is_empty() || (&voters, &learners) == (&self.status.voters, &self.status.learners) {
            return;
        }
        self.setting_members = true;
        let (ledger, events) = (Arc::clone(&self.parts.ledger), self.parts.events.clone());
        tokio::spawn(async move {
            if let Err(error) = ledger.set_members(voters, learners).await {
                tracing::debug!(%error, "the ledger's members are not set yet");
            }
            let _ = events.send(Event::MembersSet);
        });
    }
}
