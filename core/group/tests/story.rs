//! Three members, their comings and goings.
#![allow(clippy::unwrap_used, reason = "test code, outside of test functions")]
mod world;
use terachat_group::{Change, Error, Fault, Group, KeyPackage, new_key_package};
use world::{Person, ROOT, agree, group_of, process, same_epoch};

#[test]
fn three_members_and_one_who_must_go() {
    let (mut people, groups) = group_of(3);
    let [alice, bob, carol] = [0, 1, 2].map(|i| people[i].device());
    assert_eq!(groups[0].epoch(), 1);
    assert_eq!(groups[0].members(), [alice, bob, carol]);
    assert_eq!(groups[2].device(), carol);

    let change = Change { add: &[], remove: &[carol], control_root: [8; 32] };
    let (bobs, commit) = {
        let bob = &mut people[1];
        groups[1].commit(&bob.signer, &change, &mut bob.entropy).unwrap()
    };
    assert!(commit.welcome.is_none());
    let (alices, summary) = process(&groups[0], &commit.message);
    assert_eq!((summary.epoch, summary.committer, summary.control_root), (2, bob, [8; 32]));
    assert_eq!((summary.added, summary.removed), (vec![], vec![carol]));
    same_epoch(&alices, &bobs);
    assert_eq!(alices.members(), [alice, bob]);
    assert_eq!(alices.control_root(), [8; 32]);

    // Carol learns that she is out, and neither her epoch's secrets nor the next commit help her.
    let (carols, summary) = groups[2].process(&commit.message).unwrap();
    assert!(carols.is_none());
    assert_eq!(summary.removed, [carol]);
    assert_ne!(groups[2].epoch_secret("x").expose_secret(), alices.epoch_secret("x").expose_secret());
    let (_, next) = people[0].commit(&alices, &[], &[]);
    assert_eq!(groups[2].process(&next.message).unwrap_err(), Error::FutureEpoch { message: 2, group: 1 });
}

#[test]
fn a_self_update_changes_every_secret_and_nobody() {
    let (mut people, groups) = group_of(3);
    let (bobs, commit) = people[1].commit(&groups[1], &[], &[]);
    let (alices, summary) = process(&groups[0], &commit.message);
    let (carols, _) = process(&groups[2], &commit.message);
    agree([&alices, &bobs, &carols]);
    assert_eq!(alices.members(), groups[0].members());
    assert!(summary.added.is_empty() && summary.removed.is_empty());
    assert_ne!(alices.epoch_secret("x").expose_secret(), groups[0].epoch_secret("x").expose_secret());
    assert_ne!(alices.epoch_secret("x").expose_secret(), alices.epoch_secret("y").expose_secret());
    assert_ne!(alices.epoch_authenticator(), groups[0].epoch_authenticator());
}

#[test]
fn of_two_concurrent_commits_either_can_win() {
    for alice_wins in [true, false] {
        let (mut people, groups) = group_of(3);
        let (dave, daves_private) = Person::new(4).key_package();
        let carol = people[2].device();
        let (alices, by_alice) = people[0].commit(&groups[0], std::slice::from_ref(&dave), &[]);
        let (bobs, by_bob) = people[1].commit(&groups[1], &[], &[carol]);

        if alice_wins {
            // Bob had moved on to his own epoch; the value he kept takes him to Alice's.
            assert_eq!(
                bobs.process(&by_alice.message).unwrap_err(),
                Error::StaleEpoch { message: 1, group: 2 }
            );
            let (bobs, summary) = process(&groups[1], &by_alice.message);
            assert_eq!(summary.added, [dave.device()]);
            let (carols, _) = process(&groups[2], &by_alice.message);
            let daves = Group::join(
                &Person::new(4).signer,
                &by_alice.welcome.unwrap(),
                &alices.ratchet_tree(),
                &daves_private,
            )
            .unwrap();
            agree([&alices, &bobs, &carols, &daves]);
            // He rebases what he lost: the same removal, on top.
            let (bobs, again) = people[1].commit(&bobs, &[], &[carol]);
            same_epoch(&process(&alices, &again.message).0, &bobs);
            same_epoch(&process(&daves, &again.message).0, &bobs);
            assert!(carols.process(&again.message).unwrap().0.is_none());
        } else {
            // Carol saw the loser first, and goes back.
            let (carols, _) = process(&groups[2], &by_alice.message);
            assert_eq!(carols.epoch(), 2);
            assert!(groups[2].process(&by_bob.message).unwrap().0.is_none());
            let (alices, summary) = process(&groups[0], &by_bob.message);
            assert_eq!(summary.removed, [carol]);
            same_epoch(&alices, &bobs);
            // The key package was not used up by the welcome that never went out.
            let (alices, again) = people[0].commit(&alices, std::slice::from_ref(&dave), &[]);
            same_epoch(&process(&bobs, &again.message).0, &alices);
            let welcome = again.welcome.unwrap();
            let daves = Group::join(&Person::new(4).signer, &welcome, &alices.ratchet_tree(), &daves_private)
                .unwrap();
            same_epoch(&daves, &alices);
        }
    }
}

#[test]
fn a_device_that_lost_its_state_is_replaced_in_one_commit() {
    let (mut people, groups) = group_of(3);
    let bob = people[1].device();
    let (again, private) = people[1].key_package();
    let (alices, commit) = people[0].commit(&groups[0], &[again], &[bob]);
    let (carols, summary) = process(&groups[2], &commit.message);
    assert_eq!((summary.added, summary.removed), (vec![bob], vec![bob]));
    let bobs =
        Group::join(&people[1].signer, &commit.welcome.unwrap(), &alices.ratchet_tree(), &private).unwrap();
    agree([&alices, &bobs, &carols]);
}

#[test]
fn a_hundred_members_in_one_commit() {
    let (people, groups) = group_of(101);
    assert_eq!(groups[100].members().len(), 101);
    assert_eq!(groups[0].members(), people.iter().map(Person::device).collect::<Vec<_>>());
}

#[test]
fn the_same_entropy_makes_the_same_messages() {
    // The library encrypts in parallel; what comes out must not depend on the threads.
    let make = || {
        let (mut people, groups) = group_of(20);
        let (group, commit) = people[3].commit(&groups[3], &[], &[]);
        (commit.message, group.epoch_authenticator())
    };
    assert_eq!(make(), make());
}

#[test]
fn callers_errors_name_the_fault() {
    let (mut people, groups) = group_of(2);
    let [alice, bob] = [0, 1].map(|i| people[i].device());
    let (stranger, _) = Person::new(9).key_package();
    let bobs_package = people[1].key_package().0;
    let before = groups[0].to_bytes();
    let mut case = |add: &[KeyPackage], remove: &[_], signer: usize, expected: Error| {
        let change = Change { add, remove, control_root: ROOT };
        let person = &mut people[signer];
        let error = groups[0].commit(&person.signer, &change, &mut person.entropy).unwrap_err();
        assert_eq!(error, expected);
        assert_eq!(error.fault(), Fault::Caller);
    };
    case(&[bobs_package], &[], 0, Error::AlreadyMember(bob));
    case(&[stranger.clone(), stranger.clone()], &[], 0, Error::AlreadyMember(stranger.device()));
    case(&[], &[stranger.device()], 0, Error::NotAMember(stranger.device()));
    case(&[], &[alice], 0, Error::RemovesItself);
    case(&[], &[], 1, Error::OtherDevice);
    assert_eq!(before.expose_secret(), groups[0].to_bytes().expose_secret());

    let alice = &mut people[0];
    for id in [&[][..], &[0; 256]] {
        let error = Group::create(alice.suite, &alice.signer, id, ROOT, &mut alice.entropy).unwrap_err();
        assert_eq!(error, Error::GroupId(id.len()));
    }
}

#[test]
fn a_welcome_is_for_one_key_package_of_one_device() {
    let mut people: Vec<_> = (1..=3).map(Person::new).collect();
    let group = people[0].create();
    let older = group.ratchet_tree();
    let (bob, bobs_private) = people[1].key_package();
    let (_, bobs_other) = people[1].key_package();
    let (_, carols_private) = people[2].key_package();
    let (group, commit) = people[0].commit(&group, &[bob], &[]);
    let (welcome, tree) = (commit.welcome.unwrap(), group.ratchet_tree());
    let join =
        |signer: usize, private, tree: &[u8]| Group::join(&people[signer].signer, &welcome, tree, private);

    assert_eq!(join(2, &carols_private, &tree).unwrap_err(), Error::NotForUs);
    assert_eq!(join(1, &bobs_other, &tree).unwrap_err(), Error::NotForUs);
    assert_eq!(join(2, &bobs_private, &tree).unwrap_err(), Error::OtherDevice);
    assert_eq!(
        join(1, &bobs_private, &tree[..tree.len() - 1]).unwrap_err(),
        Error::Malformed("ratchet tree")
    );
    assert!(matches!(join(1, &bobs_private, &older).unwrap_err(), Error::Invalid { .. }));
    same_epoch(&join(1, &bobs_private, &tree).unwrap(), &group);
    // A welcome can be tried again as long as the private part is kept.
    same_epoch(&join(1, &bobs_private, &tree).unwrap(), &group);
}

#[test]
fn sizes_stay_what_they_were_measured_to_be() {
    let (mut people, groups) = group_of(3);
    let (public, private) =
        new_key_package(people[0].suite, &people[0].signer, &mut world::Seeded::new(1)).unwrap();
    assert!(public.len() < 330, "{}", public.len());
    assert!(private.expose_secret().len() < 500, "{}", private.expose_secret().len());
    let (dave, _) = Person::new(4).key_package();
    let (_, commit) = people[0].commit(&groups[0], &[dave], &[]);
    assert!(commit.welcome.unwrap().len() < 1000);
}
