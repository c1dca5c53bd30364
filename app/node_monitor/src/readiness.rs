//! Whether a node can do its work.
use terachat_cluster::NodeStatus;
use terachat_node::Report;

/// Why clients should go to another node; `None` if they are welcome.
pub(crate) fn hindrance(report: &Report) -> Option<String> {
    if let Some(why) = &report.stopped {
        return Some(format!("its ledger takes nothing: {why}"));
    }
    let own = report.members.iter().find(|member| member.contact.node == report.node);
    match own.map(|member| member.status) {
        None => return Some("it does not know yet that it is a member".to_owned()),
        Some(NodeStatus::Left) => return Some("it has left the cluster".to_owned()),
        Some(NodeStatus::Active | NodeStatus::Draining) => {}
    }
    if let Some(why) = &report.disk_trouble {
        return Some(format!("of its disk or bucket: {why}"));
    }
    match report.leader {
        None => Some("it knows of no leader: too few nodes are there, or one is being chosen".to_owned()),
        Some(_) => None,
    }
}

/// Health in hundredths of a percent, rounded down, so that only what is whole is called so; `None` if nobody has counted.
pub(crate) fn health(report: &Report) -> Option<u64> {
    let health = report.health?;
    Some((health.in_place * 10_000).checked_div(health.shards).unwrap_or(10_000))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::num::NonZeroU32;
    use terachat_cluster::{ClusterId, NodeKey};
    use terachat_node::{Contact, DiskUsage, HealthCount, HealthDetail, MemberReport};
    use terachat_shard::NodeId;

    pub(crate) fn node(number: u32) -> NodeId {
        NodeId(NonZeroU32::new(number).unwrap())
    }

    pub(crate) fn member(number: u32, silent_ms: Option<u64>) -> MemberReport {
        let address = format!("10.0.0.{number}:4701");
        let contact = Contact { node: node(number), key: NodeKey([number as u8; 32]), address };
        MemberReport { contact, status: NodeStatus::Active, voter: number < 4, silent_ms, shards: 10 }
    }

    /// Node 1 of two, which leads and has counted.
    pub(crate) fn report() -> Report {
        let detail = HealthDetail { missing: 1, ..HealthDetail::default() };
        Report {
            cluster: ClusterId([7; 16]),
            node: node(1),
            process: 1,
            leader: Some(node(1)),
            term: 3,
            stopped: None,
            etcd: false,
            head: (9, [0; 32]),
            members: vec![member(1, None), member(2, Some(20))],
            health: Some(HealthCount { shards: 20, in_place: 19, detail: Some(detail) }),
            stripes: 10,
            items: 30,
            bytes: 3_000,
            deeds: 2,
            disk_trouble: None,
            disk: DiskUsage { shards: 10, rotten: 0, live_bytes: 2_000, disk_bytes: 2_500 },
        }
    }

    #[test]
    fn who_knows_no_leader_or_is_no_member_is_not_ready() {
        assert_eq!(hindrance(&report()), None);
        let says = |change: &dyn Fn(&mut Report), what: &str| {
            let mut report = report();
            change(&mut report);
            let why = hindrance(&report).unwrap();
            assert!(why.contains(what), "{why}");
        };
        says(&|report| report.leader = None, "no leader");
        says(&|report| report.members.truncate(0), "not know yet");
        says(&|report| report.members[0].status = NodeStatus::Left, "left");
        says(&|report| report.disk_trouble = Some("shards are not kept".to_owned()), "not kept");
        says(&|report| report.stopped = Some("a full disk".to_owned()), "a full disk");
    }

    #[test]
    fn what_is_not_whole_is_never_called_whole() {
        let with = |in_place, shards| {
            let mut report = report();
            report.health = Some(HealthCount { shards, in_place, detail: None });
            health(&report)
        };
        assert_eq!((with(20, 20), with(0, 0), with(19, 20)), (Some(10_000), Some(10_000), Some(9_500)));
        assert_eq!(with(999_999, 1_000_000), Some(9_999));
        assert_eq!(health(&Report { health: None, ..report() }), None);
    }
}
