//! The vault's own threads, and its end.
use crate::Error;
use crate::store::Store;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How far a rotation steps back behind readers and writers: a tenth of their weight.
#[cfg(target_os = "linux")]
const BACKGROUND_NICE: i32 = 10;

pub(crate) struct Threads {
    store: Arc<Store>,
    running: Mutex<Vec<JoinHandle<()>>>,
}

impl Threads {
    pub(crate) fn start(store: Arc<Store>) -> Result<Self, Error> {
        let mut running = Vec::new();
        if store.config.background {
            let spawn = |name: &str, work: fn(&Store)| {
                let store = store.clone();
                let thread = thread::Builder::new().name(name.into()).spawn(move || work(&store));
                thread.map_err(|error| Error::Host(format!("cannot start a thread: {error}").into()))
            };
            running.push(spawn("vault keeper", keep)?);
            running.push(spawn("vault rotation", |store| {
                step_back();
                store.rotate_in_background();
            })?);
        }
        Ok(Self { store, running: Mutex::new(running) })
    }

    /// Ends the threads, writes what waits and takes no more calls.
    pub(crate) fn close(&self) -> Result<(), Error> {
        self.store.reads.stop();
        self.store.rotations.stop();
        for thread in std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner)) {
            // A thread that panicked has nothing left to say.
            let _ = thread.join();
        }
        if self.store.closed.load(Ordering::Acquire) {
            return Ok(());
        }
        let flushed = self
            .store
            .record(&"vault".into(), crate::Action::Close, 0)
            .and_then(|()| match self.store.due.load(Ordering::Acquire) {
                0 => self.store.checkpoint(),
                // Nothing was changed.
                _ => Ok(()),
            })
            .and_then(|()| self.store.flush());
        if flushed.is_ok() {
            self.store.engine.settle();
        }
        self.store.closed.store(true, Ordering::Release);
        flushed
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        #[cfg(test)]
        if crate::fail::dropped(&self.store) {
            self.store.closed.store(true, Ordering::Release);
            self.store.reads.stop();
            self.store.rotations.stop();
            return;
        }
        if let Err(error) = self.close()
            && error != Error::Closed
        {
            tracing::warn!(%error, "the vault was not closed cleanly");
        }
    }
}

/// Flushes, expires and sweeps until the vault closes.
fn keep(store: &Store) {
    let config = &store.config;
    let (mut expired, mut swept, mut counted) = (Instant::now(), Instant::now(), Instant::now());
    loop {
        let pause = config.flush_interval.min(config.expiry_interval).min(config.sweep_interval);
        let goes_on = store.reads.wait(pause);
        if !goes_on {
            return;
        }
        report("flush", store.flush());
        if due(&mut expired, config.expiry_interval) {
            report("expire", store.expire().map(drop));
        }
        if due(&mut counted, config.counter_interval) {
            report("checkpoint", store.checkpoint());
        }
        if due(&mut swept, config.sweep_interval)
            && store.counters.pending_erasures.load(Ordering::Relaxed) > 0
        {
            report("sweep", store.sweep().map(drop));
        }
    }
}

/// Lets everybody else on the machine run first: who waits for a rotation waits for minutes anyway.
fn step_back() {
    // On Linux the calling thread is meant, not the process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, BACKGROUND_NICE) {
        tracing::debug!(%error, "rotations run at the priority of everything else");
    }
}

fn due(last: &mut Instant, interval: Duration) -> bool {
    let due = last.elapsed() >= interval;
    if due {
        *last = Instant::now();
    }
    due
}

fn report(what: &str, result: Result<(), Error>) {
    match result {
        Ok(()) | Err(Error::ReadOnly(_) | Error::Closed) => {}
        Err(error) => tracing::error!(what, %error, "the vault's keeper failed and tries again"),
    }
}
