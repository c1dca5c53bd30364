//! Messages on their way from one device to another that is not online, by the cluster.
use super::GENERAL;
use crate::demo::device::Device;
use crate::failure::{Failure, Result};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Messages that go out before and after something happens, at least.
const AROUND: usize = 3;

/// What went out, while something happened.
pub(super) struct Flow {
    /// Each text that the cluster has taken.
    pub(super) texts: Vec<String>,
    /// The longest that one took.
    pub(super) longest: Duration,
}

/// A device writes and leaves each message with the cluster, one after the other. Once some are there `happens` is done, and some more
/// go out afterwards.
pub(super) fn around<T>(
    writer: &Device,
    cluster: &Path,
    patience: Duration,
    happens: impl FnOnce() -> Result<T>,
) -> Result<(Flow, T)> {
    let over = AtomicBool::new(false);
    let (told, taken) = channel();
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| write(writer, cluster, &over, told));
        let happened = wait(&taken, patience).and_then(|()| happens()).and_then(|value| {
            // Those on their way count for neither side.
            taken.try_iter().for_each(drop);
            wait(&taken, patience).map(|()| value)
        });
        over.store(true, Ordering::Relaxed);
        let lost = || Err(Failure::new("a thread of the demo panicked", "please report this"));
        // If it failed, that is why nothing came.
        let flow = writing.join().unwrap_or_else(|_| lost())?;
        Ok((flow, happened?))
    })
}

fn write(writer: &Device, cluster: &Path, over: &AtomicBool, told: Sender<()>) -> Result<Flow> {
    let cluster = cluster.display().to_string();
    let mut flow = Flow { texts: Vec::new(), longest: Duration::ZERO };
    while !over.load(Ordering::Relaxed) {
        let text = format!("{} says number {} to nobody who is online", writer.name, flow.texts.len() + 1);
        writer.text(&["send", &text, "--channel", GENERAL], "id")?;
        let began = Instant::now();
        writer.attempt(&["board", "publish", "--cluster", &cluster])?.succeeded()?;
        flow.longest = flow.longest.max(began.elapsed());
        flow.texts.push(text);
        // Whoever listened has heard enough.
        let _ = told.send(());
    }
    Ok(flow)
}

fn wait(taken: &Receiver<()>, patience: Duration) -> Result<()> {
    let late =
        |_| Failure::new("no message got into the cluster", "look into the folder kept with --keep DIR");
    (0..AROUND).try_for_each(|_| taken.recv_timeout(patience)).map_err(late)
}

/// Which of the texts a device does not have after it has fetched what is in the cluster.
pub(super) fn missing(reader: &Device, cluster: &Path, texts: &[String]) -> Result<Vec<String>> {
    let cluster = cluster.display().to_string();
    reader.attempt(&["board", "fetch", "--cluster", &cluster])?.succeeded()?;
    let read: Vec<String> = reader.read(GENERAL, 1000)?.into_iter().map(|message| message.body).collect();
    Ok(texts.iter().filter(|text| !read.contains(text)).cloned().collect())
}
