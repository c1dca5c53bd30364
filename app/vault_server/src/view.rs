//! The API's JSON for whoever shows a vault without HTTP: the same fields under the same names.
//!
//! What is refused is a text that ends in "; what to do".
use crate::{extract, wire};
use serde::Serialize;
use serde_json::Value;
use terachat_template::Probe;
use terachat_vault_store as store;

fn json(value: impl Serialize) -> Value {
    serde_json::to_value(value).expect("views are plain data")
}

/// A record with its content.
///
/// # Errors
/// When its content has no JSON form.
pub fn record(record: store::Record) -> Result<Value, String> {
    wire::RecordView::whole(record).map(json).map_err(|problem| problem.line())
}

/// A record without its content.
pub fn listed(info: store::RecordInfo) -> Value {
    json(wire::RecordView::listed(info))
}

/// A collection.
pub fn collection(info: store::CollectionInfo) -> Value {
    json(wire::Collection::from(info))
}

/// One record that looks like a probe.
pub fn found(found: store::Match) -> Value {
    json(wire::MatchView::from(found))
}

/// An erasure receipt.
pub fn receipt(receipt: &store::ErasureReceipt) -> Value {
    json(wire::ReceiptView::from(receipt))
}

/// How far a rotation is.
pub fn rotation(progress: store::RotationProgress) -> Value {
    json(wire::RotationView::from(progress))
}

/// One access in the audit log.
pub fn audit_entry(entry: store::AuditEntry) -> Value {
    json(wire::AuditEntryView::from(entry))
}

/// What a check of the audit log found.
pub fn audit_report(report: store::AuditReport) -> Value {
    json(wire::AuditCheck::from(report))
}

/// What a check of all records found.
pub fn check(report: store::CheckReport) -> Value {
    json(wire::CheckView::from(report))
}

/// Counters.
pub fn stats(stats: store::Stats) -> Value {
    json(wire::StatsView::from(stats))
}

/// A record's content from the API's JSON: `{"bytes": …}` or `{"template": …}`.
///
/// # Errors
/// What is wrong with it.
pub fn content(bytes: &[u8]) -> Result<store::Content, String> {
    extract::parse::<wire::Content>(bytes).and_then(wire::Content::take).map_err(|problem| problem.line())
}

/// A batch from the API's JSON: `{"operations": […]}`.
///
/// # Errors
/// What is wrong with it.
pub fn batch(bytes: &[u8]) -> Result<store::Batch, String> {
    let request = extract::parse::<wire::BatchRequest>(bytes);
    request.and_then(|request| request.take(None)).map_err(|problem| problem.line())
}

/// What a batch did, with the receipt of what it erased if it is there already.
pub fn applied(applied: &store::Applied, receipt: Option<&store::ErasureReceipt>) -> Value {
    json(wire::Applied::of(applied, receipt))
}

/// A probe from the API's JSON: `{"type": …, "body": …}`.
///
/// # Errors
/// What is wrong with it.
pub fn probe(bytes: &[u8]) -> Result<Probe, String> {
    extract::parse::<wire::Probe>(bytes).and_then(wire::Probe::take).map_err(|problem| problem.line())
}
