//! People who invite each other without passing cards: by what their devices left on a board.
#[cfg(unix)]
use crate::board_cluster::{kill_the_leader, let_bo_in, up};
use crate::support::Place;

/// Ada's crew, and Bo, who offers key packages in a folder; with Bo's user id.
fn offered() -> (Place, String, String) {
    let place = Place::crew();
    let folder = place.home("board").display().to_string();
    place.ok("bo", &["init", "--name", "Bo"]);
    let left = place.json("bo", &["card", "publish", "--folder", &folder]);
    assert_eq!(left["key_packages"], 17, "{left}");
    let user = place.json("bo", &["whoami"])["user"].as_str().unwrap().to_owned();
    (place, folder, user)
}

#[test]
fn who_published_key_packages_is_invited_without_a_card() {
    let (place, folder, user) = offered();
    place.ok("ada", &["send", "welcome, whoever comes"]);
    let invited = place.json("ada", &["invite", "--person", &user, "--folder", &folder]);
    assert_eq!(
        (invited["devices"].as_array().unwrap().len(), &invited["last_resort"]),
        (1, &0.into()),
        "{invited}"
    );

    let both = place.json("bo", &["board", "sync", "--folder", &folder]);
    assert_eq!(both["fetched"]["invitations"], 1, "{both}");
    let status = place.json("bo", &["card", "status"]);
    assert_eq!((&status["boards"][0]["single_use"], &status["boards"][0]["used"]), (&15.into(), &1.into()));
    assert_eq!(
        (&status["invitations"][0]["name"], &status["invitations"][0]["by"]),
        (&"Crew".into(), &"Ada".into())
    );
    assert!(place.ok("bo", &["card", "status"]).contains("by Ada"));

    place.ok("bo", &["join", "Crew"]);
    place.ok("bo", &["board", "sync", "--folder", &folder]);
    assert_eq!(place.json("bo", &["read"])["messages"][0]["body"], "welcome, whoever comes");
    place.ok("bo", &["send", "here I am"]);
    place.ok("bo", &["board", "sync", "--folder", &folder]);
    place.ok("ada", &["board", "sync", "--folder", &folder]);
    assert!(place.ok("ada", &["read"]).contains("here I am"));
    let state = |name: &str| place.json(name, &["status"])["spaces"][0]["state_hash"].clone();
    assert_eq!(state("ada"), state("bo"));
    assert!(place.json("bo", &["card", "status"])["invitations"].as_array().unwrap().is_empty());

    // By name, into another space, by whoever has met them here.
    place.ok("ada", &["space", "create", "Guild"]);
    place.ok("ada", &["--space", "Guild", "invite", "--person", "Bo", "--folder", &folder]);
    place.ok("bo", &["board", "sync", "--folder", &folder]);
    place.ok("bo", &["join", "Guild"]);
    place.ok("bo", &["board", "sync", "--folder", &folder]);
    let spaces = place.json("bo", &["status"])["spaces"].as_array().unwrap().len();
    assert_eq!(spaces, 2);
    for name in ["ada", "bo"] {
        place.ok(name, &["audit"]);
    }
}

#[test]
fn why_somebody_cannot_be_invited_is_told_with_the_next_step() {
    let (place, folder, user) = offered();
    let invite =
        |args: &[&str]| place.run("ada", &[&["invite", "--folder", &folder, "--person"], args].concat());
    let stranger = place.json("ada", &["whoami"])["device"].as_str().unwrap().to_owned();
    let ended = invite(&[&stranger]);
    assert!(
        ended.pair().0.contains("no key packages") && ended.pair().1.contains("card publish"),
        "{ended:?}"
    );
    let ended = invite(&["Nobody"]);
    assert!(ended.pair().0.contains("no person"), "{ended:?}");
    place.ok("ada", &["space", "create", "Later", "--post-quantum"]);
    let ended = place.run("ada", &["--space", "Later", "invite", "--person", &user, "--folder", &folder]);
    assert!(ended.pair().0.contains("x-wing") && ended.pair().1.contains("--post-quantum"), "{ended:?}");
    let nowhere = place.home("nowhere").display().to_string();
    let ended = place.run("ada", &["--space", "Crew", "invite", "--person", &user, "--folder", &nowhere]);
    assert!(ended.pair().0.contains("no board in"), "{ended:?}");
    let ended = place.run("ada", &["--space", "Crew", "invite", "--person", &user]);
    assert!(ended.pair().0.contains("no board"), "{ended:?}");
    assert_eq!(place.run("ada", &["invite", "--folder", &folder]).code, 2);

    place.ok("bo", &["card", "publish", "--post-quantum", "--folder", &folder]);
    place.ok("ada", &["--space", "Later", "invite", "--person", &user, "--folder", &folder]);
    let ended = place.run("ada", &["--space", "Later", "invite", "--person", &user, "--folder", &folder]);
    assert!(ended.pair().0.contains("in the space already"), "{ended:?}");
    let ended = place.run("bo", &["join", "Nowhere"]);
    assert!(ended.pair().0.contains("no invitation"), "{ended:?}");
    place.ok("bo", &["card", "withdraw"]);
    let status = place.json("bo", &["card", "status"]);
    assert_eq!(status["boards"].as_array().unwrap().len(), 0, "{status}");
}

/// The same by a cluster, of which the node that leads is killed between the offer and the invitation.
#[cfg(unix)]
#[test]
fn a_cluster_that_loses_a_node_hands_out_key_packages() {
    let place = Place::crew();
    let up = up(&place, 4);
    let_bo_in(&place);
    place.ok("bo", &["init", "--name", "Bo"]);
    let path = |name: &str| place.home(name).display().to_string();
    let (ours, apart, key) = (path("cluster"), path("apart"), path("bo.key"));
    let by_bo = ["--cluster", apart.as_str(), "--cluster-key", key.as_str()];
    let bo = |args: &[&str]| place.json("bo", &[args, &by_bo].concat());
    assert_eq!(bo(&["card", "publish"])["key_packages"], 17);
    kill_the_leader(&place);
    let user = place.json("bo", &["whoami"])["user"].as_str().unwrap().to_owned();
    let invited = place.json("ada", &["invite", "--person", &user, "--cluster", &ours]);
    assert_eq!(invited["devices"].as_array().unwrap().len(), 1, "{invited}");
    assert_eq!(bo(&["board", "sync"])["fetched"]["invitations"], 1);
    place.ok("bo", &["join", "Crew"]);
    bo(&["board", "sync"]);
    place.ok("bo", &["send", "here I am"]);
    bo(&["board", "sync"]);
    place.ok("ada", &["board", "sync", "--cluster", &ours]);
    assert!(place.ok("ada", &["read"]).contains("here I am"));
    assert_eq!(up.interrupt(), 0);
}
