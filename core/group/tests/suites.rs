//! Either suite: the same verbs, one group in one suite, and what the post-quantum one costs on the wire.
#![allow(clippy::unwrap_used, reason = "test code, outside of test functions")]
mod world;
use terachat_group::{CipherSuite, Error, Fault, Group, KeyPackage, new_key_package};
use world::{Person, agree, group_in, process, same_epoch};

#[test]
fn members_come_write_go_and_return_in_either() {
    for suite in CipherSuite::ALL {
        let (mut people, groups) = group_in(suite, 4);
        assert!(groups.iter().all(|group| group.suite() == suite));

        // A commit of new keys and one that removes, each processed by all.
        let (bobs, commit) = people[1].commit(&groups[1], &[], &[]);
        let (alices, _) = process(&groups[0], &commit.message);
        let (carols, _) = process(&groups[2], &commit.message);
        let (daves, _) = process(&groups[3], &commit.message);
        let dave = people[3].device();
        let (alices, commit) = people[0].commit(&alices, &[], &[dave]);
        let (mut bobs, _) = process(&bobs, &commit.message);
        let (carols, _) = process(&carols, &commit.message);
        assert!(daves.process(&commit.message).unwrap().0.is_none());
        agree([&alices, &bobs, &carols]);

        // Carol keeps her identity alone, and rejoins.
        let info = alices.group_info(&people[0].signer).unwrap();
        let carol = &mut people[2];
        let (carols, message) =
            Group::rejoin(&carol.signer, &info, &alices.ratchet_tree(), &mut carol.entropy).unwrap();
        let (mut alices, _) = alices.process_rejoin(&message, &carol.device()).unwrap();
        (bobs, _) = bobs.process_rejoin(&message, &carol.device()).unwrap();
        agree([&alices, &bobs, &carols]);

        // A single message, and the state as it is stored.
        let (mut hers, mut his) = (alices.take_messages().unwrap(), bobs.take_messages().unwrap());
        let reserve = hers.reserve(1).unwrap();
        hers.grant(reserve);
        let sealed = hers.seal(&people[0].signer, b"hello", &mut world::Seeded::new(1)).unwrap();
        let opened = his.open(&sealed, &people[0].device()).unwrap();
        assert_eq!(opened.text.expose_secret(), b"hello");
        let stored = carols.to_bytes();
        assert_eq!(Group::suite_of(stored.expose_secret()), Some(suite));
        same_epoch(&Group::from_bytes(stored.expose_secret()).unwrap(), &carols);
    }
}

#[test]
fn one_group_has_one_suite() {
    for (suite, other) in [CipherSuite::ALL, [CipherSuite::XWing, CipherSuite::X25519]].map(|[a, b]| (a, b)) {
        let (mut people, groups) = group_in(suite, 2);
        let (foreign, private) = Person::of(other, 9).key_package();
        assert_eq!(foreign.suite(), other);
        let change =
            terachat_group::Change { add: &[foreign], remove: &[], control_root: groups[0].control_root() };
        let alice = &mut people[0];
        let error = groups[0].commit(&alice.signer, &change, &mut alice.entropy).unwrap_err();
        assert_eq!(error, Error::OtherSuite { key_package: other, group: suite });
        assert_eq!(error.fault(), Fault::Caller);

        // A welcome of one suite is for no key package of the other, and no commit of one is another's.
        let (newcomer, _) = Person::of(suite, 8).key_package();
        let (next, commit) = people[0].commit(&groups[0], &[newcomer], &[]);
        let welcome = commit.welcome.unwrap();
        let refused = Group::join(&Person::of(other, 9).signer, &welcome, &next.ratchet_tree(), &private);
        assert!(refused.unwrap_err().fault() == Fault::Peer);
        let (_, others) = group_in(other, 2);
        assert!(others[1].process(&commit.message).unwrap_err().fault() == Fault::Peer);
    }
}

#[test]
fn a_state_whose_suite_was_changed_is_damaged() {
    for suite in CipherSuite::ALL {
        let (_, groups) = group_in(suite, 2);
        let mut bytes = groups[0].to_bytes().expose_secret().to_vec();
        bytes[0] ^= 3;
        assert!(matches!(Group::from_bytes(&bytes), Err(Error::Damaged(_))));
        assert_eq!(Group::suite_of(&[]), None);
        assert_eq!(Group::suite_of(&[0x81]), None);
    }
}

#[test]
fn a_key_package_is_changed_nowhere_unseen() {
    for suite in CipherSuite::ALL {
        let person = Person::of(suite, 1);
        let (public, _) = new_key_package(suite, &person.signer, &mut world::Seeded::new(3)).unwrap();
        assert_eq!(KeyPackage::parse(&public).unwrap().to_bytes().unwrap(), public);
        for at in (0..public.len()).step_by(1 + public.len() / 300) {
            let mut changed = public.clone();
            changed[at] ^= 1;
            assert!(KeyPackage::parse(&changed).is_err(), "byte {at} of {}", public.len());
            assert!(KeyPackage::parse(&public[..at]).is_err());
        }
    }
}

/// What `docs/adr/0030-post-quantum.md` says of numbers: that of X-Wing is the library's own, and stands in what is stored and sent.
#[test]
fn the_suites_have_the_numbers_that_are_written_down() {
    assert_eq!(CipherSuite::ALL.map(CipherSuite::number), [0x0003, 0x004D]);
    for suite in CipherSuite::ALL {
        let mut person = Person::of(suite, 1);
        let (public, _) = new_key_package(suite, &person.signer, &mut person.entropy).unwrap();
        // Version and kind of the message, version of the key package, suite.
        assert_eq!(public[6..8], suite.number().to_be_bytes());
        assert_eq!(CipherSuite::from_number(suite.number()), Some(suite));
    }
    assert_eq!(CipherSuite::from_number(0x004F), None, "X-Wing with AES");
}

/// What `docs/adr/0030-post-quantum.md` says of lengths.
#[test]
fn what_post_quantum_costs_on_the_wire() {
    let lengths = |suite| {
        let (mut people, groups) = group_in(suite, 10);
        let package = people[9].key_package().0.to_bytes().unwrap().len();
        let renewal = people[0].commit(&groups[0], &[], &[]).1.message.len();
        let newcomer = Person::of(suite, 11).key_package().0;
        let welcome = people[0].commit(&groups[0], &[newcomer], &[]).1.welcome.unwrap().len();
        (package, renewal, welcome, groups[0].to_bytes().expose_secret().len())
    };
    let (classic, quantum) = (lengths(CipherSuite::X25519), lengths(CipherSuite::XWing));
    eprintln!("key package, renewal, welcome, state: {classic:?}, post-quantum {quantum:?}");
    // Three public keys of 1,216 bytes for 32, and an encapsulation of 1,120 for 32 to each who is reached.
    assert_eq!(quantum.0, classic.0 + 2 * (1_216 - 32) + 2);
    assert!(quantum.1 > 9 * (1_120 - 32), "{quantum:?}");
    assert_eq!(quantum.2, classic.2 + (1_120 - 32) + 1);
}
