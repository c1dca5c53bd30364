use crate::device::Carrier;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tempfile::TempDir;

/// How the browser is called.
const BROWSER: &str = "TERACHAT_CHROMIUM";
/// After so long without a word the browser is taken for dead.
const PATIENCE: Duration = Duration::from_secs(120);

/// A headless Chromium with devices on a page. The page comes from a server on loopback; it asks there for its next call
/// and posts with it the answer to the last one.
pub(crate) struct Chromium {
    child: Child,
    module: PathBuf,
    connections: Receiver<TcpStream>,
    /// Where the page waits for its next call.
    waiting: TcpStream,
    _profile: TempDir,
}

impl Chromium {
    /// `None`, with a word about it, where no browser is named.
    pub(crate) fn start(module: &Path) -> Option<Self> {
        let Some(browser) = std::env::var_os(BROWSER) else {
            eprintln!("SKIPPED: {BROWSER} names no browser. Next: scripts/wasm-peer");
            return None;
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let page = format!("http://{}/page.html", listener.local_addr().unwrap());
        let (give, connections) = channel();
        std::thread::spawn(move || {
            // It ends with the test's process, or when nobody takes connections any more.
            while listener.accept().is_ok_and(|(connection, _)| give.send(connection).is_ok()) {}
        });
        let profile = tempfile::tempdir().unwrap();
        let child = Command::new(browser)
            // It refuses to run its sandbox as root, and shows nothing but the page below.
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
            ])
            .args(["--disable-background-networking", "--disable-component-update", "--no-proxy-server"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(page)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the browser starts");
        let (waiting, ready) = serve(&connections, module);
        assert_eq!(ready, "ready");
        Some(Self { child, module: module.to_owned(), connections, waiting, _profile: profile })
    }
}

impl Carrier for Chromium {
    fn call(&mut self, line: &str) -> String {
        reply(&self.waiting, "application/json", line.as_bytes());
        let (waiting, answer) = serve(&self.connections, &self.module);
        self.waiting = waiting;
        answer
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves files until the page posts something; gives that, and the connection on which it waits.
fn serve(connections: &Receiver<TcpStream>, module: &Path) -> (TcpStream, String) {
    loop {
        let connection = connections.recv_timeout(PATIENCE).expect("the page has something to say");
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        match request(&connection) {
            Some((path, body)) if path == "/next" => return (connection, body),
            Some((path, _)) => send_file(&connection, module, &path),
            // Browsers open connections that they do not use.
            None => {}
        }
    }
}

/// Path and body of an HTTP request.
fn request(connection: &TcpStream) -> Option<(String, String)> {
    let mut reader = BufReader::new(connection);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let path = lines[0].split(' ').nth(1)?.to_owned();
    let len = lines.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
    });
    let mut body = vec![0; len.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    Some((path, String::from_utf8(body).unwrap()))
}

fn send_file(connection: &TcpStream, module: &Path, path: &str) {
    let name = path.trim_start_matches('/');
    let media_type = match name.rsplit('.').next().unwrap() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript",
        "wasm" => "application/wasm",
        _ => return reply(connection, "text/plain", b""),
    };
    reply(connection, media_type, &std::fs::read(module.join(name)).unwrap());
}

fn reply(mut connection: &TcpStream, media_type: &str, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(body)).unwrap();
}
