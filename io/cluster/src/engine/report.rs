//! How one node sees the cluster.
use super::Engine;
use std::collections::BTreeMap;
use terachat_cluster::wire::{
    AuditReport, Contact, HealthCount, HealthDetail, MemberReport, Mending, Report, Told, Unwelcome,
};
use terachat_cluster::{HealthReport, State};
use terachat_net::PeerKey;
use terachat_shard::NodeId;

impl Engine {
    pub(super) fn status(&mut self, peer: PeerKey, number: u64) {
        let report = self.report();
        self.answer(peer, number, move |_| async move { Ok(Told::Status(Box::new(report.await?))) });
    }

    /// Begins to make a report of how things are now.
    pub(super) fn report(&self) -> impl Future<Output = Result<Report, Unwelcome>> + Send + use<> {
        let silent: BTreeMap<NodeId, u64> = {
            let state = self.state.read();
            let members = state.roster().members().map(|(node, _)| node);
            members.filter_map(|node| Some((node, self.parts.node.silent_for(node)? / 1_000))).collect()
        };
        let (status, health, usage) = (self.status.clone(), self.health(), self.usage);
        let disk_trouble = self.disk_trouble.clone().or_else(|| self.parts.disk.hangs());
        let cluster = self.parts.place.borrow().cluster;
        let head = *self.parts.ledger.head().borrow();
        let (state, node, etcd) = (self.state.clone(), self.own, self.parts.etcd);
        // It goes through all that the ledger names: not on the task that has the node.
        let report = tokio::task::spawn_blocking(move || {
            let state = state.read();
            let shards = shards(&state);
            let members = state.roster().members().map(|(node, record)| MemberReport {
                contact: Contact { node, key: record.profile.key, address: record.profile.address.clone() },
                status: record.status,
                voter: !etcd && status.voters.contains(&node),
                silent_ms: silent.get(&node).copied(),
                shards: shards.get(&node).copied().unwrap_or(0),
            });
            Report {
                cluster,
                node,
                process: std::process::id(),
                leader: status.leader,
                term: status.term,
                stopped: status.stopped.or(status.trouble),
                head: (head.index, head.hash),
                members: members.collect(),
                health,
                stripes: state.stripes().len() as u64,
                items: state.items().len() as u64,
                bytes: state.items().map(|(_, place)| u64::from(place.item.len)).sum(),
                deeds: state.chronicle().deeds().len() as u64,
                disk: usage.into(),
                disk_trouble,
                etcd,
            }
        });
        async move { report.await.map_err(|_| Unwelcome::Busy) }
    }

    pub(super) fn audit(&mut self, peer: PeerKey, number: u64) {
        let head = self.parts.ledger.head();
        self.answer(peer, number, move |doer| async move {
            // All nodes are asked one after the other: each is to know what the others knew before.
            doer.catch_up().await?;
            let (state, node) = (doer.state.clone(), doer.node);
            let audited = tokio::task::spawn_blocking(move || {
                let state = state.read();
                let chronicle = state.chronicle();
                let wrong = chronicle.audit(state.roster()).err().map(|error| error.to_string());
                let (deeds, last) = chronicle.next();
                let head = *head.borrow();
                let (head, placements) = ((head.index, head.hash), state.placements().collect());
                AuditReport { node, deeds, last, wrong, head, placements }
            });
            Ok(Told::Audit(audited.await.map_err(|_| Unwelcome::Busy)?))
        });
    }

    fn health(&self) -> Option<HealthCount> {
        let small = |count: usize| count as u64;
        match self.parts.node.health() {
            HealthReport::Unknown => None,
            HealthReport::Heard(in_place, shards) => Some(HealthCount { shards, in_place, detail: None }),
            HealthReport::Counted(health) => {
                let upkeep = self.parts.node.upkeep().unwrap_or_default();
                let mending = |lasted| Mending {
                    lasted_ms: lasted / 1_000,
                    shards: upkeep.shards,
                    bytes: upkeep.bytes,
                };
                let detail = HealthDetail {
                    short_of_nodes: upkeep.short_of_nodes,
                    mending: upkeep.lasted.map(mending),
                    unreadable: small(health.unreadable.len()),
                    at_the_limit: small(health.at_the_limit),
                    missing: health.reasons.missing,
                    away: health.reasons.away,
                    rotten: health.reasons.rotten,
                    doubled: health.reasons.doubled,
                };
                Some(HealthCount { shards: health.shards, in_place: health.in_place, detail: Some(detail) })
            }
        }
    }
}

/// Shards that each node holds, by the ledger.
pub(super) fn shards(state: &State) -> BTreeMap<NodeId, u64> {
    let mut shards = BTreeMap::new();
    for stripe in state.stripes().values() {
        for index in stripe.record.counts().indices() {
            if let Some(node) = stripe.record.holder(index) {
                *shards.entry(node).or_default() += 1;
            }
        }
    }
    shards
}
