//! A space moves to another ciphersuite, whatever happens meanwhile.
use super::{World, club};
use crate::api::{Answer, Notice, Place, Request};
use crate::reinit::{new_group_id, reinit_of};
use crate::{Client, Error};
use terachat_core_store::model::{ControlOp, GroupCommit, ReInit};
use terachat_core_store::store::storage::Fault;
use terachat_event::SpaceId;
use terachat_group::CipherSuite;

fn reinit(post_quantum: bool, now: bool) -> Request {
    Request::Reinit { space: None, post_quantum, now }
}

fn space(client: &Client) -> SpaceId {
    client.store.spaces().next().unwrap()
}

/// All are in one epoch of this suite, and can read what each other says.
#[track_caller]
fn together(world: &mut World, names: &[&'static str], post_quantum: bool) {
    for name in names {
        let status = world.status(name).spaces[0].clone();
        assert_eq!((status.post_quantum, status.moving), (Some(post_quantum), None), "{name}");
        world.say(name, &format!("{name} is here"));
    }
    world.same(names);
    let bodies = world.bodies(names[0]);
    for name in names {
        assert_eq!(world.bodies(name), bodies, "{name}");
        world.sound(name);
    }
    let group = |world: &mut World, name: &str| {
        let client = world.of(name);
        let space = space(client);
        let group = client.current_group(&space).unwrap();
        (group.epoch_authenticator(), group.members().len())
    };
    let first = group(world, names[0]);
    assert!(names.iter().all(|name| group(world, name) == first));
    assert_eq!(first.1, names.len());
}

fn moves(client: &mut Client) -> usize {
    let space = space(client);
    let chain = client.epochs(&space).unwrap();
    let control = client.store.control(&space).unwrap().unwrap();
    chain.iter().filter(|hash| control.event(hash).and_then(reinit_of).is_some()).count()
}

#[test]
fn a_space_moves_there_and_back_with_all_that_it_has() {
    let mut world = club(&["ada", "bob", "eve"]);
    let create = |name: &str| Request::ChannelCreate {
        space: None,
        name: name.into(),
        forum: false,
        since_join: true,
    };
    world.ask("ada", create("private"));
    let private = || Place { space: None, channel: Some("private".into()) };
    world.say("bob", "before");
    world.say_in(private(), "eve", "sealed by itself");
    let Answer::Moved { moved, suite, waits_for } = world.ask("ada", reinit(true, false)) else { panic!() };
    assert_eq!((moved, suite.as_str(), waits_for.len()), (false, "x-wing", 2));
    together(&mut world, &["ada", "bob", "eve"], true);
    world.say_in(private(), "ada", "sealed there");
    world.ask("eve", Request::Renew { space: None });
    // Whoever comes now needs the other card, and reads what was said in both groups.
    world.enter("joe", 7);
    world.connect("ada", "joe");
    let card = world.card("joe");
    let invite = |card| Request::Invite { space: None, card, rank: Some(50) };
    let refused = world.try_ask("ada", invite(card)).unwrap_err();
    assert!(refused.to_string().contains("whoami --post-quantum"), "{refused}");
    let Answer::Card { card, .. } = world.ask("joe", Request::WhoAmI { post_quantum: true }) else {
        panic!()
    };
    let Answer::Invitation { invitation } = world.ask("ada", invite(card)) else { panic!() };
    world.ask("joe", Request::Join { invitation });
    assert_eq!(world.bodies("joe")[0], "before");
    world.ask("ada", reinit(false, false));
    together(&mut world, &["ada", "bob", "eve", "joe"], false);
    let texts: Vec<_> = world.messages_in(private(), "bob").into_iter().map(|message| message.body).collect();
    assert_eq!(texts, ["sealed by itself", "sealed there"]);
    world.ask("ada", Request::MemberRemove { space: None, member: "joe".into() });
    together(&mut world, &["ada", "bob", "eve"], false);
    assert_eq!(moves(world.of("bob")), 2);
    let again = world.try_ask("ada", reinit(false, false));
    assert!(matches!(again, Ok(Answer::Moved { moved: true, .. })), "{again:?}");
}

#[test]
fn only_who_has_the_right_asks_for_it() {
    let mut world = club(&["ada", "bob"]);
    let refused = world.try_ask("bob", reinit(true, true)).unwrap_err();
    assert!(matches!(refused, Error::LacksPermission { .. }), "{refused}");
    assert!(matches!(world.try_ask("ada", reinit(false, false)), Err(Error::Input(_))));
    together(&mut world, &["ada", "bob"], false);
    world.ask(
        "ada",
        Request::RoleChange { space: None, rank: 50, give: vec!["manage-suite".into()], take: Vec::new() },
    );
    world.ask("bob", reinit(true, false));
    together(&mut world, &["ada", "bob"], true);
}

/// Bob is away while the space moves: nobody waits for him, and when he is back he is in it again by himself.
#[test]
fn somebody_who_is_away_is_left_out_and_enters_by_itself() {
    let mut world = club(&["ada", "bob", "eve"]);
    world.say("bob", "before");
    world.cut("ada", "bob");
    world.ask("ada", reinit(true, false));
    let moving = world.status("ada").spaces[0].moving.clone().unwrap();
    assert_eq!((moving.suite.as_str(), moving.by.as_str()), ("x-wing", "ada"));
    assert_eq!(moving.waits_for, ["bob"]);
    world.say("ada", "in the old group");
    assert_eq!(moves(world.of("ada")), 0);
    let Answer::Moved { moved: true, .. } = world.ask("ada", reinit(true, true)) else { panic!() };
    world.say("eve", "in the new one");
    // He goes on in the old one, and what he says there is read.
    world.say("bob", "said meanwhile");
    world.connect("ada", "bob");
    let mut bodies = world.bodies("bob");
    bodies.sort();
    assert_eq!(bodies, ["before", "in the new one", "in the old group", "said meanwhile"]);
    together(&mut world, &["ada", "bob", "eve"], true);
    let client = world.of("bob");
    assert_eq!(client.rejoins_at(&space(client)).unwrap(), None);
    assert!(
        client.store.record(&crate::rejoin::rejoin_name(&space(client))) != Some(crate::rejoin::LEFT_OUT)
    );
}

/// What bob offered for an earlier move is used up: nobody lets him in by it, not even the one who admitted him.
#[test]
fn a_former_offer_lets_nobody_in() {
    let mut world = club(&["ada", "bob", "eve"]);
    world.ask("ada", reinit(true, false));
    world.ask("ada", reinit(false, false));
    together(&mut world, &["ada", "bob", "eve"], false);
    for to in [true, false] {
        world.cut("ada", "bob");
        world.ask("ada", reinit(to, true));
        world.say("ada", "without bob");
        let client = world.of("ada");
        let group = client.current_group(&space(client)).unwrap();
        assert_eq!(group.members().len(), 2, "to post-quantum: {to}");
        world.connect("ada", "bob");
        together(&mut world, &["ada", "bob", "eve"], to);
        let client = world.of("bob");
        let done = client.store.record(&crate::rejoin::rejoin_name(&space(client)));
        assert!(done.is_some_and(|done| done.len() == 32), "he entered by a commit of his own");
    }
}

/// He hears of the wish, offers, and is away again: the group is made with him, and he enters it when he is back.
#[test]
fn somebody_who_offered_is_taken_along() {
    let mut world = club(&["ada", "bob", "eve"]);
    world.cut("ada", "eve");
    world.ask("ada", reinit(true, false));
    world.cut("ada", "bob");
    world.connect("ada", "eve");
    assert_eq!(moves(world.of("ada")), 1);
    world.ask("ada", Request::Renew { space: None });
    world.say("ada", "there");
    world.ask("bob", Request::Renew { space: None });
    world.say("bob", "on a branch that lost");
    world.connect("ada", "bob");
    together(&mut world, &["ada", "bob", "eve"], true);
    assert!(world.of("bob").store.record(b"rejoin/").is_none());
}

/// Commits beside it: of a lower rank they lose, of the same rank the hash decides, and whoever loses does it again.
#[test]
fn it_competes_as_every_commit_does() {
    for round in 0..6 {
        let mut world = club(&["ada", "bob", "eve"]);
        world.ask("ada", Request::RoleSet { space: None, member: "bob".into(), rank: 100 });
        world.connect("bob", "eve");
        (0..round).for_each(|_| drop(world.ask("bob", Request::Renew { space: None })));
        for (a, b) in [("ada", "bob"), ("ada", "eve"), ("bob", "eve")] {
            world.cut(a, b);
        }
        // Both ask, both make it at once, and eve renews her keys.
        world.ask("ada", reinit(true, true));
        world.ask("bob", reinit(true, true));
        world.ask("eve", Request::Renew { space: None });
        for name in ["ada", "bob", "eve"] {
            world.say(name, "meanwhile");
        }
        for (a, b) in [("ada", "bob"), ("ada", "eve"), ("bob", "eve")] {
            world.connect(a, b);
        }
        assert_eq!(world.bodies("eve").len(), 3);
        together(&mut world, &["ada", "bob", "eve"], true);
    }
}

/// Somebody is removed beside the move: it cannot open anything of the new group, whoever of the two wins.
#[test]
fn whoever_is_removed_meanwhile_is_out_of_the_new_group() {
    for by in ["ada", "bob"] {
        let mut world = club(&["ada", "bob", "eve"]);
        world.ask("ada", Request::RoleSet { space: None, member: "bob".into(), rank: 80 });
        world.cut("ada", "bob");
        world.ask("ada", reinit(true, false));
        // Eve has offered her keys, and bob has not.
        if by == "ada" {
            world.ask("ada", Request::MemberRemove { space: None, member: "eve".into() });
            world.ask("ada", reinit(true, true));
        } else {
            world.ask("ada", reinit(true, true));
            world.ask("bob", Request::MemberRemove { space: None, member: "eve".into() });
        }
        world.connect("ada", "bob");
        together(&mut world, &["ada", "bob"], true);
        let said = world.say("ada", "not for eve");
        let Answer::Bundle { bytes, .. } = world.ask("ada", Request::BundleExport { space: None }) else {
            panic!()
        };
        world.ask("eve", Request::BundleImport { bytes });
        let read = world.bodies("eve");
        assert!(!read.iter().any(|body| body == "not for eve"), "{by}: {said}");
        let client = world.of("eve");
        let (space, tip) = (space(client), client.epochs(&space(client)).unwrap());
        assert!(client.store.epoch_secret(&space, tip.last().unwrap()).is_none());
        let send = Request::Send { place: super::place(), body: "?".into(), reply_to: None };
        assert!(world.try_ask("eve", send).is_err());
    }
}

/// An admission that loses against the move: the newcomer has keys for the former suite alone, and is in all the same.
#[test]
fn somebody_admitted_meanwhile_comes_along() {
    let mut world = club(&["ada", "bob"]);
    world.enter("joe", 9);
    world.ask("ada", reinit(true, false));
    together(&mut world, &["ada", "bob"], true);
    world.ask("ada", reinit(false, false));
    world.cut("ada", "bob");
    world.ask("ada", reinit(true, true));
    world.connect("bob", "joe");
    world.invite("bob", "joe", 10);
    world.connect("ada", "bob");
    world.connect("ada", "joe");
    together(&mut world, &["ada", "bob", "joe"], true);
}

#[test]
fn a_required_archive_is_not_left_behind() {
    let mut world = club(&["ada", "bob", "vault"]);
    world.ask("ada", Request::RoleSet { space: None, member: "vault".into(), rank: 0 });
    world.ask("ada", Request::ArchiveRequire { space: None, device: "vault".into(), required: true });
    world.cut("ada", "vault");
    let refused = world.try_ask("ada", reinit(true, true)).unwrap_err();
    assert!(matches!(&refused, Error::LeavesArchive { archive } if archive == "vault"), "{refused}");
    world.settle();
    assert_eq!(moves(world.of("ada")), 0);
    world.connect("ada", "vault");
    assert_eq!(moves(world.of("ada")), 1);
    for name in ["ada", "bob", "vault"] {
        let status = world.status(name).spaces[0].clone();
        assert_eq!((status.post_quantum, status.moving, status.archives[0].reads), (Some(true), None, true));
    }
    world.say("bob", "for the archive");
    assert_eq!(world.bodies("vault"), ["for the archive"]);
    world.same(&["ada", "bob", "vault"]);
}

/// More than one event holds: those of higher rank and longer membership are taken along, and the rest comes by itself.
#[test]
fn what_does_not_fit_comes_by_itself() {
    let names = ["ada", "bob", "eve", "joe", "kim", "lea", "max", "ned", "oda", "pia"];
    let mut world = club(&names);
    world.ask("ada", reinit(true, false));
    let client = world.of("ada");
    let space = space(client);
    let control = client.store.control(&space).unwrap().unwrap();
    let made: Vec<_> =
        control.events().filter_map(|(event, _)| Some(reinit_of(event)?.ratchet_tree.len())).collect();
    assert!(made[0] < 20 << 10, "{made:?}");
    together(&mut world, &names, true);
}

/// What somebody makes up: a re-initialisation without the right, of another epoch, with another tree, and a copy of a true one.
#[test]
fn a_forged_one_changes_nothing() {
    let mut world = club(&["ada", "bob", "eve"]);
    world.ask("ada", Request::RoleSet { space: None, member: "bob".into(), rank: 80 });
    let forge = |world: &mut World, by: &str, change: &dyn Fn(&mut ReInit)| {
        let client = world.of(by);
        let space = space(client);
        let previous = client.epoch(&space).unwrap().commit;
        let id = new_group_id(&space, &previous, &client.identity.device_id());
        let group = client.current_group(&space).unwrap();
        let root = client.store.space(&space).unwrap().root();
        let to = if group.suite() == CipherSuite::X25519 { CipherSuite::XWing } else { CipherSuite::X25519 };
        let signer = &client.identity.signer;
        let (next, made) = group.reinit(signer, to, &id, &[], root, client.store.entropy()).unwrap();
        let commit = GroupCommit {
            previous,
            epoch: next.epoch(),
            message: made.group_info,
            welcome: Vec::new(),
            tree: *blake3::hash(&made.ratchet_tree).as_bytes(),
            links: Vec::new(),
        };
        let mut forged = ReInit { suite: to.number(), commit, ratchet_tree: made.ratchet_tree };
        change(&mut forged);
        client.control(space, vec![ControlOp::ReInit(forged)], |_| Vec::new()).unwrap();
        client.follow_up(space);
        world.settle();
    };
    // Without the right it is void; with it, but without a wish, too.
    forge(&mut world, "bob", &|_| {});
    forge(&mut world, "ada", &|_| {});
    together(&mut world, &["ada", "bob", "eve"], false);
    world.ask("ada", reinit(true, false));
    together(&mut world, &["ada", "bob", "eve"], true);
    let client = world.of("ada");
    let space_id = space(client);
    let control = client.store.control(&space_id).unwrap().unwrap();
    let genuine = control.events().find_map(|(event, _)| reinit_of(event)).unwrap().clone();
    forge(&mut world, "bob", &|_| {});
    forge(&mut world, "ada", &|forged| *forged = genuine.clone());
    world.cut("ada", "bob");
    world.cut("ada", "eve");
    world.ask("ada", reinit(false, false));
    // She has the right, and what she makes is not what it says; nobody who has an own group takes it for one.
    forge(&mut world, "ada", &|forged| forged.commit.previous = genuine.commit.previous);
    forge(&mut world, "ada", &|forged| forged.ratchet_tree[9] ^= 1);
    forge(&mut world, "ada", &|forged| forged.commit.message = genuine.commit.message.clone());
    forge(&mut world, "ada", &|forged| forged.commit.epoch = 7);
    world.connect("ada", "bob");
    world.connect("ada", "eve");
    together(&mut world, &["ada", "bob", "eve"], false);
}

/// The private part of what bob offered is gone before it is used: he cannot open the welcome, and takes his place by himself.
#[test]
fn who_cannot_open_the_welcome_enters_all_the_same() {
    let mut world = club(&["ada", "bob", "eve"]);
    world.say("bob", "before");
    world.cut("ada", "eve");
    world.ask("ada", reinit(true, false));
    let client = world.of("bob");
    let offered: Vec<_> = client.store.records(b"key-package/").map(|(name, _)| name.to_vec()).collect();
    assert!(offered.len() > 1, "he has offered");
    client.store.write_records(offered.into_iter().map(|name| (name, None)).collect()).unwrap();
    world.connect("ada", "eve");
    together(&mut world, &["ada", "bob", "eve"], true);
    assert!(world.seen["bob"].iter().any(|notice| matches!(notice, Notice::Alarm { .. })));
}

/// A suite of a later version: nothing breaks, and the user is told what to do.
#[test]
fn a_suite_that_is_not_known_is_told() {
    let mut world = club(&["ada", "bob"]);
    let client = world.of("ada");
    let id = space(client);
    client.control(id, vec![ControlOp::WantSuite { suite: 0x0F0F }], |_| Vec::new()).unwrap();
    client.follow_up(id);
    world.settle();
    let moving = world.status("bob").spaces[0].moving.clone().unwrap();
    assert_eq!(moving.suite, "0x0f0f");
    together_while_waiting(&mut world);
    let client = world.of("ada");
    let previous = client.epoch(&id).unwrap().commit;
    let commit = GroupCommit {
        previous,
        epoch: 1,
        message: vec![1],
        welcome: vec![2],
        tree: [3; 32],
        links: Vec::new(),
    };
    let newer = ReInit { suite: 0x0F0F, commit, ratchet_tree: vec![4] };
    client.control(id, vec![ControlOp::ReInit(newer)], |_| Vec::new()).unwrap();
    client.follow_up(id);
    world.settle();
    let send = Request::Send { place: super::place(), body: "?".into(), reply_to: None };
    let refused = world.try_ask("bob", send).unwrap_err();
    assert!(matches!(refused, Error::NewerSuite { suite: 0x0F0F, .. }), "{refused}");
    assert_eq!(world.bodies("bob"), ["still here"], "what was said stays readable");
    assert!(!world.seen["bob"].iter().any(|notice| matches!(notice, Notice::Alarm { .. })));
}

fn together_while_waiting(world: &mut World) {
    world.say("ada", "still here");
    assert_eq!(world.bodies("bob"), ["still here"]);
    world.same(&["ada", "bob"]);
}

/// Delivers what it can, past a device whose power is gone.
fn talk(world: &mut World) {
    let names: Vec<&'static str> = world.devices.keys().copied().collect();
    let by_id: std::collections::BTreeMap<_, _> = names.iter().map(|name| (world.id(name), *name)).collect();
    loop {
        let mut quiet = true;
        for name in &names {
            while let Some((to, frame)) = world.of(name).poll_frame() {
                quiet = false;
                let (from, now) = (world.id(name), world.now);
                let _ = world.of(by_id[&to]).receive(from, frame, now);
            }
        }
        if quiet {
            return;
        }
    }
}

/// A disk is full at every write of the maker's, and of a follower's: whoever could not keep what it came to comes to it again.
#[test]
fn a_full_disk_at_any_write_is_made_good() {
    for whom in ["ada", "bob"] {
        for nth in 0.. {
            let mut world = club(&["ada", "bob"]);
            world.say("bob", "before");
            let storage = world.devices[whom].1.clone();
            let fails_at = storage.operations() + nth;
            storage.fail_at(fails_at, Fault::Full);
            let _ = world.try_ask("ada", reinit(true, false));
            talk(&mut world);
            if storage.operations() <= fails_at {
                assert!(nth >= 6, "{whom} writes {nth} times");
                break;
            }
            world.cut("ada", "bob");
            world.connect("ada", "bob");
            world.ask("ada", reinit(true, false));
            together(&mut world, &["ada", "bob"], true);
            assert_eq!(world.bodies("ada")[0], "before");
            assert_eq!(moves(world.of("ada")), 1, "{whom} at write {nth}");
        }
    }
}

/// The power fails at every write of the maker's, and of a follower's: after the restart all go on, and both are there.
#[test]
fn a_crash_at_any_write_is_made_good() {
    for whom in ["ada", "bob"] {
        for nth in 0.. {
            let mut world = club(&["ada", "bob"]);
            world.say("bob", "before");
            let storage = world.devices[whom].1.clone();
            let fails_at = storage.operations() + nth;
            storage.fail_at(fails_at, Fault::PowerCut);
            let _ = world.try_ask("ada", reinit(true, false));
            talk(&mut world);
            let is_over = storage.operations() <= fails_at;
            let storage = storage.crash();
            let entropy = Box::new(super::Counter((90 + nth) << 32));
            let boxed = Box::new(storage.clone());
            let client = Client::open(boxed, &mut super::passphrase("secret"), entropy).unwrap();
            world.devices.insert(whom, (client, storage));
            let other = if whom == "ada" { "bob" } else { "ada" };
            let crashed = world.id(whom);
            world.of(other).disconnected(crashed);
            world.connect("ada", "bob");
            world.ask("ada", reinit(true, false));
            together(&mut world, &["ada", "bob"], true);
            assert_eq!(world.bodies("ada")[0], "before");
            assert_eq!(moves(world.of("ada")), 1, "{whom} at write {nth}");
            if is_over {
                assert!(nth >= 6, "{whom} writes {nth} times");
                break;
            }
        }
    }
}
