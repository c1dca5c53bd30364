//! A device that lost its state of the group takes its place again by an external commit.
#![allow(clippy::unwrap_used, reason = "test code, outside of test functions")]
mod world;
use terachat_group::{Change, Error, Fault, Group};
use world::{Person, agree, group_of, process, same_epoch};

fn rejoin(person: &mut Person, from: &Person, group: &Group) -> (Group, Vec<u8>) {
    let info = group.group_info(&from.signer).unwrap();
    Group::rejoin(&person.signer, &info, &group.ratchet_tree(), &mut person.entropy).unwrap()
}

#[test]
fn a_lost_device_takes_its_place_again() {
    let (mut people, groups) = group_of(3);
    let [alice, mut bob, carol]: [Person; 3] = std::array::from_fn(|_| people.remove(0));
    // Bob kept his identity and nothing else.
    let (bobs, message) = rejoin(&mut bob, &alice, &groups[0]);
    assert_eq!(groups[0].process(&message).unwrap_err(), Error::Rejoins);
    let (alices, summary) = groups[0].process_rejoin(&message, &bob.device()).unwrap();
    let (carols, _) = groups[2].process_rejoin(&message, &bob.device()).unwrap();
    agree([&alices, &bobs, &carols]);
    let (ahead, seen) = groups[0].look_ahead(&message).unwrap();
    same_epoch(&ahead.unwrap(), &bobs);
    assert_eq!(seen, summary);
    assert_eq!((summary.epoch, summary.committer), (2, bob.device()));
    assert_eq!((summary.added, summary.removed), (vec![], vec![bob.device()]));
    assert_eq!(alices.members().iter().filter(|member| **member == bob.device()).count(), 1);
    assert_eq!(alices.members().len(), 3);
    // His former leaf opens nothing any more, and from here on he is a member as any other.
    assert_ne!(groups[1].epoch_secret("x").expose_secret(), alices.epoch_secret("x").expose_secret());
    let kept = Group::from_bytes(bobs.to_bytes().expose_secret()).unwrap();
    let (bobs, commit) = bob.commit(&kept, &[], &[carol.device()]);
    let (alices, _) = process(&alices, &commit.message);
    same_epoch(&alices, &bobs);
    assert!(carols.process(&commit.message).unwrap().0.is_none());
}

#[test]
fn whoever_is_not_in_the_tree_enters_by_the_same_commit() {
    let (people, groups) = group_of(2);
    let mut dave = Person::new(4);
    let (daves, message) = rejoin(&mut dave, &people[0], &groups[0]);
    let (alices, summary) = groups[0].process_rejoin(&message, &dave.device()).unwrap();
    same_epoch(&alices, &daves);
    assert_eq!((summary.added, summary.removed), (vec![], vec![]));
    assert_eq!(alices.members().last(), Some(&dave.device()));
}

#[test]
fn nobody_rejoins_as_somebody_else() {
    let (mut people, groups) = group_of(3);
    let mallory = &mut Person::new(9);
    let (_, message) = rejoin(mallory, &people[0], &groups[0]);
    let [alice, bob, carol] = [0, 1, 2].map(|at| people[at].device());
    for device in [alice, carol] {
        assert_eq!(groups[1].process_rejoin(&message, &device).unwrap_err(), Error::NotItsRejoin);
    }
    assert_eq!(groups[0].process(&message).unwrap_err(), Error::Rejoins);
    assert_eq!(Error::Rejoins.fault(), Fault::Peer);

    // A member's ordinary commit is no rejoining, and one's own is not processed.
    let (_, commit) = people[2].commit(&groups[2], &[], &[]);
    assert_eq!(groups[0].process_rejoin(&commit.message, &carol).unwrap_err(), Error::NotItsRejoin);
    let info = groups[0].group_info(&people[0].signer).unwrap();
    let bobs = &mut people[1];
    let (_, own) = Group::rejoin(&bobs.signer, &info, &groups[0].ratchet_tree(), &mut bobs.entropy).unwrap();
    assert_eq!(groups[1].process_rejoin(&own, &bob).unwrap_err(), Error::OwnCommit);
    assert_eq!(groups[1].group_info(&people[0].signer).unwrap_err(), Error::OtherDevice);
}

#[test]
fn it_competes_as_every_commit_does() {
    let (mut people, groups) = group_of(3);
    let [mut alice, mut bob, _]: [Person; 3] = std::array::from_fn(|_| people.remove(0));
    let (losing, message) = rejoin(&mut bob, &alice, &groups[0]);
    let change = Change { add: &[], remove: &[], control_root: [8; 32] };
    let (alices, won) = groups[0].commit(&alice.signer, &change, &mut alice.entropy).unwrap();
    let (carols, _) = process(&groups[2], &won.message);
    assert_eq!(
        carols.process_rejoin(&message, &bob.device()).unwrap_err(),
        Error::StaleEpoch { message: 1, group: 2 }
    );
    assert_ne!(losing.epoch_authenticator(), alices.epoch_authenticator());
    // He rejoins in the epoch that won; the control root is that of the epoch.
    let (bobs, message) = rejoin(&mut bob, &alice, &alices);
    let (carols, summary) = carols.process_rejoin(&message, &bob.device()).unwrap();
    assert_eq!(summary.control_root, [8; 32]);
    same_epoch(&carols, &bobs);
}

#[test]
fn bytes_from_others_are_refused_whole() {
    let (people, groups) = group_of(3);
    let info = groups[0].group_info(&people[0].signer).unwrap();
    let tree = groups[0].ratchet_tree();
    let mut bob = Person::new(2);
    let mut attempt = |info: &[u8], tree: &[u8]| Group::rejoin(&bob.signer, info, tree, &mut bob.entropy);
    assert!(attempt(&info, &tree).is_ok());
    for at in 0..info.len() {
        let mut changed = info.clone();
        changed[at] ^= 1;
        let error = attempt(&changed, &tree).expect_err("every byte is signed");
        assert_eq!(error.fault(), Fault::Peer, "{at}: {error}");
        assert!(attempt(&info[..at], &tree).is_err());
    }
    for at in (0..tree.len()).step_by(7) {
        let mut changed = tree.clone();
        changed[at] ^= 1;
        let error = attempt(&info, &changed).expect_err("the tree's hash is signed");
        assert_eq!(error.fault(), Fault::Peer, "{at}: {error}");
    }
    let (mut carol, other) = (Person::new(3), Person::new(1).create());
    assert!(attempt(&info, &other.ratchet_tree()).is_err(), "the tree of another group");
    let (_, message) = rejoin(&mut carol, &people[0], &groups[0]);
    for at in 0..message.len() {
        let mut changed = message.clone();
        changed[at] ^= 1;
        let error = groups[0].process_rejoin(&changed, &carol.device()).expect_err("every byte counts");
        assert_eq!(error.fault(), Fault::Peer, "{at}: {error}");
    }
}
