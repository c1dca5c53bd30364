use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

/// A folder with a passphrase file, in which profiles are made.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("passphrase"), "correct horse\n").unwrap();
        Self { folder }
    }

    pub(crate) fn home(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file with this content.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn command(&self, name: &str, args: &[&str]) -> Command {
        let mut command = program();
        command.arg("--home").arg(self.home(name)).args(args);
        command.env("TERACHAT_PASSPHRASE_FILE", self.home("passphrase")).stdin(Stdio::null());
        command.env("TERACHAT_COUNTER", format!("file:{}", self.home("counters").display()));
        command
    }

    pub(crate) fn run(&self, name: &str, args: &[&str]) -> Ended {
        Ended::from(self.command(name, args).output().unwrap())
    }

    /// What a command that must succeed prints, without the last line break.
    #[track_caller]
    pub(crate) fn ok(&self, name: &str, args: &[&str]) -> String {
        let ended = self.run(name, args);
        assert_eq!(ended.code, 0, "{args:?}: {}", ended.stderr);
        ended.stdout.trim_end().to_owned()
    }

    /// What a command that must succeed answers with `--json`.
    #[track_caller]
    pub(crate) fn json(&self, name: &str, args: &[&str]) -> serde_json::Value {
        let text = self.ok(name, &[args, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}: {text}"))
    }

    /// A profile with a space and a channel.
    pub(crate) fn crew() -> Self {
        let place = Self::new();
        place.ok("ada", &["init", "--name", "Ada"]);
        place.ok("ada", &["space", "create", "Crew"]);
        place.ok("ada", &["channel", "create", "deck"]);
        place
    }
}

pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_terachat"));
    for name in [
        "TERACHAT_HOME",
        "TERACHAT_PASSPHRASE_FILE",
        "TERACHAT_KEY_FILE",
        "TERACHAT_MASTER_KEY",
        "TERACHAT_PKCS11_MODULE",
        "TERACHAT_PIN_FILE",
        "DATABASE_PATH",
        "CACHE_SIZE",
        "FLUSH_INTERVAL",
        "TERACHAT_CLUSTER",
        "TERACHAT_NODE",
        "TERACHAT_NODE_ETCD",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "RUST_LOG",
    ] {
        command.env_remove(name);
    }
    // Tests leave nothing in the system's folders.
    command.env("TERACHAT_COUNTER", "none");
    command
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

impl Ended {
    /// The two lines of a failure, with nothing on stdout.
    #[track_caller]
    pub(crate) fn pair(&self) -> (&str, &str) {
        assert_eq!((self.code, self.stdout.as_str()), (1, ""), "{self:?}");
        let mut lines = self.stderr.lines().rev();
        let next =
            lines.next().and_then(|line| line.strip_prefix(" next: ")).unwrap_or_else(|| panic!("{self:?}"));
        let what =
            lines.next().and_then(|line| line.strip_prefix("error: ")).unwrap_or_else(|| panic!("{self:?}"));
        assert!(!what.is_empty() && !next.is_empty());
        (what, next)
    }
}

/// A process that runs until it is told to end; killed when dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) lines: BufReader<ChildStdout>,
}

impl Running {
    pub(crate) fn start(command: Command) -> Self {
        Self::start_with(command, Stdio::null())
    }

    /// The same, with what it logs in a file.
    pub(crate) fn start_logging(command: Command, log: &Path) -> Self {
        Self::start_with(command, std::fs::File::create(log).unwrap().into())
    }

    /// The same, with the lines that it logs, as they come.
    pub(crate) fn start_heard(command: Command) -> (Self, std::io::Lines<impl BufRead>) {
        let mut running = Self::start_with(command, Stdio::piped());
        let said = BufReader::new(running.child.stderr.take().unwrap()).lines();
        (running, said)
    }

    fn start_with(mut command: Command, stderr: Stdio) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// `listen`, once it listens, and its address.
    pub(crate) fn listen(place: &Place, name: &str, args: &[&str]) -> (Self, String) {
        let mut running = Self::start(place.command(name, &[&["listen", "--json"], args].concat()));
        let first: serde_json::Value = serde_json::from_str(&running.line()).unwrap();
        let addr = first["listening"][0].as_str().unwrap().to_owned();
        (running, addr)
    }

    /// The next line; empty at the end.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }

    /// The first line that holds `text`.
    #[track_caller]
    pub(crate) fn line_with(&mut self, text: &str) -> String {
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "ended before {text:?}");
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Its exit code, once it has ended by itself.
    #[cfg(unix)]
    pub(crate) fn code(mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    /// Ends it as Ctrl-C does, and gives its exit code.
    #[cfg(unix)]
    pub(crate) fn interrupt(self) -> i32 {
        self.interrupt_and_read().0
    }

    /// The same, with all lines that it printed and nobody has read.
    #[cfg(unix)]
    pub(crate) fn interrupt_and_read(mut self) -> (i32, String) {
        let id = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code().unwrap_or(-1), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether `folder` holds a file of that name.
pub(crate) fn holds(folder: &Path, name: &str) -> bool {
    folder.join(name).exists()
}
