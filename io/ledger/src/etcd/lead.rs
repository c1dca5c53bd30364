//! Who leads: whose key is there, which goes with its lease.
use super::Shared;
use super::client::{is_missing, put_leased};
use super::keys::number;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Keeps the lease alive, and tries to lead when nobody does.
pub(super) async fn run(shared: Arc<Shared>, mut lease: Option<String>) {
    let pause = Duration::from_secs(u64::from(shared.settings.leader_seconds.max(2))) / 3;
    loop {
        tokio::time::sleep(pause).await;
        step(&shared, &mut lease).await;
    }
}

pub(super) async fn step(shared: &Shared, lease: &mut Option<String>) {
    if let Some(own) = lease.as_ref() {
        let answer = shared.client.ask("/v3/lease/keepalive", &json!({ "ID": own })).await;
        let seconds = answer.as_ref().ok().and_then(|answer| answer.pointer("/result/TTL"));
        if seconds.and_then(Value::as_str).is_none_or(|seconds| seconds == "0") {
            *lease = None;
        }
    }
    if lease.is_none() {
        let seconds = shared.settings.leader_seconds.to_string();
        let answer = shared.client.ask("/v3/lease/grant", &json!({ "TTL": seconds })).await;
        *lease = answer.ok().and_then(|answer| Some(answer.get("ID")?.as_str()?.to_owned()));
    }
    if let Some(lease) = lease {
        let key = shared.keys.leader();
        let own = number(u64::from(shared.node.0.get()));
        // Who leads is seen where the key is watched.
        let _ = shared.client.transaction(&[is_missing(&key)], &[put_leased(&key, &own, lease)]).await;
    }
}
