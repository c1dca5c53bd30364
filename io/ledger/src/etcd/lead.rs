//! Who leads: whose key is there, which goes with its lease.
use super::keys::number;
use super::question::{is_missing, is_there, put_leased};
use super::{Seen, Shared};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Keeps the lease alive, and tries to lead when nobody does.
pub(super) async fn run(shared: Arc<Shared>) {
    let pause = Duration::from_secs(u64::from(shared.settings.leader_seconds.max(2))) / 3;
    loop {
        tokio::time::sleep(pause).await;
        step(&shared).await;
    }
}

/// A node that does not follow the ledger leads nobody: it lets its lease run out.
pub(super) async fn step(shared: &Shared) {
    if *shared.seen.borrow() != Seen::Ledger || shared.is_stopped() {
        return;
    }
    let mut own = shared.lease.lock().await;
    if let Some(lease) = own.as_ref() {
        let answer = shared.client.ask("/v3/lease/keepalive", &json!({ "ID": lease })).await;
        let seconds = answer.as_ref().ok().and_then(|answer| answer.pointer("/result/TTL"));
        if seconds.and_then(Value::as_str).is_none_or(|seconds| seconds == "0") {
            *own = None;
        }
    }
    if own.is_none() {
        let seconds = shared.settings.leader_seconds.to_string();
        let answer = shared.client.ask("/v3/lease/grant", &json!({ "TTL": seconds })).await;
        *own = answer.ok().and_then(|answer| Some(answer.get("ID")?.as_str()?.to_owned()));
    }
    if let Some(lease) = own.as_ref() {
        let key = shared.keys.leader();
        let own = number(u64::from(shared.node.0.get()));
        let when = [is_missing(&key), is_there(&shared.keys.tail())];
        // Who leads is seen where the key is watched.
        let _ = shared.client.transaction(&when, &[put_leased(&key, &own, lease)]).await;
    }
}

/// Hands over: the key goes with the lease.
pub(super) async fn give_up(shared: &Shared) {
    if let Some(lease) = shared.lease.lock().await.take() {
        let _ = shared.client.ask("/v3/lease/revoke", &json!({ "ID": lease })).await;
    }
}
