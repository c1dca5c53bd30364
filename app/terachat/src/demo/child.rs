use crate::failure::{Failure, Result};
use serde::de::DeserializeOwned;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A command that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// The command as typed, for messages.
    pub(super) line: String,
    pub(super) ok: bool,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Ended {
    /// The answer, if the command did what it was to do.
    pub(super) fn json<T: DeserializeOwned>(self) -> Result<T> {
        let line = self.line.clone();
        let text = self.succeeded()?;
        serde_json::from_str(&text).map_err(|error| {
            Failure::new(format_args!("`{line}` answered something else: {error}"), "please report this")
        })
    }

    /// What it printed, if it did what it was to do.
    pub(super) fn succeeded(self) -> Result<String> {
        if self.ok {
            return Ok(self.stdout);
        }
        let reason = self.reason();
        Err(Failure::new(
            format_args!("`{}`: {reason}", self.line),
            "look into the folder kept with --keep DIR",
        ))
    }

    /// Why it failed, in its own words.
    pub(super) fn reason(&self) -> String {
        let error = serde_json::from_str::<serde_json::Value>(self.stderr.lines().last().unwrap_or_default());
        match error {
            Ok(value) if value["error"].is_string() => value["error"].as_str().unwrap_or_default().to_owned(),
            _ => self.stderr.trim().to_owned(),
        }
    }
}

/// Runs a command to its end, within a time.
pub(super) fn run(mut command: Command, line: String, patience: Duration) -> Result<Ended> {
    let failed =
        |error: std::io::Error| Failure::new(format_args!("cannot run `{line}`: {error}"), "try again");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let status = wait(&mut child, patience).map_err(failed)?;
    let collect = |thread: std::thread::JoinHandle<String>| thread.join().unwrap_or_default();
    let (stdout, stderr) = (collect(stdout), collect(stderr));
    match status {
        Some(status) => Ok(Ended { line, ok: status.success(), stdout, stderr }),
        None => Err(Failure::new(
            format_args!("`{line}` did not end within {} s", patience.as_secs()),
            "look into the folder kept with --keep DIR",
        )),
    }
}

/// Waits for the end of a process; kills it, and gives `None`, when it takes too long.
pub(super) fn wait(child: &mut Child, patience: Duration) -> std::io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        // There is no portable wait with a deadline.
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Reads a pipe to its end on a thread of its own, so that the process never waits for us.
pub(super) fn drain(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // A broken pipe is the process's end; what was read counts.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
