use crate::device::Carrier;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A process of Node with devices in it.
pub(crate) struct Node {
    child: Child,
    calls: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Node {
    pub(crate) fn start(module: &Path) -> Self {
        let mut child = Command::new("node")
            .arg(module.join("node.mjs"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let (calls, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, calls, answers: BufReader::new(answers) }
    }
}

impl Carrier for Node {
    fn call(&mut self, line: &str) -> String {
        writeln!(self.calls, "{line}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
