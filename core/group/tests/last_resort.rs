//! Key packages of last resort (RFC 9420, section 16.8): one lets a device into several groups, in either suite.
#![allow(clippy::unwrap_used, reason = "test code, outside of test functions")]
mod world;
use terachat_group::{CipherSuite, Error, Group, KeyPackage, new_last_resort_key_package};
use world::{Person, agree, process};

#[test]
fn one_lets_its_device_into_several_groups() {
    for suite in CipherSuite::ALL {
        let mut bob = Person::of(suite, 9);
        let (public, private) = new_last_resort_key_package(suite, &bob.signer, &mut bob.entropy).unwrap();
        let parsed = KeyPackage::parse(&public).unwrap();
        assert!(parsed.is_last_resort() && parsed.suite() == suite && parsed.device() == bob.device());
        assert_eq!(parsed.to_bytes().unwrap(), public);
        for host in [1, 2] {
            let mut ada = Person::of(suite, host);
            let first = ada.create();
            let (group, commit) = ada.commit(&first, std::slice::from_ref(&parsed), &[]);
            let joined =
                Group::join(&bob.signer, &commit.welcome.unwrap(), &group.ratchet_tree(), &private).unwrap();
            agree([&group, &joined]);
            // It is a member as any: commits, and processes others' commits.
            let (bobs, commit) = bob.commit(&joined, &[], &[]);
            let (adas, _) = process(&group, &commit.message);
            agree([&adas, &bobs]);
            let (stored, again) = (bobs.to_bytes(), Group::from_bytes(bobs.to_bytes().expose_secret()));
            agree([&Group::from_bytes(stored.expose_secret()).unwrap(), &again.unwrap()]);
        }
    }
}

#[test]
fn an_ordinary_one_is_not_of_last_resort_and_the_mark_is_signed() {
    let mut bob = Person::new(9);
    let (ordinary, _) = bob.key_package();
    assert!(!ordinary.is_last_resort());
    let (public, private) =
        new_last_resort_key_package(CipherSuite::X25519, &bob.signer, &mut bob.entropy).unwrap();
    // The mark, of type 10 and no content, stands before the signature: without it nothing fits any more.
    let at = public.windows(4).rposition(|part| part == [3, 0, 10, 0]);
    let at = at.unwrap_or_else(|| panic!("{public:02x?}"));
    let unmarked = [&public[..at], &[0], &public[at + 4..]].concat();
    assert!(matches!(KeyPackage::parse(&unmarked), Err(Error::Forged(_) | Error::Malformed(_))));
    let mut ada = Person::new(1);
    let first = ada.create();
    let (group, commit) = ada.commit(&first, &[ordinary], &[]);
    let refused = Group::join(&bob.signer, &commit.welcome.unwrap(), &group.ratchet_tree(), &private);
    assert!(matches!(refused, Err(Error::NotForUs)));
}
