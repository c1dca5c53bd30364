//! The cluster as real processes on loopback: killed, brought back, grown, copied, and asked by strangers.
mod backups;
mod bad_disk;
mod bucket;
mod departures;
mod etcd;
mod full_disk;
mod own_disk;

use crate::support::{Ended, Running, program};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use terachat_cluster::{Options, SegmentStore};
use terachat_host::Disk;

/// What any single wait may take on a busy machine; nothing comes near.
const PATIENCE: Duration = Duration::from_secs(60);

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn cluster(&self, name: &str, args: &[&str]) -> Command {
        let mut command = program();
        command.arg("cluster").arg("--folder").arg(self.path(name)).args(args).stdin(Stdio::null());
        // Counted often, so that nobody waits for the next count.
        command.env("TERACHAT_NODE_COUNT_EVERY", "500ms").env("TERACHAT_NODE_QUIET_FOR", "100ms");
        command
    }

    fn run(&self, name: &str, args: &[&str]) -> Ended {
        Ended::from(self.cluster(name, args).output().unwrap())
    }

    #[track_caller]
    fn ok(&self, name: &str, args: &[&str]) -> String {
        let ended = self.run(name, args);
        assert_eq!(ended.code, 0, "{args:?}: {}", ended.stderr);
        ended.stdout.trim_end().to_owned()
    }

    #[track_caller]
    fn json(&self, name: &str, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(name, &[args, &["--json"]].concat())).unwrap()
    }

    /// All nodes of a cluster, once they are one.
    fn up(&self, name: &str, nodes: u8) -> Running {
        let nodes = nodes.to_string();
        let mut up = Running::start(self.cluster(name, &["up", "--nodes", &nodes, "--json"]));
        let line: Value = serde_json::from_str(&up.line_with("up")).unwrap();
        assert_eq!(line["up"].to_string(), nodes);
        up
    }

    fn node(&self, name: &str, number: u64, args: &[&str]) -> Command {
        let cluster = self.path(name);
        let mut command = program();
        command.arg("node").arg("--folder").arg(cluster.join(format!("node-{number}")));
        command.arg("--key-file").arg(cluster.join("keys").join(format!("node-{number}.key")));
        command.arg("--counter").arg(format!("file:{}", cluster.join("counters").display()));
        command.env("TERACHAT_NODE_COUNT_EVERY", "500ms").args(args).stdin(Stdio::null());
        command
    }

    /// A node alone, once it knows all that was decided.
    fn run_node(&self, name: &str, number: u64) -> Running {
        let mut running = Running::start(self.node(name, number, &["run", "--json"]));
        running.line_with("ready");
        running
    }

    /// The status, once it is as wanted.
    #[track_caller]
    fn wait(&self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let status = self.json(name, &["status"]);
            if wanted(&status) {
                return status;
            }
            assert!(Instant::now() < until, "not in time: {status:#}");
        }
    }

    /// A file of so many bytes that are like no others.
    fn file(&self, name: &str, len: usize) -> PathBuf {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut bytes);
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    #[track_caller]
    fn put(&self, name: &str, file: &Path) -> String {
        self.json(name, &["put", file.to_str().unwrap()])["reference"].as_str().unwrap().to_owned()
    }

    /// That a reference gives the bytes of this file.
    #[track_caller]
    fn gives(&self, name: &str, reference: &str, file: &Path) {
        let out = self.path("got");
        self.ok(name, &["get", reference, "-o", out.to_str().unwrap()]);
        assert!(std::fs::read(&out).unwrap() == std::fs::read(file).unwrap(), "{file:?}");
        std::fs::remove_file(out).unwrap();
    }
}

fn whole(status: &Value) -> bool {
    status["health"]["whole"] == true
        && status["nodes"].as_array().unwrap().iter().all(|node| node["answers"] == true)
}

#[cfg(unix)]
fn kill(process: &Value) {
    let id = rustix::process::Pid::from_raw(i32::try_from(process.as_i64().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
}

/// How many nodes answer.
fn answering(status: &Value) -> usize {
    status["nodes"].as_array().unwrap().iter().filter(|node| node["answers"] == true).count()
}

/// The most shards of one stripe that each of these folders has.
fn most_of_a_stripe(folder: &Path, nodes: u64) -> Vec<usize> {
    let most = |node: u64| {
        let disk = Disk::open(&folder.join(format!("node-{node}")).join("shards")).unwrap();
        let (store, _) = SegmentStore::open(Box::new(disk), Options::default()).unwrap();
        let mut stripes: BTreeMap<_, usize> = BTreeMap::new();
        store.held().for_each(|held| *stripes.entry(held.stripe).or_default() += 1);
        stripes.into_values().max().unwrap_or(0)
    };
    (1..=nodes).map(most).collect()
}

#[cfg(unix)]
#[test]
fn two_of_seven_are_killed_and_nothing_stops_or_is_lost() {
    let place = Place::new();
    let up = place.up("c", 7);
    let first = place.file("first", (3 << 20) + 5);
    let reference = place.put("c", &first);
    place.gives("c", &reference, &first);
    let status = place.json("c", &["status"]);
    assert_eq!((&status["profile"]["data"], &status["profile"]["parity"]), (&3.into(), &4.into()));
    assert_eq!(status["profile"]["cannot"], serde_json::json!([]));

    let leader = status["leader"].as_u64().unwrap();
    let nodes = status["nodes"].as_array().unwrap();
    let mut watching = Running::start(place.cluster("c", &["status", "--watch", "--json"]));
    let mut seen = |wanted: &dyn Fn(&Value) -> bool| {
        while !wanted(&serde_json::from_str(&watching.line_with("nodes")).unwrap()) {}
    };
    seen(&|status| answering(status) == 7);
    let other =
        nodes.iter().map(|node| node["node"].as_u64().unwrap()).rfind(|node| *node != leader).unwrap();
    for node in nodes.iter().filter(|node| [leader, other].contains(&node["node"].as_u64().unwrap())) {
        kill(&node["process"]);
    }
    place.gives("c", &reference, &first);
    let second = place.file("second", 100_000);
    let later = place.put("c", &second);
    place.gives("c", &later, &second);
    let status = place.wait("c", |status| status["health"]["away"].as_u64().is_some_and(|away| away > 0));
    assert_eq!((&status["health"]["missing"], &status["health"]["whole"]), (&0.into(), &false.into()));
    assert_eq!(answering(&status), 5);
    assert_ne!(status["leader"], leader);
    seen(&|status| answering(status) == 5);

    let back = [leader, other].map(|node| place.run_node("c", node));
    place.wait("c", whole);
    let audit = place.json("c", &["audit"]);
    assert_eq!((audit["sound"].as_bool(), audit["nodes"].as_array().unwrap().len()), (Some(true), 7));
    for running in back {
        assert_eq!(running.interrupt(), 0);
    }
    assert_eq!(up.interrupt(), 0);
    // Whoever watches looks on while nobody answers.
    let again = place.up("c", 7);
    seen(&whole);
    drop(watching);
    assert_eq!(again.interrupt(), 0);
    for most in most_of_a_stripe(&place.path("c"), 7) {
        assert!((1..3).contains(&most), "a node has {most} shards of a stripe, of which 3 give it back");
    }

    let up = place.up("c", 7);
    place.gives("c", &reference, &first);
    place.gives("c", &later, &second);
    assert_eq!(up.interrupt(), 0);
}

#[cfg(unix)]
#[test]
fn few_nodes_say_what_they_cannot_promise_and_more_can_be_added() {
    let place = Place::new();
    let up = place.up("c", 1);
    let file = place.file("file", 1000);
    let reference = place.put("c", &file);
    assert!(place.ok("c", &["status"]).contains("the one node holds the sealed bytes whole"));
    assert_eq!(up.interrupt(), 0);
    let up = place.up("c", 3);
    let status = place.json("c", &["status"]);
    let cannot = status["profile"]["cannot"].to_string();
    assert!(cannot.contains("no node may be lost") && !cannot.contains("whole"), "{cannot}");
    place.gives("c", &reference, &file);
    place.put("c", &place.file("other", 1000));
    assert_eq!(up.interrupt(), 0);
}

/// Four nodes' stripes have no place on three, so they are cut anew, and nothing is left on the fourth.
#[cfg(unix)]
#[test]
fn a_node_is_emptied_and_leaves() {
    let place = Place::new();
    let up = place.up("c", 4);
    let file = place.file("file", 2_000_000);
    let reference = place.put("c", &file);
    let own = |args: &[&str]| Ended::from(place.node("c", 4, args).output().unwrap());
    let early = own(&["leave"]);
    assert!(early.pair().0.contains("node 4 still holds"), "{early:?}");
    assert_eq!(own(&["drain"]).code, 0);
    place.wait("c", |status| status["nodes"][3]["shards"] == 0);
    let left = own(&["leave"]);
    assert_eq!(left.stdout, "node 4 is out\n", "{left:?}");
    let status = place.wait("c", |status| status["nodes"].as_array().unwrap().len() == 3 && whole(status));
    assert_eq!((&status["profile"]["data"], &status["profile"]["parity"]), (&3.into(), &0.into()));
    place.gives("c", &reference, &file);
    assert_eq!(place.json("c", &["audit"])["sound"], true);
    assert_eq!(up.interrupt(), 0);
}

/// A hold is for a case, is the operator's to set, and is there after a restart; the ledger's own tests see that nothing is forgotten.
#[cfg(unix)]
#[test]
fn a_file_is_held_for_a_case() {
    let place = Place::new();
    let up = place.up("c", 1);
    let file = place.file("file", (2 << 20) + 5);
    let reference = place.put("c", &file);
    let items = place.ok("c", &["items", &reference]);
    assert_eq!(items.lines().count(), 4, "three pieces and what names them: {items}");
    std::fs::write(place.path("names"), &items).unwrap();
    let own = |args: &[&str]| Ended::from(place.node("c", 1, args).output().unwrap());
    let json = |ended: Ended| serde_json::from_str::<Value>(&ended.stdout).unwrap();
    assert_eq!(own(&["holds"]).stdout, "");
    let names = place.path("names").display().to_string();
    let held = own(&["hold", "2026/17", "--names", &names]);
    assert_eq!(held.stdout, "4 items are held for 2026/17\n", "{held:?}");
    let first = items.lines().next().unwrap();
    assert_eq!(json(own(&["hold", "another", first, "--json"]))["items"], 1);
    let no_item = own(&["hold", "another", "blob:12"]);
    assert!(no_item.code != 0 && no_item.stderr.contains("terachat cluster items"), "{no_item:?}");
    assert_eq!(up.interrupt(), 0);
    let up = place.up("c", 1);
    assert_eq!(own(&["holds"]).stdout, "       4  2026/17\n       1  another\n");
    assert_eq!(own(&["release", "another"]).stdout, "another holds nothing any more\n");
    let again = own(&["release", "another"]);
    assert!(again.code != 0 && again.stderr.contains("terachat node holds"), "{again:?}");
    assert_eq!(json(own(&["holds", "--json"]))["holds"][0]["items"], 4);
    assert_eq!(place.json("c", &["audit"])["sound"], true);
    assert_eq!(up.interrupt(), 0);
}

/// What leaves a cluster stands in its history first, can be checked without it, and is opened by whoever has the reference.
#[cfg(unix)]
#[test]
fn what_a_case_holds_is_given_out_and_the_history_says_so() {
    let place = Place::new();
    let up = place.up("c", 4);
    let file = place.file("file", (2 << 20) + 5);
    let reference = place.put("c", &file);
    std::fs::write(place.path("names"), place.ok("c", &["items", &reference])).unwrap();
    let at = |name: &str| place.path(name).display().to_string();
    let own = |args: &[&str]| Ended::from(place.node("c", 2, args).output().unwrap());
    let export = |out: &str| own(&["export", "2026/17", "--to", "the court of appeal", "--out", &at(out)]);
    let none = export("out");
    assert!(none.pair().0.contains("2026/17 holds nothing") && none.stderr.contains("node hold"), "{none:?}");
    let absent = format!("blob:{}", "07".repeat(32));
    assert_eq!(own(&["hold", "2026/17", "--names", &at("names")]).code, 0);
    assert_eq!(own(&["hold", "2026/17", &absent]).code, 0);
    let exported = export("out");
    assert_eq!(exported.code, 0, "{exported:?}");
    assert!(exported.stdout.starts_with("4 items, "), "{exported:?}");
    assert!(exported.stdout.contains(&format!("not in the cluster: {absent}")), "{exported:?}");

    // The deed is in the history that anybody replays, beside what the nodes run.
    let history = place.json("c", &["history"]);
    let deeds = history["deeds"].as_array().unwrap();
    let is = |text: &'static str| move |deed: &&Value| deed["what"].as_str().unwrap().contains(text);
    assert_eq!(deeds.iter().filter(is("gave out 4 items of case 2026/17 to the court of appeal")).count(), 1);
    let verified: Value = serde_json::from_str(&place.ok("c", &["verify", &at("out"), "--json"])).unwrap();
    let deed = deeds.iter().find(is("gave out")).unwrap();
    assert_eq!((&verified["hash"], &verified["node"]), (&deed["hash"], &2.into()));
    let nodes: std::collections::BTreeSet<u64> = deeds
        .iter()
        .filter(is(env!("CARGO_PKG_VERSION")))
        .map(|deed| deed["node"].as_u64().unwrap())
        .collect();
    assert_eq!(nodes, (1..=4).collect(), "{history}");
    assert!(place.ok("c", &["history"]).lines().count() == deeds.len());

    // Said again it is another deed, and what is there is not fetched again.
    std::fs::remove_file(place.path("out/items").join(verified["items"][0]["file"].as_str().unwrap()))
        .unwrap();
    let broken = place.run("c", &["verify", &at("out")]);
    assert!(broken.pair().0.contains("is not what the export's deed says"), "{broken:?}");
    assert_eq!(export("out").code, 0);
    place.ok("c", &["verify", &at("out")]);
    // Where the shards of all that stand is there too, and nobody has seen it otherwise.
    let placed = || {
        let history = place.json("c", &["history"]);
        history["deeds"].as_array().unwrap().iter().filter(is("saw shards placed by entry")).count()
    };
    let until = Instant::now() + PATIENCE;
    while placed() == 0 {
        assert!(Instant::now() < until, "nobody says where shards stand");
    }
    assert_eq!(placed(), 1, "once an hour");
    let again =
        place.json("c", &["history"])["deeds"].as_array().unwrap().iter().filter(is("gave out")).count();
    assert_eq!(again, 2);
    assert_eq!(place.json("c", &["audit"])["sound"], true);
    assert_eq!(up.interrupt(), 0);

    // Nothing but the folder and the reference is needed.
    place.ok("c", &["get", &reference, "--exported", &at("out"), "--out", &at("opened")]);
    assert_eq!(std::fs::read(place.path("opened")).unwrap(), std::fs::read(&file).unwrap());
    let list = place.path("out/export");
    let mut bytes = std::fs::read(&list).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&list, bytes).unwrap();
    assert_ne!(place.run("c", &["verify", &at("out")]).code, 0);
}

/// One node has nobody to make anew from, so what has rotted stays so.
#[cfg(unix)]
#[test]
fn rot_is_found_when_everything_is_read_again() {
    let place = Place::new();
    let up = place.up("c", 1);
    let file = place.file("file", 3 << 20);
    place.put("c", &file);
    let scrubbed = place.json("c", &["scrub"]);
    assert_eq!((&scrubbed["sound"], &scrubbed["nodes"][0]["rotten"]), (&true.into(), &0.into()));
    assert!(scrubbed["nodes"][0]["bytes"].as_u64().unwrap() > 3 << 20, "{scrubbed}");
    assert!(place.ok("c", &["scrub"]).ends_with("Everything is sound."));
    let segment = place.path("c").join("node-1/shards/shard-00000000");
    let bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    let written = std::fs::OpenOptions::new().write(true).open(&segment).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&written, &[bytes[middle] ^ 1], middle as u64).unwrap();
    let ended = place.run("c", &["scrub"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stdout.contains("1 of") && ended.stdout.contains("rotten"), "{ended:?}");
    // Stopped nodes are no sound ones.
    assert_eq!(up.interrupt(), 0);
    assert_ne!(place.run("c", &["scrub"]).code, 0);
}

/// What a node says of itself is for programs, and names nobody's things.
#[cfg(unix)]
#[test]
fn a_nodes_log_is_a_json_object_for_each_line() {
    let place = Place::new();
    assert_eq!(place.up("c", 1).interrupt(), 0);
    let log = place.path("log");
    let mut command = place.node("c", 1, &["run", "--json"]);
    command
        .env("RUST_LOG", "terachat_node=info")
        .env("TERACHAT_LOG_FORMAT", "json")
        .env("TERACHAT_NODE_COUNT_EVERY", "100ms");
    let mut running = Running::start_logging(command, &log);
    running.line_with("ready");
    let reference = place.put("c", &place.file("file", 1000));
    let items = place.ok("c", &["items", &reference]);
    // It looks at what was counted five times a second; each question here is a process of its own.
    let counted = || std::fs::read_to_string(&log).unwrap().contains("shards were counted");
    for asked in 0.. {
        if counted() {
            break;
        }
        assert!(asked < 1000, "nothing was counted");
        place.wait("c", whole);
    }
    assert_eq!(running.interrupt(), 0);
    let text = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said = |message: &str| lines.iter().any(|line| line["message"] == message && line["level"] == "INFO");
    for message in
        ["the node works", "who leads the ledger", "shards were counted", "the node was told to end"]
    {
        assert!(said(message), "{message}: {text}");
    }
    for item in items.lines() {
        let name = item.split_once(':').unwrap().1;
        assert!(!text.contains(name), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn strangers_are_let_into_nothing() {
    let place = Place::new();
    let (ours, theirs) = (place.up("ours", 1), place.up("theirs", 1));
    let file = place.file("file", 1000);
    let reference = place.put("ours", &file);
    // Somebody who knows where the nodes are, and has a key that another cluster knows.
    for folder in ["client", "keys"] {
        std::fs::create_dir_all(place.path("stranger").join(folder)).unwrap();
    }
    for (from, file) in [("theirs", "client/keys"), ("ours", "client/access"), ("theirs", "keys/client.key")]
    {
        std::fs::copy(place.path(from).join(file), place.path("stranger").join(file)).unwrap();
    }
    for args in [&["get", &reference][..], &["put", file.to_str().unwrap()], &["status"], &["audit"]] {
        let ended = place.run("stranger", args);
        let (what, next) = ended.pair();
        assert!(what.contains("does not know your key") && next.contains("ticket"), "{args:?}: {what}");
    }
    // A ticket lets in once, and a node's is no client's.
    let invite = |args: &[&str]| {
        let output = place.node("ours", 1, &[&["invite"], args].concat()).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let clients = || {
        let output = place.node("ours", 1, &["clients", "--json"]).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["clients"].as_array().unwrap().clone()
    };
    let before = clients();
    assert_eq!(before.len(), 1, "{before:?}");
    let ticket = invite(&["--client"]);
    let key = |name: &str| place.path(name).to_str().unwrap().to_owned();
    place.ok("guest", &["join", &ticket, "--key-file", &key("guest.key")]);
    place.ok("guest", &["status", "--key-file", &key("guest.key")]);
    // Who was let in is listed, and can be sent away.
    let guest = clients().into_iter().find(|key| !before.contains(key)).unwrap();
    let dismiss = |key: &str| Ended::from(place.node("ours", 1, &["dismiss", key]).output().unwrap());
    assert!(dismiss("12").stderr.contains("terachat node clients"));
    assert_eq!(dismiss(guest.as_str().unwrap()).code, 0);
    assert_eq!(clients(), before);
    let sent_away = place.run("guest", &["status", "--key-file", &key("guest.key")]);
    assert!(sent_away.pair().0.contains("does not know your key"), "{sent_away:?}");
    let again = place.run("second", &["join", &ticket, "--key-file", &key("second.key")]);
    assert!(again.pair().0.contains("the ticket is used"), "{again:?}");
    let wrong = place.run("second", &["join", &invite(&[]), "--key-file", &key("second.key")]);
    assert!(wrong.pair().0.contains("this ticket is for a node"), "{wrong:?}");
    assert_eq!((ours.interrupt(), theirs.interrupt()), (0, 0));
}

#[cfg(unix)]
#[test]
fn an_older_copy_of_a_node_is_not_started() {
    let place = Place::new();
    assert_eq!(place.up("c", 1).interrupt(), 0);
    let (folder, copy) = (place.path("c").join("node-1"), place.path("copy"));
    copy_all(&folder, &copy);
    assert_eq!(place.run_node("c", 1).interrupt(), 0);
    std::fs::remove_dir_all(&folder).unwrap();
    copy_all(&copy, &folder);
    let ended = Ended::from(place.node("c", 1, &["run"]).output().unwrap());
    let (what, next) = ended.pair();
    assert!(what.contains("is an older copy of this node") && next.contains("node join"), "{what}");
}

/// Its settings come from the file in its folder: where it shows how it does is nowhere else.
#[cfg(unix)]
#[test]
fn a_node_shows_by_http_how_it_does() {
    let place = Place::new();
    assert_eq!(place.up("c", 1).interrupt(), 0);
    let settings = place.path("c").join("node-1").join("node.toml");
    std::fs::write(&settings, "monitor = \"127.0.0.1:0\"\nbatch = \"128KiB\"\n").unwrap();
    let mut node = Running::start(place.node("c", 1, &["run", "--json"]));
    let line: Value = serde_json::from_str(&node.line_with("listening")).unwrap();
    let url = line["monitor"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
    assert!(http(&url, "/healthz").starts_with("HTTP/1.1 200"));
    node.line_with("ready");
    assert!(http(&url, "/readyz").starts_with("HTTP/1.1 200"), "{}", http(&url, "/readyz"));
    place.put("c", &place.file("file", 1000));
    let metrics = http(&url, "/metrics");
    for (verb, least) in [("put", 1), ("has", 0)] {
        let name = format!("terachat_node_requests_total{{verb=\"{verb}\",answer=\"done\"}} ");
        let count = metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse::<u64>().ok());
        assert!(count.is_some_and(|count| count >= least), "{name} in\n{metrics}");
    }
    assert!(metrics.contains("\nterachat_node_ready 1\n") && metrics.contains("\nterachat_node_leads 1\n"));
    let page = http(&url, "/");
    assert!(page.contains("Ready") && page.contains("content-security-policy: default-src 'none'"), "{page}");
    assert!(http(&url, "/style.css").contains("text/css") && http(&url, "/no").starts_with("HTTP/1.1 404"));
    assert_eq!(node.interrupt(), 0);
    std::fs::write(&settings, "bach = \"128KiB\"\n").unwrap();
    let ended = Ended::from(place.node("c", 1, &["run"]).output().unwrap());
    let (what, next) = ended.pair();
    assert!(what.contains("`bach` is no setting") && next.contains("terachat node settings"), "{what}");
}

/// What is answered to a GET, headers and all.
fn http(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (from, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        match from.is_dir() {
            true => copy_all(&from, &to.join(name)),
            false => drop(std::fs::copy(&from, to.join(name)).unwrap()),
        }
    }
}
