//! Numbers for Prometheus, made of a report when they are asked for.
use crate::readiness::hindrance;
use prometheus_client::encoding::{
    EncodeLabelSet, EncodeLabelValue, EncodeMetric, LabelValueEncoder, NoLabelSet, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};
use std::fmt::{self, Write as _};
use terachat_cluster::NodeStatus;
use terachat_node::{Metered, Report, SECONDS};

pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything as text.
pub(crate) fn text(report: Report, requests: Vec<Metered>) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("terachat_node");
    registry.register_collector(Box::new(Numbers { report, requests }));
    let mut out = String::new();
    text::encode(&mut out, &registry)?;
    Ok(out)
}

#[derive(Debug)]
struct Numbers {
    report: Report,
    requests: Vec<Metered>,
}

/// A word that is known when the program is built.
#[derive(Debug, Clone, Copy)]
struct Word(&'static str);

impl EncodeLabelValue for Word {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        encoder.write_str(self.0)
    }
}

#[derive(Debug, EncodeLabelSet)]
struct OfVerb {
    verb: Word,
}

#[derive(Debug, EncodeLabelSet)]
struct OfAnswer {
    verb: Word,
    answer: Word,
}

#[derive(Debug, EncodeLabelSet)]
struct OfMember {
    node: u32,
}

#[derive(Debug, EncodeLabelSet)]
struct Of {
    is: Word,
}

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Report { members, disk, .. } = &self.report;
        let flag = |is: bool| u64::from(is);
        let single = [
            ("ready", "1 while clients are welcome", flag(hindrance(&self.report).is_none())),
            (
                "leads",
                "1 while this node leads the ledger",
                flag(self.report.leader == Some(self.report.node)),
            ),
            ("leader_known", "1 while this node knows who leads", flag(self.report.leader.is_some())),
            ("term", "Number of the last election it knows of", self.report.term),
            ("ledger_entries", "Entries of the ledger that it has applied", self.report.head.0),
            ("deeds", "Deeds in the cluster's history", self.report.deeds),
            ("stripes", "Stripes in the ledger", self.report.stripes),
            ("items", "Items in the ledger", self.report.items),
            ("item_bytes", "Bytes of all items", self.report.bytes),
            ("disk_shards", "Shards on its disk", disk.shards),
            ("disk_rotten_shards", "Rotten shards on its disk: an alarm if it is not 0", disk.rotten),
            ("disk_live_bytes", "Bytes of the shards on its disk", disk.live_bytes),
            ("disk_bytes", "Bytes of the files that they are in", disk.disk_bytes),
        ];
        let help = "1 while its disk or bucket keeps or gives no shards: an alarm";
        gauge(&mut encoder, "disk_trouble", help, flag(self.report.disk_trouble.is_some()))?;
        for (name, help, value) in single {
            gauge(&mut encoder, name, help, value)?;
        }
        if let Some(health) = self.report.health {
            gauge(
                &mut encoder,
                "health_shards",
                "Shards that there should be, in the whole cluster",
                health.shards,
            )?;
            let help = "Shards that count: verified, each on a node of its own that answers";
            gauge(&mut encoder, "health_shards_in_place", help, health.in_place)?;
            if let Some(detail) = health.detail {
                let help = "Stripes that cannot be read now: an alarm if it is not 0";
                gauge(&mut encoder, "health_unreadable_stripes", help, detail.unreadable)?;
                let help = "Stripes that bear no further loss";
                gauge(&mut encoder, "health_stripes_at_the_limit", help, detail.at_the_limit)?;
                let help = "Stripes of which shards have no node left to stand on: nodes have to come back, or others to come";
                gauge(&mut encoder, "health_stripes_short_of_nodes", help, detail.short_of_nodes)?;
                let mending = detail.mending.unwrap_or_default();
                let help = "Shards made anew or moved since there was last nothing to do";
                gauge(&mut encoder, "mended_shards", help, mending.shards)?;
                gauge(&mut encoder, "mended_bytes", "Bytes of these", mending.bytes)?;
                let lacking = [
                    ("missing", detail.missing),
                    ("away", detail.away),
                    ("rotten", detail.rotten),
                    ("doubled", detail.doubled),
                ];
                let help = "Shards that do not count, by why";
                let mut family =
                    encoder.encode_descriptor("health_shards_lacking", help, None, MetricType::Gauge)?;
                for (why, count) in lacking {
                    number(count).encode(family.encode_family(&Of { is: Word(why) })?)?;
                }
            }
        }
        let help = "Members, by what was decided of them";
        let mut family = encoder.encode_descriptor("members", help, None, MetricType::Gauge)?;
        let statuses =
            [("active", NodeStatus::Active), ("draining", NodeStatus::Draining), ("left", NodeStatus::Left)];
        for (is, status) in statuses {
            let count = members.iter().filter(|member| member.status == status).count();
            number(count as u64).encode(family.encode_family(&Of { is: Word(is) })?)?;
        }
        let there = || members.iter().filter(|member| member.status != NodeStatus::Left);
        let help = "Seconds since a word came from another member; none of one that was never heard";
        let mut family = encoder.encode_descriptor("member_silent_seconds", help, None, MetricType::Gauge)?;
        for member in there() {
            let Some(silent_ms) = member.silent_ms else { continue };
            let labels = OfMember { node: member.contact.node.0.get() };
            ConstGauge::new(silent_ms as f64 / 1_000.0).encode(family.encode_family(&labels)?)?;
        }
        let help = "Shards that a member holds, by the ledger";
        let mut family = encoder.encode_descriptor("member_shards", help, None, MetricType::Gauge)?;
        for member in there() {
            let labels = OfMember { node: member.contact.node.0.get() };
            number(member.shards).encode(family.encode_family(&labels)?)?;
        }
        self.requests(&mut encoder)
    }
}

impl Numbers {
    fn requests(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut family = encoder.encode_descriptor(
            "requests",
            "Answered requests of clients",
            None,
            MetricType::Counter,
        )?;
        for of in &self.requests {
            let verb = Word(of.verb.name());
            for (answer, count) in [("done", of.done), ("refused", of.refused)] {
                let labels = OfAnswer { verb, answer: Word(answer) };
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        let help = "Bytes of items that were kept for clients, or given to them";
        let mut family = encoder.encode_descriptor("request_bytes", help, None, MetricType::Counter)?;
        for of in &self.requests {
            let labels = OfVerb { verb: Word(of.verb.name()) };
            ConstCounter::new(of.bytes).encode(family.encode_family(&labels)?)?;
        }
        let help = "From when a request was read until it was answered";
        let mut family = encoder.encode_descriptor("request_seconds", help, None, MetricType::Histogram)?;
        for of in &self.requests {
            let labels = OfVerb { verb: Word(of.verb.name()) };
            let buckets: Vec<(f64, u64)> = SECONDS.into_iter().chain([f64::INFINITY]).zip(of.took).collect();
            let count = of.took.iter().sum();
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
                of.took_all.as_secs_f64(),
                count,
                &buckets,
                None,
            )?;
        }
        Ok(())
    }
}

fn number(value: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> Result<(), fmt::Error> {
    let gauge = number(value);
    gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readiness::{
        self,
        tests::{member, report},
    };
    use std::time::Duration;
    use terachat_node::Verb;

    #[test]
    fn all_numbers_are_there_under_their_names() {
        let mut report = report();
        report.members.push(member(3, Some(1_500)));
        report.members[2].status = NodeStatus::Left;
        let mut took = [0; SECONDS.len() + 1];
        (took[3], took[SECONDS.len()]) = (2, 1);
        let metered = Metered {
            verb: Verb::Put,
            done: 2,
            refused: 1,
            bytes: 200,
            took,
            took_all: Duration::from_millis(61_500),
        };
        let text = text(report, vec![metered]).unwrap();
        for line in [
            "terachat_node_ready 1",
            "terachat_node_leads 1",
            "terachat_node_disk_trouble 0",
            "terachat_node_items 30",
            "terachat_node_health_shards_in_place 19",
            "terachat_node_health_shards_lacking{is=\"missing\"} 1",
            "terachat_node_members{is=\"left\"} 1",
            "terachat_node_member_silent_seconds{node=\"2\"} 0.02",
            "terachat_node_member_shards{node=\"1\"} 10",
            "terachat_node_requests_total{verb=\"put\",answer=\"refused\"} 1",
            "terachat_node_request_bytes_total{verb=\"put\"} 200",
            "terachat_node_request_seconds_sum{verb=\"put\"} 61.5",
            "terachat_node_request_seconds_bucket{le=\"0.001\",verb=\"put\"} 2",
            "terachat_node_request_seconds_bucket{le=\"+Inf\",verb=\"put\"} 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("member_shards{node=\"3\"}"), "who left is no member any more");
        assert!(text.ends_with("# EOF\n"));
        let failing = Report { disk_trouble: Some("it is full".to_owned()), ..readiness::tests::report() };
        let text = super::text(failing, Vec::new()).unwrap();
        for line in ["terachat_node_disk_trouble 1", "terachat_node_ready 0"] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
