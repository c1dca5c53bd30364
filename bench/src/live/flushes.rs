//! What the reader's processor does for a flush that arrives: read, opened, judged, kept in memory, shown.
use super::{NAME, Sender};
use crate::catchup::{apply, apply_all, store_over};
use crate::measure::{Spread, Took, time};
use crate::report::Figure;
use crate::sender::{Prepared, device};
use crate::workload::Workload;
use anyhow::{Context, Result, ensure};
use terachat_core_store::LocalStore;
use terachat_core_store::store::storage::MemoryStorage;
use terachat_core_store::sync::{Bundle, Limits, Standing};
use terachat_event::{DeviceId, EventHash, SignedHead, verify_heads};

/// Flushes of one event in a round, and rounds.
const ONES: usize = 100;
const ROUNDS: usize = 20;
/// Events of a large flush.
const MANY: usize = 256;
/// Microseconds of CPU time: a flush of one event, and each event of a large one.
const ONE_AIM: f64 = 40.0;
const MANY_AIM: f64 = 10.0;

/// Measures.
///
/// # Errors
/// The stores'.
pub(super) fn run(kind: &str, prepared: &Prepared, workload: &Workload) -> Result<Vec<Figure>> {
    let mut sender = Sender::over(prepared, workload, MemoryStorage::new())?;
    let mut known: Standing = sender.store.frontier(&prepared.log).context("the sender has the log")?.into();
    sender.store.bundles_to(&mut known, Limits::PEER)?;
    let mut reader = store_over(prepared, Box::new(MemoryStorage::new()))?;
    apply_all(&mut reader, prepared)?;
    let signed = signed_head(prepared);
    let (mut ones, mut decoded, mut many, mut bare) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let flushes = (0..ONES).map(|_| flush(&mut sender, &mut known, 1)).collect::<Result<Vec<_>>>()?;
        ones.push(receive(&mut reader, &flushes)?);
        decoded.push(time(|| flushes.iter().all(|bytes| Bundle::decode(bytes, Limits::PEER).is_ok())).1);
        bare.push(time(|| (0..ONES).all(|_| verify_heads(&prepared.log, &[signed]).is_empty())).1);
        let flushes = [flush(&mut sender, &mut known, MANY)?];
        many.push(receive(&mut reader, &flushes)?);
    }
    let each =
        |list: &[Took], count: usize| Spread::of(list.iter().map(|took| took.cpu)).per(count as f64 / 1e6);
    let figure = |what: &str, spread| Figure::new(NAME, format!("{kind}: {what}"), "us", spread);
    let signature = each(&bare, ONES);
    Ok(vec![
        figure("reader's CPU time for a flush of one event, no disk", each(&ones, ONES))
            .beside("the bare check of its signature", signature.median)
            .at_most(ONE_AIM),
        figure("the bare check of its signature", signature),
        figure("reading its bytes alone", each(&decoded, ONES)),
        figure("reader's CPU time an event of a flush of 256, no disk", each(&many, MANY)).at_most(MANY_AIM),
    ])
}

/// What is sent after so many messages.
fn flush(sender: &mut Sender<'_>, known: &mut Standing, messages: usize) -> Result<Vec<u8>> {
    (0..messages).try_for_each(|_| sender.post())?;
    let (bundles, _) = sender.store.bundles_to(known, Limits::PEER)?;
    ensure!(bundles.len() == 1 && bundles[0].batch.events.len() == messages, "a flush is one bundle");
    Ok(bundles[0].encode())
}

fn receive(reader: &mut LocalStore, flushes: &[Vec<u8>]) -> Result<Took> {
    let (result, took) =
        time(|| flushes.iter().try_for_each(|bytes| apply(reader, &Bundle::decode(bytes, Limits::PEER)?)));
    result.map(|()| took)
}

fn signed_head(prepared: &Prepared) -> (DeviceId, SignedHead) {
    let key = device(0);
    (key.id(), key.sign_head(&prepared.log, 7, EventHash([3; 32])))
}
