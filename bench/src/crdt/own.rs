use super::child::OWN;
use super::result::{Came, Kept};
use crate::catchup::{apply, apply_all, store_over};
use crate::measure::{Spread, Took, time};
use crate::sender::{Prepared, all_bundles};
use crate::talk::{Speakers, Talk};
use anyhow::{Result, ensure};
use terachat_core_store::LocalStore;
use terachat_core_store::store::storage::MemoryStorage;
use terachat_core_store::sync::{Bundle, Limits, Outcome, Standing};
use terachat_event::LogId;
use terachat_host::Disk;

/// Flushes that share a sync where they do.
pub(super) const TOGETHER: usize = 64;

/// Bundles taken from a queue at once: as many as a client takes.
const QUEUED: usize = 1024;

/// What is sent of a talk.
pub(super) struct Sent {
    /// In one piece.
    pub(super) whole: Prepared,
    /// A bundle for each flush.
    pub(super) flushes: Vec<Vec<u8>>,
}

/// What a second replica took.
pub(super) struct Received {
    pub(super) kept: Kept,
    texts: Vec<Took>,
    /// CPU seconds with shared syncs, where updates are many.
    pub(super) together: Option<Spread>,
    /// CPU seconds where the flushes had waited.
    pub(super) backlog: Option<Spread>,
    pub(super) log_len: u64,
}

impl Received {
    /// Seconds of everything.
    pub(super) fn with_texts(&self, of: fn(&Took) -> f64) -> Spread {
        Spread::of(self.kept.apply.iter().zip(&self.texts).map(|(apply, texts)| of(apply) + of(texts)))
    }
}

/// Everybody talks on one store, which sends what is new after each flush, and everything at the end.
///
/// # Errors
/// The store's.
pub(super) fn send(talk: &Talk) -> Result<Sent> {
    let mut speakers = Speakers::new(Box::new(MemoryStorage::new()))?;
    let log = speakers.log;
    let mut known = Standing::nothing(log);
    let mut flushes = Vec::with_capacity(talk.flushes.len());
    for flush in &talk.flushes {
        speakers.flush(flush)?;
        let (bundles, _) = speakers.store.bundles_to(&mut known, Limits::PEER)?;
        ensure!(bundles.len() == 1, "a flush is one bundle");
        flushes.extend(bundles.iter().map(Bundle::encode));
    }
    let control = all_bundles(&mut speakers.store, LogId::control(log.space), Limits::PEER)?;
    let channel = all_bundles(&mut speakers.store, log, Limits::PEER)?;
    Ok(Sent { whole: Prepared { log, key: speakers.key, control, channel }, flushes })
}

/// What it takes to take that in, on a disk.
///
/// # Errors
/// The store's and the disk's.
pub(super) fn receive(talk: &Talk, sent: &Sent, came: Came, runs: usize) -> Result<Received> {
    let (mut applied, mut texts) = (Vec::new(), Vec::new());
    let (mut together, mut backlog) = (Vec::new(), Vec::new());
    let mut last = None;
    for _ in 0..runs {
        let folder = tempfile::tempdir()?;
        let mut store = store_over(&sent.whole, Box::new(Disk::open(folder.path())?))?;
        let (result, took) = time(|| match came {
            Came::Whole => apply_all(&mut store, &sent.whole),
            Came::Flushes => take_flushes(&mut store, sent, 1),
        });
        result?;
        applied.push(took);
        ensure!(store.len(&sent.whole.log) == talk.events, "events are missing");
        let (result, took) = time(|| store.index_texts());
        result?;
        texts.push(took);
        last = Some((store, folder));
        if came == Came::Flushes {
            let folder = tempfile::tempdir()?;
            let mut store = store_over(&sent.whole, Box::new(Disk::open(folder.path())?))?;
            let (result, took) = time(|| take_flushes(&mut store, sent, TOGETHER));
            result?;
            together.push(took.cpu);
            let folder = tempfile::tempdir()?;
            let mut store = store_over(&sent.whole, Box::new(Disk::open(folder.path())?))?;
            let (result, took) = time(|| take_backlog(&mut store, sent));
            result?;
            ensure!(store.len(&sent.whole.log) == talk.events, "events are missing");
            backlog.push(took.cpu);
        }
    }
    let (mut store, folder) = last.expect("there is at least one run");
    store.snapshot()?;
    let log_len = store.disk_len();
    drop(store);
    let len = crate::open::files(folder.path())?.iter().map(|(_, len)| len).sum();
    let save = vec![Took::default(); applied.len()];
    let kept = Kept::new((OWN, OWN), talk, (applied, save), (folder.path(), len), runs)?;
    let some = |took: Vec<f64>| (!took.is_empty()).then(|| Spread::of(took));
    Ok(Received { kept, texts, together: some(together), backlog: some(backlog), log_len })
}

/// Takes in flush after flush; `share` of them become durable together.
fn take_flushes(store: &mut LocalStore, sent: &Sent, share: usize) -> Result<()> {
    for bytes in &sent.whole.control {
        apply(store, &Bundle::decode(bytes, Limits::PEER)?)?;
    }
    for flushes in sent.flushes.chunks(share) {
        if share > 1 {
            store.defer();
        }
        for bytes in flushes {
            apply(store, &Bundle::decode(bytes, Limits::PEER)?)?;
        }
        if share > 1 {
            store.flush()?;
        }
    }
    Ok(())
}

/// Takes in flushes that wait in a queue.
fn take_backlog(store: &mut LocalStore, sent: &Sent) -> Result<()> {
    for bytes in &sent.whole.control {
        apply(store, &Bundle::decode(bytes, Limits::PEER)?)?;
    }
    for flushes in sent.flushes.chunks(QUEUED) {
        let bundles =
            flushes.iter().map(|bytes| Bundle::decode(bytes, Limits::PEER)).collect::<Result<Vec<_>, _>>()?;
        for outcome in store.apply_backlog(&bundles) {
            ensure!(matches!(outcome?, Outcome::Applied { known: 0, .. }), "a bundle was not taken whole");
        }
    }
    Ok(())
}

/// The size of the snapshot that a store of this talk writes.
///
/// # Errors
/// The store's and the disk's.
pub(super) fn snapshot_len(sent: &Sent) -> Result<u64> {
    let folder = tempfile::tempdir()?;
    let mut store = store_over(&sent.whole, Box::new(Disk::open(folder.path())?))?;
    apply_all(&mut store, &sent.whole)?;
    store.snapshot()?;
    Ok(std::fs::metadata(folder.path().join("snapshot"))?.len())
}
