//! A group in another suite takes the place of one.
#![allow(clippy::unwrap_used, reason = "test code, outside of test functions")]
mod world;
use terachat_group::{CipherSuite, Error, Fault, Group, KeyPackage, ReInit, Successor, new_key_package};
use terachat_vault::SecretBytes;
use world::{Person, ROOT, agree, group_in, process};

const ID: &[u8] = b"channel, again";

fn other(suite: CipherSuite) -> CipherSuite {
    if suite == CipherSuite::X25519 { CipherSuite::XWing } else { CipherSuite::X25519 }
}

fn offer(person: &mut Person, suite: CipherSuite) -> (KeyPackage, SecretBytes) {
    let (public, private) = new_key_package(suite, &person.signer, &mut person.entropy).unwrap();
    (KeyPackage::parse(&public).unwrap(), private)
}

/// A group of three and the first one's of the same people in the other suite.
fn moved(suite: CipherSuite) -> (Vec<Person>, Vec<Group>, Group, ReInit, Vec<SecretBytes>) {
    let (mut people, groups) = group_in(suite, 3);
    let to = other(suite);
    let (adds, privates): (Vec<_>, Vec<_>) = people[1..].iter_mut().map(|person| offer(person, to)).unzip();
    let alice = &mut people[0];
    let (first, reinit) =
        groups[0].reinit(&alice.signer, to, ID, &adds, [8; 32], &mut alice.entropy).unwrap();
    (people, groups, first, reinit, privates)
}

#[test]
fn members_follow_into_the_other_suite_and_go_on_there() {
    for suite in CipherSuite::ALL {
        let (mut people, groups, alices, reinit, privates) = moved(suite);
        let successor = Successor::parse(&reinit.group_info, &reinit.ratchet_tree).unwrap();
        let devices: Vec<_> = people.iter().map(Person::device).collect();
        let expected = Successor {
            suite: other(suite),
            group_id: ID.to_vec(),
            epoch: 1,
            maker: devices[0],
            members: devices,
            control_root: [8; 32],
        };
        assert_eq!(successor, expected);
        let bobs = groups[1].follow(&people[1].signer, &reinit, &privates[0]).unwrap();
        let carols = groups[2].follow(&people[2].signer, &reinit, &privates[1]).unwrap();
        agree([&alices, &bobs, &carols]);
        assert!(bobs.suite() == other(suite) && groups[1].suite() == suite);
        assert_ne!(bobs.epoch_secret("x").expose_secret(), groups[1].epoch_secret("x").expose_secret());
        let carol = people[2].device();
        // As stored, and on by a commit of each.
        let bobs = Group::from_bytes(bobs.to_bytes().expose_secret()).unwrap();
        let (bobs, commit) = people[1].commit(&bobs, &[], &[]);
        let (alices, carols) = (process(&alices, &commit.message).0, process(&carols, &commit.message).0);
        let (alices, commit) = people[0].commit(&alices, &[], &[carol]);
        let (bobs, _) = process(&bobs, &commit.message);
        agree([&alices, &bobs]);
        assert!(carols.process(&commit.message).unwrap().0.is_none());
        // Whoever had no key package enters by the external commit of those who lost their state.
        let mut dave = Person::new(4);
        let info = alices.group_info(&people[0].signer).unwrap();
        let (daves, message) =
            Group::rejoin(&dave.signer, &info, &alices.ratchet_tree(), &mut dave.entropy).unwrap();
        agree([&daves, &alices.process_rejoin(&message, &dave.device()).unwrap().0]);
    }
}

#[test]
fn it_may_be_made_by_somebody_who_is_alone() {
    let (mut people, groups) = group_in(CipherSuite::X25519, 1);
    let alice = &mut people[0];
    let (first, reinit) =
        groups[0].reinit(&alice.signer, CipherSuite::XWing, ID, &[], ROOT, &mut alice.entropy).unwrap();
    assert_eq!((first.epoch(), reinit.welcome), (1, None));
    assert_eq!(Successor::parse(&reinit.group_info, &reinit.ratchet_tree).unwrap().members, [alice.device()]);
}

#[test]
fn only_members_of_the_epoch_that_is_left_follow() {
    let (mut people, groups, first, reinit, privates) = moved(CipherSuite::X25519);
    // By the key package alone, as whoever stole its private part would.
    let tree = first.ratchet_tree();
    let welcome = reinit.welcome.clone().unwrap();
    let stolen = Group::join(&people[1].signer, &welcome, &tree, &privates[0]).unwrap_err();
    assert_eq!(stolen.fault(), Fault::Peer);
    // From other epochs of the same group: the next one, and one of the same number that lost.
    let (won, commit) = people[0].commit(&groups[0], &[], &[]);
    let (bobs, _) = process(&groups[1], &commit.message);
    let (_, commit) = people[2].commit(&groups[2], &[], &[]);
    let (lost, _) = process(&groups[1], &commit.message);
    for former in [&bobs, &lost] {
        let refused = former.follow(&people[1].signer, &reinit, &privates[0]);
        assert_eq!(refused.unwrap_err(), Error::NotASuccessor);
    }
    let (add, private) = offer(&mut people[1], CipherSuite::XWing);
    let alice = &mut people[0];
    let (_, again) =
        won.reinit(&alice.signer, CipherSuite::XWing, ID, &[add], ROOT, &mut alice.entropy).unwrap();
    assert_eq!(bobs.epoch(), lost.epoch());
    assert!(bobs.follow(&people[1].signer, &again, &private).is_ok());
    assert_eq!(lost.follow(&people[1].signer, &again, &private).unwrap_err(), Error::NotASuccessor);
}

#[test]
fn what_is_not_for_this_device_is_refused() {
    let (mut people, groups, _, reinit, privates) = moved(CipherSuite::X25519);
    let refused = |private| groups[1].follow(&people[1].signer, &reinit, private).unwrap_err();
    let (_, unused) = offer(&mut Person::new(2), CipherSuite::XWing);
    assert_eq!(refused(&unused), Error::NotForUs);
    assert_eq!(refused(&privates[1]), Error::OtherDevice);
    assert_eq!(groups[1].follow(&people[2].signer, &reinit, &privates[0]).unwrap_err(), Error::OtherDevice);
    let alone = ReInit { welcome: None, ..reinit.clone() };
    assert_eq!(groups[1].follow(&people[1].signer, &alone, &privates[0]).unwrap_err(), Error::NotForUs);

    // A welcome without what ties it to the group, and one of another group than is told to all.
    let mut impostor = Person::of(CipherSuite::XWing, 1);
    let fresh =
        Group::create(CipherSuite::XWing, &impostor.signer, ID, [8; 32], &mut impostor.entropy).unwrap();
    let (bobs, private) = offer(&mut people[1], CipherSuite::XWing);
    let (next, commit) = impostor.commit(&fresh, &[bobs], &[]);
    let untied = ReInit {
        group_info: next.group_info(&impostor.signer).unwrap(),
        ratchet_tree: next.ratchet_tree(),
        welcome: commit.welcome,
    };
    assert!(Successor::parse(&untied.group_info, &untied.ratchet_tree).is_ok());
    assert_eq!(groups[1].follow(&people[1].signer, &untied, &private).unwrap_err(), Error::NotASuccessor);
    let swapped = ReInit { welcome: reinit.welcome.clone(), ..untied };
    assert!(groups[1].follow(&people[1].signer, &swapped, &privates[0]).is_err());

    // What its maker may not do.
    let (x25519, _) = offer(&mut people[1], CipherSuite::X25519);
    let alice = &mut people[0];
    let to = CipherSuite::XWing;
    let suite = groups[0].reinit(&alice.signer, to, ID, &[x25519], ROOT, &mut alice.entropy).unwrap_err();
    assert_eq!(suite, Error::OtherSuite { key_package: CipherSuite::X25519, group: to });
    let id = groups[0].reinit(&alice.signer, to, &[], &[], ROOT, &mut alice.entropy).unwrap_err();
    assert_eq!(id, Error::GroupId(0));
    let theirs = groups[1].reinit(&alice.signer, to, ID, &[], ROOT, &mut alice.entropy).unwrap_err();
    assert_eq!(theirs, Error::OtherDevice);
}

#[test]
fn bytes_from_others_are_refused_whole() {
    let (people, groups, _, reinit, privates) = moved(CipherSuite::X25519);
    let (info, tree) = (&reinit.group_info, &reinit.ratchet_tree);
    for at in (0..info.len()).step_by(3) {
        let mut changed = info.clone();
        changed[at] ^= 1;
        let error = Successor::parse(&changed, tree).expect_err("every byte is signed");
        assert_eq!(error.fault(), Fault::Peer, "{at}: {error}");
        assert!(Successor::parse(&info[..at], tree).is_err());
    }
    for at in (0..tree.len()).step_by(37) {
        let mut changed = tree.clone();
        changed[at] ^= 1;
        let error = Successor::parse(info, &changed).expect_err("the tree's hash is signed");
        assert_eq!(error.fault(), Fault::Peer, "{at}: {error}");
    }
    let welcome = reinit.welcome.clone().unwrap();
    for at in (0..welcome.len()).step_by(29) {
        let mut changed = ReInit { welcome: Some(welcome.clone()), ..reinit.clone() };
        changed.welcome.as_mut().unwrap()[at] ^= 1;
        // The part that is another's may be changed; it is that one who cannot follow.
        match groups[1].follow(&people[1].signer, &changed, &privates[0]) {
            Ok(_) => assert!(groups[2].follow(&people[2].signer, &changed, &privates[1]).is_err(), "{at}"),
            Err(error) => assert_eq!(error.fault(), Fault::Peer, "{at}: {error}"),
        }
    }
    // A group that has gone on is not in its first epoch.
    let (_, groups) = group_in(CipherSuite::XWing, 2);
    let mut first = Person::of(CipherSuite::XWing, 1);
    let (next, _) = first.commit(&groups[0], &[], &[]);
    let info = next.group_info(&first.signer).unwrap();
    assert!(matches!(Successor::parse(&info, &next.ratchet_tree()), Err(Error::Invalid { .. })));
    // Nor does somebody else in it speak for its maker.
    let second = Person::of(CipherSuite::XWing, 2);
    let info = groups[1].group_info(&second.signer).unwrap();
    let forged = Successor::parse(&info, &groups[1].ratchet_tree()).unwrap_err();
    assert_eq!(forged, Error::Forged("group info's signature"));
}
