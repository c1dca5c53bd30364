//! The thread that has the shards. What waits for it is done together, so that many shards share a sync.
mod trouble;

use crate::engine::Event;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use terachat_cluster::{Call, DiskWork, ShardStore, Usage, perform};
use terachat_vault::Entropy;
use tokio::sync::mpsc::UnboundedSender;
use trouble::Trouble;

/// Works that are done together at most.
const TOGETHER: usize = 512;

/// The way to the disk's thread.
pub(crate) struct DiskThread {
    work: Option<Sender<(Call, DiskWork)>>,
    waiting: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl DiskThread {
    pub(crate) fn start(
        store: Box<dyn ShardStore>,
        entropy: Box<dyn Entropy + Send>,
        events: UnboundedSender<Event>,
    ) -> std::io::Result<Self> {
        let (work, works) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&waiting);
        let thread = std::thread::Builder::new()
            .name("shards".to_owned())
            .spawn(move || serve(store, entropy, &works, &counted, &events))?;
        Ok(Self { work: Some(work), waiting, thread: Some(thread) })
    }

    /// Has something done. What came of it comes as an event.
    pub(crate) fn ask(&self, call: Call, work: DiskWork) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if let Some(sender) = &self.work {
            // The thread ends only after this sender.
            let _ = sender.send((call, work));
        }
    }

    /// Works that wait or are being done.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Does what waits, and ends. Blocks until then.
    pub(crate) fn stop(mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(
    mut store: Box<dyn ShardStore>,
    mut entropy: Box<dyn Entropy + Send>,
    works: &Receiver<(Call, DiskWork)>,
    waiting: &AtomicUsize,
    events: &UnboundedSender<Event>,
) {
    let mut told: Option<Usage> = None;
    let mut trouble = Trouble::default();
    while let Ok(first) = works.recv() {
        let mut together = vec![first];
        together.extend(works.try_iter().take(TOGETHER - 1));
        let count = together.len();
        let kinds = trouble::kinds(&together);
        let done = perform(store.as_mut(), together, entropy.as_mut());
        waiting.fetch_sub(count, Ordering::Relaxed);
        if let Some(why) = trouble.learn(&kinds, &done) {
            let _ = events.send(Event::DiskTrouble(why));
        }
        let usage = store.usage();
        if told != Some(usage) {
            told = Some(usage);
            let _ = events.send(Event::Usage(usage));
        }
        if events.send(Event::Disk(done)).is_err() {
            return;
        }
    }
}
