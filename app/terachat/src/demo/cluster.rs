use super::child::{self, Ended};
use super::listener::Listener;
use crate::failure::{Failure, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The organisation's storage, as `cluster up` starts it. Dropping it ends all nodes.
pub(super) struct Cluster {
    program: PathBuf,
    folder: PathBuf,
    patience: Duration,
    up: Child,
    /// Each node's process, while it runs.
    processes: BTreeMap<u64, u64>,
    /// Nodes that were killed and started again, each alone.
    again: Vec<Child>,
    /// What was put: the file, and the reference that gives it back.
    pub(super) kept: Vec<(PathBuf, String)>,
}

impl Cluster {
    /// Founds a cluster of so many nodes, each a process.
    pub(super) fn found(program: &Path, folder: PathBuf, nodes: u8, patience: Duration) -> Result<Self> {
        let mut command = quiet(program);
        command.args(["cluster", "--json", "--folder"]).arg(&folder).args([
            "up",
            "--nodes",
            &nodes.to_string(),
        ]);
        let (up, line) = spoken(command, patience)?;
        let value: Value = serde_json::from_str(&line).unwrap_or_default();
        let running = value["nodes"].as_array().into_iter().flatten();
        let processes: BTreeMap<u64, u64> =
            running.filter_map(|node| Some((node["node"].as_u64()?, node["process"].as_u64()?))).collect();
        let cluster = Self {
            program: program.to_owned(),
            folder,
            patience,
            up,
            processes,
            again: Vec::new(),
            kept: Vec::new(),
        };
        if cluster.processes.len() == usize::from(nodes) {
            return Ok(cluster);
        }
        let what = format_args!("the cluster did not come up: {}", line.trim());
        Err(Failure::new(what, "start it by hand: terachat cluster up"))
    }

    /// The folder that its client is in, too.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs a verb of the cluster's to its end.
    pub(super) fn attempt(&self, args: &[&str]) -> Result<Ended> {
        let mut command = quiet(&self.program);
        command.args(["cluster", "--json", "--folder"]).arg(&self.folder).args(args);
        child::run(command, format!("terachat cluster {}", args.join(" ")), self.patience)
    }

    /// The answer of one that has to succeed.
    pub(super) fn ask(&self, args: &[&str]) -> Result<Value> {
        self.attempt(args)?.json()
    }

    /// Puts a file, and remembers what gives it back.
    pub(super) fn put(&mut self, file: PathBuf) -> Result<()> {
        let answer = self.ask(&["put", &file.display().to_string()])?;
        let reference = answer["reference"].as_str().unwrap_or_default().to_owned();
        self.kept.push((file, reference));
        Ok(())
    }

    /// Which of the files that were put do not come back as they were, and why.
    pub(super) fn lost(&self) -> Result<Vec<String>> {
        let out = self.folder.join("got");
        let mut lost = Vec::new();
        for (file, reference) in &self.kept {
            let ended = self.attempt(&["get", reference, "--out", &out.display().to_string()])?;
            let same = || Some(std::fs::read(&out).ok()? == std::fs::read(file).ok()?);
            if !ended.ok {
                lost.push(format!("{}: {}", file.display(), ended.reason()));
            } else if same() != Some(true) {
                lost.push(format!("{} came back changed", file.display()));
            }
            // The next one makes it anew.
            let _ = std::fs::remove_file(&out);
        }
        Ok(lost)
    }

    /// Kills the leader and the last of the others.
    pub(super) fn kill_two(&mut self) -> Result<[u64; 2]> {
        let leader = self.ask(&["status"])?["leader"].as_u64().unwrap_or(1);
        let other = self.processes.keys().rfind(|node| **node != leader).copied().unwrap_or(1);
        for node in [leader, other] {
            if let Some(process) = self.processes.remove(&node) {
                kill(process)?;
            }
        }
        Ok([leader, other])
    }

    /// Starts a node that was killed, alone, and waits until it knows all that was decided.
    pub(super) fn bring_back(&mut self, node: u64) -> Result<()> {
        let mut command = quiet(&self.program);
        let counters = self.folder.join("counters");
        command.args(["node", "--json", "--folder"]).arg(self.folder.join(format!("node-{node}")));
        command.arg("--key-file").arg(self.folder.join("keys").join(format!("node-{node}.key")));
        command.arg("--counter").arg(format!("file:{}", counters.display())).arg("run");
        let (child, _) = spoken(command, self.patience)?;
        self.again.push(child);
        Ok(())
    }

    /// The status, once it is as wanted.
    pub(super) fn wait(&self, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = Instant::now() + self.patience;
        loop {
            let status = self.ask(&["status"])?;
            if wanted(&status) {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                let what = format_args!("the cluster did not become whole: {}", status["health"]);
                return Err(Failure::new(what, "look into the folder kept with --keep DIR"));
            }
            // Each look is a process of its own.
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.again.iter_mut().chain([&mut self.up]) {
            Listener::terminate(child);
            // One that does not end is killed by the wait.
            let _ = child::wait(child, Duration::from_secs(20));
        }
    }
}

/// This program, with nothing said by the environment, counting often: nobody watches a demo wait for ten seconds.
fn quiet(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TERACHAT_")) {
        command.env_remove(name);
    }
    command.env("TERACHAT_UNPINNED_KEYS", "1").env("TERACHAT_NODE_COUNT_EVERY", "500ms");
    command
}

/// Starts a process and waits for its first line, which says that it is ready.
fn spoken(mut command: Command, patience: Duration) -> Result<(Child, String)> {
    let failed =
        |error: std::io::Error| Failure::new(format_args!("cannot start a node: {error}"), "try again");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(failed)?;
    let (first, line) = std::sync::mpsc::channel();
    let stdout = child.stdout.take();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stdout?);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        first.send(line).ok()?;
        child::drain(Some(reader)).join().ok()
    });
    Ok((child, line.recv_timeout(patience).unwrap_or_default()))
}

#[cfg(unix)]
fn kill(process: u64) -> Result<()> {
    let id = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw);
    let killed = id.map(|id| rustix::process::kill_process(id, rustix::process::Signal::KILL));
    match killed {
        Some(Ok(())) => Ok(()),
        _ => Err(Failure::new(format_args!("process {process} could not be killed"), "try again")),
    }
}

#[cfg(not(unix))]
fn kill(_process: u64) -> Result<()> {
    Err(Failure::new("nodes cannot be killed on this system", "play the demo on Linux, macOS or a BSD"))
}
