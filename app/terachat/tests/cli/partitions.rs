//! Five nodes on machines of their own, as far as the network goes: cut off one way, parted, far away, killed. For what no simulation
//! sees: connections that hang without an end, and the system's own queues.
mod wires;

use crate::support::{Ended, Running, program};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use wires::{Wires, addresses};

/// What any single wait may take on a busy machine; nothing comes near.
const PATIENCE: Duration = Duration::from_secs(120);
const NODES: u8 = 5;
/// The client's machine.
const CLIENT: u8 = 6;
const PORT: u16 = 4701;

struct Site {
    folder: tempfile::TempDir,
    wires: Wires,
    nodes: BTreeMap<u8, Running>,
}

impl Site {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn node_command(&self, node: u8, args: &[&str]) -> Command {
        let mut command = program();
        command.arg("node").arg("--folder").arg(self.path(&format!("node-{node}")));
        command.arg("--key-file").arg(self.path(&format!("node-{node}.key"))).args(args);
        command.env("TERACHAT_NODE_COUNT_EVERY", "500ms").stdin(Stdio::null());
        let mut there = self.wires.on(node, &command);
        there.stdin(Stdio::null());
        there
    }

    #[track_caller]
    fn node(&self, node: u8, args: &[&str]) -> String {
        let ended = Ended::from(self.node_command(node, args).output().unwrap());
        assert_eq!(ended.code, 0, "{args:?}: {}", ended.stderr);
        ended.stdout.trim().to_owned()
    }

    /// Starts a node, and waits until it knows all that was decided.
    fn start(&mut self, node: u8) {
        let mut running = Running::start(self.node_command(node, &["run", "--json"]));
        running.line_with("ready");
        self.nodes.insert(node, running);
    }

    /// Kills it; nothing is written any more.
    fn kill(&mut self, node: u8) {
        drop(self.nodes.remove(&node));
    }

    fn client(&self, args: &[&str]) -> Ended {
        Ended::from(client_command(&self.wires, self.path("client"), args).output().unwrap())
    }

    fn status(&self) -> Option<Value> {
        let ended = self.client(&["status", "--json"]);
        (ended.code == 0).then(|| serde_json::from_str(&ended.stdout).unwrap())
    }

    /// Waits until everything is whole and every node answers.
    #[track_caller]
    fn whole(&self) {
        let until = Instant::now() + PATIENCE;
        loop {
            let status = self.status();
            let is_whole = status.as_ref().is_some_and(|status| {
                status["health"]["whole"] == true
                    && status["nodes"].as_array().unwrap().iter().all(|node| node["answers"] == true)
            });
            if is_whole {
                return;
            }
            assert!(Instant::now() < until, "it is not whole again: {status:?}");
        }
    }

    /// The node that leads, once the nodes say so.
    #[track_caller]
    fn leader(&self) -> u8 {
        let until = Instant::now() + PATIENCE;
        loop {
            let leader = self.status().and_then(|status| status["leader"].as_u64());
            match leader.and_then(|leader| u8::try_from(leader).ok()) {
                Some(leader) => return leader,
                None => assert!(Instant::now() < until, "nobody leads"),
            }
        }
    }
}

fn client_command(wires: &Wires, folder: PathBuf, args: &[&str]) -> Command {
    let mut command = program();
    let key = folder.with_extension("key");
    command.arg("cluster").arg("--folder").arg(folder).args(args).arg("--key-file").arg(key);
    let mut there = wires.on(CLIENT, &command);
    there.stdin(Stdio::null());
    there
}

/// Puts one small file after the other, and keeps what was acknowledged.
struct Writer {
    heard: Arc<(Mutex<Heard>, Condvar)>,
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Heard {
    /// References and contents.
    acknowledged: Vec<(String, String)>,
    /// What was said to the others since somebody looked.
    refusals: Vec<String>,
}

impl Writer {
    fn start(site: &Arc<Mutex<Site>>) -> Self {
        let (heard, over) = (Arc::<(Mutex<Heard>, Condvar)>::default(), Arc::new(AtomicBool::new(false)));
        let (kept, ends, site) = (heard.clone(), over.clone(), site.clone());
        let thread = thread::spawn(move || {
            for number in 0.. {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let content = format!("file {number}");
                let mut put = {
                    let site = site.lock().unwrap();
                    let file = site.path("writing");
                    std::fs::write(&file, &content).unwrap();
                    client_command(
                        &site.wires,
                        site.path("client"),
                        &["put", file.to_str().unwrap(), "--json"],
                    )
                };
                let began = Instant::now();
                let ended = Ended::from(put.output().unwrap());
                let mut heard = kept.0.lock().unwrap();
                if ended.code == 0 {
                    let value: Value = serde_json::from_str(&ended.stdout).unwrap();
                    let reference = value["reference"].as_str().unwrap().to_owned();
                    heard.acknowledged.push((reference, content));
                    kept.1.notify_all();
                } else {
                    heard.refusals.push(format!("after {:?}: {}", began.elapsed(), ended.stderr));
                }
            }
        });
        Self { heard, over, thread }
    }

    /// Waits until some more were acknowledged.
    #[track_caller]
    fn goes_on(&self) {
        let mut heard = self.heard.0.lock().unwrap();
        heard.refusals.clear();
        // The first may have been on its way before.
        let enough = heard.acknowledged.len() + 4;
        let lacking = |heard: &mut Heard| heard.acknowledged.len() < enough;
        let (heard, waited) = self.heard.1.wait_timeout_while(heard, PATIENCE, lacking).unwrap();
        let missing = enough.saturating_sub(heard.acknowledged.len());
        assert!(!waited.timed_out(), "{missing} more are not acknowledged; refused: {:#?}", heard.refusals);
    }

    fn end(self) -> Vec<(String, String)> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        std::mem::take(&mut self.heard.0.lock().unwrap().acknowledged)
    }
}

fn tell(what: &str) {
    eprintln!("partitions: {what}");
}

#[test]
fn five_machines_are_parted_and_nothing_acknowledged_is_lost() {
    let Some(wires) = Wires::lay(CLIENT) else { return };
    let mut site = Site { folder: tempfile::tempdir().unwrap(), wires, nodes: BTreeMap::new() };
    // Whoever dials the first node goes through its forwarder.
    let delay = site.wires.forward(1, PORT);
    let listen = |node: u8| format!("{}:{PORT}", addresses(node)[0]);
    site.node(1, &["init", "--listen", &listen(1), "--address", &format!("{}:{PORT}", addresses(1)[1])]);
    site.start(1);
    for node in 2..=NODES {
        let ticket = site.node(1, &["invite"]);
        site.node(node, &["join", &ticket, "--listen", &listen(node)]);
        site.start(node);
    }
    let ticket = site.node(1, &["invite", "--client"]);
    let joined = site.client(&["join", &ticket]);
    assert_eq!(joined.code, 0, "{}", joined.stderr);
    site.whole();
    let site = Arc::new(Mutex::new(site));
    let with = |work: &dyn Fn(&mut Site)| work(&mut site.lock().unwrap());

    tell("node 5 hears all others and is heard by nobody");
    let writer = Writer::start(&site);
    with(&|site| (1..NODES).for_each(|node| site.wires.cut(5, node)));
    writer.goes_on();
    with(&|site| site.wires.heal());
    with(&|site| site.whole());

    tell("the leader is parted from the other nodes, and not from clients");
    with(&|site| {
        let leader = site.leader();
        let others: Vec<u8> = (1..=NODES).filter(|node| *node != leader).collect();
        site.wires.part(&[leader], &others);
    });
    writer.goes_on();
    with(&|site| site.wires.heal());
    with(&|site| site.whole());

    tell("the first node is far away, and another one is killed and comes back");
    delay.set(Duration::from_millis(150));
    writer.goes_on();
    with(&|site| site.kill(3));
    writer.goes_on();
    with(&|site| site.start(3));
    delay.set(Duration::ZERO);
    with(&|site| site.whole());
    let acknowledged = writer.end();

    tell("two nodes are parted from three, with the client on either side");
    let mut site = Arc::into_inner(site).unwrap().into_inner().unwrap();
    let file = site.path("late");
    std::fs::write(&file, "in the minority").unwrap();
    let put = ["put", file.to_str().unwrap()];
    let reference = &acknowledged[0].0;
    site.wires.part(&[1, 2, CLIENT], &[3, 4, 5]);
    let refused = site.client(&put);
    assert!(refused.pair().0.contains("made their part durable"), "{refused:?}");
    let unread = site.client(&["get", reference]);
    assert!(unread.code == 1 && unread.stderr.contains("next: "), "{unread:?}");
    site.wires.heal();
    site.wires.part(&[1, 2], &[3, 4, 5, CLIENT]);
    let read = site.client(&["get", reference]);
    assert_eq!((read.code, read.stdout), (0, acknowledged[0].1.clone()), "{}", read.stderr);
    site.wires.heal();
    site.whole();
    assert_eq!(site.client(&put).code, 0, "what was not taken is taken now");

    tell(&format!("all {} acknowledged files are read again", acknowledged.len()));
    for (reference, content) in &acknowledged {
        let read = site.client(&["get", reference]);
        assert_eq!((read.code, &read.stdout), (0, content), "{}", read.stderr);
    }
    let audit = site.client(&["audit", "--json"]);
    let audit: Value = serde_json::from_str(&audit.stdout).unwrap();
    assert_eq!(audit["sound"], true, "{audit}");
    for (_, node) in std::mem::take(&mut site.nodes) {
        assert_eq!(node.interrupt(), 0);
    }
}
