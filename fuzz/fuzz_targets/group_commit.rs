//! A handshake message or a key package from a peer: whatever it is, it cannot change a group, and nothing but a member's
//! own commit moves it on. Part of the inputs are an honest commit, spoiled in a few places.
#![no_main]
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use terachat_fuzz::{Spoiled, groups::Groups};
use terachat_group::KeyPackage;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Commit(&'a [u8]),
    SpoiledCommit(Spoiled),
    KeyPackage(&'a [u8]),
    SpoiledKeyPackage(Spoiled),
}

thread_local! {
    static GROUPS: Groups = Groups::new();
}

fuzz_target!(|input: Input<'_>| {
    GROUPS.with(|groups| {
        let bytes = match input {
            Input::KeyPackage(bytes) => {
                return assert!(KeyPackage::parse(bytes).is_err(), "nobody signed it");
            }
            Input::SpoiledKeyPackage(spoiled) => {
                let bytes = spoiled.apply(&groups.key_package);
                let same = bytes == groups.key_package;
                return assert_eq!(KeyPackage::parse(&bytes).is_ok(), same);
            }
            Input::Commit(bytes) => bytes.to_vec(),
            Input::SpoiledCommit(spoiled) => spoiled.apply(&groups.commit),
        };
        let same = bytes == groups.commit;
        assert_eq!(groups.bob.process(&bytes).is_ok(), same, "only what was signed is taken in");
    });
});
