//! What others send: messages and stored bytes that are not what they should be.
#![allow(clippy::unwrap_used, reason = "test code, outside of test functions")]
mod world;
use proptest::prelude::*;
use std::sync::LazyLock;
use terachat_group::{Error, Fault, Group, KeyPackage};
use terachat_vault::SecretBytes;
use world::{Person, ROOT, group_of, process, same_epoch};

#[test]
fn messages_for_other_groups_and_epochs() {
    let (mut people, groups) = group_of(3);
    let bob = &mut people[1];
    let other = Group::create(bob.suite, &bob.signer, b"another", ROOT, &mut bob.entropy).unwrap();
    let (_, foreign) = people[1].commit(&other, &[], &[]);
    let (bobs, first) = people[1].commit(&groups[1], &[], &[]);
    let (_, second) = people[1].commit(&bobs, &[], &[]);
    let (alices, _) = process(&groups[0], &first.message);

    let case = |group: &Group, message: &[u8], expected: Error| {
        let before = group.to_bytes();
        let error = group.process(message).unwrap_err();
        assert_eq!(error, expected);
        assert_eq!(before.expose_secret(), group.to_bytes().expose_secret());
        error.fault()
    };
    assert_eq!(case(&groups[0], &foreign.message, Error::WrongGroup), Fault::Peer);
    case(&groups[0], &second.message, Error::FutureEpoch { message: 2, group: 1 });
    case(&alices, &first.message, Error::StaleEpoch { message: 1, group: 2 });
    assert_eq!(case(&groups[1], &first.message, Error::OwnCommit), Fault::Caller);
    case(&groups[0], b"", Error::Malformed("message"));
    case(&groups[0], &[0; 40], Error::Malformed("message"));
    let long = vec![0; terachat_group::MESSAGE_BYTES_MAX + 1];
    case(&groups[0], &long, Error::Oversized { len: long.len(), max: long.len() - 1 });
    let mut trailing = first.message.clone();
    trailing.push(0);
    case(&groups[0], &trailing, Error::Malformed("message"));
}

/// A group of three, one commit of each sort by the second, and a welcome for a fourth.
struct Sent {
    people: Vec<Person>,
    groups: Vec<Group>,
    commit: Vec<u8>,
    welcome: Vec<u8>,
    tree: Vec<u8>,
    key_package: Vec<u8>,
    private: SecretBytes,
}

static SENT: LazyLock<Sent> = LazyLock::new(|| {
    let (mut people, groups) = group_of(3);
    let mut dave = Person::new(4);
    let (key_package, private) =
        terachat_group::new_key_package(dave.suite, &dave.signer, &mut dave.entropy).unwrap();
    let carol = people[2].device();
    let change = terachat_group::Change {
        add: &[KeyPackage::parse(&key_package).unwrap()],
        remove: &[carol],
        control_root: [8; 32],
    };
    let bob = &mut people[1];
    let (next, commit) = groups[1].commit(&bob.signer, &change, &mut bob.entropy).unwrap();
    people.push(dave);
    let (commit, welcome) = (commit.message, commit.welcome.unwrap());
    Sent { people, groups, commit, welcome, tree: next.ratchet_tree(), key_package, private }
});

fn damage(bytes: &[u8], at: &prop::sample::Index, bit: u8, how: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = at.index(bytes.len());
    match how {
        0 | 1 => bytes[at] ^= 1 << bit,
        2 => bytes.truncate(at),
        3 => bytes.insert(at, bit),
        4 => drop(bytes.remove(at)),
        _ => bytes[at..].iter_mut().for_each(|byte| *byte = byte.wrapping_mul(31).wrapping_add(bit + 1)),
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn a_damaged_commit_is_the_peers_fault_and_changes_nothing(at: prop::sample::Index, bit in 0..8u8, how in 0..6u8) {
        let sent = &*SENT;
            let bytes = damage(&sent.commit, &at, bit, how);
            prop_assume!(bytes != sent.commit);
            let before = sent.groups[0].to_bytes();
            let error = sent.groups[0].process(&bytes).unwrap_err();
            // The leaf index may be turned into the reader's own.
            prop_assert!(error.fault() == Fault::Peer || error == Error::OwnCommit, "{error:?}");
            prop_assert!(before.expose_secret() == sent.groups[0].to_bytes().expose_secret());
            process(&sent.groups[0], &sent.commit);
    }

    #[test]
    fn a_damaged_welcome_or_tree_lets_nobody_in(at: prop::sample::Index, bit in 0..8u8, how in 0..6u8, tree: bool) {
        let sent = &*SENT;
            let (mut welcome, mut ratchet_tree) = (sent.welcome.clone(), sent.tree.clone());
            let one = if tree { &mut ratchet_tree } else { &mut welcome };
            let bytes = damage(one, &at, bit, how);
            prop_assume!(bytes != *one);
            *one = bytes;
            let error = Group::join(&sent.people[3].signer, &welcome, &ratchet_tree, &sent.private).unwrap_err();
            prop_assert_eq!(error.fault(), Fault::Peer, "{:?}", error);
    }

    #[test]
    fn a_damaged_key_package_is_refused(at: prop::sample::Index, bit in 0..8u8, how in 0..6u8) {
        let sent = &*SENT;
            let bytes = damage(&sent.key_package, &at, bit, how);
            prop_assume!(bytes != sent.key_package);
            let error = KeyPackage::parse(&bytes).unwrap_err();
            prop_assert_eq!(error.fault(), Fault::Peer, "{:?}", error);
    }

    #[test]
    fn damaged_state_is_the_storages_fault(at: prop::sample::Index, bit in 0..8u8, how in 0..6u8, private: bool) {
        let sent = &*SENT;
            let state = sent.groups[0].to_bytes();
            let whole = if private { sent.private.expose_secret() } else { state.expose_secret() };
            let bytes = damage(whole, &at, bit, how);
            prop_assume!(bytes != whole);
            let error = if private {
                let private = SecretBytes::take(bytes);
                Group::join(&sent.people[3].signer, &sent.welcome, &sent.tree, &private).unwrap_err()
            } else {
                Group::from_bytes(&bytes).unwrap_err()
            };
            prop_assert!(matches!(error, Error::Damaged(_)), "{error:?}");
            prop_assert_eq!(error.fault(), Fault::Storage);
    }

    #[test]
    fn noise_is_refused_everywhere(bytes: Vec<u8>) {
        let sent = &*SENT;
            prop_assert_eq!(sent.groups[0].process(&bytes).unwrap_err().fault(), Fault::Peer);
            prop_assert_eq!(KeyPackage::parse(&bytes).unwrap_err().fault(), Fault::Peer);
            prop_assert_eq!(Group::from_bytes(&bytes).unwrap_err().fault(), Fault::Storage);
    }
}

#[test]
fn the_undamaged_ones_are_fine() {
    let sent = &*SENT;
    let (alices, _) = process(&sent.groups[0], &sent.commit);
    let daves = Group::join(&sent.people[3].signer, &sent.welcome, &sent.tree, &sent.private).unwrap();
    same_epoch(&alices, &daves);
    same_epoch(&Group::from_bytes(alices.to_bytes().expose_secret()).unwrap(), &alices);
}
