//! automerge, loro and yrs at the same conversation: unsigned, unencrypted, in memory, all by one actor.
use super::peer::Peer;
use crate::measure::time;
use crate::workload::{Record, Workload};
use anyhow::{Result, ensure};
use automerge::transaction::Transactable;
use automerge::{AutoCommit, ObjType, ReadDoc};
use loro::{ExportMode, LoroDoc, LoroList, LoroMap};
use terachat_core_store::model::Style;
use yrs::updates::decoder::Decode;
use yrs::{Array, Doc, Map, MapPrelim, ReadTxn, StateVector, Transact, Update};

/// Measures all three.
///
/// # Errors
/// A peer that does not arrive at the conversation.
pub(super) fn run(workload: &Workload, runs: usize) -> Result<Vec<Peer>> {
    Ok(vec![automerge(workload, runs)?, loro(workload, runs)?, yrs(workload, runs)?])
}

/// One peer's runs; `receive` takes the update in and gives the document and how many messages it has.
fn measure<D>(
    name: &'static str,
    (workload, runs): (&Workload, usize),
    update: &[u8],
    receive: impl Fn(&[u8]) -> Result<D>,
    count: impl Fn(&D) -> usize,
    save: impl Fn(&mut D) -> Vec<u8>,
) -> Result<Peer> {
    let mut peer = Peer { name, update_len: update.len(), apply: Vec::new(), save: Vec::new(), saved_len: 0 };
    for _ in 0..runs {
        let (document, took) = time(|| receive(update));
        peer.apply.push(took);
        let mut document = document?;
        ensure!(count(&document) == workload.records.len(), "{name} lost messages");
        let (saved, took) = time(|| save(&mut document));
        peer.save.push(took);
        peer.saved_len = saved.len();
    }
    Ok(peer)
}

fn automerge(workload: &Workload, runs: usize) -> Result<Peer> {
    let mut sender = AutoCommit::new();
    let list = sender.put_object(automerge::ROOT, "messages", ObjType::List)?;
    for (at, record) in workload.records.iter().enumerate() {
        let message = sender.insert_object(&list, at, ObjType::Map)?;
        sender.put(&message, "author", workload.authors[record.author as usize].as_str())?;
        sender.put(&message, "ts", record.ts_ms)?;
        sender.put(&message, "body", text(record).as_str())?;
        if let Some(to) = record.reply_to {
            sender.put(&message, "reply_to", i64::from(to))?;
        }
    }
    let update = sender.save();
    measure(
        "automerge 0.12",
        (workload, runs),
        &update,
        |bytes| Ok(AutoCommit::load(bytes)?),
        |document| {
            let list = document.get(automerge::ROOT, "messages").ok().flatten();
            list.map_or(0, |(_, id)| document.length(&id))
        },
        AutoCommit::save,
    )
}

fn loro(workload: &Workload, runs: usize) -> Result<Peer> {
    let sender = LoroDoc::new();
    let list: LoroList = sender.get_list("messages");
    for record in &workload.records {
        let message = list.push_container(LoroMap::new())?;
        message.insert("author", workload.authors[record.author as usize].as_str())?;
        message.insert("ts", record.ts_ms)?;
        message.insert("body", text(record))?;
        if let Some(to) = record.reply_to {
            message.insert("reply_to", i64::from(to))?;
        }
    }
    sender.commit();
    let update = sender.export(ExportMode::all_updates())?;
    measure(
        "loro 1.17",
        (workload, runs),
        &update,
        |bytes| {
            let document = LoroDoc::new();
            document.import(bytes)?;
            Ok(document)
        },
        |document| document.get_list("messages").len(),
        |document| document.export(ExportMode::Snapshot).expect("a document in memory is exported"),
    )
}

fn yrs(workload: &Workload, runs: usize) -> Result<Peer> {
    let sender = Doc::new();
    let list = sender.get_or_insert_array("messages");
    let mut change = sender.transact_mut();
    // From the end: yrs walks the whole list to find its end, which takes a sender of this many a quarter of an hour.
    for record in workload.records.iter().rev() {
        let message = list.push_front(&mut change, MapPrelim::default());
        message.insert(&mut change, "author", workload.authors[record.author as usize].as_str());
        message.insert(&mut change, "ts", record.ts_ms);
        message.insert(&mut change, "body", text(record));
        if let Some(to) = record.reply_to {
            message.insert(&mut change, "reply_to", i64::from(to));
        }
    }
    drop(change);
    let update = sender.transact().encode_state_as_update_v1(&StateVector::default());
    measure(
        "yrs 0.28",
        (workload, runs),
        &update,
        |bytes| {
            let document = Doc::new();
            document.get_or_insert_array("messages");
            document.transact_mut().apply_update(Update::decode_v1(bytes)?)?;
            Ok(document)
        },
        |document| document.get_or_insert_array("messages").len(&document.transact()) as usize,
        |document| document.transact().encode_state_as_update_v1(&StateVector::default()),
    )
}

/// What the peers keep of a record: its text, with the style before it unless it is plain.
fn text(record: &Record) -> String {
    match record.style {
        Style::Message => record.body.clone(),
        other => format!("/{other:?} {}", record.body),
    }
}
