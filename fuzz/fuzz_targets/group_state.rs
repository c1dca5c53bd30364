//! A group's stored state from a disk that others can write to, should its seal ever fail: it is refused or it is a
//! group, and what it is can be written and read again.
#![no_main]
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use terachat_fuzz::{Spoiled, groups::Groups};
use terachat_group::Group;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Bytes(&'a [u8]),
    Honest(Spoiled),
}

thread_local! {
    static GROUPS: Groups = Groups::new();
}

fuzz_target!(|input: Input<'_>| {
    GROUPS.with(|groups| {
        let bytes = match input {
            Input::Bytes(bytes) => bytes.to_vec(),
            Input::Honest(spoiled) => spoiled.apply(groups.bob.to_bytes().expose_secret()),
        };
        let Ok(group) = Group::from_bytes(&bytes) else { return };
        let again = Group::from_bytes(group.to_bytes().expose_secret()).expect("what was just written");
        assert_eq!(again.members(), group.members());
        let _ = group.process(&groups.commit);
    });
});
