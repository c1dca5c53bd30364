//! Parts of questions, as etcd's JSON gateway reads them.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Bytes as the gateway writes them.
pub(super) fn text(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn bytes(value: Option<&Value>) -> Option<Vec<u8>> {
    match value {
        // What is empty is left out.
        None => Some(Vec::new()),
        Some(value) => STANDARD.decode(value.as_str()?).ok(),
    }
}

pub(super) fn put(key: &[u8], value: &[u8]) -> Value {
    json!({ "request_put": { "key": text(key), "value": text(value) } })
}

pub(super) fn put_leased(key: &[u8], value: &[u8], lease: &str) -> Value {
    json!({ "request_put": { "key": text(key), "value": text(value), "lease": lease } })
}

pub(super) fn delete(key: &[u8], end: &[u8]) -> Value {
    json!({ "request_delete_range": { "key": text(key), "range_end": text(end) } })
}

/// That `key` has this value.
pub(super) fn has(key: &[u8], value: &[u8]) -> Value {
    json!({ "key": text(key), "target": "VALUE", "result": "EQUAL", "value": text(value) })
}

/// That `key` is there.
pub(super) fn is_there(key: &[u8]) -> Value {
    json!({ "key": text(key), "target": "CREATE", "result": "GREATER", "create_revision": "0" })
}

/// That `key` is not there.
pub(super) fn is_missing(key: &[u8]) -> Value {
    json!({ "key": text(key), "target": "CREATE", "result": "EQUAL", "create_revision": "0" })
}
