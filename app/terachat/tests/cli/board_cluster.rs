//! Two people who are never online at the same time, and a cluster of which a node is killed in between.
use crate::board::invited;
use crate::support::{Ended, Place, Running, program};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Stdio};
use terachat_client::Client;
use terachat_client::api::{Answer, Request, Status};
use terachat_core_store::sync::board::{
    Board, BoardError, BoardRecord, Cursor, Listing, Order, Published, RecordKey,
};
use terachat_host::{Disk, KeyFile, OsEntropy, clock};
use terachat_node::{ClientFolder, ClusterBoard, Keys};
use terachat_vault::{PassphraseCost, PassphraseSource, SecretBytes};

/// A cluster on loopback, in the folder `cluster`.
pub(crate) fn up(place: &Place, nodes: u8) -> Running {
    let mut up = Running::start(cluster(place, "cluster", &["up", "--nodes", &nodes.to_string(), "--json"]));
    up.line_with("up");
    up
}

fn cluster(place: &Place, folder: &str, args: &[&str]) -> Command {
    let mut command = program();
    command.arg("cluster").arg("--folder").arg(place.home(folder)).args(args).stdin(Stdio::null());
    command
}

#[track_caller]
fn ok(command: &mut Command) -> String {
    let ended = Ended::from(command.output().unwrap());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    ended.stdout.trim_end().to_owned()
}

/// Bo's machine becomes a client of its own: the folder `apart`, with its key beside it.
pub(crate) fn let_bo_in(place: &Place) {
    let (folder, key) = (place.home("cluster").join("node-1"), place.home("cluster").join("keys/node-1.key"));
    let mut invite = program();
    invite.arg("node").arg("--folder").arg(folder).arg("--key-file").arg(key).args(["invite", "--client"]);
    let ticket = ok(&mut invite);
    let key = place.home("bo.key").display().to_string();
    ok(&mut cluster(place, "apart", &["join", &ticket, "--key-file", &key]));
}

/// Kills the node that leads.
pub(crate) fn kill_the_leader(place: &Place) {
    let status: Value =
        serde_json::from_str(&ok(&mut cluster(place, "cluster", &["status", "--json"]))).unwrap();
    let leads = |node: &&Value| node["node"] == status["leader"];
    let process =
        status["nodes"].as_array().unwrap().iter().find(leads).unwrap()["process"].as_i64().unwrap();
    let id = rustix::process::Pid::from_raw(i32::try_from(process).unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn two_profiles_exchange_by_a_cluster_that_loses_a_node() {
    let (place, _) = invited();
    let up = up(&place, 4);
    let_bo_in(&place);
    let path = |name: &str| place.home(name).display().to_string();
    let (ours, apart, key) = (path("cluster"), path("apart"), path("bo.key"));
    let ada = |verb: &str| place.json("ada", &["board", verb, "--cluster", &ours]);
    let bo = |verb: &str| place.json("bo", &["board", verb, "--cluster", &apart, "--cluster-key", &key]);

    place.ok("ada", &["send", "I leave this for you"]);
    let left = ada("publish");
    assert!(left["events"].as_u64().unwrap() >= 4 && left["more"] == false, "{left}");
    kill_the_leader(&place);
    let got = bo("fetch");
    assert!(got["added"].as_u64().unwrap() >= 4 && got["left"] == 0, "{got}");
    assert_eq!(place.json("bo", &["read"])["messages"][0]["body"], "I leave this for you");

    place.ok("bo", &["send", "and this is for you"]);
    let both = bo("sync");
    assert_eq!((&both["fetched"]["added"], &both["published"]["events"]), (&0.into(), &1.into()), "{both}");
    let (mut listen, _) = Running::listen(&place, "ada", &[]);
    assert_eq!(ada("fetch")["added"], 1);
    listen.line_with("and this is for you");
    assert_eq!(listen.interrupt(), 0);
    assert_eq!(ada("sync")["published"]["records"], 0);
    let state = |name: &str| place.json(name, &["status"])["spaces"][0]["state_hash"].clone();
    assert_eq!(state("ada"), state("bo"));
    assert_eq!(up.interrupt(), 0);
}

/// A cluster's board, at which somebody else arrives at the moment when a commit is made and not left yet.
struct Meeting<'a> {
    board: ClusterBoard,
    arrives: &'a mut dyn FnMut(),
}

impl Board for Meeting<'_> {
    fn id(&self) -> [u8; 16] {
        self.board.id()
    }

    fn record_len_max(&self) -> usize {
        self.board.record_len_max()
    }

    fn publish(&mut self, record: &BoardRecord, now_ms: u64) -> Result<Published, BoardError> {
        (self.arrives)();
        self.board.publish(record, now_ms)
    }

    fn fetch(&self, key: &RecordKey, now_ms: u64) -> Result<Option<BoardRecord>, BoardError> {
        self.board.fetch(key, now_ms)
    }

    fn list(&self, after: &Cursor, max: usize) -> Result<Listing, BoardError> {
        self.board.list(after, max)
    }

    fn collect(&mut self, now_ms: u64) -> Result<usize, BoardError> {
        self.board.collect(now_ms)
    }

    fn order(&self) -> Option<&dyn Order> {
        self.board.order()
    }
}

/// Ada's profile in this process.
fn ada(place: &Place) -> Client {
    let mut source =
        PassphraseSource::new(SecretBytes::take(b"correct horse".to_vec()), PassphraseCost::RECOMMENDED);
    let disk = Box::new(Disk::open(&place.home("ada")).unwrap());
    Client::open(disk, &mut source, Box::new(OsEntropy::new().unwrap())).unwrap()
}

fn own_board(place: &Place) -> ClusterBoard {
    let folder = place.home("cluster").join("client");
    let owner = Keys::owner_in(&folder).unwrap().unwrap();
    let mut source = KeyFile::open(&place.home("cluster").join("keys").join("client.key"), owner).unwrap();
    let keys = Keys::open_unguarded(&folder, &mut source).unwrap();
    ClusterBoard::open(ClientFolder::open(&folder, keys).unwrap()).unwrap()
}

/// Ada has made a commit and not left it yet when Bo, in a process of his own, begins another one on the same epoch: he is told that
/// another comes first, waits for it, and lands on top.
#[test]
fn of_two_who_commit_at_once_the_second_lands_on_top() {
    let place = Place::new();
    for args in [&["init", "--name", "Ada"][..], &["space", "create", "Crew"], &["channel", "create", "deck"]]
    {
        let mut command = place.command("ada", args);
        ok(command.env("TERACHAT_COUNTER", "none"));
    }
    place.ok("bo", &["init", "--name", "Bo"]);
    let card = place.ok("bo", &["whoami"]);
    place.ok("bo", &["join", &place.ok("ada", &["invite", &card])]);
    let up = up(&place, 4);
    let_bo_in(&place);
    let path = |name: &str| place.home(name).display().to_string();
    let (ours, apart, key) = (path("cluster"), path("apart"), path("bo.key"));
    let as_bo =
        |args: &[&str]| place.command("bo", &[args, &["--cluster", &apart, "--cluster-key", &key]].concat());
    place.ok("ada", &["board", "sync", "--cluster", &ours]);
    ok(&mut as_bo(&["board", "sync"]));
    place.ok("ada", &["board", "sync", "--cluster", &ours]);
    let epoch = |name: &str| place.json(name, &["status"])["spaces"][0]["epoch"].as_u64().unwrap();
    let before = epoch("ada");
    assert_eq!(epoch("bo"), before);

    let mut bo: Option<(Child, BufReader<ChildStderr>)> = None;
    let mut arrives = || {
        if bo.is_some() {
            return;
        }
        let mut child =
            as_bo(&["space", "renew"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert!(line.contains("comes first; waiting"), "{line}");
        bo = Some((child, said));
    };
    let mut ada = ada(&place);
    let mut meeting = Meeting { board: own_board(&place), arrives: &mut arrives };
    let renew = Request::Renew { space: None };
    assert_eq!(ada.board_execute(&mut meeting, &renew, clock::now_ms()).unwrap(), Answer::Done);
    drop(meeting);
    let (mut child, mut said) = bo.expect("he arrived");
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{rest}");
    let told = ada.board_fetch(&own_board(&place), clock::now_ms()).unwrap();
    assert_eq!((told.added, told.left), (1, 0), "{told:?}");
    let Answer::Status(Status { spaces, .. }) = ada.execute(Request::Status, clock::now_ms()).unwrap() else {
        panic!("no status")
    };
    // Both count, one upon the other.
    assert_eq!(spaces[0].epoch, Some(before + 2));
    ada.close().unwrap();
    assert_eq!(epoch("bo"), before + 2);
    let state = |name: &str| place.json(name, &["status"])["spaces"][0]["state_hash"].clone();
    assert_eq!(state("ada"), state("bo"));

    // Without the cluster it is done as ever, and a cluster that is not there is told of before anything is changed.
    place.ok("ada", &["space", "renew"]);
    assert_eq!(up.interrupt(), 0);
    let ended = place.run("ada", &["space", "renew", "--cluster", &ours]);
    assert!(ended.pair().0.contains("answered within"), "{ended:?}");
    assert_eq!(epoch("ada"), before + 3);
}

#[test]
fn what_is_no_cluster_of_ones_own_is_told() {
    let (place, folder) = invited();
    let up = up(&place, 1);
    let path = |name: &str| place.home(name).display().to_string();
    let ours = path("cluster");
    let sync = |args: &[&str]| place.run("ada", &[&["board", "sync"], args].concat());
    let ended = sync(&["--cluster", &path("nowhere")]);
    assert!(
        ended.pair().0.contains("no client of a cluster") && ended.pair().1.contains("join"),
        "{ended:?}"
    );
    // All that changes a group asks the cluster that is named, before anything is changed.
    for change in [
        &["space", "renew"][..],
        &["space", "reinit", "--suite", "post-quantum"],
        &["member", "remove", "Bo"],
        &["device", "add", "a card"],
        &["device", "revoke", "00"],
        &["invite", "a card"],
        &["invite", "--person", "Bo"],
    ] {
        let ended = place.run("ada", &[change, &["--cluster", &path("nowhere")]].concat());
        assert!(ended.pair().0.contains("no client of a cluster"), "{change:?}: {ended:?}");
    }
    let ended = sync(&["--cluster", &ours, "--cluster-key", &path("cluster/keys/node-1.key")]);
    assert!(ended.pair().0.contains("key") && ended.pair().1.contains("--cluster-key"), "{ended:?}");
    for args in
        [&[][..], &["--cluster", &ours, "--folder", &folder], &["--folder", &folder, "--cluster-key", &ours]]
    {
        assert_eq!(sync(args).code, 2, "{args:?}");
    }
    place.ok("ada", &["board", "sync", "--cluster", &ours]);
    assert_eq!(up.interrupt(), 0);
    let ended = sync(&["--cluster", &ours]);
    assert!(ended.pair().0.contains("answered within"), "{ended:?}");
}
