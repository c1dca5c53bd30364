use super::status::bytes;
use super::{Align, Look, Table, json_line, one_line};
use crate::render::Paint;
use serde_json::{Value, json};
use terachat_cluster::NodeStatus;
use terachat_node::{Contact, HealthCount, MemberReport, Mending, Report};
use terachat_shard::Profile;

/// A member that was silent for so long may be lost.
const LOST_AFTER_MS: u64 = 15 * 60 * 1_000;

/// What is known of a cluster: each member, and its own word if it gave one.
pub(crate) struct ClusterView {
    nodes: Vec<(Contact, Option<Report>)>,
    /// Whose word counts for the whole: the leader's if there is one.
    of: Option<Report>,
}

impl ClusterView {
    /// Of all members' words.
    pub(crate) fn new(nodes: Vec<(Contact, Option<Report>)>) -> Self {
        let reports = || nodes.iter().filter_map(|(_, report)| report.as_ref());
        // A leader that was voted out says so of itself for a while; the later election counts.
        let leads = reports().filter(|one| one.leader == Some(one.node)).max_by_key(|one| one.term);
        let of = leads.or_else(|| reports().max_by_key(|one| one.head.0)).cloned();
        Self { nodes, of }
    }

    /// Of one node's word.
    pub(crate) fn of_one(report: Report) -> Self {
        let word = |member: &MemberReport| {
            let own = member.contact.node == report.node;
            (member.contact.clone(), own.then(|| report.clone()))
        };
        Self { nodes: report.members.iter().map(word).collect(), of: Some(report) }
    }

    fn member(&self, contact: &Contact) -> Option<&MemberReport> {
        self.of.as_ref()?.members.iter().find(|member| member.contact.node == contact.node)
    }

    fn active(&self) -> usize {
        let members = self.of.as_ref().map_or(&[][..], |of| &of.members);
        members.iter().filter(|member| member.status == NodeStatus::Active).count()
    }
}

/// A picture for people.
pub(crate) fn cluster(view: &ClusterView, look: &Look) -> String {
    let Some(of) = &view.of else { return "No node answers.\n".to_owned() };
    let leader = of.leader.map_or("nobody leads".to_owned(), |node| format!("{node} leads"));
    let id = of.cluster.to_string();
    let mut out = format!(
        "Cluster {}, {} nodes, {leader}{}\n",
        look.paint.strong(id.get(..8).unwrap_or(&id)),
        of.members.len(),
        if of.etcd { ", the ledger is in etcd" } else { "" }
    );
    let mut table = Table::indented(2);
    for (contact, report) in &view.nodes {
        let member = view.member(contact);
        let (bare, shown) = mark(member, report.is_some(), look.paint);
        table.row().painted(bare, shown, Align::Left).cell(&contact.node.to_string());
        table.cell(&one_line(&contact.address)).cell(status_word(member));
        table.cell(if member.is_some_and(|member| member.voter) { "votes" } else { "" });
        table.cell(&heard(member, report.is_some()));
        table.number(member.map_or(0, |member| member.shards)).cell("shards");
        let disk = report.as_ref().map(|report| format!("{} on disk", bytes(report.disk.disk_bytes)));
        table.cell(&disk.unwrap_or_default());
    }
    out += &table.render();
    out += &health(of.health.as_ref(), look.paint);
    out += &mending(of.health.as_ref());
    out += &lost(&of.members);
    out += &format!("{} stripes, {} items, {}\n", of.stripes, of.items, bytes(of.bytes));
    out += &promise(view.active());
    for report in view.nodes.iter().filter_map(|(_, report)| report.as_ref()) {
        if let Some(why) = &report.disk_trouble {
            out += &look.paint.alarm(&format!("Of {}, {}\n", report.node, one_line(why)));
        }
    }
    if let Some(stopped) = &of.stopped {
        out +=
            &look.paint.alarm(&format!("The ledger of {} takes nothing: {}\n", of.node, one_line(stopped)));
    }
    out
}

fn mark(member: Option<&MemberReport>, answers: bool, paint: Paint) -> (&'static str, String) {
    let quiet = member.is_none_or(|member| member.silent_ms.is_none_or(|silent| silent > 1_000));
    match (answers, quiet) {
        (true, _) | (false, false) => ("●", paint.good("●")),
        _ => ("○", paint.alarm("○")),
    }
}

fn status_word(member: Option<&MemberReport>) -> &'static str {
    match member.map(|member| member.status) {
        Some(NodeStatus::Active) => "active",
        Some(NodeStatus::Draining) => "being emptied",
        Some(NodeStatus::Left) => "left",
        None => "unknown",
    }
}

fn heard(member: Option<&MemberReport>, answers: bool) -> String {
    match (answers, member.and_then(|member| member.silent_ms)) {
        (true, _) => "answers".to_owned(),
        (false, Some(silent)) if silent < 1_000 => "heard just now".to_owned(),
        (false, Some(silent)) => format!("last heard {} s ago", silent / 1_000),
        (false, None) => "not heard".to_owned(),
    }
}

fn health(health: Option<&HealthCount>, paint: Paint) -> String {
    let Some(health) = health else { return "Health not counted yet\n".to_owned() };
    let percent = percent(health);
    let text =
        format!("Health {percent} %: {} of {} shards verified in place", health.in_place, health.shards);
    let mut out = match health.in_place == health.shards {
        true => paint.good(&text),
        false => paint.alarm(&text),
    };
    if let Some(detail) = health.detail {
        let reasons = [
            (detail.missing, "missing"),
            (detail.away, "on nodes that do not answer"),
            (detail.rotten, "rotten"),
            (detail.doubled, "beside another of the same stripe"),
        ];
        for (count, reason) in reasons.into_iter().filter(|(count, _)| *count > 0) {
            out += &format!(", {count} {reason}");
        }
        if detail.unreadable > 0 {
            out += &paint.alarm(&format!("; {} stripes cannot be read now", detail.unreadable));
        }
        if detail.at_the_limit > 0 {
            out += &format!("; {} stripes bear no further loss", detail.at_the_limit);
        }
    }
    out + "\n"
}

/// What is being done for all to be in place, how long it takes yet, and what cannot be done.
fn mending(health: Option<&HealthCount>) -> String {
    let Some((health, detail)) = health.and_then(|health| Some((health, health.detail?))) else {
        return String::new();
    };
    let mut out = String::new();
    if let Some(Mending { lasted_ms, shards, bytes: len }) = detail.mending {
        let rate = u128::from(len) * 1_000 / u128::from(lasted_ms.max(1));
        let rate = bytes(u64::try_from(rate).unwrap_or(u64::MAX));
        out += &format!(
            "Mending for {}: {shards} shards, {} made anew or moved, {rate} a second",
            span(lasted_ms),
            bytes(len)
        );
        let left = health.shards - health.in_place.min(health.shards);
        if let (Some(each), true) = (lasted_ms.checked_div(shards), left > 0) {
            out += &format!("; {left} to go, about {}", span(each.saturating_mul(left)));
        }
        out += "\n";
    }
    if detail.short_of_nodes > 0 {
        out += &format!(
            "{} stripes have more shards than there are nodes to hold them: bring nodes back, or add one with terachat node invite\n",
            detail.short_of_nodes
        );
    }
    out
}

/// Members that may never come back.
fn lost(members: &[MemberReport]) -> String {
    let line = |member: &MemberReport| {
        let silent = member.silent_ms.filter(|silent| *silent >= LOST_AFTER_MS)?;
        let node = member.contact.node;
        Some(format!(
            "{node} has been silent for {}: bring it back, or count it out with terachat node leave {}\n",
            span(silent),
            node.0
        ))
    };
    members.iter().filter(|member| member.status != NodeStatus::Left).filter_map(line).collect()
}

/// Milliseconds in words, rounded down.
fn span(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Hundredths, rounded down: 100.00 only if nothing is missing.
fn percent(health: &HealthCount) -> String {
    let points = u128::from(health.in_place) * 10_000 / u128::from(health.shards.max(1));
    let points = if health.shards == 0 { 10_000 } else { points };
    format!("{}.{:02}", points / 100, points % 100)
}

/// What a cluster of so many active nodes promises, and what it cannot.
fn promise(active: usize) -> String {
    let Ok(profile) = Profile::new(active) else { return String::new() };
    let counts = profile.counts();
    let mut out = format!(
        "Profile {}+{}: a write is acknowledged by {} nodes",
        counts.data(),
        counts.parity(),
        profile.acknowledge_at()
    );
    if profile.losses() > 0 {
        out += &format!("; any {} may be lost, and everything goes on", profile.losses());
    }
    out += "\n";
    for shortfall in profile.shortfalls() {
        out += &format!("  This many nodes cannot promise more: {shortfall}\n");
    }
    out
}

/// The same for programs.
pub(crate) fn cluster_json(view: &ClusterView) -> String {
    let of = view.of.as_ref();
    let nodes: Vec<Value> = (view.nodes.iter())
        .map(|(contact, report)| {
            let member = view.member(contact);
            json!({
                "node": contact.node.0,
                "address": contact.address,
                "key": contact.key.to_string(),
                "status": status_word(member),
                "votes": member.is_some_and(|member| member.voter),
                "answers": report.is_some(),
                "silent_ms": member.and_then(|member| member.silent_ms),
                "shards": member.map_or(0, |member| member.shards),
                "process": report.as_ref().map(|report| report.process),
                "leads": report.as_ref().map(|report| report.leader == Some(report.node)),
                "entries": report.as_ref().map(|report| report.head.0),
                "disk_bytes": report.as_ref().map(|report| report.disk.disk_bytes),
                "disk_trouble": report.as_ref().and_then(|report| report.disk_trouble.clone()),
                "rotten": report.as_ref().map(|report| report.disk.rotten),
            })
        })
        .collect();
    let health = of.and_then(|of| of.health).map(|health| {
        json!({
            "percent": percent(&health),
            "shards": health.shards,
            "in_place": health.in_place,
            "whole": health.in_place == health.shards,
            "missing": health.detail.map(|detail| detail.missing),
            "away": health.detail.map(|detail| detail.away),
            "rotten": health.detail.map(|detail| detail.rotten),
            "doubled": health.detail.map(|detail| detail.doubled),
            "unreadable": health.detail.map(|detail| detail.unreadable),
            "at_the_limit": health.detail.map(|detail| detail.at_the_limit),
            "short_of_nodes": health.detail.map(|detail| detail.short_of_nodes),
            "mending": health.detail.and_then(|detail| detail.mending).map(|mending| json!({
                "lasted_ms": mending.lasted_ms, "shards": mending.shards, "bytes": mending.bytes,
            })),
        })
    });
    let profile = Profile::new(view.active()).ok().map(|profile| {
        let shortfalls: Vec<String> = profile.shortfalls().iter().map(ToString::to_string).collect();
        json!({
            "data": profile.counts().data(),
            "parity": profile.counts().parity(),
            "acknowledge_at": profile.acknowledge_at(),
            "losses": profile.losses(),
            "cannot": shortfalls,
        })
    });
    let value = json!({
        "cluster": of.map(|of| of.cluster.to_string()),
        "leader": of.and_then(|of| of.leader).map(|node| node.0),
        "term": of.map(|of| of.term),
        "ledger": of.map(|of| if of.etcd { "etcd" } else { "openraft" }),
        "nodes": nodes,
        "health": health,
        "profile": profile,
        "stripes": of.map(|of| of.stripes),
        "items": of.map(|of| of.items),
        "bytes": of.map(|of| of.bytes),
        "deeds": of.map(|of| of.deeds),
        "stopped": of.and_then(|of| of.stopped.clone()),
    });
    json_line(&value.to_string()) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;
    use terachat_cluster::NodeKey;
    use terachat_node::HealthDetail;
    use terachat_shard::NodeId;

    #[test]
    fn what_is_mended_says_how_far_it_is() {
        let with = |mending: Option<Mending>, in_place: u64, short_of_nodes: u64| {
            let detail = HealthDetail { mending, short_of_nodes, ..HealthDetail::default() };
            super::mending(Some(&HealthCount { shards: 100, in_place, detail: Some(detail) }))
        };
        assert_eq!(with(None, 100, 0), "");
        let begun = Mending { lasted_ms: 4_000, shards: 40, bytes: 8 << 20 };
        let text = with(Some(begun), 70, 0);
        assert_eq!(
            text,
            "Mending for 4 s: 40 shards, 8.0 MiB made anew or moved, 2.0 MiB a second; 30 to go, about 3 s\n"
        );
        assert!(!with(Some(begun), 100, 0).contains("to go"));
        assert!(!with(Some(Mending { shards: 0, ..begun }), 70, 0).contains("about"));
        assert!(with(None, 70, 3).starts_with("3 stripes have more shards than there are nodes"));
        assert_eq!(super::mending(Some(&HealthCount { shards: 1, in_place: 0, detail: None })), "");
    }

    #[test]
    fn who_is_silent_for_long_may_be_counted_out() {
        let member = |number: u32, silent_ms: Option<u64>, status: NodeStatus| MemberReport {
            contact: Contact {
                node: NodeId(NonZeroU32::new(number).unwrap()),
                key: NodeKey([1; 32]),
                address: String::new(),
            },
            status,
            voter: true,
            silent_ms,
            shards: 0,
        };
        let long = Some(3 * 3_600_000);
        let members = [
            member(1, None, NodeStatus::Active),
            member(2, Some(LOST_AFTER_MS - 1), NodeStatus::Active),
            member(3, long, NodeStatus::Active),
            member(4, long, NodeStatus::Left),
        ];
        assert_eq!(
            lost(&members),
            "node 3 has been silent for 3 h: bring it back, or count it out with terachat node leave 3\n"
        );
    }
}
