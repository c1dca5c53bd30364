//! The side that dumps and looks.
use super::scan;
use sha2::{Digest, Sha512};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

struct Patient {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    secrets: BTreeMap<String, Vec<u8>>,
    pinned: Vec<Range<u64>>,
    said: Vec<String>,
}

impl Patient {
    /// Starts the child through `wrapper`, a command that runs the one that follows it.
    fn start(story: &str, wrapper: &[&str]) -> Self {
        let program = std::env::current_exe().unwrap();
        let words: Vec<&OsStr> = wrapper.iter().map(OsStr::new).chain([program.as_os_str()]).collect();
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .args(["--exact", "child::child", "--nocapture", "--test-threads=1"])
            .env(super::STORY, story)
            // A backtrace is made before anything unwinds, and the standard library keeps a cache of it in a static into
            // which it copies dead stack as it finds it; `docs/adr/0012-keys-in-memory.md` names it.
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output, secrets: BTreeMap::new(), pinned: Vec::new(), said: Vec::new() }
    }

    #[track_caller]
    fn run_to(&mut self, stop: &str) {
        assert_eq!(self.run(), stop);
    }

    /// Lets the child run to its next stop, and learns its secrets from its memory.
    fn run(&mut self) -> String {
        self.pinned.clear();
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the child ended before its last stop");
            let Some(line) = line.trim_end().split_once('@').map(|(_, words)| words) else { continue };
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["secret", label, at, len] => {
                    let bytes =
                        scan::read(self.child.id(), at.parse().unwrap(), len.parse().unwrap()).unwrap();
                    assert!(bytes.iter().any(|byte| *byte != 0), "{label} is no secret");
                    if label == "seed" {
                        // The half of the seed's hash that a signer uses as it is (RFC 8032, section 5.1.5).
                        self.secrets.insert("prefix".to_owned(), Sha512::digest(&bytes)[32..].to_vec());
                    }
                    self.secrets.insert(label.to_owned(), bytes);
                }
                ["pinned", start, end] => self.pinned.push(start.parse().unwrap()..end.parse().unwrap()),
                ["stop", ..] => return words[1..].join(" "),
                _ => self.said.push(line.to_owned()),
            }
        }
    }

    fn go(&mut self) {
        self.input.write_all(b"go\n").unwrap();
    }

    fn end(mut self) {
        self.go();
        // What the harness still says must find a reader.
        std::io::copy(&mut self.output, &mut std::io::sink()).unwrap();
        assert!(self.child.wait().unwrap().success());
    }

    /// Where pieces of secrets are: label, address, and the mapping's line.
    fn find(&self) -> Vec<(String, u64, String)> {
        let patterns = scan::patterns(&self.secrets);
        let mut found: Vec<(String, u64, String)> = Vec::new();
        scan::dump(self.child.id(), |start, bytes, line| {
            scan::search(&patterns, bytes, |label, at| {
                found.push((label.to_owned(), start + at as u64, line.to_owned()));
            });
        });
        found
    }

    fn is_pinned(&self, at: u64) -> bool {
        self.pinned.iter().any(|range| range.contains(&at))
    }

    /// Pieces outside of pinned pages; of neighbours the first only.
    fn outside(&self) -> Vec<(String, u64, String)> {
        let mut found = self.find();
        found.retain(|(_, at, _)| !self.is_pinned(*at));
        let mut last = None;
        found.retain(|(_, at, _)| last.replace(*at).is_none_or(|last| *at > last + 1));
        found
    }

    /// The kernel's own word that each range the child calls pinned is locked (`lo`) and left out of dumps (`dd`).
    #[track_caller]
    fn kernel_agrees_on_pinned(&self) {
        assert!(!self.pinned.is_empty(), "there are pinned pages");
        let kernels = scan::pinned(self.child.id());
        for range in &self.pinned {
            // Neighbours may be merged into one line, or one be cut up, so ranges are compared by what they share.
            let shared = kernels
                .iter()
                .map(|kernel| range.end.min(kernel.end).saturating_sub(range.start.max(kernel.start)));
            assert_eq!(shared.sum::<u64>(), range.end - range.start, "{range:x?}: {kernels:x?}");
        }
    }
}

impl Drop for Patient {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn list(found: &[(String, u64, String)]) -> String {
    found.iter().map(|(label, at, line)| format!("\n  {label} at {at:#x} in {line}")).collect()
}

fn can_lock() -> bool {
    let can = terachat_vault::memory::reserve(terachat_vault::memory::Policy::Require, 1).is_ok();
    if !can {
        eprintln!("SKIPPED: this system does not let the tests lock memory (`ulimit -l`)");
    }
    can
}

#[test]
fn a_leak_is_seen() {
    let mut patient = Patient::start("leaks", &[]);
    for stop in ["whole-key-on-the-heap", "freed-and-not-wiped", "a-few-bytes-of-it"] {
        patient.run_to(stop);
        let outside = patient.outside();
        assert!(!outside.is_empty(), "{stop} was not seen");
        if stop != "a-few-bytes-of-it" {
            patient.go();
        }
    }
    patient.end();
}

#[test]
fn keys_are_in_pinned_pages_only_and_after_their_drop_nowhere() {
    if !can_lock() {
        return;
    }
    let mut patient = Patient::start("keeps", &[]);
    let mut steps = Vec::new();
    let mut leaks = String::new();
    loop {
        let step = patient.run();
        for (label, at, line) in patient.outside() {
            leaks += &format!("\n  after \"{step}\" (step {}): {label} at {at:#x} in {line}", steps.len());
        }
        if step == "held" {
            break;
        }
        steps.push(step);
        patient.go();
    }
    assert!(leaks.is_empty(), "outside of pinned pages:{leaks}");
    assert!(steps.len() > 80, "{steps:?}");
    patient.kernel_agrees_on_pinned();
    let found = patient.find();
    for label in ["key", "derived", "seed", "prefix", "passphrase", "long"] {
        assert!(
            found.iter().any(|(name, at, _)| name == label && patient.is_pinned(*at)),
            "{label} is pinned"
        );
    }
    dumped_core_holds_nothing(&patient);
    patient.go();
    patient.run_to("dropped");
    let found = patient.find();
    assert!(found.is_empty(), "after the drop:{}", list(&found));
    patient.end();
}

#[test]
fn a_panic_that_unwinds_leaves_no_key() {
    if !can_lock() {
        return;
    }
    let mut patient = Patient::start("panics", &[]);
    patient.run_to("unwound within");
    let outside = patient.outside();
    assert!(outside.is_empty(), "outside of pinned pages:{}", list(&outside));
    patient.go();
    patient.run_to("unwound");
    let found = patient.find();
    assert!(found.is_empty(), "after the panic:{}", list(&found));
    patient.end();
}

/// A core file as a debugger writes it, which asks the kernel what may be dumped.
fn dumped_core_holds_nothing(patient: &Patient) {
    let folder = tempfile::tempdir().unwrap();
    let prefix = folder.path().join("core");
    let gcore = Command::new("gcore").arg("-o").arg(&prefix).arg(patient.child.id().to_string()).output();
    let core = folder.path().join(format!("core.{}", patient.child.id()));
    if !gcore.is_ok_and(|output| output.status.success()) || !Path::new(&core).exists() {
        eprintln!(
            "SKIPPED: gcore (of gdb) is not here or may not attach, so no core file was looked through"
        );
        return;
    }
    let bytes = fs::read(core).unwrap();
    assert!(bytes.len() > 100_000, "a core file has the process in it");
    let mut found = Vec::new();
    scan::search(&scan::patterns(&patient.secrets), &bytes, |label, at| {
        found.push(format!("{label} at {at:#x}"))
    });
    assert!(found.is_empty(), "in the core file: {found:?}");
}

/// What the child's program is run by, so that it may lock 64 KiB only. Root may lock as much as it likes, unless that
/// right is taken away first.
const LIMITED: &str = "ulimit -l 64 && exec \"$0\" \"$@\"";

#[test]
fn a_limit_is_an_error_that_says_what_to_do_and_then_a_status() {
    let as_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let without_right: &[&str] = if as_root { &["setpriv", "--bounding-set=-ipc_lock"] } else { &[] };
    let wrapper = [without_right, &["sh", "-c", LIMITED]].concat();
    if !Command::new(wrapper[0]).args(&wrapper[1..]).arg("true").status().is_ok_and(|status| status.success())
    {
        eprintln!("SKIPPED: the limit cannot be set here (needs `setpriv` when run by root)");
        return;
    }
    let mut patient = Patient::start("limited", &wrapper);
    patient.run_to("limited");
    let error = patient.said.iter().find_map(|line| line.strip_prefix("error ")).unwrap();
    assert!(error.contains("may lock 64 KiB") && error.contains("ulimit -l"), "{error}");
    let status = patient.said.iter().find_map(|line| line.strip_prefix("status ")).unwrap();
    let (pinned, unpinned) = status.split_once(' ').unwrap();
    // 500 KiB of keys: as much as fits is locked, the rest is not and says so.
    assert_eq!((pinned, unpinned.parse::<usize>().unwrap() >= 436 << 10), ("65536", true), "{status}");
    patient.kernel_agrees_on_pinned();
    patient.end();
}

#[test]
fn a_process_that_refuses_dumps_is_not_dumpable() {
    let mut patient = Patient::start("refuses", &[]);
    patient.run_to("refused");
    patient.end();
}
