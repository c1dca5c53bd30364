//! Nodes that never come back, and nodes that do.
use super::*;

fn shards(status: &Value, node: usize) -> u64 {
    status["nodes"][node - 1]["shards"].as_u64().unwrap()
}

/// One whose machine is lost is counted out by another: what it had is made anew from the others. Should it turn up after all, it is
/// nobody's member any more.
#[cfg(unix)]
#[test]
fn a_node_that_never_comes_back_is_counted_out() {
    let place = Place::new();
    let up = place.up("c", 5);
    let first = place.file("first", (2 << 20) + 5);
    let reference = place.put("c", &first);
    let status = place.wait("c", whole);
    assert!(shards(&status, 5) > 0, "{status}");
    kill(&status["nodes"][4]["process"]);
    place.gives("c", &reference, &first);

    let other = |args: &[&str]| Ended::from(place.node("c", 1, args).output().unwrap());
    let held = other(&["leave", "5"]);
    let (what, next) = held.pair();
    assert!(what.contains("node 5 still holds") && next.contains("--force"), "{held:?}");
    assert_eq!(place.json("c", &["status"])["nodes"].as_array().unwrap().len(), 5, "nothing has changed");
    let out = other(&["leave", "5", "--force"]);
    assert_eq!((out.code, out.stdout.as_str()), (0, "node 5 is out\n"), "{out:?}");
    let four = |status: &Value| status["nodes"].as_array().unwrap().len() == 4 && whole(status);
    let status = place.wait("c", four);
    assert_eq!((&status["profile"]["data"], &status["profile"]["parity"]), (&2.into(), &2.into()));
    assert_eq!(status["health"]["missing"], 0);
    place.gives("c", &reference, &first);
    let again = other(&["leave", "5", "--force"]);
    assert!(again.code != 0 && !again.stderr.is_empty(), "{again:?}");

    // Its disk turns up, and it is started: it never becomes ready, and nobody counts it.
    let mut back = Running::start(place.node("c", 5, &["run", "--json"]));
    back.line_with("listening");
    let second = place.file("second", 300_000);
    let later = place.put("c", &second);
    place.wait("c", four);
    for (reference, file) in [(&reference, &first), (&later, &second)] {
        place.gives("c", reference, file);
    }
    let (code, said) = back.interrupt_and_read();
    assert_eq!((code, said.as_str()), (0, ""), "it waits until it is ended, and is never ready");
    let returned = other(&["return", "5"]);
    assert!(returned.code != 0, "who has left does not return: {returned:?}");
    let audit = place.json("c", &["audit"]);
    assert_eq!((audit["sound"].as_bool(), audit["nodes"].as_array().unwrap().len()), (Some(true), 4));
    assert_eq!(up.interrupt(), 0);
    for most in most_of_a_stripe(&place.path("c"), 4) {
        assert!((1..2).contains(&most), "a node has {most} shards of a stripe, of which 2 give it back");
    }
}

/// One that was being emptied, and was away meanwhile, takes shards again.
#[cfg(unix)]
#[test]
fn a_node_that_was_emptied_returns() {
    let place = Place::new();
    let up = place.up("c", 4);
    let file = place.file("file", 2_000_000);
    let reference = place.put("c", &file);
    let own = |args: &[&str]| Ended::from(place.node("c", 4, args).output().unwrap());
    let nothing = own(&["return"]);
    assert_eq!(nothing.stdout, "node 4 takes shards again\n", "said twice is no harm: {nothing:?}");
    let drained = own(&["drain"]);
    assert_eq!(drained.stdout, "node 4 is being emptied\n", "{drained:?}");
    let status = place.wait("c", |status| shards(status, 4) == 0 && whole(status));
    assert_eq!(status["nodes"].as_array().unwrap().len(), 4, "it is a member still");
    kill(&status["nodes"][3]["process"]);
    place.gives("c", &reference, &file);
    let back = place.run_node("c", 4);
    let returned = own(&["return"]);
    assert_eq!(returned.stdout, "node 4 takes shards again\n", "{returned:?}");
    let status = place.wait("c", |status| shards(status, 4) > 0 && whole(status));
    assert_eq!((&status["profile"]["data"], &status["profile"]["parity"]), (&2.into(), &2.into()));
    place.gives("c", &reference, &file);
    assert_eq!(place.json("c", &["audit"])["sound"], true);
    assert_eq!(back.interrupt(), 0);
    assert_eq!(up.interrupt(), 0);
}
