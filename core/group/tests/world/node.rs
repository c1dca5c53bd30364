//! A process of Node with members in it that are another implementation of MLS: a request a line, an answer a line, in JSON.
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub(crate) struct Node {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Node {
    /// The peer whose file this variable names; `None`, with a word about it, where it is not installed.
    pub(crate) fn start(variable: &str) -> Option<Self> {
        let Some(peer) = std::env::var_os(variable) else {
            eprintln!("SKIPPED: {variable} names no peer. Next: scripts/mls-peer");
            return None;
        };
        let mut child = Command::new("node")
            .arg(peer)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let (requests, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Some(Self { child, requests, answers: BufReader::new(answers) })
    }

    pub(crate) fn ask(&mut self, member: &str, verb: &str, mut request: Value) -> Result<Value, String> {
        request["as"] = member.into();
        request["verb"] = verb.into();
        writeln!(self.requests, "{request}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let mut answer: Value = serde_json::from_str(&line).unwrap();
        match answer["error"].take() {
            Value::Null => Ok(answer["ok"].take()),
            error => Err(error.to_string()),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn bytes(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}
