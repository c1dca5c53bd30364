//! The thread that has the shards. What waits for it is done together, so that many shards share a sync.
mod trouble;

use crate::engine::Event;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use terachat_cluster::{Call, DiskWork, ShardStore, Usage, perform};
use terachat_vault::Entropy;
use tokio::sync::mpsc::UnboundedSender;
use trouble::Trouble;

/// Works that are done together at most.
const TOGETHER: usize = 512;

/// After so long a disk that has not done what it was asked to is in trouble: one that works needs a fraction of a second.
const HANGS_AFTER: Duration = Duration::from_secs(10);

/// The way to the disk's thread.
pub(crate) struct DiskThread {
    work: Option<Sender<(Call, DiskWork)>>,
    waiting: Arc<AtomicUsize>,
    busy: Arc<Busy>,
    thread: Option<JoinHandle<()>>,
}

/// Since when the thread is at the works that it took last.
#[derive(Default)]
struct Busy(Mutex<Option<Instant>>);

impl Busy {
    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn duration(&self) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map(|since| since.elapsed())
    }
}

impl DiskThread {
    pub(crate) fn start(
        store: Box<dyn ShardStore>,
        entropy: Box<dyn Entropy + Send>,
        events: UnboundedSender<Event>,
    ) -> std::io::Result<Self> {
        let (work, works) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let busy = Arc::new(Busy::default());
        let (counted, timed) = (Arc::clone(&waiting), Arc::clone(&busy));
        let thread = std::thread::Builder::new()
            .name("shards".to_owned())
            .spawn(move || serve(store, entropy, &works, &counted, &timed, &events))?;
        Ok(Self { work: Some(work), waiting, busy, thread: Some(thread) })
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

    /// What is to be said of a disk that neither does what it was asked to nor fails.
    pub(crate) fn hangs(&self) -> Option<String> {
        hangs(self.busy.duration()?)
    }

    /// Does what waits, and ends. Blocks until then.
    pub(crate) fn stop(mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn hangs(busy: Duration) -> Option<String> {
    let seconds = busy.as_secs();
    (busy >= HANGS_AFTER).then(|| format!("its disk does not answer, for {seconds} s now"))
}

fn serve(
    mut store: Box<dyn ShardStore>,
    mut entropy: Box<dyn Entropy + Send>,
    works: &Receiver<(Call, DiskWork)>,
    waiting: &AtomicUsize,
    busy: &Busy,
    events: &UnboundedSender<Event>,
) {
    let mut told: Option<Usage> = None;
    let mut trouble = Trouble::default();
    while let Ok(first) = works.recv() {
        let mut together = vec![first];
        together.extend(works.try_iter().take(TOGETHER - 1));
        let count = together.len();
        let kinds = trouble::kinds(&together);
        busy.set(Some(Instant::now()));
        let done = perform(store.as_mut(), together, entropy.as_mut());
        busy.set(None);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use terachat_cluster::{DiskDone, Options, SegmentStore};
    use terachat_shard::{Counts, Shard, StripeId};
    use terachat_storage::MemoryStorage;
    use tokio::sync::mpsc::unbounded_channel;

    /// What the first segment needs comes only when it is let go.
    struct Stuck {
        reached: Sender<()>,
        let_go: Receiver<()>,
    }

    impl Entropy for Stuck {
        fn fill(&mut self, out: &mut [u8]) {
            self.reached.send(()).unwrap();
            self.let_go.recv().unwrap();
            out.fill(7);
        }
    }

    #[test]
    fn a_disk_is_busy_from_the_first_of_its_works_until_they_are_done() {
        let (store, _) = SegmentStore::open(Box::new(MemoryStorage::default()), Options::default()).unwrap();
        let (events, mut told) = unbounded_channel();
        let ((reached, is_stuck), (go, let_go)) = (channel(), channel());
        let disk = DiskThread::start(Box::new(store), Box::new(Stuck { reached, let_go }), events).unwrap();
        assert_eq!(disk.busy.duration(), None);
        let counts = Counts::new(4, 2).unwrap();
        let shard = Shard::new(StripeId([1; 16]), counts, 0, &[5; 100]).unwrap().encode();
        disk.ask(Call(1), DiskWork::Keep(shard));
        is_stuck.recv().unwrap();
        assert!(disk.busy.duration().is_some());
        go.send(()).unwrap();
        loop {
            match told.blocking_recv().unwrap() {
                Event::Disk(done) => {
                    assert!(matches!(done[..], [(Call(1), DiskDone::Kept(..))]), "{done:?}");
                    break;
                }
                Event::Usage(_) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(disk.busy.duration(), None);
        disk.stop();
    }

    #[test]
    fn who_is_busy_for_long_hangs() {
        assert_eq!(hangs(HANGS_AFTER - Duration::from_millis(1)), None);
        assert!(hangs(Duration::from_secs(75)).unwrap().contains("75 s"));
    }
}
