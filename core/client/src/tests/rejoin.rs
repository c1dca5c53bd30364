use super::{World, club};
use crate::api::{Answer, Notice, Request};
use crate::protocol::Frame;
use crate::{Client, Error};
use terachat_core_store::LocalStore;
use terachat_core_store::model::{ControlOp, GroupCommit};
use terachat_event::SpaceId;
use terachat_group::{CipherSuite, Group};
use terachat_vault::Secret;

const REJOIN: Request = Request::Rejoin { space: None };

fn space(client: &Client) -> SpaceId {
    client.store.spaces().next().unwrap()
}

/// Takes a device's group states, key packages and epoch secrets; what it is and what was said stays.
pub(super) fn lose_all_keys(client: &mut Client) {
    let space = space(client);
    let mut writes = Vec::new();
    for kind in ["group/", "key-package/", "joined/", "tree/"] {
        writes.extend(client.store.records(kind.as_bytes()).map(|(name, _)| (name.to_vec(), None)));
    }
    for commit in client.epochs(&space).unwrap() {
        let (name, _) = LocalStore::epoch_secret_record(&space, &commit, &Secret::take(&mut [0; 32]));
        writes.push((name, None));
    }
    client.store.write_records(writes).unwrap();
    client.settle(space).unwrap();
}

#[track_caller]
fn is_out(world: &mut World, name: &str) {
    let send = Request::Send { place: super::place(), body: "?".into(), reply_to: None };
    assert!(matches!(world.try_ask(name, send), Err(Error::NotInGroup(_))), "{name}");
}

#[test]
fn a_device_without_its_keys_takes_its_place_again() {
    let mut world = club(&["ada", "bob", "eve"]);
    for name in ["ada", "bob", "eve"] {
        world.say(name, "before");
    }
    lose_all_keys(world.of("bob"));
    is_out(&mut world, "bob");
    world.ask("bob", REJOIN);
    world.say("bob", "I am back");
    world.say("eve", "so I see");
    for name in ["ada", "bob", "eve"] {
        assert_eq!(world.bodies(name), ["before", "before", "before", "I am back", "so I see"], "{name}");
        world.sound(name);
    }
    world.same(&["ada", "bob", "eve"]);
    let client = world.of("bob");
    let space = space(client);
    let tip = client.epoch(&space).unwrap().commit;
    assert_eq!(client.group(&space, &tip).unwrap().unwrap().members().len(), 3, "no leaf was left behind");
    // He was handed the keys of all that came before.
    for commit in client.epochs(&space).unwrap() {
        assert!(client.store.epoch_secret(&space, &commit).is_some());
    }
    // And nothing is asked for any more.
    world.ask("eve", Request::Renew { space: None });
    assert_eq!(world.of("bob").rejoins_at(&space).unwrap(), None);
}

#[test]
fn a_damaged_state_is_given_up() {
    let mut world = club(&["ada", "bob"]);
    world.say("bob", "before");
    let client = world.of("bob");
    let space = space(client);
    let states = client.store.records(b"group/").map(|(name, _)| name.to_vec());
    let damaged = states.map(|name| (name, Some(terachat_vault::SecretBytes::take(vec![1; 50])))).collect();
    client.store.write_records(damaged).unwrap();
    world.ask("ada", Request::Renew { space: None });
    assert!(world.seen["bob"].iter().any(|notice| matches!(notice, Notice::Alarm { .. })));
    world.ask("bob", REJOIN);
    world.say("bob", "after");
    assert_eq!(world.bodies("ada"), ["before", "after"]);
    world.same(&["ada", "bob"]);
    assert!(world.of("bob").damaged_groups(&space).is_empty());
}

#[test]
fn whom_no_welcome_opens_the_group_enters_by_itself() {
    let mut world = club(&["ada", "eve"]);
    world.say("ada", "before him");
    world.enter("bob", 7);
    world.connect("ada", "bob");
    let card = world.card("bob");
    // The key package of his card is gone before anybody uses it.
    let client = world.of("bob");
    let gone = client.store.records(b"key-package/").map(|(name, _)| (name.to_vec(), None)).collect();
    client.store.write_records(gone).unwrap();
    let invite = Request::Invite { space: None, card, rank: Some(50) };
    let Answer::Invitation { invitation } = world.ask("ada", invite) else { panic!() };
    world.ask("bob", Request::Join { invitation });
    is_out(&mut world, "bob");
    world.ask("bob", REJOIN);
    world.say("bob", "in");
    for name in ["ada", "bob", "eve"] {
        assert_eq!(world.bodies(name), ["before him", "in"], "{name}");
    }
    world.same(&["ada", "bob", "eve"]);
}

#[test]
fn it_waits_for_a_member_and_survives_a_restart() {
    let mut world = club(&["ada", "bob"]);
    world.say("bob", "before");
    world.cut("ada", "bob");
    lose_all_keys(world.of("bob"));
    world.ask("bob", REJOIN);
    is_out(&mut world, "bob");
    // Meanwhile the others go on, so that the epoch he asks for is not theirs.
    world.ask("ada", Request::Renew { space: None });
    let storage = world.devices["bob"].1.crash();
    let entropy = Box::new(super::Counter(70 << 32));
    let client = Client::open(Box::new(storage.clone()), &mut super::passphrase("secret"), entropy).unwrap();
    world.devices.insert("bob", (client, storage));
    world.connect("ada", "bob");
    world.say("bob", "after");
    assert_eq!(world.bodies("ada"), ["before", "after"]);
    assert_eq!(world.bodies("bob"), ["before", "after"]);
    world.same(&["ada", "bob"]);
}

/// Who only stays until the two are in sync, as one command does, stays until the device has rejoined; where nobody can help it
/// does not wait for ever.
#[test]
fn two_are_in_sync_once_one_has_rejoined_or_the_other_cannot_help() {
    for can_help in [true, false] {
        let mut world = club(&["ada", "bob"]);
        world.cut("ada", "bob");
        lose_all_keys(world.of("bob"));
        if !can_help {
            lose_all_keys(world.of("ada"));
        }
        world.ask("bob", REJOIN);
        world.seen.clear();
        world.connect("ada", "bob");
        let seen = &world.seen["bob"];
        let in_sync = seen.iter().position(|notice| matches!(notice, Notice::InSync { .. }));
        let in_sync = in_sync.expect("they have the same events");
        let rejoined = seen.iter().position(|notice| matches!(notice, Notice::Space { .. }));
        assert_eq!(rejoined.is_some(), can_help);
        assert!(rejoined.is_none_or(|at| at < in_sync), "{seen:?}");
    }
}

#[test]
fn who_loses_the_race_does_it_again() {
    // Either may win: by rank, then by the hash.
    for round in 0..6 {
        let mut world = club(&["ada", "bob", "eve"]);
        world.ask("ada", Request::RoleSet { space: None, member: "bob".into(), rank: 10 + 20 * (round % 3) });
        world.now += round as u64 * 7;
        world.cut("ada", "eve");
        lose_all_keys(world.of("bob"));
        world.ask("bob", REJOIN);
        world.say("bob", "here");
        world.ask("eve", Request::Renew { space: None });
        world.say("eve", "there");
        world.connect("ada", "eve");
        world.say("bob", "all");
        for name in ["ada", "bob", "eve"] {
            let mut bodies = world.bodies(name);
            bodies.sort();
            assert_eq!(bodies, ["all", "here", "there"], "{name} in round {round}");
        }
        world.same(&["ada", "bob", "eve"]);
    }
}

#[test]
fn nobody_else_gets_in() {
    let mut world = club(&["ada", "bob", "eve"]);
    let space = space(world.of("ada"));
    world.cut("ada", "bob");
    world.ask("ada", Request::MemberRemove { space: None, member: "bob".into() });
    // Bob has not heard of it, and asks; he is told no group.
    lose_all_keys(world.of("bob"));
    world.ask("bob", REJOIN);
    let (ada, bob) = (world.id("ada"), world.id("bob"));
    let tip = world.of("ada").epoch(&space).unwrap().commit;
    world.of("ada").connected(bob);
    world.of("ada").receive(bob, Frame::WantGroup { space, commit: tip }.encode(), 1).unwrap();
    while let Some((_, frame)) = world.of("ada").poll_frame() {
        assert!(!matches!(Frame::decode(&frame).unwrap(), Frame::Group { .. }));
    }
    // What nobody asked for changes nothing.
    let client = world.of("ada");
    let group = client.group(&space, &tip).unwrap().unwrap();
    let info = group.group_info(&client.identity.signer).unwrap();
    let shown = Frame::Group { space, commit: tip, info, tree: group.ratchet_tree() };
    world.of("eve").receive(ada, shown.encode(), 1).unwrap();
    assert_eq!(world.of("eve").epoch(&space).unwrap().commit, tip);
    world.settle();
    world.connect("ada", "bob");
    is_out(&mut world, "bob");
}

#[test]
fn a_member_cannot_bring_in_another_device() {
    let mut world = club(&["ada", "bob", "eve"]);
    let space = space(world.of("ada"));
    let client = world.of("eve");
    let epoch = client.epoch(&space).unwrap();
    let group = client.group(&space, &epoch.commit).unwrap().unwrap();
    let info = group.group_info(&client.identity.signer).unwrap();
    // Somebody whom nobody admitted makes the commit; Eve carries it into the log as hers.
    let mallory = terachat_group::DeviceSigner::new(&Secret::take(&mut [9; 32]));
    let (next, message) =
        Group::rejoin(&mallory, &info, &group.ratchet_tree(), client.store.entropy()).unwrap();
    let (epoch_number, previous) = (next.epoch(), epoch.commit);
    let commit = GroupCommit {
        previous,
        epoch: epoch_number,
        message,
        welcome: Vec::new(),
        tree: [0; 32],
        links: Vec::new(),
    };
    client.control(space, vec![ControlOp::Commit(commit)], |_| Vec::new()).unwrap();
    client.follow_up(space);
    world.settle();
    for name in ["ada", "bob", "eve"] {
        let client = world.of(name);
        let why: Vec<String> = client
            .store
            .records(b"broken-commit/")
            .map(|(_, why)| String::from_utf8(why.to_vec()).unwrap())
            .collect();
        assert_eq!(why, [format!("the group refused: {}", terachat_group::Error::NotItsRejoin)], "{name}");
        let mut members =
            client.group(&space, &client.epoch(&space).unwrap().commit).unwrap().unwrap().members();
        members.retain(|device| *device == mallory.device());
        assert!(members.is_empty());
    }
    world.say("bob", "as if nothing had been");
    assert_eq!(world.bodies("ada"), ["as if nothing had been"]);
    world.same(&["ada", "bob", "eve"]);
}

#[test]
fn a_made_up_group_is_not_entered() {
    let mut world = club(&["ada", "bob"]);
    let space = space(world.of("ada"));
    lose_all_keys(world.of("bob"));
    world.cut("ada", "bob");
    world.ask("bob", REJOIN);
    let tip = world.of("bob").epochs(&space).unwrap().pop().unwrap();
    let made_up = |client: &mut Client, id: &[u8], add: Option<[u8; 32]>| {
        let signer = &client.identity.signer;
        let mut entropy = super::Counter(5);
        let mut group = Group::create(CipherSuite::X25519, signer, id, [0; 32], &mut entropy).unwrap();
        let outsider = terachat_group::DeviceSigner::new(&Secret::take(&mut add.unwrap_or([1; 32])));
        let (public, _) =
            terachat_group::new_key_package(CipherSuite::X25519, &outsider, &mut entropy).unwrap();
        let package = [terachat_group::KeyPackage::parse(&public).unwrap()];
        let add = if add.is_some() { &package[..] } else { &[] };
        let change = terachat_group::Change { add, remove: &[], control_root: [0; 32] };
        group = group.commit(signer, &change, &mut entropy).unwrap().0;
        let info = group.group_info(signer).unwrap();
        Frame::Group { space, commit: tip, info, tree: group.ratchet_tree() }.encode()
    };
    let ada = world.id("ada");
    world.of("bob").connected(ada);
    for (id, add) in [(&[5; 32][..], None), (&space.0[..], Some([9; 32]))] {
        let frame = made_up(world.of("ada"), id, add);
        world.of("bob").receive(ada, frame, 1).unwrap();
        assert_eq!(world.of("bob").epochs(&space).unwrap().last(), Some(&tip), "no commit was made");
        let mut alarmed = false;
        while let Some(notice) = world.of("bob").poll_notice() {
            alarmed |= matches!(notice, Notice::Alarm { .. });
        }
        assert!(alarmed);
    }
    let broken = Frame::Group { space, commit: tip, info: vec![1], tree: vec![2] };
    assert!(world.of("bob").receive(ada, broken.encode(), 1).is_err());
}
