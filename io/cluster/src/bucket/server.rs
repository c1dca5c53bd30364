//! A real S3 server for tests: s3s-fs, which keeps objects as files and checks every signature.
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What it lets in.
pub(crate) const ID: &str = "AKIDTEST";
pub(crate) const KEY: &str = "a secret key of a test";

/// A server on loopback with one bucket, `shards`, in a folder of its own; ended with it.
pub(crate) struct Server {
    child: Child,
    /// Its end would stop the server's words, and the server.
    _words: BufReader<std::process::ChildStdout>,
    pub(crate) endpoint: String,
    folder: tempfile::TempDir,
}

impl Server {
    /// `None` where there is none: `TERACHAT_S3_SERVER` names the program, which `scripts/s3-server` installs.
    pub(crate) fn start() -> Option<Self> {
        let Some(program) = std::env::var_os("TERACHAT_S3_SERVER") else {
            eprintln!("SKIPPED: no S3 server. Next: scripts/s3-server");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("shards")).unwrap();
        let mut child = Command::new(program)
            .args(["--host", "127.0.0.1", "--port", "0", "--access-key", ID, "--secret-key", KEY])
            .arg(folder.path())
            .env("RUST_LOG", "s3s_fs=info")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut words = BufReader::new(child.stdout.take().unwrap());
        let endpoint = loop {
            let mut line = String::new();
            assert!(words.read_line(&mut line).unwrap() > 0, "the server ended before it listened");
            if let Some((_, endpoint)) = line.split_once("server is running at ") {
                let end = endpoint.find(|c: char| c.is_whitespace() || c == ',').unwrap_or(endpoint.len());
                break endpoint[..end].to_owned();
            }
        };
        Some(Self { child, _words: words, endpoint, folder })
    }

    /// A file with what the server lets in.
    pub(crate) fn credentials(&self) -> PathBuf {
        let file = self.folder.path().join("credentials");
        std::fs::write(
            &file,
            format!("[default]\naws_access_key_id = {ID}\naws_secret_access_key = {KEY}\n"),
        )
        .unwrap();
        file
    }

    /// The files that the bucket's objects under this prefix are.
    pub(crate) fn objects(&self, prefix: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        collect(&self.folder.path().join("shards").join(prefix), &mut found);
        found.sort();
        found
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => collect(&path, found),
            false => found.push(path),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
