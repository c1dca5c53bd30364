//! Numbers for Prometheus.
use axum::http::Method;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::fmt;
use std::time::Duration;
use terachat_vault_store::TemplateVault;

pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Bounds in seconds: gets take microseconds, durable writes milliseconds.
const SECONDS: [f64; 14] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0, 10.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

/// All numbers of the server.
pub(crate) struct Metrics {
    registry: Registry,
    answered: Family<Answered, Counter>,
    took: Family<Route, Histogram, fn() -> Histogram>,
    under_way: Gauge,
}

/// A request that is at work; counted until it is dropped.
pub(crate) struct UnderWay<'a>(&'a Gauge);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    pub(crate) fn new(vault: &TemplateVault) -> Self {
        let mut registry = Registry::with_prefix("terachat_vault");
        let answered = Family::<Answered, Counter>::default();
        let took = Family::new_with_constructor((|| Histogram::new(SECONDS)) as fn() -> Histogram);
        let under_way = Gauge::default();
        registry.register("http_requests", "Answered requests", answered.clone());
        registry.register("http_request_seconds", "Time to the head of the answer", took.clone());
        registry.register("http_requests_under_way", "Requests at work", under_way.clone());
        registry.register_collector(Box::new(Vault(vault.clone())));
        Self { registry, answered, took, under_way }
    }

    pub(crate) fn begin(&self) -> UnderWay<'_> {
        self.under_way.inc();
        UnderWay(&self.under_way)
    }

    pub(crate) fn answered(&self, method: &Method, route: &str, status: u16, took: Duration) {
        // A method of the caller's invention would make a label of the caller's invention.
        let known = [Method::GET, Method::PUT, Method::POST, Method::DELETE, Method::HEAD];
        let method = if known.contains(method) { method.as_str() } else { "other" };
        let labels = Answered { method: method.to_owned(), route: route.to_owned(), status };
        self.answered.get_or_create(&labels).inc();
        self.took.get_or_create(&Route { route: route.to_owned() }).observe(took.as_secs_f64());
    }

    /// All of them as text.
    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }
}

/// The vault's own numbers, read when they are asked for.
struct Vault(TemplateVault);

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

impl Collector for Vault {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (stats, health) = (self.0.stats(), self.0.health());
        let counters = [
            ("reads", "Records read", stats.reads),
            ("misses", "Records asked for and not found", stats.misses),
            ("puts", "Versions stored", stats.puts),
            ("erased", "Versions erased", stats.erased),
            ("verifications", "1:1 comparisons", stats.verifications),
            ("identifications", "1:N searches", stats.identifications),
            ("commits", "Commits", stats.commits),
            ("syncs", "Commits that waited for the disk", stats.syncs),
            ("sweeps", "Sweeps that destroyed keys", stats.sweeps),
            ("damaged", "Records that did not open: an alarm", stats.damaged),
            ("reencrypted", "Versions re-encrypted by rotations", stats.reencrypted),
            ("page_hits", "Key pages found in memory", stats.page_hits),
            ("page_misses", "Key pages that had to be opened", stats.page_misses),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        let gauges = [
            ("records", "Records that are listed", stats.records),
            ("versions", "Versions of them", stats.versions),
            ("sealed_bytes", "Sealed bytes of them", stats.sealed_bytes),
            ("disk_bytes", "Bytes of the database on disk", stats.disk_bytes),
            ("pending_erasures", "Erased versions whose keys are to be destroyed", stats.pending_erasures),
            ("gallery_templates", "Templates in memory for identification", stats.gallery_templates),
            ("audit_seq", "Number of the newest audit event", stats.audit_seq),
            ("writable", "1 while writes are taken", u64::from(health.writable)),
            ("clock_doubted", "1 while the clock is not believed", u64::from(health.clock_doubted)),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
