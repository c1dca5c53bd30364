//! Groups without our rules stay apart from those with them.
#![allow(clippy::unwrap_used, reason = "test code, outside of test functions")]
mod world;
use openmls::prelude::{LeafNodeParameters, Lifetime};
use std::fs;
use std::path::Path;
use terachat_group::{Change, Error, Group, KeyPackage, danger};
use world::Person;
use world::bare::{Bare, bytes};

fn plain(number: u64) -> (Person, Group) {
    let mut person = Person::new(number);
    let group = danger::create(&person.signer, b"somebody", b"plain", &mut person.entropy).unwrap();
    (person, group)
}

fn change(add: &[KeyPackage]) -> Change<'_> {
    Change { add, remove: &[], control_root: [0; 32] }
}

#[test]
fn neither_takes_what_is_the_others() {
    let (mut ann, plain) = plain(1);
    let mut bob = Person::new(2);
    // Key packages.
    let (ours, private) = bob.key_package();
    let add = std::slice::from_ref(&ours);
    assert_eq!(plain.commit(&ann.signer, &change(add), &mut ann.entropy).err(), Some(Error::OtherTerms));
    let (public, kept) = danger::new_key_package(&bob.signer, b"bob", &mut bob.entropy).unwrap();
    assert_eq!(KeyPackage::parse(&public).unwrap_err(), Error::ForeignCredential);
    // Welcomes.
    let theirs = danger::parse_key_package(&public).unwrap();
    let (next, commit) = plain.commit(&ann.signer, &change(&[theirs]), &mut ann.entropy).unwrap();
    let (welcome, tree) = (commit.welcome.unwrap(), next.ratchet_tree());
    let refused = Group::join(&bob.signer, &welcome, &tree, &kept).unwrap_err();
    assert_eq!(refused, Error::ForeignCredential);
    let bobs = danger::join(&bob.signer, &welcome, &kept).unwrap();
    assert_eq!(bobs.epoch_authenticator(), next.epoch_authenticator());
    let mut eve = Person::new(3);
    let group = eve.create();
    let (_, commit) = eve.commit(&group, &[ours], &[]);
    assert!(danger::join(&bob.signer, &commit.welcome.unwrap(), &private).is_err(), "there is no tree in it");
    // Stored bytes.
    assert!(matches!(Group::from_bytes(next.to_bytes().expose_secret()), Err(Error::Damaged(_))));
    // A control root, a successor.
    let root = Change { control_root: [1; 32], ..change(&[]) };
    let refused = next.commit(&ann.signer, &root, &mut ann.entropy).unwrap_err();
    assert!(matches!(refused, Error::Unsupported(_)));
    let suite = terachat_group::CipherSuite::X25519;
    let refused = next.reinit(&ann.signer, suite, b"next", &[], [0; 32], &mut ann.entropy).unwrap_err();
    assert_eq!(refused, Error::OtherTerms);
}

/// A member that turns into somebody else is refused there as well.
#[test]
fn a_member_keeps_its_name() {
    let (mut ann, group) = plain(1);
    let bare = Bare::new(77);
    let key_package = bare.bundle(b"bare", Lifetime::default(), &[]);
    let add = [danger::parse_key_package(&bytes(key_package)).unwrap()];
    let (group, commit) = group.commit(&ann.signer, &change(&add), &mut ann.entropy).unwrap();
    let mut theirs = bare.join(&commit.welcome.unwrap(), &group.ratchet_tree());
    let another = LeafNodeParameters::builder().with_credential_with_key(bare.credential(b"ann")).build();
    let made = theirs.self_update(&bare.provider, &bare.signer, another).unwrap();
    let before = group.to_bytes();
    assert_eq!(group.process(&bytes(made.into_commit())).unwrap_err(), Error::ForeignCredential);
    assert_eq!(before.expose_secret(), group.to_bytes().expose_secret());
}

/// Nothing but this crate's tests makes such a group.
#[test]
fn nothing_in_the_workspace_uses_it() {
    fn search(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                let name = path.file_name().unwrap();
                if name != "target" && !name.to_string_lossy().starts_with('.') {
                    search(&path, found);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                if text.contains("terachat_group") && text.contains("danger") {
                    found.push(path.to_string_lossy().replace('\\', "/"));
                }
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    for part in ["app", "core", "io", "bench", "fuzz"] {
        search(&root.join(part), &mut found);
    }
    found.retain(|path| !path.contains("core/group/"));
    assert!(found.is_empty(), "{found:?}");
}
