use super::Layout;
use crate::failure::{Failure, Result};
use crate::printer::Printer;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// How long a node may take to end when it is told to.
const END_WITHIN: Duration = Duration::from_secs(10);

/// A node's process.
pub(super) struct Started {
    pub(super) number: u8,
    pub(super) address: String,
    ready: bool,
    ended: bool,
    child: Child,
    /// Its end tells the node to end, also when this process is killed.
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Started {
    pub(super) fn process(&self) -> Option<u32> {
        self.child.id()
    }
}

/// All nodes' processes.
pub(super) struct Nodes {
    program: PathBuf,
    folder: PathBuf,
    started: Vec<Started>,
}

impl Nodes {
    pub(super) fn new(layout: &Layout<'_>) -> Result<Self> {
        let failed =
            |error| Failure::new(format_args!("this program does not find itself: {error}"), "try again");
        let program = std::env::current_exe().map_err(failed)?;
        Ok(Self { program, folder: layout.folder.to_owned(), started: Vec::new() })
    }

    pub(super) fn started(&self) -> &[Started] {
        &self.started
    }

    pub(super) fn folder(&self, number: u8) -> PathBuf {
        self.folder.join(format!("node-{number}"))
    }

    /// Starts the process of a node that was made.
    pub(super) fn start(&mut self, layout: &Layout<'_>, number: u8, printer: &Printer) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(["node", "run", "--json", "--end-with-input"]);
        let path = |flag: &str, path: &Path, command: &mut Command| {
            command.arg(flag).arg(path);
        };
        path("--folder", &layout.node(number), &mut command);
        path("--key-file", &layout.key(&format!("node-{number}")), &mut command);
        let mut counter = std::ffi::OsString::from("file:");
        counter.push(layout.counters());
        command.arg("--counter").arg(counter);
        if layout.global.allow_unpinned_keys {
            command.arg("--allow-unpinned-keys");
        }
        for name in ["TERACHAT_MASTER_KEY", "TERACHAT_PASSPHRASE_FILE", "TERACHAT_NODE"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        // Ctrl-C is this process's to hear; it tells the nodes.
        #[cfg(unix)]
        command.process_group(0);
        let failed = |error| Failure::new(format_args!("cannot start node {number}: {error}"), "try again");
        let mut child = command.spawn().map_err(failed)?;
        let input = child.stdin.take();
        let Some(output) = child.stdout.take() else {
            return Err(Failure::new("a node has no output", "please report this"));
        };
        let lines = BufReader::new(output).lines();
        printer.talk(&format!("node {number} starts"));
        self.started.push(Started {
            number,
            address: String::new(),
            ready: false,
            ended: false,
            child,
            input,
            lines,
        });
        Ok(())
    }

    /// Waits until all that were started are ready.
    pub(super) async fn wait_ready(&mut self, until: Instant) -> Result<()> {
        for node in &mut self.started {
            while !node.ready {
                let left = until.saturating_duration_since(Instant::now());
                let late = |_| {
                    Failure::new(
                        format_args!("node {} was not ready in time", node.number),
                        "run it alone to see why: terachat node run --folder DIR",
                    )
                };
                let line = tokio::time::timeout(left, node.lines.next_line()).await.map_err(late)?;
                let Ok(Some(line)) = line else {
                    return Err(Failure::new(
                        format_args!("node {} ended before it was ready", node.number),
                        "its own words stand above; mend that, then try again",
                    ));
                };
                let value: Value = serde_json::from_str(&line).unwrap_or_default();
                if let Some(address) = value["listening"].as_str() {
                    address.clone_into(&mut node.address);
                }
                node.ready = value["ready"].is_string();
            }
        }
        Ok(())
    }

    /// Waits until one more of them has ended by itself.
    pub(super) async fn next_end(&mut self) -> (u8, String) {
        let mut look = tokio::time::interval(Duration::from_millis(100));
        loop {
            look.tick().await;
            for node in self.started.iter_mut().filter(|node| !node.ended) {
                if let Ok(Some(status)) = node.child.try_wait() {
                    node.ended = true;
                    return (node.number, status.to_string());
                }
            }
        }
    }

    /// Tells all to end, and waits for it.
    pub(super) async fn end(&mut self) {
        for node in &mut self.started {
            node.input = None;
        }
        let until = tokio::time::Instant::now() + END_WITHIN;
        for node in &mut self.started {
            if tokio::time::timeout_at(until, node.child.wait()).await.is_err() {
                // What is acknowledged is on its disk.
                let _ = node.child.kill().await;
            }
        }
    }
}
