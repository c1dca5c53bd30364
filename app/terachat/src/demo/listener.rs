use super::child::{drain, wait};
use crate::failure::{Failure, Result};
use serde::Deserialize;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// A running `terachat listen`. Dropping it kills the process.
pub(super) struct Listener {
    child: Child,
    /// Where it can be dialled.
    pub(super) addr: String,
}

#[derive(Deserialize)]
struct Line {
    listening: Vec<String>,
}

impl Listener {
    /// Starts it and waits for its word that it listens.
    pub(super) fn start(mut command: Command, talk: &Path, patience: Duration) -> Result<Self> {
        let failed =
            |error: std::io::Error| Failure::new(format_args!("cannot start `listen`: {error}"), "try again");
        let talk_file = File::options().create(true).append(true).open(talk).map_err(failed)?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(talk_file);
        let mut child = command.spawn().map_err(failed)?;
        let (first, line) = mpsc::channel();
        let stdout = child.stdout.take();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stdout?);
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            first.send(line).ok()?;
            drain(Some(reader)).join().ok()
        });
        let line = line.recv_timeout(patience).unwrap_or_default();
        let mut listener = Self { child, addr: String::new() };
        let words =
            serde_json::from_str::<Line>(&line).ok().and_then(|line| line.listening.into_iter().next());
        listener.addr = words.ok_or_else(|| {
            let said = std::fs::read_to_string(talk).unwrap_or_default();
            Failure::new(format_args!("`listen` did not come up: {}", said.trim()), "try again")
        })?;
        Ok(listener)
    }

    /// Ends it in order, as Ctrl-C does.
    pub(super) fn stop(mut self, patience: Duration) -> Result<()> {
        Self::terminate(&self.child);
        match wait(&mut self.child, patience) {
            Ok(Some(status)) if status.success() || !cfg!(unix) => Ok(()),
            Ok(Some(status)) => {
                Err(Failure::new(format_args!("`listen` ended with {status}"), "look at its log"))
            }
            _ => Err(Failure::new("`listen` did not end when told to", "look at its log")),
        }
    }

    /// Asks a process to end in order, where there is a way to ask.
    #[cfg(unix)]
    pub(super) fn terminate(child: &Child) {
        let id = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
    }

    /// There is none here.
    #[cfg(not(unix))]
    pub(super) fn terminate(_child: &Child) {}
}

impl Drop for Listener {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
