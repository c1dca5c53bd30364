//! Two people who are never online at the same time, and a cluster of which a node is killed in between.
use crate::board::invited;
use crate::support::{Ended, Place, Running, program};
use serde_json::Value;
use std::process::{Command, Stdio};

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
