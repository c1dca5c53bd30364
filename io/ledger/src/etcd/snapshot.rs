use super::Shared;
use super::client::Failed;
use super::keys::SnapshotRecord;
use super::question::{delete, has, is_missing, is_there, put};
use serde_json::json;

/// Bytes of a part: etcd takes requests of 1.5 MiB by default.
const PART_LEN: usize = 1 << 20;
/// Parts that are read at once.
const PARTS: u32 = 8;

/// On the leader, when there are many entries behind the last snapshot: makes one, and gives up what it has.
pub(super) async fn make_if_due(shared: &Shared) -> Result<(), Failed> {
    let due = |covered: u64| shared.head().index >= covered + shared.settings.snapshot_entries;
    if !shared.status.borrow().is_leader || !due(*shared.covered.borrow()) {
        return Ok(());
    }
    let before = record(shared).await?;
    let covered = before.as_ref().map_or(0, |(record, _)| record.index);
    shared.covered.send_replace(covered);
    if due(covered) { make(shared, before).await } else { Ok(()) }
}

async fn make(shared: &Shared, before: Option<(SnapshotRecord, Vec<u8>)>) -> Result<(), Failed> {
    let head = shared.head();
    let content = shared.machine().snapshot();
    let record = SnapshotRecord {
        index: head.index,
        head: head.hash,
        node: shared.node.0.get(),
        parts: u32::try_from(content.chunks(PART_LEN).count()).expect("below 4 PiB"),
        hash: *blake3::hash(&content).as_bytes(),
    };
    for (number, part) in (0..).zip(content.chunks(PART_LEN)) {
        shared.client.transaction(&[], &[put(&shared.keys.part(&record, number), part)]).await?;
    }
    let key = shared.keys.snapshot();
    let same = before.as_ref().map_or_else(|| is_missing(&key), |(_, value)| has(&key, value));
    let value = postcard::to_allocvec(&record).expect("a vector takes everything");
    let mut then = vec![put(&key, &value)];
    then.extend(before.iter().map(|(old, _)| delete_parts(shared, old)));
    if !shared.client.transaction(&[same, is_there(&shared.keys.tail())], &then).await? {
        // Another leader was faster.
        return shared.client.transaction(&[], &[delete_parts(shared, &record)]).await.map(drop);
    }
    shared.covered.send_replace(record.index);
    let kept = record.index.saturating_sub(shared.settings.kept_entries);
    let given_up = delete(&shared.keys.entry(0), &shared.keys.entry(kept + 1));
    let answer = shared.client.ask("/v3/kv/txn", &json!({ "success": [given_up] })).await?;
    if let Some(revision) = answer.pointer("/header/revision") {
        // etcd refuses it where somebody else did it already.
        let _ = shared.client.ask("/v3/kv/compaction", &json!({ "revision": revision })).await;
    }
    Ok(())
}

fn delete_parts(shared: &Shared, record: &SnapshotRecord) -> serde_json::Value {
    delete(&shared.keys.part(record, 0), &shared.keys.part(record, u32::MAX))
}

/// The snapshot that counts, and its key's value.
pub(super) async fn record(shared: &Shared) -> Result<Option<(SnapshotRecord, Vec<u8>)>, Failed> {
    let pairs = shared.reader.range(&shared.keys.snapshot(), &[], 1).await?;
    match pairs.into_iter().next() {
        None => Ok(None),
        Some(pair) => {
            let record = postcard::from_bytes(&pair.value).map_err(|_| Failed::NoAnswer)?;
            Ok(Some((record, pair.value)))
        }
    }
}

/// Restores the machine from the snapshot that counts. One that is replaced meanwhile is an error, after which the
/// caller looks again.
pub(super) async fn load(shared: &Shared) -> Result<(), Failed> {
    let (record, _) = record(shared).await?.ok_or(Failed::NoAnswer)?;
    if record.index <= shared.head().index {
        return Err(Failed::NoAnswer);
    }
    let mut content = Vec::new();
    let mut number = 0;
    while number < record.parts {
        let end = shared.keys.part(&record, u32::MAX);
        let parts = shared.reader.range(&shared.keys.part(&record, number), &end, PARTS).await?;
        if parts.is_empty() {
            return Err(Failed::NoAnswer);
        }
        number += u32::try_from(parts.len()).expect("not more than were asked for");
        parts.iter().for_each(|part| content.extend_from_slice(&part.value));
    }
    if *blake3::hash(&content).as_bytes() != record.hash {
        return Err(Failed::NoAnswer);
    }
    let restored = shared.machine().restore(record.index, &content);
    if let Err(error) = restored {
        shared.stop(format!("{error}; use the version that wrote it"));
        return Err(Failed::NoAnswer);
    }
    shared.covered.send_replace(record.index);
    shared.head.send_replace(record.head());
    Ok(())
}
