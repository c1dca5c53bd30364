//! A real etcd for tests, on loopback and in a folder of its own; ended with it. Other crates' tests take this file, too.
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What nothing here comes near.
const PATIENCE: Duration = Duration::from_secs(60);

/// The server, and where its data are.
pub(crate) struct Server {
    child: Option<Child>,
    endpoint: String,
    health: u16,
    arguments: Vec<String>,
    folder: tempfile::TempDir,
}

impl Server {
    /// One that anybody may ask. `None` where there is no etcd, which is said.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with("http", &[])
    }

    /// One with these arguments besides.
    pub(crate) fn start_with(scheme: &str, more: &[&str]) -> Option<Self> {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (port, peer, health) = (free(), free(), free());
        let (endpoint, peer) = (format!("{scheme}://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer}"));
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data").to_str().unwrap().to_owned();
        let (members, monitor) = (format!("test={peer}"), format!("http://127.0.0.1:{health}"));
        let arguments = [
            &["--name", "test", "--listen-client-urls", &endpoint, "--advertise-client-urls", &endpoint][..],
            &["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer],
            &["--initial-cluster", &members, "--listen-metrics-urls", &monitor, "--data-dir", &data],
            more,
        ];
        let arguments = arguments.concat().into_iter().map(str::to_owned).collect();
        let mut server = Self { child: None, endpoint, health, arguments, folder };
        let started = server.spawn();
        if !started {
            eprintln!("SKIPPED: there is no etcd on this machine. Next: apt-get install etcd-server");
        }
        started.then_some(server)
    }

    /// Starts it once more on its data, and waits until it answers.
    pub(crate) fn again(&mut self) {
        assert!(self.spawn(), "it was there before");
    }

    fn spawn(&mut self) -> bool {
        let mut command = Command::new("etcd");
        command.args(&self.arguments).stdout(Stdio::null()).stderr(Stdio::null());
        match command.spawn() {
            Ok(child) => self.child = Some(child),
            Err(error) if error.kind() == ErrorKind::NotFound => return false,
            Err(error) => panic!("etcd does not start: {error}"),
        }
        let until = Instant::now() + PATIENCE;
        while !self.is_healthy() {
            assert!(Instant::now() < until, "etcd does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    fn is_healthy(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.health)) else { return false };
        let mut answer = String::new();
        write!(stream, "GET /health HTTP/1.0\r\n\r\n").is_ok()
            && stream.read_to_string(&mut answer).is_ok()
            && answer.contains("\"true\"")
    }

    /// Kills it.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// `https://127.0.0.1:2379`
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Keeps a copy of the data of one that is stopped.
    pub(crate) fn back_up(&self, name: &str) {
        copy(&self.data(), &self.folder.path().join(name));
    }

    /// Puts a copy in the place of the data of one that is stopped.
    pub(crate) fn put_back(&self, name: &str) {
        self.empty();
        copy(&self.folder.path().join(name), &self.data());
    }

    /// Takes all data from one that is stopped.
    pub(crate) fn empty(&self) {
        assert!(self.child.is_none(), "it is stopped");
        std::fs::remove_dir_all(self.data()).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (from, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        match from.is_dir() {
            true => copy(&from, &to.join(name)),
            false => drop(std::fs::copy(&from, to.join(name)).unwrap()),
        }
    }
}
